# All outputs of the flake for one system.
{
  lib,
  pkgs,
  revision,
}:
let
  # The toolchain of rust-toolchain.toml, for the runner and for people alike.
  toolchain = pkgs.rust-bin.fromRustupToolchainFile ../rust-toolchain.toml;
  rustPlatform = pkgs.makeRustPlatform {
    cargo = toolchain;
    rustc = toolchain;
  };
  # The Python of the images, for which their wheels are pinned.
  python = pkgs.python311;

  source = import ./source.nix { inherit lib; };
  lock = import ./lock.nix { inherit lib; };
  wheels = import ./wheels.nix { inherit lib pkgs python; };
  images = import ./images.nix {
    inherit
      lib
      pkgs
      lock
      python
      toolchain
      wheels
      ;
  };
  testbed = import ./package.nix {
    inherit
      lib
      pkgs
      python
      revision
      rustPlatform
      source
      toolchain
      ;
  };
  test = {
    type = "app";
    program = lib.getExe testbed;
    meta.description = "Runs a tier on the project in the current folder: nix run .#test -- premerge";
  };
in
{
  packages = {
    inherit testbed;
    image-manifest = images.manifest;
    default = testbed;
  };
  # Nested sets are not allowed in `packages`.
  legacyPackages.images = images.streams;
  apps = {
    inherit test;
    default = test;
  };
  devShells.default = import ./shell.nix {
    inherit
      pkgs
      python
      toolchain
      ;
  };
  checks = import ./checks.nix {
    inherit
      lib
      pkgs
      images
      lock
      python
      rustPlatform
      source
      testbed
      ;
  };
  # `nix fmt` formats all that git knows, `nix fmt FILE...` these files.
  formatter = pkgs.writeShellApplication {
    name = "testbed-fmt";
    runtimeInputs = [
      toolchain
      pkgs.git
      pkgs.nixfmt
    ];
    text = ''
      if [ "$#" = 0 ]; then
        cargo fmt --all
        git ls-files -z -- '*.nix' | xargs --null nixfmt
      else
        nixfmt "$@"
      fi
    '';
  };
}
