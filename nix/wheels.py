#!/usr/bin/env python3
"""Writes into wheels.json the hash of the folder of wheels that each requirement file asks for, for each system.

usage: wheels.py [--check] [NAME...] (without names: all; needs pip and a package index). With `--check` nothing is
downloaded, and the exit code is 1 where a requirement file has changed since its hashes were written.
"""

import base64
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PINS = HERE / "wheels.json"
REQUIREMENTS = HERE.parent / "images" / "requirements"
MACHINES = {"x86_64-linux": "x86_64", "aarch64-linux": "aarch64"}
PYTHON = "3.11"
GLIBC_MINOR = 36


def field(data: bytes) -> bytes:
    """A field of Nix's archive format: length, bytes, zeros up to a multiple of eight."""
    return struct.pack("<Q", len(data)) + data + b"\0" * (-len(data) % 8)


def archive_hash(folder: pathlib.Path) -> str:
    """What `nix hash path` says of a folder of plain files."""
    digest = hashlib.sha256()

    def write(*words: str | bytes) -> None:
        for word in words:
            digest.update(field(word.encode() if isinstance(word, str) else word))

    write("nix-archive-1", "(", "type", "directory")
    for path in sorted(folder.iterdir()):
        write("entry", "(", "name", path.name, "node", "(", "type", "regular", "contents", path.read_bytes(), ")", ")")
    write(")")
    return "sha256-" + base64.b64encode(digest.digest()).decode()


def download(requirements: pathlib.Path, machine: str, folder: str) -> None:
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_MINOR, 4, -1)]
    tags += [f"manylinux2014_{machine}", f"linux_{machine}", "any"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pip += ["--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    pip += [f"--abi=cp{PYTHON.replace('.', '')}", "--abi=abi3", "--abi=none"]
    pip += [f"--platform={tag}" for tag in tags]
    subprocess.run([*pip, f"--requirement={requirements}", f"--dest={folder}"], check=True)


def pins_of(name: str) -> dict[str, str]:
    requirements = REQUIREMENTS / f"{name}.txt"
    pins = {"requirements": hashlib.sha256(requirements.read_bytes()).hexdigest()}
    for system, machine in MACHINES.items():
        with tempfile.TemporaryDirectory() as folder:
            download(requirements, machine, folder)
            pins[system] = archive_hash(pathlib.Path(folder))
    return pins


def main(arguments: list[str]) -> int:
    pins = json.loads(PINS.read_text())
    names = [name for name in arguments if name != "--check"] or sorted(pins)
    if "--check" not in arguments:
        pins |= {name: pins_of(name) for name in names}
        PINS.write_text(json.dumps(pins, indent=2) + "\n")
        return 0
    stale = [
        name
        for name in names
        if hashlib.sha256((REQUIREMENTS / f"{name}.txt").read_bytes()).hexdigest()
        != pins.get(name, {}).get("requirements")
    ]
    for name in stale:
        print(f"nix/wheels.json does not fit images/requirements/{name}.txt, which has changed since", file=sys.stderr)
        print(f"hint: `python3 nix/wheels.py {name}`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
