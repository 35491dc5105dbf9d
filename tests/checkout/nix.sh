#!/bin/sh
# Stands for nix where only git is to be seen: a store of one path, a cache of files.
set -eu
nar() { printf '%0120d' 0; }

case "$(basename "$0") $*" in
*" --query --requisites "*)
    path=${3}
    case $path in *-missing) echo "error: path '$path' is not valid" >&2; exit 1 ;; esac
    echo "$path"
    ;;
*" --dump-db "*) printf '%s\n%s\n120\n\n0\n' "$2" "$(nar | sha256sum | cut -c 1-64)" ;;
*" --dump "*) nar ;;
*" path-info --json "*) printf '{"%s":{"signatures":["k:AAAA"]}}\n' "$6" ;;
*" build "*) cat "$HOME/built" ;;
*) echo "nix.sh: $0 $*" >&2; exit 2 ;;
esac
