"""What must be true of the files, told by reading them: no Nix is needed."""

import base64
import binascii
import hashlib
import json
import pathlib
import re
import subprocess
import tomllib

from .report import CheckError

# A flake that grows beyond this has something in it that belongs below nix/.
LONGEST_FLAKE = 100

# Where files are that the flake reads.
READ = ("compose", "envs", "images", "models", "nix", "runner", "suites", "flake.nix", "flake.lock")

# `image: testbed/nats`, or with a variable that a user may set.
IMAGE = re.compile(r"^\s*image:\s*(?:\$\{TESTBED_IMAGE_[A-Z0-9_]+:-)?testbed/([a-z0-9._-]+)\}?\s*(?:#.*)?$")


def flake_is_short(root: pathlib.Path) -> str:
    """flake.nix only connects inputs with nix/."""
    lines = len((root / "flake.nix").read_text().splitlines())
    if lines > LONGEST_FLAKE:
        raise CheckError(f"flake.nix has {lines} lines, and {LONGEST_FLAKE} are the most", "move something below nix/")
    return f"{lines} lines"


def flake_names_its_files(root: pathlib.Path) -> str:
    """flake.nix asks for every file of nix/, so that one that git does not know is missed with a helpful message."""
    text = (root / "flake.nix").read_text()
    files = sorted(path.relative_to(root).as_posix() for path in (root / "nix").iterdir() if path.suffix != ".py")
    for file in files:
        if f'"{file}"' not in text:
            raise CheckError(f"flake.nix does not name {file}", "add it to `parts`")
    return f"{len(files)} files"


def lock_is_whole(root: pathlib.Path, published: pathlib.Path) -> str:
    """flake.lock has well-formed pins, nothing that nobody asks for, and the pins that were published."""
    lock = json.loads((root / "flake.lock").read_text())
    nodes, top = lock["nodes"], lock["root"]
    inputs = nodes[top].get("inputs", {})
    hint = "`nix flake lock` writes it anew, where there is a network"
    reached = {top, *(name for name in inputs.values() if isinstance(name, str))}
    if set(nodes) != reached:
        odd = ", ".join(sorted(set(nodes) ^ reached))
        raise CheckError(f"flake.lock: the nodes and the inputs of `{top}` differ by {odd}", hint)
    seen = json.loads(published.read_text())
    for name in sorted(reached - {top}):
        locked = nodes[name].get("locked", {})
        if not re.fullmatch(r"[0-9a-f]{40}", locked.get("rev", "")):
            raise CheckError(f"flake.lock: `{name}` has no revision of 40 digits", hint)
        if not is_sri(locked.get("narHash", "")):
            raise CheckError(f"flake.lock: the narHash of `{name}` is not `sha256-` and 32 bytes in base64", hint)
        for key, value in seen.get(name, {}).items():
            if key != "seen" and locked.get(key) != value:
                raise CheckError(
                    f"flake.lock: {key} of `{name}` is {locked.get(key)}, and {value} was published",
                    f"where the pin was moved on purpose, move it in {published.name} too, and say where it was seen",
                )
        if name not in seen:
            raise CheckError(f"{published.name} does not say where the pin of `{name}` was seen", "add it")
    return f"{len(reached) - 1} inputs"


def is_sri(text: str) -> bool:
    """Whether a text is a SHA-256 as Nix writes it."""
    try:
        return text.startswith("sha256-") and len(base64.b64decode(text[7:], validate=True)) == 32
    except binascii.Error:
        return False


def lock_fits(root: pathlib.Path, inputs: dict[str, dict]) -> str:
    """flake.lock pins the inputs that flake.nix declares: with others, Nix would ask a network for new ones."""
    nodes = json.loads((root / "flake.lock").read_text())["nodes"]
    locked = nodes["root"].get("inputs", {})
    hint = "`nix flake lock` takes the change over, where there is a network"
    if set(inputs) != set(locked):
        odd = ", ".join(sorted(set(inputs) ^ set(locked)))
        raise CheckError(f"flake.lock does not fit flake.nix: only one of them has `{odd}`", hint)
    for name, declared in sorted(inputs.items()):
        original = nodes[locked[name]]["original"]
        there = "{type}:{owner}/{repo}".format(**original) + (f"/{original['ref']}" if "ref" in original else "")
        if declared.get("url") != there:
            both = f"{there} in flake.lock and {declared.get('url')} in flake.nix"
            raise CheckError(f"flake.lock does not fit flake.nix: `{name}` is {both}", hint)
        follows = {key: value.get("follows", "").split("/") for key, value in declared.get("inputs", {}).items()}
        if follows != nodes[locked[name]].get("inputs", {}):
            raise CheckError(f"flake.lock does not fit flake.nix: what the inputs of `{name}` follow differs", hint)
    return "each input of flake.nix is the one that is locked"


def images_of_profiles_are_locked(root: pathlib.Path) -> str:
    """Each image that a profile brings up is in the lock."""
    locked = set(json.loads((root / "images/images.lock.json").read_text())["images"])
    defaults = tomllib.loads((root / "envs/default.toml").read_text())
    count = 0
    for file in sorted((root / "envs").glob("*.toml")):
        if file.name == "default.toml":
            continue
        profile = settled(root, file.stem, defaults)
        stack = profile.get("stack")
        if not stack or not (root / stack).is_file():
            raise CheckError(f"envs/{file.name}: the stack `{stack}` is not there", "name a file below compose/")
        for number, line in enumerate((root / stack).read_text().splitlines(), 1):
            if not re.match(r"\s*image:", line):
                continue
            named = IMAGE.match(line)
            if not named:
                raise CheckError(
                    f"{stack}:{number}: `{line.strip()}` names no image of the lock",
                    "write `image: testbed/NAME`, with NAME of images/images.lock.json",
                )
            name = profile["images"].get(named[1], named[1])
            if name not in locked:
                raise CheckError(
                    f"envs/{file.name}: the image `{name}`, of {stack}:{number}, is in no lock",
                    "add it to images/images.lock.json, as images/README.md shows",
                )
        count += 1
    return f"{count} profiles"


def settled(root: pathlib.Path, name: str, defaults: dict) -> dict:
    """What a profile says, and what those that it extends say where it does not."""
    chain, images = [], dict(defaults.get("images", {}))
    while name:
        if any(name == seen for seen, _ in chain):
            raise CheckError(f"envs/{name}.toml extends itself", "take `extends` out of one of the profiles")
        values = tomllib.loads((root / "envs" / f"{name}.toml").read_text())
        chain.append((name, values))
        name = values.get("extends", "")
    result: dict = dict(defaults)
    for _, values in reversed(chain):
        images |= values.get("images", {})
        result |= values
    return result | {"images": images}


def lock_entries_are_complete(root: pathlib.Path) -> str:
    """Each image of the lock can be had: by a digest, or by a recipe that is there."""
    images = json.loads((root / "images/images.lock.json").read_text())["images"]
    for name, way in images.items():
        digest = way.get("pull", {}).get("digest") or way.get("load", {}).get("id") or ""
        recipe = way.get("build", {}).get("recipe")
        if re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            continue
        if recipe and (root / "images" / recipe).is_file():
            continue
        what = f"its recipe `{recipe}` is not there" if recipe else "it has neither digest nor recipe"
        raise CheckError(
            f"images/images.lock.json: `{name}` cannot be had: {what}",
            "images/README.md shows what an entry holds; `testbed images update` writes digests",
        )
    return f"{len(images)} images"


def wheels_fit(root: pathlib.Path) -> str:
    """The hashes of wheels are of the requirement files as they are."""
    pins = json.loads((root / "nix/wheels.json").read_text())
    for name, pin in pins.items():
        file = root / "images/requirements" / f"{name}.txt"
        if hashlib.sha256(file.read_bytes()).hexdigest() != pin["requirements"]:
            raise CheckError(
                f"nix/wheels.json does not fit images/requirements/{name}.txt, which has changed since",
                f"`python3 nix/wheels.py {name}` downloads the wheels and writes their hashes",
            )
        for system in ("x86_64-linux", "aarch64-linux"):
            if not is_sri(pin.get(system, "")):
                raise CheckError(
                    f"nix/wheels.json: `{name}` has no hash for {system}", f"`python3 nix/wheels.py {name}`"
                )
    return ", ".join(sorted(pins))


def git_knows_all(root: pathlib.Path) -> str:
    """A flake sees only what git knows: a new file that it does not know is silently not there."""
    asked = ["git", "-C", str(root), "ls-files", "--others", "--exclude-standard", "--", *READ]
    listed = subprocess.run(asked, check=False, text=True, capture_output=True)
    if listed.returncode != 0:
        return "this is no checkout of git, and every file counts"
    if unknown := listed.stdout.split("\n")[:-1]:
        raise CheckError(
            f"the flake does not see {', '.join(unknown)}: git does not know of it",
            f"`git add --intent-to-add {' '.join(unknown)}`, or remove what is not to be there",
        )
    return ""
