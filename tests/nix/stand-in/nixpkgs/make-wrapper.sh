# wrapProgram of nixpkgs' makeWrapper, with the options that the flake uses.
wrapProgram() {
  local program=$1 hidden
  shift
  hidden=$(dirname "$program")/.$(basename "$program")-wrapped
  mv "$program" "$hidden"
  {
    echo '#!/bin/bash'
    while [ $# -gt 0 ]; do
      case $1 in
        --set) printf 'export %s=%q\n' "$2" "$3"; shift 3 ;;
        --set-default) printf 'export %s=${%s-%q}\n' "$2" "$2" "$3"; shift 3 ;;
        --prefix) printf 'export %s=%q${%s:+%s}$%s\n' "$2" "$4" "$2" "$3" "$2"; shift 4 ;;
        --suffix) printf 'export %s=${%s:+$%s%s}%q\n' "$2" "$2" "$2" "$3" "$4"; shift 4 ;;
        *) echo "stand-in makeWrapper: unknown option $1" >&2; return 1 ;;
      esac
    done
    printf 'exec -a "$0" %q "$@"\n' "$hidden"
  } > "$program"
  chmod +x "$program"
}
