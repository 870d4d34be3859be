{
  description = "For tests only: the host's Rust under the name of rust-overlay";

  outputs =
    { self }:
    {
      overlays.default = final: _: {
        rust-bin.fromRustupToolchainFile =
          file:
          assert (builtins.fromTOML (builtins.readFile file)).toolchain ? channel;
          final.hostTools "rust" [
            "cargo"
            "cargo-clippy"
            "cargo-fmt"
            "clippy-driver"
            "rustc"
            "rustdoc"
            "rustfmt"
          ];
      };
    };
}
