#!/bin/sh
# Runs every test of the module, with the same libholdfast.so, on each server that fetch-servers.sh has fetched.
#
#   matrix.sh [--all] [test arguments…]
#
# With --all the machine's own redis-server comes first, and a matrix without any other server is an error. What the
# tests print is kept in data/matrix/<server>.log. It fails if any server did.
set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
data=${HOLDFAST_DATA:-$here/data}
cargo=${CARGO:-cargo}
servers=$(ls "$data"/cache/servers/bin/* 2>/dev/null)
if [ "${1:-}" = --all ]; then
    shift
    [ -n "$servers" ] || { echo "matrix: no server was fetched; run tests/fetch-servers.sh" >&2; exit 1; }
    servers="${HOLDFAST_REDIS_SERVER:-redis-server} $servers"
fi

mkdir -p "$data/matrix"
cd "$here" || exit 1
failed=no
for server in $servers; do
    name=$(basename "$server")
    log=$data/matrix/$name.log
    if HOLDFAST_REDIS_SERVER=$server "$cargo" test --release -p holdfast-tests --test 'module_*' --no-fail-fast -- "$@" \
        >"$log" 2>&1; then
        verdict=passed
    else
        verdict=FAILED failed=yes
    fi
    counts=$(sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed;.*/\1 \2/p' "$log" |
        awk '{ passed += $1; failed += $2 } END { printf "%d tests passed, %d failed", passed, failed }')
    echo "matrix: $verdict  $("$server" --version | cut -d ' ' -f 1-3): $counts"
    [ $verdict = passed ] || grep -E '^test .* FAILED$|^error' "$log" | sed 's/^/matrix:     /'
done
[ "$failed" = no ]
