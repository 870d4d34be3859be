# Links programs of the host into the output.
hostTools() {
  local program found
  mkdir -p "$out/bin"
  for program in "$@"; do
    if found=$(command -v "$program"); then
      ln -s "$found" "$out/bin/$program"
    else
      printf '#!/bin/bash\necho "%s is not installed on this host, whose programs the stand-in nixpkgs uses" >&2\necho "hint: install it, or use the real nixpkgs" >&2\nexit 127\n' \
        "$program" > "$out/bin/$program"
      chmod +x "$out/bin/$program"
    fi
  done
}

# Compiles with the host's cargo. Where the source is the checkout's, the checkout itself is compiled: cargo takes paths
# into account, and would compile everything of the workspace again elsewhere.
cargoBuild() {
  local differs
  cmp Cargo.lock "$src/Cargo.lock"
  differs=$(diff --recursive --brief "$src" "$hostCheckout" | grep -v "^Only in $hostCheckout" || true)
  if [ -z "$differs" ]; then
    cd "$hostCheckout"
  else
    printf 'the checkout has changed since the flake was copied, so its source is compiled apart:\n%s\n' "$differs"
  fi
  cargo build --release --locked --offline $cargoBuildFlags \
    --message-format=json-render-diagnostics > "$NIX_BUILD_TOP/cargo.json"
  cd "$NIX_BUILD_TOP"
}

cargoInstall() {
  mkdir -p "$out/bin"
  python3 - "$NIX_BUILD_TOP/cargo.json" > "$NIX_BUILD_TOP/programs" <<'PYTHON'
import json, sys
for line in open(sys.argv[1]):
    message = json.loads(line)
    if message.get("executable") and "bin" in message["target"]["kind"]:
        print(message["executable"])
PYTHON
  xargs --arg-file="$NIX_BUILD_TOP/programs" cp --target-directory="$out/bin"
}
