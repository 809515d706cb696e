#!/bin/sh
# Runs every test of the module, with the same libholdfast.so, on each Redis and Valkey that fetch-servers.sh has fetched.
#
#   matrix.sh [--all] [test arguments…]
#
# With --all the machine's own redis-server comes first, every test of the shop runs on each fetched database too, and a
# matrix without any fetched server is an error. What the tests print is kept in data/matrix/<server>.log. It fails if
# any server did.
set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
fetched=${HOLDFAST_DATA:-$here/data}/cache/servers
logs=${HOLDFAST_DATA:-$here/data}/matrix
cargo=${CARGO:-cargo}
servers=$(ls "$fetched"/bin/* 2>/dev/null)
databases=""
if [ "${1:-}" = --all ]; then
    shift
    [ -n "$servers" ] || { echo "matrix: no server was fetched; run tests/fetch-servers.sh" >&2; exit 1; }
    servers="${HOLDFAST_REDIS_SERVER:-redis-server} $servers"
    databases=$(ls "$fetched"/databases/* 2>/dev/null)
fi

mkdir -p "$logs"
cd "$here" || exit 1
failed=no

# try <variable that names the server> <server> <tests> [test arguments…]
try() {
    variable=$1 server=$2 tests=$3
    shift 3
    log=$logs/$(basename "$server").log
    if env "$variable=$server" "$cargo" test --release -p holdfast-tests --test "$tests" --no-fail-fast -- "$@" >"$log" 2>&1; then
        verdict=passed
    else
        verdict=FAILED failed=yes
    fi
    counts=$(sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed;.*/\1 \2/p' "$log" |
        awk '{ passed += $1; failed += $2 } END { printf "%d tests passed, %d failed", passed, failed }')
    echo "matrix: $verdict  $(basename "$server"): $counts"
    [ $verdict = passed ] || grep -E '^test .* FAILED$|^error' "$log" | sed 's/^/matrix:     /'
}

for server in $servers; do
    try HOLDFAST_REDIS_SERVER "$server" 'module_*' "$@"
done
for database in $databases; do
    try HOLDFAST_MYSQL_SERVER "$database" 'shop_*' "$@"
done
[ "$failed" = no ]
