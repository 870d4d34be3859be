"""What building and running the flake tells, with the host's cargo and the checkout's own target folder."""

import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import tarfile
import time

from .ground import Ground, told
from .report import CheckError, SkippedError

SYSTEM = f"{os.uname().machine}-linux"

TOOLS = (
    *("cargo", "cargo-clippy", "cargo-deny", "cargo-fmt", "cargo-llvm-cov", "cargo-nextest", "rustc"),
    *("docker", "docker-compose", "etcd", "mmdebstrap", "nats-server"),
    *("deadnix", "git", "jq", "nixfmt", "pre-commit", "python3", "ruff", "uv"),
)


def out_path(ground: Ground, attribute: str) -> pathlib.Path:
    """Where an output of the flake is, or will be."""
    return pathlib.Path(ground.run_nix("eval", "--raw", f"{ground.flake}#{attribute}.outPath"))


def build(ground: Ground, attribute: str) -> tuple[pathlib.Path, str]:
    """Builds an output; where it is, and what was told meanwhile."""
    done = ground.try_nix("build", "--print-build-logs", "--no-link", f"{ground.flake}#{attribute}")
    if done.returncode != 0:
        raise CheckError(f"`nix build .#{attribute}` ended with {done.returncode}:\n{told(done.stderr)}")
    return out_path(ground, attribute), done.stderr


def runner(ground: Ground) -> str:
    """The runner is built from Cargo.lock by the host's cargo."""
    _, log = build(ground, "testbed")
    compiled = len(re.findall(r"^.*> +Compiling ", log, flags=re.MULTILINE))
    return f"{compiled} crates compiled" if compiled else "nothing compiled that was compiled before"


def release_build(ground: Ground) -> None:
    """The program that people without Nix get: compiled beforehand, so that the flake finds it compiled."""
    command = ["cargo", "build", "--release", "--locked", "--package=testbed"]
    done = subprocess.run(command, cwd=ground.checkout, text=True, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise CheckError(f"`{' '.join(command)}` failed:\n{done.stderr[-2000:]}")


def direct_program(ground: Ground) -> pathlib.Path:
    """The program that cargo built in the checkout."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ground.checkout / "target")
    found = sorted(target.glob(f"{os.uname().machine}-*/release/testbed"))
    if not found:
        raise CheckError(f"no `release/testbed` below {target}", "`cargo build --release`")
    return found[0]


def source_is_whole(ground: Ground) -> str:
    """Every file that cargo read for the runner is in the source that Nix compiles, and its manifests are complete."""
    source = pathlib.Path(ground.run_nix("eval", "--raw", f"{ground.flake}#testbed.unwrapped.src"))
    listed = direct_program(ground).with_suffix(".d").read_text().split(": ", 1)[1]
    names = [name.replace("\\ ", " ") for name in re.split(r"(?<!\\)\s+", listed.strip())]
    target = os.environ.get("CARGO_TARGET_DIR") or str(ground.checkout / "target")
    inside = [
        pathlib.Path(name).relative_to(ground.checkout)
        for name in names
        if name.startswith(f"{ground.checkout}/") and not name.startswith(f"{target}/")
    ]
    lost = [str(name) for name in inside if not (source / name).exists()]
    if lost or not inside:
        raise CheckError(
            f"cargo compiles {', '.join(lost[:5]) or 'nothing of the checkout'}, and the source for Nix is without it",
            "add it to `runner` in nix/source.nix",
        )
    command = ["cargo", "metadata", "--offline", "--locked", "--no-deps", "--format-version=1", "--quiet"]
    done = subprocess.run(command, cwd=source, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise CheckError(f"cargo cannot read the workspace that Nix compiles:\n{done.stderr}", "correct nix/source.nix")
    return f"{len(inside)} files"


def wrapper(ground: Ground) -> str:
    """The wrapped runner is told where everything is, and which flake it is of."""
    program = out_path(ground, "testbed") / "bin/testbed"
    words = dict(re.findall(r"^export (TESTBED_\w+)=(?:\$\{\w+-)?(.*?)\}?$", program.read_text(), flags=re.MULTILINE))
    for folder in ("compose", "envs/default.toml", "images/images.lock.json", "models", "suites/plugin"):
        if not (pathlib.Path(words.get("TESTBED_ROOT", "/")) / folder).exists():
            raise CheckError(
                f"TESTBED_ROOT of the wrapper has no {folder}", "correct `configuration` in nix/source.nix"
            )
    lock = hashlib.sha256((ground.flake / "flake.lock").read_bytes()).hexdigest()
    if words.get("TESTBED_FLAKE_LOCK_HASH") != f"sha256:{lock}":
        raise CheckError(
            f"TESTBED_FLAKE_LOCK_HASH is {words.get('TESTBED_FLAKE_LOCK_HASH')}, and flake.lock has {lock}"
        )
    if not re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", words.get("TESTBED_FLAKE_REVISION", "")):
        raise CheckError(f"TESTBED_FLAKE_REVISION is {words.get('TESTBED_FLAKE_REVISION')}")
    return f"revision {words['TESTBED_FLAKE_REVISION']}"


def version(ground: Ground) -> str:
    """`nix run .#test -- --version`, from a folder that is no project, and as the program without Nix."""
    direct = subprocess.run([direct_program(ground), "--version"], text=True, capture_output=True, check=True).stdout
    wrapped = ground.run_nix("run", f"{ground.flake}#test", "--", "--version")
    if wrapped != direct:
        raise CheckError(f"`nix run .#test -- --version` prints {wrapped!r}, and the program itself {direct!r}")
    return wrapped.strip()


def from_any_folder(ground: Ground) -> str:
    """The wrapped runner finds profiles where there is no checkout, and they say what the checkout's say."""
    empty = ground.root / "empty"
    empty.mkdir()
    asked = ["plan", "--profile", "mocker", "--explain"]
    wrapped = ground.run_nix("run", f"{ground.flake}#test", "--", *asked, cwd=empty)
    command = [direct_program(ground), *asked]
    direct = subprocess.run(command, cwd=ground.checkout, text=True, capture_output=True, check=True).stdout
    if wrapped != direct:
        raise CheckError("profiles from the store say something else than those of the checkout")
    return f"{len(wrapped.splitlines())} lines"


def second_start(ground: Ground) -> str:
    """How long a second `nix run` takes until the runner answers. It is a figure and no rule."""
    start = time.monotonic()
    ground.run_nix("run", f"{ground.flake}#test", "--", "--version")
    return f"{time.monotonic() - start:.3f} s"


def plans_are_equal(ground: Ground) -> str:
    """The plan of a tier has the same bytes, hence the same id, with Nix and without."""
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
        raise SkippedError("no Docker daemon answers, whose images the suites are asked in")
    plan = ["plan", "premerge", "--json"]
    asked = subprocess.run(
        [direct_program(ground), *plan], cwd=ground.checkout, text=True, capture_output=True, check=False
    )
    if asked.returncode != 0:
        raise CheckError(f"`testbed plan premerge` ended with {asked.returncode}:\n{asked.stderr[-1500:]}")
    wrapped = ground.run_nix("run", f"{ground.flake}#test", "--", *plan, cwd=ground.checkout)
    if wrapped != asked.stdout:
        direct, with_nix = json.loads(asked.stdout), json.loads(wrapped)
        differ = sorted(key for key in direct.keys() | with_nix.keys() if direct.get(key) != with_nix.get(key))
        raise CheckError(f"the plans differ in {', '.join(differ)}", "`testbed plan --diff A B` says how")
    shown = ground.run_nix("run", f"{ground.flake}#test", "--", "plan", "premerge", cwd=ground.checkout)
    return shown.splitlines()[0]


def flake_check(ground: Ground, name: str) -> str | None:
    """One of `nix flake check`'s checks, built."""
    build(ground, f"checks.{SYSTEM}.{name}")
    return None


def images(ground: Ground) -> str:
    """Programs that write images write docker archives whose parts have the digests they claim, twice the same."""
    names = ("agent", "etcd", "nats")
    ids = {name: archive_id(build(ground, f"images.{name}")[0]) for name in names}
    if len(set(ids.values())) != len(names):
        raise CheckError("different images have the same id")
    return ", ".join(f"{name} {digest[7:19]}" for name, digest in ids.items())


def archive_id(program: pathlib.Path) -> str:
    """The id of the image that a program writes."""
    first, second = (subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout for _ in range(2))
    if first != second:
        raise CheckError(f"{program.name} writes other bytes the second time")
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]
    [entry] = json.loads(files["manifest.json"])
    description = files[entry["Config"]]
    digest = hashlib.sha256(description).hexdigest()
    layers = [f"sha256:{hashlib.sha256(files[layer]).hexdigest()}" for layer in entry["Layers"]]
    if entry["Config"] != f"{digest}.json" or json.loads(description)["rootfs"]["diff_ids"] != layers:
        raise CheckError(f"{program.name} writes an archive whose parts have other digests than it says")
    return f"sha256:{digest}"


def manifest(ground: Ground) -> str:
    """The image manifest has the lock's images: those with a recipe as programs, with the ids of what they write."""
    read = json.loads(build(ground, "image-manifest")[0].read_text())
    lock = json.loads((ground.flake / "images/images.lock.json").read_text())
    if read["schema"] != lock["schema"] or set(read["images"]) != set(lock["images"]):
        raise CheckError("the image manifest has another schema or other images than images/images.lock.json")
    for name, way in lock["images"].items():
        if "build" not in way:
            if read["images"][name] != way:
                raise CheckError(f"`{name}` of the image manifest is not what the lock says")
            continue
        load = read["images"][name]["load"]
        if archive_id(pathlib.Path(load["stream"])) != load["id"]:
            raise CheckError(f"`{name}` of the image manifest has another id than what {load['stream']} writes")
    return f"{len(read['images'])} images"


def shell(ground: Ground) -> str:
    """`nix develop` has every tool that CONTRIBUTING.md asks for, of its own and not by chance the host's."""
    own = f'case $(command -v "$tool") in {ground.root}/store/*) ;; *) echo "$tool" ;; esac'
    script = f"for tool in {' '.join(TOOLS)}; do {own}; done"
    lost = ground.run_nix("develop", str(ground.flake), "--command", "bash", "-c", script).split()
    if lost:
        raise CheckError(f"`nix develop` has no {', '.join(lost)} of its own", "add it to nix/shell.nix")
    return f"{len(TOOLS)} tools"


def formatter(ground: Ground) -> None:
    """`nix fmt` leaves what is formatted as it is."""
    flake = ground.copy("formatted")
    done = ground.try_nix("fmt", cwd=flake)
    if done.returncode != 0:
        raise CheckError(f"`nix fmt` ended with {done.returncode}:\n{told(done.stderr)}")
    changed = subprocess.run(
        ["git", "-C", str(flake), "diff", "--stat"], text=True, check=True, stdout=subprocess.PIPE
    ).stdout
    if changed:
        raise CheckError(f"`nix fmt` changes files:\n{changed}", "`nix fmt`, and commit")


def tier(ground: Ground, arguments: list[str]) -> int:
    """Runs a tier on the checkout with the wrapped runner, as a person would; its exit code."""
    command = [ground.nix, "run", f"{ground.flake}#test", "--override-input", "nixpkgs", f"path:{ground.nixpkgs}"]
    command += ["--override-input", "rust-overlay", f"path:{ground.overlay}", "--no-write-lock-file", "--", *arguments]
    return subprocess.run(command, cwd=ground.checkout, env=ground.environment(), check=False).returncode
