# `nix develop`: everything that CONTRIBUTING.md asks for, besides the daemon of Docker, which is the host's.
{
  pkgs,
  python,
  toolchain,
}:
pkgs.mkShell {
  packages = [
    toolchain
    (python.withPackages (packages: [ packages.pip ]))
    pkgs.cargo-deny
    pkgs.cargo-llvm-cov
    pkgs.cargo-nextest
    pkgs.deadnix
    pkgs.docker-client
    pkgs.docker-compose
    pkgs.etcd_3_6
    pkgs.git
    pkgs.jq
    pkgs.mmdebstrap
    pkgs.nats-server
    pkgs.nixfmt
    pkgs.pre-commit
    pkgs.ruff
    pkgs.uv
  ];
  # The runner is linked statically; .cargo/config.toml says why.
  buildInputs = [ pkgs.glibc.static ];
}
