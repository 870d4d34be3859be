# The phases of stdenv that the flake uses, with the host's programs.
set -euo pipefail
export PATH="$hostPath" HOME="${HOME:-$NIX_BUILD_TOP}" TMPDIR="$NIX_BUILD_TOP"
[ "$HOME" != /homeless-shelter ] || HOME="$NIX_BUILD_TOP"
for input in $inputs; do
  [ ! -d "$input/bin" ] || PATH="$input/bin:$PATH"
done
for input in $inputs; do
  [ ! -f "$input/nix-support/setup-hook" ] || . "$input/nix-support/setup-hook"
done
. "$functions"

runHook() { [ -z "${!1:-}" ] || eval "${!1}"; }

cd "$NIX_BUILD_TOP"
if [ -n "${src:-}" ]; then
  cp --recursive --no-preserve=mode "$src" source
  chmod -R u+w source
  cd source
fi
for phase in buildPhase checkPhase installPhase installCheckPhase; do runHook "$phase"; done
[ -e "$out" ] || { echo "stand-in nixpkgs: the builder of $name made no output" >&2; exit 1; }
