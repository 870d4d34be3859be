"""Where the flake is tried: a temporary folder with the stand-ins, a copy of what git knows, and a store of its own."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from .report import CheckError

STAND_IN = pathlib.Path(__file__).resolve().parents[1] / "stand-in"

SETTINGS = """
experimental-features = nix-command flakes
sandbox = false
substituters =
build-users-group =
"""

# Who commits to the copy: its settings are nobody's.
GIT = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"]


class Ground:
    """The temporary folder; it is removed at the end."""

    def __init__(self, nix: str, checkout: pathlib.Path, tools: pathlib.Path) -> None:
        self.nix, self.checkout = nix, checkout
        # Containers run as users of their own and read what is mounted from the store: the way to it is open.
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="testbed-nix-", dir="/var/tmp"))
        self.root.chmod(0o755)
        self.conf, self.scratch = self.root / "conf", self.root / "scratch"
        self.conf.mkdir()
        self.scratch.mkdir()
        (self.conf / "nix.conf").write_text(SETTINGS)
        self.nixpkgs, self.overlay = self.root / "nixpkgs", self.root / "rust-overlay"
        shutil.copytree(STAND_IN / "nixpkgs", self.nixpkgs)
        shutil.copytree(STAND_IN / "rust-overlay", self.overlay)
        self.write_host(self.nixpkgs, f"{os.environ['PATH']}:{tools / 'bin'}")
        self.flake = self.copy("flake")

    def write_host(self, nixpkgs: pathlib.Path, path: str) -> None:
        """Tells the stand-in of the host's programs."""
        home = str(pathlib.Path.home())
        environment = {
            "HOME": home,
            "CARGO_HOME": os.environ.get("CARGO_HOME", f"{home}/.cargo"),
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", f"{home}/.rustup"),
        }
        target = os.environ.get("CARGO_TARGET_DIR") or str(self.checkout / "target")
        host = {"path": path, "environment": environment, "checkout": str(self.checkout), "target": target}
        (nixpkgs / "host.json").write_text(json.dumps(host))

    def copy(self, name: str) -> pathlib.Path:
        """A checkout of its own of what git knows in the real one, changes included."""
        folder = self.root / name
        folder.mkdir()
        for file in known_to_git(self.checkout):
            source, target = self.checkout / file, folder / file
            if source.is_symlink() or source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        self.git(folder, "init", "--quiet")
        self.commit(folder)
        return folder

    def commit(self, folder: pathlib.Path) -> None:
        """Takes every file of a copy over."""
        self.git(folder, "add", "--all", "--force")
        self.git(folder, "commit", "--quiet", "--allow-empty", "--message", "as it is")

    def git(self, folder: pathlib.Path, *arguments: str) -> None:
        """Executes git in a copy, with nobody's settings."""
        alone = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        subprocess.run([*GIT, "-C", str(folder), *arguments], check=True, env=alone)

    def environment(self) -> dict[str, str]:
        """What nix is executed with: a store, settings and caches of its own."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("NIX_")}
        return kept | {
            "NIX_REMOTE": "local",
            "NIX_STORE_DIR": str(self.root / "store"),
            "NIX_STATE_DIR": str(self.root / "state"),
            "NIX_LOG_DIR": str(self.root / "log"),
            "NIX_LOCALSTATE_DIR": str(self.root / "local"),
            "NIX_CONF_DIR": str(self.conf),
            "NIX_USER_CONF_FILES": str(self.conf / "none.conf"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
        }

    def try_nix(
        self,
        *arguments: str,
        cwd: pathlib.Path | None = None,
        flake: bool = True,
        nixpkgs: pathlib.Path | None = None,
        extra: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Executes nix. The inputs are the stand-ins; what follows `--` or `--command` goes to what is run."""
        words = list(arguments)
        if flake:
            at = next((at for at, word in enumerate(words) if word in ("--", "--command")), len(words))
            words[at:at] = ["--override-input", "nixpkgs", f"path:{nixpkgs or self.nixpkgs}"]
            words[at:at] = ["--override-input", "rust-overlay", f"path:{self.overlay}", "--no-write-lock-file"]
        return subprocess.run(
            [self.nix, *words],
            cwd=cwd or self.root,
            env=self.environment() | {"TMPDIR": str(self.scratch)} | (extra or {}),
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def run_nix(self, *arguments: str, **how: object) -> str:
        """Executes nix, which must succeed; its standard output."""
        done = self.try_nix(*arguments, **how)  # type: ignore[arg-type]
        if done.returncode != 0:
            raise CheckError(f"`nix {' '.join(arguments)}` ended with {done.returncode}:\n{told(done.stderr)}")
        return done.stdout

    def remove(self) -> None:
        """Removes everything, the read-only store included."""
        for folder, _, _ in os.walk(self.root):
            pathlib.Path(folder).chmod(0o755)
        shutil.rmtree(self.root)


def known_to_git(checkout: pathlib.Path) -> list[str]:
    """The files of a checkout that git knows; of a folder that is none, those that it would take."""
    asked = ["git", "-C", str(checkout), "ls-files", "-z"]
    listed = subprocess.run(asked, capture_output=True, check=False)
    if listed.returncode != 0:
        with tempfile.TemporaryDirectory(prefix="testbed-git-") as folder:
            elsewhere = ["git", f"--git-dir={folder}", f"--work-tree={checkout}"]
            subprocess.run([*elsewhere, "init", "--quiet"], capture_output=True, check=True)
            asked = [*elsewhere, "ls-files", "-z", "--others", "--exclude-standard"]
            listed = subprocess.run(asked, cwd=checkout, capture_output=True, check=True)
    return [file for file in map(os.fsdecode, listed.stdout.split(b"\0")) if file]


def told(error: str) -> str:
    """What nix said, without its account of the inputs that were replaced."""
    kept, within = [], False
    for line in error.splitlines():
        within = line.startswith("warning: not writing modified lock file") or (within and line[:1] in "• ")
        if not within:
            kept.append(line)
    return "\n".join(kept[-30:])
