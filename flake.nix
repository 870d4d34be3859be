{
  description = "Testbed: hermetic stacks of NVIDIA Dynamo, one command, the same verdict everywhere";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      rust-overlay,
    }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];

      # What the outputs read. Nix itself says only that some path of its store is not there.
      parts = [
        "Cargo.lock"
        "compose"
        "envs"
        "images/images.lock.json"
        "models"
        "nix/checks.nix"
        "nix/default.nix"
        "nix/images.nix"
        "nix/lock.nix"
        "nix/package.nix"
        "nix/shell.nix"
        "nix/source.nix"
        "nix/wheels.json"
        "nix/wheels.nix"
        "runner"
        "rust-toolchain.toml"
        "suites"
      ];
      missing = lib.filter (part: !builtins.pathExists (./. + "/${part}")) parts;
      whole =
        if missing == [ ] then
          true
        else
          throw ''
            the flake has no `${lib.concatStringsSep "`, `" missing}`
            hint: a flake sees only the files that git knows: `git add ${lib.concatStringsSep " " missing}`'';

      perSystem = lib.genAttrs systems (
        system:
        assert whole;
        import ./nix {
          inherit lib;
          pkgs = import nixpkgs {
            inherit system;
            overlays = [ rust-overlay.overlays.default ];
          };
          # A checkout with changes has no revision, and an older Nix has none for it either.
          revision = self.rev or self.dirtyRev or "unknown";
        }
      );
      each = output: lib.mapAttrs (_: outputs: outputs.${output}) perSystem;
    in
    {
      packages = each "packages";
      legacyPackages = each "legacyPackages";
      apps = each "apps";
      devShells = each "devShells";
      checks = each "checks";
      formatter = each "formatter";
    };
}
