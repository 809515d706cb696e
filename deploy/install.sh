#!/bin/sh
# Installs what Holdfast needs to build and to run its stack on a bare Debian (12 or newer).
#
# It looks for each program first and installs only what is absent, so that a second run asks nothing of the network.
# sudo is used only when the caller is not root. No server is started: Holdfast runs private instances of its own.
set -eu

# Debian keeps servers where only root's PATH looks.
PATH=$PATH:/usr/sbin:/sbin

missing=""

# need <packages> <why> <command...>: notes the packages as missing unless the command succeeds.
need() {
    packages=$1 why=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing="$missing $packages"
        echo "install: $packages is missing; $why"
    fi
}

has() { command -v "$1"; }
has_any() { for file in "$@"; do [ -e "$file" ] && return 0; done; return 1; }
has_java_17() {
    java_version=$("${HOLDFAST_JAVA:-java}" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
    [ "${java_version:-0}" -ge 17 ]
}
has_python_venv() { python3 -c "import ensurepip, venv"; }
has_database() {
    if [ -n "${HOLDFAST_MYSQL_SERVER:-}" ]; then has "$HOLDFAST_MYSQL_SERVER"; else has mariadbd && has mariadb; fi
}

need "gcc libc6-dev" "C compiler and headers: librdkafka and the module's linker step" has_any /usr/bin/cc /usr/local/bin/cc
need g++ "C++ compiler: librdkafka's configure asks for one, and the fuzzers' engine is written in it" has g++
need make "runs the Makefile and librdkafka's build" has make
need pkg-config "how build scripts find libraries" has pkg-config
need zlib1g-dev "compression headers for the Kafka client" has_any /usr/include/zlib.h /usr/local/include/zlib.h
need clang "its headers describe C to bindgen, which reads redismodule.h for the module" has clang
need libclang-dev "the library that bindgen loads" \
    has_any /usr/lib/llvm-*/lib/libclang.so /usr/lib/*-linux-gnu/libclang*.so
need redis-server "the server that the module is loaded into" has "${HOLDFAST_REDIS_SERVER:-redis-server}"
need redis-tools "redis-cli, to try the commands by hand" has redis-cli
need "mariadb-server-core mariadb-client-core" "the database, as binaries without a system service" has_database
need haproxy "the tests run the shop behind it, with deploy/haproxy" has "${HOLDFAST_HAPROXY:-haproxy}"
need nginx "the tests run the shop behind it, with deploy/nginx" has "${HOLDFAST_NGINX:-nginx}"
need openssl "makes the certificates of the tests" has openssl
need curl "to try the HTTP API by hand, and the journeys of docs/http.md" has curl
need nodejs "the journeys of docs/http.md in JavaScript" has node
need python3-venv "the journeys in Python, and Schemathesis, which make test-contract puts into a folder of its own" has_python_venv

# Kafka is fetched by Maven and runs on Java; without them the stack works and the events wait in the outbox.
optional=""
required=$missing
missing=""
if [ -z "${HOLDFAST_KAFKA_BROKERS:-}" ]; then
    need default-jre-headless "Java 17 or newer, which Kafka runs on" has_java_17
    [ -n "${HOLDFAST_KAFKA_JARS:-}" ] || need maven "fetches Kafka's jars" has mvn
fi
optional=$missing

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Debian starts a server when its package is installed. While this file says "not now" (101), it does not.
policy=/usr/sbin/policy-rc.d
policy_is_ours=no
remove_policy() {
    if [ "$policy_is_ours" = yes ]; then
        as_root rm -f "$policy"
        policy_is_ours=no
    fi
}
trap remove_policy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

if [ -n "$required$optional" ]; then
    if ! has apt-get >/dev/null; then
        echo "install: this is no Debian (no apt-get); please install by other means:$required$optional" >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ] && ! has sudo >/dev/null; then
        echo "install: neither root nor sudo; please run as root: apt-get install$required$optional" >&2
        exit 1
    fi
    as_root apt-get update -q || echo "install: apt-get update failed; going on with the package lists that are here" >&2
fi

if [ -n "$required" ]; then
    services=""
    for package in redis-server haproxy nginx; do
        case " $required " in *" $package "*) services="$services $package.service" ;; esac
    done
    if [ -n "$services" ] && [ ! -e "$policy" ]; then
        policy_is_ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    # The list is split into words on purpose.
    # shellcheck disable=SC2086
    apt_install $required
    remove_policy
    if [ -n "$services" ] && has systemctl >/dev/null; then
        # shellcheck disable=SC2086
        as_root systemctl disable --quiet $services 2>/dev/null || true
    fi
fi

if [ -n "$optional" ]; then
    # shellcheck disable=SC2086
    apt_install $optional ||
        echo "install: could not install$optional; the stack will run without Kafka, and events wait in the outbox" >&2
fi

if ! has cargo >/dev/null && [ ! -x "${HOME:-}/.cargo/bin/cargo" ]; then
    echo "install: Rust is missing and is not installed for you; get 1.95 or newer with rustup: https://rustup.rs" >&2
    exit 1
fi

if [ -z "$required$optional" ]; then
    echo "install: nothing to do, everything Holdfast needs is here"
else
    echo "install: done"
fi
