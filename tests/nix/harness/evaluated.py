"""What evaluating the flake tells."""

import json
import pathlib
import subprocess

from . import interface, rules
from .ground import Ground, told
from .report import CheckError

HERE = pathlib.Path(__file__).resolve().parents[1]
SYSTEMS = ("x86_64-linux", "aarch64-linux")
CHECKS = {"build", "clippy", "deny", "docs", "fmt", "lock-is-complete", "profiles-and-compose-valid", "tests"}
PACKAGES = {"default", "image-manifest", "testbed"}


def nix_files(flake: pathlib.Path) -> list[pathlib.Path]:
    """The files that make up the flake."""
    return [flake / "flake.nix", *sorted((flake / "nix").glob("*.nix"))]


def flake_check(ground: Ground) -> None:
    """`nix flake check` accepts the shape of every output."""
    ground.run_nix("flake", "check", "--no-build", str(ground.flake))


def outputs(ground: Ground, system: str) -> str:
    """Every output that is promised is there and can be evaluated, and no other."""
    images = json.loads((ground.flake / "images/images.lock.json").read_text())["images"]
    made = {name for name, way in images.items() if "build" in way}
    paths = "builtins.mapAttrs (_: one: one.drvPath)"
    apps = "builtins.mapAttrs (_: app: app.program)"
    total = 0
    for output, expected, apply in (
        ("packages", PACKAGES, paths),
        ("legacyPackages", {"images"}, "builtins.mapAttrs (_: set: builtins.attrNames set)"),
        ("apps", {"default", "test"}, apps),
        ("devShells", {"default"}, paths),
        ("checks", CHECKS, paths),
    ):
        found = evaluate(ground, f"{output}.{system}", apply)
        if set(found) != expected:
            odd = ", ".join(sorted(set(found) ^ expected))
            raise CheckError(f"{output}.{system} and what is promised differ by {odd}")
        total += len(found)
    streams = evaluate(ground, f"legacyPackages.{system}.images", paths)
    if set(streams) != made:
        odd = ", ".join(sorted(set(streams) ^ made))
        raise CheckError(f"legacyPackages.{system}.images and the recipes of the lock differ by {odd}")
    evaluate(ground, f"formatter.{system}", "one: { inherit (one) drvPath; }")
    return f"{total + len(streams)} outputs"


def evaluate(ground: Ground, attribute: str, apply: str) -> dict:
    """An output of the flake, through a function."""
    return json.loads(ground.run_nix("eval", "--json", f"{ground.flake}#{attribute}", "--apply", apply))


def inputs(ground: Ground, flake: pathlib.Path) -> dict[str, dict]:
    """The inputs that flake.nix declares."""
    return json.loads(ground.run_nix("eval", "--json", "--file", str(flake / "flake.nix"), "inputs", flake=False))


def lock_fits(ground: Ground, flake: pathlib.Path) -> str:
    """flake.lock is the lock of flake.nix's inputs."""
    return rules.lock_fits(flake, inputs(ground, flake))


def metadata(ground: Ground) -> str:
    """Nix reads the same nodes out of the lock as there are, so it has nothing to look up and nothing to add."""
    read = json.loads(ground.run_nix("flake", "metadata", "--json", str(ground.flake), flake=False))["locks"]
    lock = json.loads((ground.flake / "flake.lock").read_text())
    if set(read["nodes"]) != set(lock["nodes"]):
        raise CheckError("`nix flake metadata` tells other nodes than flake.lock has", "`nix flake lock`")
    return ", ".join(sorted(set(read["nodes"]) - {read["root"]}))


def source_has_hash(ground: Ground, name: str, folder: pathlib.Path) -> str:
    """A source that somebody has here is the one that flake.lock pins."""
    nodes = json.loads((ground.flake / "flake.lock").read_text())["nodes"]
    if name not in nodes:
        raise CheckError(f"flake.lock has no input `{name}`")
    found = ground.run_nix("hash", "path", str(folder), flake=False).strip()
    wanted = nodes[name]["locked"]["narHash"]
    if found != wanted:
        raise CheckError(f"{folder} has the hash {found}, and flake.lock says {wanted} of `{name}`")
    return found


def attributes_exist(ground: Ground, flake: pathlib.Path, listed: pathlib.Path) -> str:
    """Every attribute of nixpkgs that the flake uses is documented, and the stand-in has it."""
    files = nix_files(flake)
    asked = list(interface.used(files))
    expression = interface.question(ground.nixpkgs, ground.overlay, asked)
    answer = ground.run_nix("eval", "--impure", "--json", "--expr", expression, flake=False)
    return interface.check(files, listed, set(json.loads(answer)))


def with_corepkgs(ground: Ground, folder: pathlib.Path) -> str:
    """Every output evaluates with functions that are nixpkgs' own."""
    sources = {name: (folder / name).resolve() for name in ("corepkgs", "nix-lib", "rust-overlay")}
    lost = [str(path) for path in sources.values() if not (path / "default.nix").is_file()]
    if lost:
        raise CheckError(f"no source in {', '.join(lost)}", "clone ekala-project/corepkgs and the others side by side")
    given = " ".join(f"{name} = {path};" for name, path in (sources | {"flake": ground.flake}).items())
    expression = f"import {HERE / 'corepkgs.nix'} {{ {given} }}"
    done = ground.try_nix("eval", "--impure", "--json", "--expr", expression, flake=False)
    if done.returncode != 0:
        raise CheckError(f"corepkgs refuses the flake:\n{told(done.stderr)}")
    return f"{len(json.loads(done.stdout))} outputs, {done.stderr.count('corepkgs has no ')} packages filled in"


def linted(name: str, program: str, flake: pathlib.Path) -> str:
    """A linter has nothing to say of any Nix file."""
    files = sorted(str(path) for path in flake.rglob("*.nix"))
    arguments = {"nixfmt": ["--check"], "deadnix": ["--fail", "--no-lambda-pattern-names"]}[name]
    done = subprocess.run(
        [program, *arguments, *files], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        hint = "`nix fmt`, or `nixfmt FILE`" if name == "nixfmt" else "take out what is not used"
        raise CheckError(f"{name} ended with {done.returncode}:\n{done.stdout.strip()[-2000:]}", hint)
    return f"{len(files)} files"
