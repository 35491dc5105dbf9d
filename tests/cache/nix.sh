#!/bin/sh
# Stands for nix where only its store is to be seen: NARs in store/, references in db/.
set -eu
base() { echo "${1#/nix/store/}"; }

case "$(basename "$0") $*" in
*" --query --requisites "*) for file in "$HOME"/db/*; do echo "/nix/store/$(basename "$file")"; done ;;
*" --dump-db "*)
    shift
    for path; do
        nar=$HOME/store/$(base "$path")
        echo "$path"
        sha256sum <"$nar" | cut -c 1-64
        wc -c <"$nar"
        echo
        wc -l <"$HOME/db/$(base "$path")"
        cat "$HOME/db/$(base "$path")"
    done
    ;;
*" --dump "*)
    [ "$2" != "$(cat "$HOME/damaged" 2>/dev/null)" ] || exec echo damaged
    exec cat "$HOME/store/$(base "$2")"
    ;;
*" path-info --json "*)
    between='{'
    for file in "$HOME"/db/*; do
        printf '%s"/nix/store/%s":{"ca":null,"deriver":null,"signatures":[]}' "$between" "$(basename "$file")"
        between=,
    done
    echo '}'
    ;;
*" copy --to "*) ;;
*) echo "nix.sh: $0 $*" >&2; exit 2 ;;
esac
