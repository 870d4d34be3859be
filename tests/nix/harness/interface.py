"""Which attributes of nixpkgs the flake uses: they must be documented, and the stand-in must have them."""

import json
import pathlib
import re

from .report import CheckError

# Names that nix/ gives to parts of nixpkgs.
ALIASES = {"python": "pkgs.python311", "rustPlatform": "rustPlatform"}

ROOTS = ("builtins", "lib", "nixpkgs", "pkgs", "python", "rust-overlay", "rustPlatform")
PATH = re.compile(rf"(?<![\w.'/-])({'|'.join(ROOTS)})((?:\.[A-Za-z_][\w'-]*)+)")
INHERIT = re.compile(r"inherit\s+\(\s*([\w.-]+)\s*\)\s*([^;]*);")
WITH = re.compile(r"(?<![\w-])with\s+([\w.-]+)\s*;")


def without_comments(text: str) -> str:
    """The text without its comments. `#` in a string of ours is part of a flake reference, which names no attribute."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"(^|\s)#[^\n]*", r"\1", text)


def used(files: list[pathlib.Path]) -> dict[str, str]:
    """Each attribute path, and the first place that uses it."""
    found: dict[str, str] = {}
    for file in files:
        text = without_comments(file.read_text())
        for opened in WITH.finditer(text):
            raise CheckError(
                f"{file.name}: `with {opened[1]};` hides which attributes are used",
                f"write `{opened[1]}.NAME` for each",
            )
        paths = [match[1] + match[2] for match in PATH.finditer(text)]
        for match in INHERIT.finditer(text):
            if match[1].split(".")[0] in ROOTS:
                paths += [f"{match[1]}.{name}" for name in match[2].split()]
        for path in paths:
            root, _, rest = path.partition(".")
            # `inputs.nixpkgs.url` is an input's address and no attribute of it.
            if root != "builtins" and path != "nixpkgs.url":
                found.setdefault(f"{ALIASES.get(root, root)}.{rest}", file.name)
    return dict(sorted(found.items()))


def check(files: list[pathlib.Path], listed: pathlib.Path, has: set[str]) -> str:
    """Compares what is used with the list, and with what the stand-in answered to `has`."""
    attributes = used(files)
    known = json.loads(listed.read_text())
    for path, file in attributes.items():
        on_list, there = path in known, path in has
        if on_list and there:
            continue
        lacks = [] if on_list else [f"{listed.name} does not list it as documented"]
        lacks += [] if there else ["the stand-in does not have it"]
        raise CheckError(
            f"{file} uses `{path}`: {', and '.join(lacks)}",
            "look whether nixpkgs documents it, and add it to the list with the place and to tests/nix/stand-in",
        )
    stale = sorted(set(known) - set(attributes))
    if stale:
        raise CheckError(f"{listed.name} lists {', '.join(stale)}, which nothing uses", "take it out of the list")
    return f"{len(attributes)} attributes"


def question(nixpkgs: pathlib.Path, overlay: pathlib.Path, attributes: list[str]) -> str:
    """An expression that tells which of the attributes the stand-ins have."""
    asked = " ".join(f'"{path}"' for path in attributes)
    return f"""
      let
        nixpkgs = (import {nixpkgs}/flake.nix).outputs {{ self = {{ }}; }};
        rust-overlay = (import {overlay}/flake.nix).outputs {{ self = {{ }}; }};
        pkgs = import {nixpkgs} {{ system = "x86_64-linux"; overlays = [ rust-overlay.overlays.default ]; }};
        rustPlatform = pkgs.makeRustPlatform {{ cargo = pkgs.git; rustc = pkgs.git; }};
        roots = {{ inherit nixpkgs rust-overlay pkgs rustPlatform; inherit (nixpkgs) lib; }};
        has = names: set:
          names == [ ]
          || (builtins.isAttrs set && set ? ${{builtins.head names}}
              && has (builtins.tail names) set.${{builtins.head names}});
        parts = path: builtins.filter builtins.isString (builtins.split "[.]" path);
      in
      builtins.filter (path: has (parts path) roots) [ {asked} ]
    """
