# What promote and rejoin have in common; read by them, not run. POSIX sh, and the client of MariaDB or of MySQL.
#
# A server is named host:port. The environment says the rest:
#
#   HOLDFAST_MYSQL_ADMIN      an option file of the client with the administrator, such as
#                                 [client]
#                                 user = administrator
#                                 password = …
#                                 ssl              # MySQL, whose passwords want TLS
#   HOLDFAST_MYSQL_REPLICA    a file with the user and the password that replicas log in by, a line each
#   HOLDFAST_MYSQL_DATABASE   the shop's database; holdfast when unset
#   HOLDFAST_MYSQL_CLIENT     the client; mariadb when unset

admin=${HOLDFAST_MYSQL_ADMIN:?names the option file of the administrator}
replica_login=${HOLDFAST_MYSQL_REPLICA:?names the file with the user and password of replicas}
database=${HOLDFAST_MYSQL_DATABASE:-holdfast}
client=${HOLDFAST_MYSQL_CLIENT:-mariadb}

say() { echo "$name: $*"; }
fail() { say "$*" >&2; exit 1; }

# tell <server> [seconds] <statements: what they answer, or a failure. A server that hangs is left after some seconds.
tell() {
    timeout -k 1 "${2:-10}" "$client" --defaults-extra-file="$admin" --connect-timeout=2 --protocol=tcp \
        --batch ${with_names:---skip-column-names} --host="$(host "$1")" --port="${1##*:}"
}

ask() { printf '%s;\n' "$2" | tell "$1" "${3:-10}"; }

# host <server>: an address of IPv6 without its brackets.
host() {
    host=${1%:*}
    host=${host#\[}
    printf '%s' "${host%\]}"
}

# quoted <text>: as it stands between quotes in SQL.
quoted() { printf '%s' "$1" | sed "s/[\\\\']/\\\\&/g"; }

# learn <server>: whether they are MariaDB or MySQL, all alike. Asked once: failing over waits for every question.
kind=""
learn() { [ -n "$kind" ] || kind=$(ask "$1" "SELECT IF(VERSION() LIKE '%MariaDB%', 'MariaDB', 'MySQL')"); }
is_mariadb() { [ "$kind" = MariaDB ]; }

# What follows fails where a server does not answer: a network that breaks for a moment must not decide who has the most,
# or that nothing was received.

# status <server> <MariaDB's name of a column> <MySQL's>: of what it follows; nothing if it follows nobody.
status() {
    if is_mariadb; then
        shown=$(with_names=--column-names ask "$1" 'SHOW SLAVE STATUS\G') || return 1
        printf '%s\n' "$shown" | sed -n "s/^ *$2: *//p"
    else
        shown=$(with_names=--column-names ask "$1" 'SHOW REPLICA STATUS\G') || return 1
        # A set of GTIDs may go on in the next lines.
        printf '%s\n' "$shown" | awk -v column="$3:" '$1 == column { found = 1; sub(/^ *[^ ]*: */, ""); print; next }
            found && /^ *[A-Za-z_]*:/ { exit } found { print }' | tr -d '\n'
    fi
}

# term <server>: how often a primary was made, as far as it knows; 0 before the first `holdfast migrate`.
term() {
    said=$(ask "$1" "SELECT term FROM \`$database\`.primary_term" 2>&1) && { printf '%s\n' "$said" | tail -n 1; return; }
    # No such table, no such database.
    case $said in *'ERROR 1146 '* | *'ERROR 1049 '*) echo 0 ;; *) fail "$1 does not say its term: $said" ;; esac
}

# count <server>: how many transactions it has.
count() {
    if is_mariadb; then
        has=$(ask "$1" 'SELECT @@GLOBAL.gtid_current_pos') || return 1
        printf '%s\n' "$has" | tr ',' '\n' | awk -F- '{ all += $3 } END { print all + 0 }'
    else
        has=$(ask "$1" "SELECT REPLACE(@@GLOBAL.gtid_executed, '\n', '')") || return 1
        printf '%s\n' "$has" | tr ',' '\n' |
            sed 's/^[^:]*-[^:]*://' | tr ':' '\n' | awk -F- '/^[0-9]/ { all += ($2 == "" ? $1 : $2) - $1 + 1 } END { print all + 0 }'
    fi
}

# stop_receiving <server>: so that it acknowledges nothing more to the primary that it has followed.
stop_receiving() {
    if is_mariadb; then ask "$1" 'STOP SLAVE IO_THREAD'; else ask "$1" 'STOP REPLICA IO_THREAD'; fi
}

# apply_received <server>: waits, at most a minute, until it has done all that it has received.
apply_received() {
    received=$(status "$1" Gtid_IO_Pos Retrieved_Gtid_Set) || return 1
    [ -n "$received" ] || return 0
    if is_mariadb; then
        waited=$(ask "$1" "SELECT MASTER_GTID_WAIT('$received', 60)" 65)
    else
        waited=$(ask "$1" "SELECT WAIT_FOR_EXECUTED_GTID_SET('$received', 60)" 65)
    fi
    [ "$waited" = 0 ]
}

# surplus <server> <primary>: what it has and the primary has not. MariaDB's primary finds that out itself, by the last
# transaction of who follows.
surplus() {
    ! is_mariadb || return 0
    has=$(ask "$1" "SELECT REPLACE(@@GLOBAL.gtid_executed, '\n', '')") || return 1
    ask "$2" "SELECT REPLACE(GTID_SUBTRACT('$has', @@GLOBAL.gtid_executed), '\n', '')"
}

# follow <server> <primary>: has it follow from what it has. Who follows takes no writes, whoever let it meanwhile.
follow() {
    user=$(quoted "$(sed -n 1p "$replica_login")") password=$(quoted "$(sed -n 2p "$replica_login")")
    if is_mariadb; then
        tell "$1" <<END
SET GLOBAL read_only = ON;
STOP SLAVE;
SET GLOBAL rpl_semi_sync_master_enabled = OFF;
SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_current_pos;
CHANGE MASTER TO MASTER_HOST = '$(host "$2")', MASTER_PORT = ${2##*:}, MASTER_USER = '$user', MASTER_PASSWORD = '$password',
    MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1;
START SLAVE;
END
    else
        tell "$1" <<END
SET GLOBAL read_only = ON;
STOP REPLICA;
SET GLOBAL rpl_semi_sync_source_enabled = OFF;
CHANGE REPLICATION SOURCE TO SOURCE_HOST = '$(host "$2")', SOURCE_PORT = ${2##*:}, SOURCE_USER = '$user',
    SOURCE_PASSWORD = '$password', SOURCE_SSL = 1, SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1,
    SOURCE_RETRY_COUNT = 0, SOURCE_HEARTBEAT_PERIOD = 1;
START REPLICA;
END
    fi
}

# follows <server>: whether it receives and does what its primary does.
follows() {
    [ "$(status "$1" Slave_IO_Running Replica_IO_Running)$(status "$1" Slave_SQL_Running Replica_SQL_Running)" = YesYes ]
}

# trouble <server>: why it does not follow, if it says so.
trouble() { status "$1" Last_IO_Error Last_IO_Error; status "$1" Last_SQL_Error Last_SQL_Error; }

# forget_primary <server>: it follows nobody any more.
forget_primary() {
    if is_mariadb; then
        ask "$1" 'STOP SLAVE; RESET SLAVE ALL'
    else
        ask "$1" 'STOP REPLICA; RESET REPLICA ALL'
    fi
}

# wait_for_acknowledgements <server> <ON or OFF>: whether its commits wait until a replica has them.
wait_for_acknowledgements() {
    if is_mariadb; then
        ask "$1" "SET GLOBAL rpl_semi_sync_master_enabled = $2"
    else
        ask "$1" "SET GLOBAL rpl_semi_sync_source_enabled = $2"
    fi
}

# eventually <seconds> <command…>: tries it again until it succeeds.
eventually() {
    tries=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.2
    done
}
