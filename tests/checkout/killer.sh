#!/bin/sh
# Stands before a program that writ starts, and kills writ before or after the n-th one
# that changes something.
set -eu
program=$HOME/real/$(basename "$0")
case " $* " in
*" fetch "* | *" hash-object "* | *" mktree "* | *" commit-tree "* | *" push "* | *" add "* | *" merge "* | *" copy "*) ;;
*) exec "$program" "$@" ;;
esac
count=$HOME/steps
n=$(($(cat "$count" 2>/dev/null || echo 0) + 1))
echo "$n" >"$count"
if [ "${WRIT_KILL-}" = "before $n" ]; then
    kill -9 $PPID
    exit 1
fi
status=0
"$program" "$@" || status=$?
if [ "${WRIT_KILL-}" = "after $n" ]; then kill -9 $PPID; fi
exit $status
