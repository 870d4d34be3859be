# Python wheels as folders of the store: downloaded once by the same requirement files with hashes that recipes use, then
# installed without a network.
{
  lib,
  pkgs,
  python,
}:
let
  # Hashes of the folders of wheels, by requirement file and system. nix/wheels.py writes it.
  pins = lib.importJSON ./wheels.json;
  inherit (pkgs.stdenv.hostPlatform) system;
  pip = python.withPackages (packages: [ packages.pip ]);
  quiet = "export HOME=$TMPDIR PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_QUIET=1 PIP_ROOT_USER_ACTION=ignore";

  requirements =
    name:
    let
      file = ../images/requirements + "/${name}.txt";
    in
    if builtins.hashFile "sha256" file == pins.${name}.requirements or "" then
      file
    else
      throw ''
        nix/wheels.json does not fit images/requirements/${name}.txt, which has changed since
        hint: `python3 nix/wheels.py ${name}` downloads the wheels and writes their hashes'';

  # The hash of the folder is known, so Nix lets this reach the network. pip verifies each wheel besides.
  download =
    name:
    pkgs.runCommand "testbed-${name}-wheels"
      {
        nativeBuildInputs = [ pip ];
        outputHashMode = "recursive";
        outputHash = pins.${name}.${system};
        impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [ "PIP_INDEX_URL" ];
        SSL_CERT_FILE = "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt";
      }
      ''
        ${quiet}
        python3 -m pip download --no-deps --require-hashes --only-binary=:all: \
          --requirement=${requirements name} --dest=$out
      '';
in
{
  inherit download;

  # The wheels of a requirement file side by side in one folder, compiled since containers cannot keep what they compile.
  # Times of the store say nothing, so compiled code is never compared with them.
  installed =
    name: target:
    pkgs.runCommand "testbed-${name}-packages" { nativeBuildInputs = [ pip ]; } ''
      ${quiet}
      python3 -m pip install --no-deps --no-index --no-compile --find-links=${download name} \
        --require-hashes --requirement=${requirements name} --target=$out${target}
      PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode=unchecked-hash -s $out -p / $out${target}
    '';
}
