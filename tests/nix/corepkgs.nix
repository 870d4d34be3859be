# The outputs of the flake with a nearer relative of nixpkgs than the stand-in, for evaluation only: corepkgs has nixpkgs'
# stdenv, buildRustPackage, dockerTools, makeWrapper and Python, and rust-overlay is the real one. Packages that corepkgs
# lacks are empty here, and told.
{
  corepkgs,
  nix-lib,
  rust-overlay,
  flake,
}:
let
  # What an older Nix lacks, and what would ask a network, in every file that is imported.
  scope = {
    import = builtins.scopedImport scope;
    builtins = builtins // {
      import = builtins.scopedImport scope;
      fetchTree = _: nix-lib;
      readFileType = path: (builtins.readDir (dirOf path)).${baseNameOf path};
      warn = message: builtins.trace message;
    };
  };
  load = builtins.scopedImport scope;

  fill =
    final: previous:
    builtins.listToAttrs (
      map
        (name: {
          inherit name;
          value =
            previous.${name} or (builtins.trace "corepkgs has no ${name}" (
              final.runCommand name { meta.mainProgram = name; } "mkdir $out"
            ));
        })
        [
          "cargo-deny"
          "cargo-llvm-cov"
          "deadnix"
          "docker-client"
          "docker-compose"
          "etcd_3_6"
          "mmdebstrap"
          "nats-server"
          "nixfmt"
          "numactl"
          "pre-commit"
          "procps"
          "ruff"
          "util-linux"
        ]
    )
    // {
      # rust-overlay reads scripts of nixpkgs below it, at the time of building.
      path = "/nonexistent";
      python311 = previous.python311 or (builtins.trace "corepkgs has no python311" previous.python3);
      # Its client is an output of its own.
      prometheus =
        previous.prometheus or (builtins.trace "corepkgs has no prometheus" (
          final.runCommand "prometheus" {
            outputs = [
              "out"
              "cli"
            ];
          } "mkdir $out $cli"
        ));
      # What writeShellApplication checks scripts with.
      shellcheck-minimal =
        final.runCommand "shellcheck" { meta.mainProgram = "shellcheck"; } "mkdir $out"
        // {
          compiler.bootstrapAvailable = true;
        };
      mkShell =
        arguments:
        final.stdenv.mkDerivation (
          removeAttrs arguments [ "packages" ]
          // {
            name = "shell";
            nativeBuildInputs = arguments.packages;
          }
        );
    };

  lib = load nix-lib;
  pkgs = load (corepkgs + "/stdenv/impure.nix") {
    system = "x86_64-linux";
    overlays = [
      (load rust-overlay)
      fill
    ];
  };
  outputs = load (flake + "/nix") {
    inherit lib pkgs;
    revision = "unknown";
  };
  paths = builtins.mapAttrs (_: one: one.drvPath);
in
paths outputs.packages
// paths outputs.legacyPackages.images
// paths outputs.checks
// {
  shell = outputs.devShells.default.drvPath;
  formatter = outputs.formatter.drvPath;
}
