#!/usr/bin/env python3
"""Writes NAME.txt beside NAME.in: exact pins, with the hash of one wheel per architecture, for Debian 12's Python.

usage: relock.py NAME... (needs uv for the resolution, which evaluates markers for the target and not for this host, and
pip for the hashes of the wheels that pip itself will choose). A first line `# no-deps` in NAME.in keeps it from
resolving.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

PYTHON = "3.11.2"
MACHINES = ("x86_64", "aarch64")
GLIBC_MINOR = 36
HERE = pathlib.Path(__file__).resolve().parent


def output(*command: str) -> str:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def resolve(source: pathlib.Path, machine: str) -> str:
    """The pins of one architecture, one `name==version` a line."""
    no_deps = ["--no-deps"] if source.read_text().startswith("# no-deps") else []
    return output(
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
        "--only-binary",
        ":all:",
        "--python-version",
        PYTHON,
        "--python-platform",
        f"{machine}-manylinux_2_{GLIBC_MINOR}",
        *no_deps,
        str(source),
    )


def platforms(machine: str) -> list[str]:
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_MINOR, 4, -1)]
    old = {"x86_64": ["2014", "2010", "1"], "aarch64": ["2014"]}[machine]
    return [*tags, *(f"manylinux{name}_{machine}" for name in old), f"linux_{machine}"]


def wheels(pins: str, machine: str) -> dict[str, str]:
    """`name==version` to the sha256 of the wheel that pip picks for this architecture."""
    with tempfile.TemporaryDirectory() as folder:
        listed = pathlib.Path(folder, "pins.txt")
        listed.write_text(pins)
        tags = [part for tag in platforms(machine) for part in ("--platform", tag)]
        report = json.loads(
            output(
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--dry-run",
                "--ignore-installed",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--implementation",
                "cp",
                "--python-version",
                "3.11",
                "--abi",
                "cp311",
                "--abi",
                "abi3",
                "--abi",
                "none",
                *tags,
                "--target",
                folder,
                "--report",
                "-",
                "-r",
                str(listed),
            )
        )
    found = {}
    for item in report["install"]:
        key = f"{item['metadata']['name'].lower().replace('_', '-')}=={item['metadata']['version']}"
        found[key] = item["download_info"]["archive_info"]["hashes"]["sha256"]
    return found


def main() -> None:
    for name in sys.argv[1:]:
        hashes: dict[str, set[str]] = {}
        for machine in MACHINES:
            for pin, digest in wheels(resolve(HERE / f"{name}.in", machine), machine).items():
                hashes.setdefault(pin, set()).add(digest)
        lines = [f"# Made by relock.py from {name}.in for Python {PYTHON} on {' and '.join(MACHINES)}. Do not edit."]
        for pin in sorted(hashes):
            lines.append(" \\\n    ".join([pin, *(f"--hash=sha256:{digest}" for digest in sorted(hashes[pin]))]))
        (HERE / f"{name}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
