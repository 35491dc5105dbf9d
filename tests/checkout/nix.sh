#!/bin/sh
# Stands for nix where only git is to be seen: a store of one path, a cache of files.
set -eu
hash=0000000000000000000000000000000000000000000000000000000000000000
narhash=sha256:0000000000000000000000000000000000000000000000000000

case "$(basename "$0") $*" in
*" --query --requisites "*)
    path=${3}
    case $path in *-missing) echo "error: path '$path' is not valid" >&2; exit 1 ;; esac
    echo "$path"
    ;;
*" --dump-db "*) printf '%s\n%s\n120\n\n0\n' "$2" "$hash" ;;
*" copy --to "*)
    [ ! -e "$HOME/cache-is-down" ] || { echo "error: cannot connect" >&2; exit 1; }
    for path; do :; done # the last one
    dir=${5#file://}
    name=$(basename "$path" | cut -c 1-32).narinfo
    mkdir -p "$dir"
    [ ! -e "$HOME/cache-forgets" ] || exit 0
    printf 'StorePath: %s\nURL: nar/x\nNarHash: %s\nNarSize: 120\nReferences: \nSig: k:AAAA\n' \
        "$path" "$narhash" >"$dir/$name.new"
    mv "$dir/$name.new" "$dir/$name"
    ;;
*" build "*) cat "$HOME/built" ;;
*) echo "nix.sh: $0 $*" >&2; exit 2 ;;
esac
