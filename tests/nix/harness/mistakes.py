"""What people get wrong, and what they are told: each mistake is made in a copy, and its message must help."""

import json
import pathlib
import re
import shutil
from collections.abc import Callable

from . import evaluated, interface, rules
from .ground import SETTINGS, Ground, told
from .report import CheckError

HERE = pathlib.Path(__file__).resolve().parents[1]
INTERFACE = HERE / "interface.json"
PUBLISHED = HERE / "published.json"


def refused(what: Callable[[], object], *words: str) -> str:
    """A check must fail with a message that has these words."""
    try:
        what()
    except CheckError as problem:
        return says(str(problem), *words)
    raise CheckError("nothing was noticed")


def says(message: str, *words: str) -> str:
    """The message has the words; its first line that matters."""
    lost = [word for word in words if word not in message]
    if lost:
        raise CheckError(f"the message does not say `{'`, `'.join(lost)}`:\n{message}")
    line = next(line for line in message.splitlines() if words[0] in line)
    return re.sub(r"/var/tmp/testbed-nix-[^/]*/", "", line.strip().removeprefix("error: "))[:150]


def fails(ground: Ground, flake: pathlib.Path, attribute: str, *words: str, **how: object) -> str:
    """Evaluating an output of a copy must fail with these words."""
    done = ground.try_nix("eval", "--raw", f"{flake}#{attribute}", **how)  # type: ignore[arg-type]
    if done.returncode == 0:
        raise CheckError("nothing was noticed")
    return says(told(done.stderr), *words)


def features_are_not_enabled(ground: Ground) -> str:
    """Nix as it is installed, without a setting."""
    bare = ground.root / "bare"
    bare.mkdir()
    (bare / "nix.conf").write_text(SETTINGS.replace("experimental-features = nix-command flakes", ""))
    done = ground.try_nix("run", f"{ground.flake}#test", extra={"NIX_CONF_DIR": str(bare)})
    if done.returncode == 0:
        raise CheckError("nothing was noticed")
    return says(told(done.stderr), "experimental Nix feature 'nix-command' is disabled", "experimental-features")


def git_does_not_know_a_file(ground: Ground) -> str:
    """A file of nix/ that was never added."""
    flake = ground.copy("unknown-file")
    ground.git(flake, "rm", "--quiet", "--cached", "nix/shell.nix")
    rule = refused(lambda: rules.git_knows_all(flake), "nix/shell.nix", "git add --intent-to-add nix/shell.nix")
    fails(ground, flake, "testbed.drvPath", "the flake has no `nix/shell.nix`", "git add nix/shell.nix")
    return rule


def git_does_not_know_a_recipe(ground: Ground) -> str:
    """A recipe that the lock names and that was never added."""
    flake = ground.copy("unknown-recipe")
    ground.git(flake, "rm", "--quiet", "--cached", "images/recipes/nats.toml")
    refused(lambda: rules.git_knows_all(flake), "images/recipes/nats.toml")
    return fails(ground, flake, "image-manifest.drvPath", "its recipe `recipes/nats.toml` is not there", "git add")


def lock_does_not_fit(ground: Ground) -> str:
    """flake.nix asks for another input than flake.lock pins."""
    flake = ground.copy("other-input")
    file = flake / "flake.nix"
    file.write_text(file.read_text().replace("nixos-26.05", "nixos-25.11"))
    ground.commit(flake)
    return refused(lambda: evaluated.lock_fits(ground, flake), "does not fit flake.nix: `nixpkgs`", "nix flake lock")


def a_pin_was_not_published(ground: Ground) -> str:
    """Somebody changed a hash in flake.lock."""
    flake = ground.copy("other-pin")
    file = flake / "flake.lock"
    lock = json.loads(file.read_text())
    lock["nodes"]["nixpkgs"]["locked"]["narHash"] = "sha256-" + "A" * 43 + "="
    file.write_text(json.dumps(lock))
    return refused(lambda: rules.lock_is_whole(flake, PUBLISHED), "narHash of `nixpkgs`", "was published")


def a_hash_is_none(ground: Ground) -> str:
    """A hash in flake.lock is cut off."""
    flake = ground.copy("cut-hash")
    file = flake / "flake.lock"
    file.write_text(file.read_text().replace("sha256-QvnceIGTBeDv", "sha256-"))
    return refused(lambda: rules.lock_is_whole(flake, PUBLISHED), "the narHash of `nixpkgs` is not", "nix flake lock")


def nobody_asks_for_a_pin(ground: Ground) -> str:
    """flake.lock has a node that is no input."""
    flake = ground.copy("extra-node")
    file = flake / "flake.lock"
    lock = json.loads(file.read_text())
    lock["nodes"]["crane"] = lock["nodes"]["nixpkgs"]
    file.write_text(json.dumps(lock))
    return refused(lambda: rules.lock_is_whole(flake, PUBLISHED), "differ by crane", "nix flake lock")


def flake_does_not_ask_for_a_file(ground: Ground) -> str:
    """A new file below nix/ that flake.nix would not miss where git does not know it."""
    flake = ground.copy("new-file")
    (flake / "nix/more.nix").write_text("{ }\n")
    return refused(lambda: rules.flake_names_its_files(flake), "does not name nix/more.nix")


def wheels_do_not_fit(ground: Ground) -> str:
    """A requirement file was changed, and the hashes of its wheels were not."""
    flake = ground.copy("other-wheels")
    file = flake / "images/requirements/dynamo.txt"
    file.write_text(file.read_text() + "# changed\n")
    ground.commit(flake)
    words = ("does not fit images/requirements/dynamo.txt", "python3 nix/wheels.py dynamo")
    refused(lambda: rules.wheels_fit(flake), *words)
    return fails(ground, flake, "images.dynamo.drvPath", *words)


def an_image_cannot_be_had(ground: Ground) -> str:
    """An entry of the lock has neither digest nor recipe."""
    flake = ground.copy("no-digest")
    edit_lock(flake, lambda images: images["vllm-runtime"]["pull"].pop("digest"))
    ground.commit(flake)
    refused(lambda: rules.lock_entries_are_complete(flake), "`vllm-runtime` cannot be had", "neither digest nor recipe")
    words = ("the image `vllm-runtime` is pulled and has no digest", "hint: ")
    return fails(ground, flake, "image-manifest.drvPath", *words)


def an_image_is_not_made_of_nixpkgs(ground: Ground) -> str:
    """The lock has a recipe for which nix/images.nix has nothing."""
    flake = ground.copy("extra-image")
    edit_lock(flake, lambda images: images.update({"redis": {"build": {"recipe": "recipes/nats.toml"}}}))
    ground.commit(flake)
    words = ("images with a recipe in images/images.lock.json:", "redis", "hint: ")
    return fails(ground, flake, "image-manifest.drvPath", *words)


def a_profile_has_an_image_that_is_not_locked(ground: Ground) -> str:
    """A profile puts an image in a stack that no lock has."""
    flake = ground.copy("unlocked-image")
    file = flake / "envs/mocker.toml"
    file.write_text(file.read_text() + '\n[images]\ndynamo = "dynamo-nightly"\n')
    return refused(lambda: rules.images_of_profiles_are_locked(flake), "the image `dynamo-nightly`", "is in no lock")


def a_stack_has_an_image_of_elsewhere(ground: Ground) -> str:
    """A stack names an image by a tag of a registry."""
    flake = ground.copy("foreign-image")
    file = flake / "compose/mocker.yaml"
    file.write_text(file.read_text().replace("${TESTBED_IMAGE_NATS:-testbed/nats}", "nats:2.12"))
    return refused(lambda: rules.images_of_profiles_are_locked(flake), "`image: nats:2.12` names no image of the lock")


def an_attribute_is_unknown(ground: Ground) -> str:
    """The flake uses an attribute that neither the list nor the stand-in has."""
    flake = ground.copy("unknown-attribute")
    add_tool(flake, "pkgs.no-such-tool")
    ground.commit(flake)
    words = ("shell.nix uses `pkgs.no-such-tool`", "does not list it", "the stand-in does not have it")
    told_by_check = refused(lambda: evaluated.attributes_exist(ground, flake, INTERFACE), *words)
    fails(ground, flake, "devShells.x86_64-linux.default.drvPath", "attribute 'no-such-tool' missing", "shell.nix")
    return told_by_check


def an_attribute_is_not_documented(ground: Ground) -> str:
    """The flake uses something that only the stand-in has."""
    flake = ground.copy("own-attribute")
    add_tool(flake, "pkgs.hostTools")
    words = ("uses `pkgs.hostTools`", "does not list it as documented")
    return refused(lambda: evaluated.attributes_exist(ground, flake, INTERFACE), *words)


def an_attribute_is_only_documented(ground: Ground) -> str:
    """The flake uses something that is listed, and that the stand-in lacks, so that it is not tried."""
    flake = ground.copy("untried-attribute")
    add_tool(flake, "pkgs.skopeo")
    listed = ground.root / "interface.json"
    listed.write_text(json.dumps(json.loads(INTERFACE.read_text()) | {"pkgs.skopeo": "pkgs/by-name/sk/skopeo"}))
    files = evaluated.nix_files(flake)
    known = set(interface.used(files)) - {"pkgs.skopeo"}
    return refused(lambda: interface.check(files, listed, known), "uses `pkgs.skopeo`: the stand-in does not have it")


def a_function_gets_an_argument_that_it_has_not(ground: Ground) -> str:
    """The stand-in's functions take what nixpkgs documents, and nothing else."""
    flake = ground.copy("unknown-argument")
    file = flake / "nix/images.nix"
    file.write_text(file.read_text().replace('name = "testbed/${name}";', 'name = "testbed/${name}"; squash = true;'))
    ground.commit(flake)
    return fails(ground, flake, "images.nats.drvPath", "called with unexpected argument 'squash'", "images.nix")


def a_tool_is_missing(ground: Ground) -> str:
    """A program that the host lacks says so when it is called, under its own name."""
    nixpkgs = ground.root / "nixpkgs-bare"
    shutil.copytree(ground.nixpkgs, nixpkgs)
    empty = ground.root / "few-programs"
    empty.mkdir()
    for program in ("bash", "chmod", "cp", "ln", "mkdir", "rm", "cat", "env"):
        (empty / program).symlink_to(shutil.which(program) or f"/bin/{program}")
    ground.write_host(nixpkgs, str(empty))
    done = ground.try_nix("develop", str(ground.flake), "--command", "etcd", nixpkgs=nixpkgs)
    if done.returncode == 0:
        raise CheckError("nothing was noticed")
    return says(told(done.stderr), "etcd is not installed on this host", "hint: ")


def a_file_is_not_formatted(ground: Ground, nixfmt: str) -> str:
    """A Nix file as no formatter leaves it."""
    flake = ground.copy("unformatted")
    (flake / "nix/shell.nix").write_text("{pkgs,...}:pkgs.mkShell{}\n")
    return refused(lambda: evaluated.linted("nixfmt", nixfmt, flake), "nixfmt ended with", "shell.nix")


def something_is_not_used(ground: Ground, deadnix: str) -> str:
    """A binding that nothing uses."""
    flake = ground.copy("unused")
    (flake / "nix/shell.nix").write_text("let\n  unused = 1;\nin\n{ }\n")
    return refused(lambda: evaluated.linted("deadnix", deadnix, flake), "deadnix ended with", "unused")


def add_tool(flake: pathlib.Path, attribute: str) -> None:
    """Adds a tool to the shell."""
    file = flake / "nix/shell.nix"
    file.write_text(file.read_text().replace("pkgs.cargo-deny\n", f"pkgs.cargo-deny\n    {attribute}\n"))


def edit_lock(flake: pathlib.Path, edit: Callable[[dict], object]) -> None:
    """Changes the lock of images."""
    file = flake / "images/images.lock.json"
    lock = json.loads(file.read_text())
    edit(lock["images"])
    file.write_text(json.dumps(lock, indent=2))


EVALUATED: dict[str, Callable[[Ground], str]] = {
    "nix features are not enabled": features_are_not_enabled,
    "git does not know a file of nix/": git_does_not_know_a_file,
    "git does not know a recipe": git_does_not_know_a_recipe,
    "flake.nix does not name a file of nix/": flake_does_not_ask_for_a_file,
    "flake.lock does not fit flake.nix": lock_does_not_fit,
    "flake.lock has a pin that was not published": a_pin_was_not_published,
    "flake.lock has a hash that is none": a_hash_is_none,
    "flake.lock has a pin that nobody asks for": nobody_asks_for_a_pin,
    "hashes of wheels do not fit a requirement file": wheels_do_not_fit,
    "an image of the lock has neither digest nor recipe": an_image_cannot_be_had,
    "a recipe has no image made of nixpkgs": an_image_is_not_made_of_nixpkgs,
    "a profile has an image that is in no lock": a_profile_has_an_image_that_is_not_locked,
    "a stack has an image of elsewhere": a_stack_has_an_image_of_elsewhere,
    "an attribute is unknown": an_attribute_is_unknown,
    "an attribute is not documented": an_attribute_is_not_documented,
    "an attribute is documented and not tried": an_attribute_is_only_documented,
    "a function gets an argument that it has not": a_function_gets_an_argument_that_it_has_not,
    "a tool is missing on the host": a_tool_is_missing,
}
