# The runner, compiled from Cargo.lock, and wrapped so that it finds everything else in the store.
{
  lib,
  pkgs,
  python,
  revision,
  rustPlatform,
  source,
  toolchain,
}:
let
  inherit ((lib.importTOML ../Cargo.toml).workspace.package) version;

  meta = {
    description = "Brings up hermetic Dynamo stacks, runs a test tier inside them and says what happened";
    license = lib.licenses.asl20;
    mainProgram = "testbed";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };

  unwrapped = rustPlatform.buildRustPackage {
    pname = "testbed-unwrapped";
    inherit version meta;
    src = source.runner;
    cargoLock.lockFile = ../Cargo.lock;
    cargoBuildFlags = [ "--package=testbed" ];
    # .cargo/config.toml asks for a static program: the runner is its own agent in images that have no C library.
    buildInputs = [ pkgs.glibc.static ];
    # checks.nix has the tests.
    doCheck = false;
    doInstallCheck = true;
    installCheckPhase = ''
      runHook preInstallCheck
      if readelf --program-headers --wide $out/bin/testbed | grep INTERP; then
        echo "testbed is linked dynamically, and cannot be the agent in images without a C library" >&2
        exit 1
      fi
      $out/bin/testbed --version
      runHook postInstallCheck
    '';
  };

  # What the runner itself executes. It is found before what the host has.
  own = [
    pkgs.git
    pkgs.mmdebstrap
    (python.withPackages (packages: [ packages.pip ]))
  ];

  # What compiles the project under test. Where the host has rustup, its own rust-toolchain.toml is to decide.
  compilers = [
    toolchain
    pkgs.cargo-nextest
    pkgs.stdenv.cc
  ];
in
pkgs.symlinkJoin {
  name = "testbed-${version}";
  paths = [ unwrapped ];
  nativeBuildInputs = [ pkgs.makeWrapper ];
  postBuild = ''
    wrapProgram $out/bin/testbed \
      --set-default TESTBED_ROOT ${source.configuration} \
      --set TESTBED_FLAKE_REVISION ${revision} \
      --set TESTBED_FLAKE_LOCK_HASH sha256:${builtins.hashFile "sha256" ../flake.lock} \
      --prefix PATH : ${lib.makeBinPath own} \
      --suffix PATH : ${lib.makeBinPath compilers}
  '';
  passthru = {
    inherit unwrapped;
    inherit (source) configuration;
  };
  inherit meta;
}
