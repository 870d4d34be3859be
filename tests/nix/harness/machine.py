"""The machine's own programs: nix and the linters of Nix files, found or installed where that is allowed."""

import os
import pathlib
import shutil
import subprocess

from .report import CheckError, SkippedError

# Crates that bring a linter, at the versions that the files were formatted with.
LINTERS = {"nixfmt": "nixfmt_rs@0.5.3", "deadnix": "deadnix@1.3.1"}


def tools_folder() -> pathlib.Path:
    """Where linters are kept between runs."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "testbed" / "nix-tools"


def find_nix(may_install: bool) -> str:
    """The path of nix. On Debian, as root, it is installed where that is allowed."""
    if found := shutil.which("nix"):
        return found
    by_hand = "`apt-get install nix-bin` on Debian, or https://nixos.org/download"
    if not may_install:
        raise SkippedError(f"nix is not installed ({by_hand}; or call this with --yes)")
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CheckError("nix is not installed, and only root on Debian or its like can install it here", by_hand)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "nix-bin"]):
        done = subprocess.run(
            ["apt-get", *command], env=quiet, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode != 0:
            raise CheckError(f"`apt-get {' '.join(command)}` failed:\n{done.stdout[-1500:]}", by_hand)
    if found := shutil.which("nix"):
        return found
    raise CheckError("nix-bin was installed, and brought no `nix`", by_hand)


def find_linter(name: str, may_install: bool) -> str:
    """The path of a linter: the version that is kept, or the one on PATH, or installed by cargo."""
    kept = tools_folder() / "bin" / name
    if kept.is_file():
        return str(kept)
    if not may_install:
        if found := shutil.which(name):
            return found
        raise SkippedError(f"{name} is not installed (`cargo install {LINTERS[name]}`, or call this with --yes)")
    if not shutil.which("cargo"):
        raise CheckError(f"{name} is not installed, and there is no cargo to do it", f"`cargo install {LINTERS[name]}`")
    command = ["cargo", "install", "--quiet", "--locked", "--root", str(tools_folder()), LINTERS[name]]
    # Here rust-toolchain.toml decides on the compiler. The project's settings for cargo do not hold for installing.
    here = pathlib.Path(__file__).parent
    done = subprocess.run(command, cwd=here, text=True, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise CheckError(f"`{' '.join(command)}` failed:\n{done.stderr[-1500:]}", "is there a network?")
    return str(kept)
