#!/usr/bin/env python3
"""Writes NAME.txt beside NAME.in: exact pins, with the hash of one wheel per architecture, for Debian 12's Python.

usage: relock.py NAME... (needs uv for the resolution, which evaluates markers for the target and not for this host, and
pip for the hashes of the wheels that pip itself will choose). Comments of NAME.in that begin a line say how:

    # no-deps             the pins are written out whole: nothing is resolved
    # on: OTHER           installed over OTHER.txt, whose pins hold here too and are not repeated
    # without: NAME...    dependencies that are declared and that what is used of the packages does not need
    # instead: PIN        whatever the packages declare of this one
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

PYTHON = "3.11.2"
MACHINES = ("x86_64", "aarch64")
GLIBC_MINOR = 36
HERE = pathlib.Path(__file__).resolve().parent


def output(*command: str) -> str:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def said(text: str, word: str) -> list[str]:
    """What the comments of an input say after a word."""
    found = re.findall(rf"^# {word}:(.*)$", text, re.MULTILINE)
    return [each for line in found for each in line.split()]


def below(text: str) -> list[str]:
    """The pins of the files that an input stands on."""
    locks = [(HERE / f"{name}.txt").read_text() for name in said(text, "on")]
    return [pin for lock in locks for pin in re.findall(r"^[A-Za-z0-9._-]+==\S+", lock, re.MULTILINE)]


def resolve(source: pathlib.Path, machine: str, folder: pathlib.Path) -> str:
    """The pins of one architecture, one `name==version` a line."""
    text = source.read_text()
    # A marker that never holds takes a dependency out.
    never = [f"{name} ; python_version < '3'" for name in said(text, "without")]
    overrides, constraints = folder / "overrides.txt", folder / "constraints.txt"
    overrides.write_text("\n".join([*never, *said(text, "instead")]))
    constraints.write_text("\n".join(below(text)))
    resolved = output(
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
        "--override",
        str(overrides),
        "--constraint",
        str(constraints),
        *(["--no-deps"] if text.startswith("# no-deps") else []),
        str(source),
    )
    there = set(below(text))
    return "\n".join(pin for pin in resolved.split("\n") if pin not in there)


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
            with tempfile.TemporaryDirectory() as folder:
                pins = resolve(HERE / f"{name}.in", machine, pathlib.Path(folder))
            for pin, digest in wheels(pins, machine).items():
                hashes.setdefault(pin, set()).add(digest)
        lines = [f"# Made by relock.py from {name}.in for Python {PYTHON} on {' and '.join(MACHINES)}. Do not edit."]
        for pin in sorted(hashes):
            lines.append(" \\\n    ".join([pin, *(f"--hash=sha256:{digest}" for digest in sorted(hashes[pin]))]))
        (HERE / f"{name}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
