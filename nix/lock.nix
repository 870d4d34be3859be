# The one lock of images, read by the runner too. Each image has one way in which it can be had, and that way is complete.
{ lib }:
let
  lock = lib.importJSON ../images/images.lock.json;
  folder = ../images;

  wrong =
    name: what: hint:
    throw ''
      images/images.lock.json: the image `${name}` ${what}
      hint: ${hint}'';

  isDigest = text: builtins.match "sha256:[0-9a-f]{64}" text != null;

  ways = {
    pull =
      name: pull:
      if isDigest (pull.digest or "") && pull ? repository then
        { inherit pull; }
      else
        wrong name "is pulled and has no digest"
          "a registry prints the digest of a tag, and `testbed images update` writes it";

    build =
      name: build:
      if build ? recipe && builtins.pathExists (folder + "/${build.recipe}") then
        { inherit build; }
      else
        wrong name "is built and its recipe `${build.recipe or "?"}` is not there"
          "correct the path, or `git add images/${build.recipe or ""}`: a flake sees only the files that git knows";

    load =
      name: load:
      if isDigest (load.id or "") then
        { inherit load; }
      else
        wrong name "is loaded and has no id" "`docker image inspect --format '{{.Id}}' NAME` prints it";
  };

  entry =
    name: image:
    let
      found = lib.filter (way: image ? ${way}) (lib.attrNames ways);
      way = lib.head found;
    in
    if lib.length found == 1 && lib.length (lib.attrNames image) == 1 then
      ways.${way} name image.${way}
    else
      wrong name "has not exactly one of `build`, `load`, `pull`" "images/README.md shows each of them";
in
if lock.schema or null == 1 then
  {
    inherit (lock) schema;
    images = lib.mapAttrs entry lock.images;
  }
else
  throw "images/images.lock.json: `schema` must be 1, the only format there is"
