# `nix flake check`: what can be said without a daemon and without a network.
{
  lib,
  pkgs,
  images,
  lock,
  python,
  rustPlatform,
  source,
  testbed,
}:
let
  # One command of cargo over the whole workspace, with the crates of Cargo.lock there.
  cargo =
    name: command: tools:
    rustPlatform.buildRustPackage {
      pname = "testbed-${name}";
      inherit (testbed.unwrapped) version;
      src = source.whole;
      cargoLock.lockFile = ../Cargo.lock;
      buildInputs = [ pkgs.glibc.static ];
      nativeBuildInputs = tools;
      buildPhase = ''
        runHook preBuild
        export HOME=$TMPDIR
        ${command}
        runHook postBuild
      '';
      installPhase = "touch $out";
      doCheck = false;
      dontFixup = true;
    };
in
{
  build = testbed;

  # Tests with a real daemon, and those that a sandbox has nothing for, run by `cargo nextest run` in a checkout.
  tests =
    cargo "tests"
      "cargo nextest run --offline --locked --workspace -E 'not (binary(daemon) or binary(images))'"
      [
        pkgs.cargo-nextest
        pkgs.git
        python
      ];

  clippy =
    cargo "clippy" "cargo clippy --offline --locked --workspace --all-targets --quiet -- -D warnings"
      [ ];

  fmt =
    cargo "fmt"
      ''
        cargo fmt --all --check
        find . -name '*.nix' -not -path './target/*' -exec nixfmt --check {} +
        deadnix --fail --no-lambda-pattern-names .
      ''
      [
        pkgs.nixfmt
        pkgs.deadnix
      ];

  # Advisories need a network.
  deny = cargo "deny" "cargo deny --offline --locked check bans licenses sources" [ pkgs.cargo-deny ];

  docs = cargo "docs" ''
    RUSTDOCFLAGS='-D warnings' cargo doc --offline --locked --workspace --no-deps
  '' [ ];

  # Reading the lock refuses what is incomplete; what is left is that recipes and Nix have the same images.
  lock-is-complete = pkgs.writeText "lock-is-complete" ''
    pinned: ${lib.concatStringsSep " " (lib.attrNames (builtins.deepSeq lock lock.images))}
    made of nixpkgs: ${lib.concatStringsSep " " (lib.attrNames images.streams)}
  '';

  profiles-and-compose-valid =
    pkgs.runCommand "profiles-and-compose-valid"
      {
        nativeBuildInputs = [
          pkgs.docker-compose
          testbed
        ];
      }
      ''
        export HOME=$TMPDIR
        cd ${source.configuration}
        for file in envs/*.toml; do
          profile=$(basename "$file" .toml)
          if [ "$profile" != default ]; then
            echo "profile $profile"
            testbed plan --profile "$profile" --explain > /dev/null
          fi
        done
        echo "stacks and images of all profiles"
        mkdir $TMPDIR/project
        cp ${../testbed.toml} $TMPDIR/project/testbed.toml
        cp -r --no-preserve=mode suites $TMPDIR/project/
        testbed plan release --no-collect --project $TMPDIR/project > /dev/null
        for file in compose/*.yaml; do
          echo "stack $file"
          docker-compose --file "$file" config --quiet
        done
        touch $out
      '';
}
