{
  description = "For tests only: the host's tools under the names of nixpkgs";
  outputs =
    { self }:
    {
      lib = import ./lib.nix;
    };
}
