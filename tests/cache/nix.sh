#!/bin/sh
# Stands for nix where only its store is to be seen: NARs in store/, references in db/.
set -eu
base() { echo "${1#/nix/store/}"; }
# What some paths need, each once.
closure() {
    seen=' '
    while [ $# -gt 0 ]; do
        path=$1
        shift
        case $seen in *" $path "*) continue ;; esac
        [ -e "$HOME/db/$(base "$path")" ] || { echo "error: path '$path' is not valid" >&2; exit 1; }
        seen="$seen$path "
        set -- "$@" $(cat "$HOME/db/$(base "$path")")
    done
    printf '%s\n' $seen | sort
}

case "$(basename "$0") $*" in
*" config show netrc-file")
    file=$(cat "$HOME/netrc-file" 2>/dev/null || echo "${NIX_CONF_DIR:-/etc/nix}/netrc")
    [ "$file" != broken ] || { echo "error: the config is broken" >&2; exit 1; }
    echo "$file"
    ;;
*" --query --requisites "*) if [ -e "$HOME/closures" ]; then shift 2; closure "$@"; else for file in "$HOME"/db/*; do echo "/nix/store/$(basename "$file")"; done; fi ;;
*" --check-validity --print-invalid "*)
    shift 2
    for path; do [ -e "$HOME/db/$(base "$path")" ] || echo "$path"; done
    ;;
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
*) echo "nix.sh: $0 $*" >&2; exit 2 ;;
esac
