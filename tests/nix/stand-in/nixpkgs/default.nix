# The packages and functions of nixpkgs that the flake uses. Programs are the host's; one that the host lacks says so when
# it is executed.
{
  system,
  overlays ? [ ],
}:
let
  lib = import ./lib.nix;
  host = builtins.fromJSON (builtins.readFile ./host.json);

  # What a builder gets of an attribute.
  text =
    value:
    if builtins.isBool value then
      (if value then "1" else "")
    else if builtins.isList value then
      builtins.concatStringsSep " " (map text value)
    else
      toString value;

  mkDerivation =
    arguments:
    let
      inputs = arguments.nativeBuildInputs or [ ] ++ arguments.buildInputs or [ ];
      own = builtins.removeAttrs arguments [
        "buildInputs"
        "cargoLock"
        "meta"
        "nativeBuildInputs"
        "passthru"
      ];
    in
    derivation (
      host.environment
      // builtins.mapAttrs (_: text) own
      // {
        inherit system;
        # `nix develop` asks the environment for it.
        outputs = [ "out" ];
        name = arguments.name or "${arguments.pname}-${arguments.version}";
        builder = "/bin/bash";
        args = [ ./builder.sh ];
        functions = ./functions.sh;
        hostPath = host.path;
        hostCheckout = host.checkout;
        inputs = map toString inputs;
      }
    )
    // {
      meta = arguments.meta or { };
      version = arguments.version or "0";
      src = arguments.src or null;
    }
    // arguments.passthru or { };

  runCommand =
    name: attributes: command:
    mkDerivation (
      attributes
      // {
        inherit name;
        buildPhase = command;
        installPhase = ":";
      }
    );

  writeText =
    name: content:
    runCommand name {
      inherit content;
      passAsFile = [ "content" ];
    } ''cp "$contentPath" $out'';

  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
    }:
    runCommand name
      {
        script = ''
          #!/bin/bash
          set -o errexit -o nounset -o pipefail
          export PATH="${lib.makeBinPath runtimeInputs}:$PATH"

          ${text}
        '';
        passAsFile = [ "script" ];
        meta.mainProgram = name;
      }
      ''
        mkdir -p $out/bin
        cp "$scriptPath" $out/bin/${name}
        chmod +x $out/bin/${name}
        bash -n $out/bin/${name}
      '';

  symlinkJoin =
    {
      name,
      paths,
      nativeBuildInputs ? [ ],
      postBuild ? "",
      passthru ? { },
      meta ? { },
    }:
    mkDerivation {
      inherit
        name
        nativeBuildInputs
        passthru
        meta
        ;
      buildPhase = ''
        mkdir -p $out
        for path in ${text paths}; do cp --recursive --symbolic-link --no-preserve=mode "$path"/. $out/; done
        ${postBuild}
      '';
      installPhase = ":";
    };

  # Programs of the host under a package's name.
  hostTools =
    pname: programs:
    mkDerivation {
      inherit pname;
      version = "host";
      meta.mainProgram = builtins.head programs;
      buildPhase = "hostTools ${text programs}";
      installPhase = ":";
    };

  buildRustPackage =
    {
      pname,
      version,
      src,
      cargoLock,
      cargoBuildFlags ? [ ],
      buildInputs ? [ ],
      nativeBuildInputs ? [ ],
      buildPhase ? "cargoBuild",
      installPhase ? "cargoInstall",
      doCheck ? true,
      doInstallCheck ? false,
      installCheckPhase ? "",
      dontFixup ? false,
      meta ? { },
    }:
    assert builtins.pathExists cargoLock.lockFile;
    mkDerivation {
      inherit
        pname
        version
        src
        cargoBuildFlags
        buildInputs
        nativeBuildInputs
        buildPhase
        installPhase
        dontFixup
        meta
        ;
      # What was compiled for the checkout is not compiled again.
      CARGO_TARGET_DIR = host.target;
      checkPhase = if doCheck then "cargo test --release --locked --offline" else "";
      installCheckPhase = if doInstallCheck then installCheckPhase else "";
    };

  # A docker archive of one layer, written by a program as nixpkgs does it. The store paths that the layer's links point
  # to are left out, for they only point to this host's programs.
  streamLayeredImage =
    {
      name,
      contents ? [ ],
      extraCommands ? "",
      config ? { },
    }:
    let
      layer = runCommand "${baseNameOf name}-layer.tar" { } ''
        mkdir root && cd root
        for path in ${text contents}; do cp --recursive --no-preserve=mode "$path"/. .; done
        ${extraCommands}
        cd ..
        python3 ${./stream_image.py} layer root > $out
      '';
    in
    runCommand "stream-${baseNameOf name}" { passthru.imageName = name; } ''
      printf '#!/bin/bash\nexport PATH=%q\nexec python3 %q image %q %q %q\n' "$hostPath" ${./stream_image.py} \
        ${layer} ${writeText "config.json" (builtins.toJSON config)} ${name}:stand-in > $out
      chmod +x $out
    '';

  python = hostTools "python3" [ "python3" ] // {
    # Fails on a package that is not there, as nixpkgs does.
    withPackages =
      select:
      builtins.seq (map toString (select {
        pip = python;
      })) python;
  };

  # Packages by the programs that people expect of them.
  programs = builtins.mapAttrs hostTools {
    bash = [
      "bash"
      "sh"
    ];
    cargo-deny = [ "cargo-deny" ];
    cargo-llvm-cov = [ "cargo-llvm-cov" ];
    cargo-nextest = [ "cargo-nextest" ];
    coreutils = [
      "cat"
      "env"
      "ls"
    ];
    curl = [ "curl" ];
    deadnix = [ "deadnix" ];
    diffutils = [ "diff" ];
    docker-client = [ "docker" ];
    docker-compose = [ "docker-compose" ];
    etcd_3_6 = [
      "etcd"
      "etcdctl"
    ];
    findutils = [ "find" ];
    gawk = [ "awk" ];
    git = [ "git" ];
    gnugrep = [ "grep" ];
    gnused = [ "sed" ];
    gnutar = [ "tar" ];
    gzip = [ "gzip" ];
    jq = [ "jq" ];
    mmdebstrap = [ "mmdebstrap" ];
    nats-server = [ "nats-server" ];
    nixfmt = [ "nixfmt" ];
    numactl = [ ];
    pre-commit = [ "pre-commit" ];
    procps = [ "ps" ];
    ruff = [ "ruff" ];
    util-linux = [ "lscpu" ];
    uv = [ "uv" ];
    which = [ "which" ];
  };

  base = programs // {
    inherit
      hostTools
      lib
      runCommand
      symlinkJoin
      writeShellApplication
      writeText
      ;
    stdenv = {
      inherit mkDerivation;
      hostPlatform = { inherit system; };
      cc =
        hostTools "cc" [
          "ar"
          "cc"
          "gcc"
          "ld"
        ]
        // {
          cc.lib = runCommand "host-libraries" { } "mkdir -p $out/lib";
        };
    };
    python311 = python;
    prometheus = hostTools "prometheus" [ "prometheus" ] // {
      cli = hostTools "prometheus-cli" [ "promtool" ];
    };
    glibc = runCommand "host-glibc" { } "mkdir -p $out/lib" // {
      static = runCommand "host-glibc-static" { } "mkdir -p $out/lib";
    };
    cacert = runCommand "host-cacert" { } ''
      mkdir -p $out/etc/ssl/certs
      ln -s /etc/ssl/certs/ca-certificates.crt $out/etc/ssl/certs/ca-bundle.crt
    '';
    makeWrapper = runCommand "make-wrapper" { } ''
      mkdir -p $out/nix-support
      cp ${./make-wrapper.sh} $out/nix-support/setup-hook
    '';
    makeRustPlatform = { cargo, rustc }: builtins.seq [ cargo rustc ] { inherit buildRustPackage; };
    dockerTools = { inherit streamLayeredImage; };
    mkShell =
      {
        packages ? [ ],
        buildInputs ? [ ],
      }:
      mkDerivation {
        name = "shell";
        nativeBuildInputs = packages;
        inherit buildInputs;
        # `nix develop` sources $stdenv/setup.
        stdenv = runCommand "shell-setup" { } ''
          mkdir -p $out
          echo 'export PATH="$hostPath"; for p in $inputs; do [ ! -d "$p/bin" ] || PATH="$p/bin:$PATH"; done' > $out/setup
        '';
        buildPhase = "export > $out";
        installPhase = ":";
      };
  };

  final = builtins.foldl' (previous: overlay: previous // overlay final previous) base overlays;
in
final
