# Which files of the repository go into what. A file that is not in a set cannot make it be built again.
{ lib }:
let
  folder =
    paths:
    lib.fileset.toSource {
      root = ../.;
      fileset = lib.fileset.unions paths;
    };

  # What a run reads besides the project under test; the runner finds it by TESTBED_ROOT.
  configuration = [
    ../compose
    ../envs
    ../images
    ../models
    ../suites
  ];
in
{
  configuration = folder configuration;

  # What the runner is compiled from. The bench is no part of it, but a member of the workspace that Cargo.lock is for.
  runner = folder (
    configuration
    ++ [
      ../.cargo
      ../Cargo.lock
      ../Cargo.toml
      ../bench
      ../runner
      ../testbed.toml
    ]
  );

  # Everything that git knows, for checks.
  whole = folder [ ../. ];
}
