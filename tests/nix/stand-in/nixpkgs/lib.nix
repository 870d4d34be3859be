# The functions of nixpkgs' lib that the flake calls, with their names and meanings.
let
  inherit (builtins)
    concatMap
    listToAttrs
    substring
    stringLength
    ;
  hasPrefix = start: text: substring 0 (stringLength start) text == start;
in
rec {
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    head
    length
    mapAttrs
    ;
  genAttrs =
    names: make:
    listToAttrs (
      map (name: {
        inherit name;
        value = make name;
      }) names
    );
  mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
  filterAttrs =
    keep: set:
    listToAttrs (
      concatMap (
        name:
        if keep name set.${name} then
          [
            {
              inherit name;
              value = set.${name};
            }
          ]
        else
          [ ]
      ) (attrNames set)
    );
  importJSON = path: builtins.fromJSON (builtins.readFile path);
  importTOML = path: builtins.fromTOML (builtins.readFile path);
  makeSearchPath =
    folder: packages: concatStringsSep ":" (map (package: "${package}/${folder}") packages);
  makeBinPath = makeSearchPath "bin";
  makeLibraryPath = makeSearchPath "lib";
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  licenses.asl20.spdxId = "Apache-2.0";
  fetchers.proxyImpureEnvVars = [
    "http_proxy"
    "https_proxy"
    "no_proxy"
  ];

  # A set of files is a list of paths here. toSource keeps them, what is below them, and the folders above them.
  fileset = {
    unions = concatMap (part: if builtins.isList part then part else [ part ]);
    toSource =
      { root, fileset }:
      let
        lost = builtins.filter (path: !builtins.pathExists path) fileset;
        kept = map toString fileset;
        keeps = path: one: path == one || hasPrefix "${one}/" path || hasPrefix "${path}/" one;
      in
      if lost == [ ] then
        builtins.path {
          path = root;
          name = "source";
          filter = path: _: builtins.any (keeps path) kept;
        }
      else
        throw "lib.fileset.unions: ${toString (builtins.head lost)} does not exist";
  };
}
