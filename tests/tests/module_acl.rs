//! Who may do what with `redis-conf/users.acl`, on a real server that was started with it.

mod module_support;

use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::Result;
use holdfast_tests::redis::Redis;
use module_support::{ask, ask_bytes, digest, eventually, in_step, redis, replica};
use redis::Connection;

static REDIS: LazyLock<Redis> = LazyLock::new(|| {
    let server = redis(&["--aclfile", &copy()]).expect("a Redis with the users");
    let c = &mut server.connection().expect("it answers");
    for user in ROLES {
        assert_eq!(
            ask(c, &format!("ACL SETUSER {user} on >{user}-secret")),
            "OK"
        );
    }
    server
});

const ROLES: [&str; 6] = [
    "operator", "proxy", "support", "exporter", "replica", "sentinel",
];

/// The file as a server wants it: by its whole path.
fn file() -> PathBuf {
    holdfast_tests::data::checkout().join("redis-conf/users.acl")
}

/// A copy of the file, since a server writes to its own.
fn copy() -> String {
    let home = holdfast_tests::data::Home::for_test("acl").expect("a folder");
    let copy = home.path("users.acl");
    std::fs::copy(file(), &copy).expect("the file can be copied");
    copy.display().to_string()
}

fn connection() -> Connection {
    REDIS.connection().expect("it answers")
}

fn connect_as(server: &Redis, user: &str) -> Result<Connection> {
    let url = format!("redis://{user}:{user}-secret@127.0.0.1:{}", server.port()?);
    Ok(redis::Client::open(url)?.get_connection()?)
}

/// Whether the server would let the user run this.
fn may(c: &mut Connection, user: &str, command: &str) -> bool {
    let verdict = ask(c, &format!("ACL DRYRUN {user} {command}"));
    let denied = verdict.contains("no permissions") || verdict.contains("has no permission");
    assert!(verdict == "OK" || denied, "{user}: {command}: {verdict}");
    verdict == "OK"
}

#[test]
fn each_role_may_do_its_own_and_nothing_else() {
    let c = &mut connection();
    let cases = [
        ("INV.SET inv:{a} 1", "operator proxy"),
        ("INV.RESERVE inv:{a} o1 1", "operator proxy"),
        ("INV.MRESERVE 2 inv:{a} inv:{b} o1 1 1", "operator proxy"),
        ("INV.SET stock:{a} 1", "operator"),
        ("INV.MRESERVE 2 inv:{a} stock:{b} o1 1 1", "operator"),
        ("INV.GET inv:{a}", "operator proxy support exporter"),
        ("INV.GET stock:{a}", "operator"),
        ("INV.PENDING inv:{a} 0", "operator proxy support exporter"),
        ("INV.HOLD inv:{a} o1", "operator proxy support"),
        ("INV.HOLDS inv:{a}", "operator proxy support"),
        ("INV.HELP", "operator proxy support"),
        ("INV.APPLY inv:{a} 1 COUNTED 5", ""),
        ("INV.RESTORE inv:{a} BASE 1 0 1", ""),
        ("SESSION.APPLY session:1 PUT x", ""),
        ("SESSION.GET session:1", "operator proxy support"),
        ("SESSION.VIEWED session:1", "operator proxy support"),
        ("SESSION.END session:1", "operator proxy"),
        ("GET session:1", "operator support"),
        ("HGETALL cart:{a}", "operator proxy support"),
        ("HSET cart:{a} b 1", "operator proxy"),
        ("EVAL x 1 cart:{a}", "operator proxy"),
        ("EVAL x 1 inv:{a}", "operator"),
        ("SET hold:1 x PX 5", "operator proxy"),
        ("SET other x", "operator"),
        ("DEL inv:{a}", "operator"),
        ("MULTI", "operator proxy sentinel"),
        ("INFO", "operator proxy exporter sentinel"),
        ("SUBSCRIBE inventory.updated", "operator proxy sentinel"),
        ("PUBLISH inventory.updated x", "operator sentinel"),
        ("SLOWLOG GET", "operator exporter"),
        ("CONFIG GET *", "operator"),
        ("CONFIG SET maxmemory 0", "operator"),
        ("CONFIG REWRITE", "operator sentinel"),
        ("CLIENT LIST", "operator exporter"),
        ("CLIENT KILL TYPE normal", "operator sentinel"),
        ("SLAVEOF NO ONE", "operator sentinel"),
        ("PSYNC ? -1", "operator replica"),
        ("REPLCONF ack 1", "operator replica"),
        ("ASKING", "operator proxy support exporter"),
        ("CLUSTER NODES", "operator proxy"),
        ("CLUSTER INFO", "operator proxy exporter"),
        ("CLUSTER SETSLOT 1 NODE x", "operator"),
        ("CLUSTER FAILOVER", "operator"),
        ("CLUSTER RESET", "operator"),
        ("MIGRATE h 1 inv:{a} 0 1", "operator"),
        ("RESTORE inv:{a} 0 x", "operator"),
        ("ROLE", "operator proxy exporter sentinel"),
        ("REPLICAOF NO ONE", "operator"),
        ("FAILOVER", "operator sentinel"),
        ("MODULE LIST", "operator"),
        ("BGREWRITEAOF", "operator"),
        ("ACL LIST", "operator"),
        ("SHUTDOWN", "operator"),
        ("MONITOR", "operator"),
        ("KEYS *", ""),
        ("FLUSHALL", ""),
        ("FLUSHDB", ""),
        ("SWAPDB 0 1", ""),
        ("SAVE", ""),
        ("DEBUG SLEEP 1", ""),
    ];
    for (command, expected) in cases {
        let allowed: Vec<_> = ROLES
            .into_iter()
            .filter(|user| may(c, user, command))
            .collect();
        assert_eq!(allowed.join(" "), expected, "{command}");
    }
}

#[test]
fn the_proxy_may_use_every_public_command_of_the_module() {
    let c = &mut connection();
    let commands = ask(c, "COMMAND LIST FILTERBY MODULE holdfast");
    let (mut public, mut internal) = (0, 0);
    for name in commands.split(' ') {
        let call = match name {
            "inv.mreserve" => "inv.mreserve 1 inv:{a} o1 1".to_owned(),
            name => {
                let arity: i32 = ask(c, &format!("COMMAND INFO {name}"))
                    .trim_start_matches('[')
                    .split(' ')
                    .nth(1)
                    .and_then(|arity| arity.parse().ok())
                    .unwrap_or_else(|| panic!("no arity of {name}"));
                let family = if name.starts_with("inv.") {
                    "inv:{a}"
                } else {
                    "session:1"
                };
                let others = arity.unsigned_abs().saturating_sub(2) as usize;
                let key = if arity == 1 { "" } else { family };
                format!("{name} {key}{}", " 1".repeat(others))
            }
        };
        if name.ends_with(".apply") || name == "inv.restore" {
            assert!(!may(c, "proxy", &call), "{call}");
            internal += 1;
        } else {
            assert!(may(c, "proxy", &call), "{call}");
            public += 1;
        }
    }
    assert_eq!((public, internal), (22, 3), "{commands}");
}

#[test]
fn what_is_denied_changes_nothing() -> Result<()> {
    let proxy = &mut connect_as(&REDIS, "proxy")?;
    assert_eq!(ask(proxy, "INV.SET inv:{denied} 5"), "OK 5 1 0 0");
    assert_eq!(
        ask(proxy, "INV.RESERVE inv:{denied} o1 2"),
        "RESERVED 3 2 T 0"
    );
    let before = ask(proxy, "INV.GET inv:{denied}");
    for (user, command) in [
        ("proxy", "INV.APPLY inv:{denied} 3 COUNTED 9"),
        ("proxy", "INV.RESTORE inv:{denied} BASE 1 0 1"),
        ("proxy", "DEL inv:{denied}"),
        ("operator", "INV.APPLY inv:{denied} 3 COUNTED 9"),
        ("support", "INV.RELEASE inv:{denied} o1"),
        ("exporter", "INV.SET inv:{denied} 9"),
        ("replica", "INV.GET inv:{denied}"),
        ("sentinel", "INV.GET inv:{denied}"),
    ] {
        let answer = ask(&mut connect_as(&REDIS, user)?, command);
        assert!(answer.starts_with("!NOPERM"), "{user}: {command}: {answer}");
    }
    assert_eq!(ask(proxy, "INV.GET inv:{denied}"), before);
    let script = b"return redis.call('HSET', KEYS[1], 'a', 1)";
    assert_eq!(ask_bytes(proxy, &[b"EVAL", script, b"1", b"cart:{a}"]), "1");
    assert!(ask_bytes(proxy, &[b"EVAL", script, b"1", b"inv:{b}"]).starts_with("!NOPERM"));
    let support = &mut connect_as(&REDIS, "support")?;
    assert_eq!(ask(support, "INV.GET inv:{denied}"), before);
    Ok(())
}

#[test]
fn as_it_stands_the_file_lets_in_nobody_by_name() -> Result<()> {
    let text = std::fs::read_to_string(file())?;
    let secrets = text
        .split_whitespace()
        .filter(|word| word.starts_with(['>', '#', '<', '!']));
    assert_eq!(secrets.count(), 0, "there is a password in the file");

    let server = redis(&["--aclfile", &copy()])?;
    for user in ROLES {
        let answer = ask(
            &mut server.connection()?,
            &format!("AUTH {user} {user}-secret"),
        );
        assert!(answer.starts_with("!WRONGPASS"), "{user}: {answer}");
    }
    // As an operator sets it up: a password, nobody else, and the file keeps it.
    let c = &mut server.connection()?;
    for command in [
        "SETUSER operator on >operator-secret",
        "SETUSER default off",
        "SAVE",
        "LOAD",
    ] {
        assert_eq!(ask(c, &format!("ACL {command}")), "OK");
    }
    assert_eq!(
        ask(&mut connect_as(&server, "operator")?, "ACL WHOAMI"),
        "operator"
    );
    assert!(ask(&mut server.connection()?, "PING").starts_with("!NOAUTH"));
    Ok(())
}

#[test]
fn a_replica_follows_as_the_user_of_replicas() -> Result<()> {
    let primary = redis(&["--aclfile", &copy()])?;
    let c = &mut primary.connection()?;
    for user in ["replica", "proxy"] {
        ask(c, &format!("ACL SETUSER {user} on >{user}-secret"));
    }
    let follower = replica(
        &primary,
        &["--masteruser", "replica", "--masterauth", "replica-secret"],
    )?;
    assert!(ask(c, "CLIENT LIST TYPE replica").contains("user=replica "));

    let proxy = &mut connect_as(&primary, "proxy")?;
    ask(proxy, "INV.SET inv:{a} 9");
    assert_eq!(
        ask(proxy, "INV.RESERVE inv:{a} o1 2 PX 60000"),
        "RESERVED 7 2 T 0"
    );
    assert_eq!(ask(proxy, "INV.CONFIRM inv:{a} o1"), "CONFIRMED 7 3 0 0");
    let secret = "ab".repeat(32);
    assert_eq!(
        ask(proxy, &format!("SESSION.START session:1 {secret} ada")),
        "OK 1800000 86400000"
    );
    in_step(&primary, &follower)?;
    let r = &mut follower.connection()?;
    for key in ["inv:{a}", "session:1"] {
        assert_eq!(digest(c, key), digest(r, key), "{key}");
    }

    // The control: it is by this permission that the replica follows.
    let link = |r: &mut Connection| ask(r, "INFO replication").contains("master_link_status:up");
    ask(c, "ACL SETUSER replica -psync");
    ask(c, "CLIENT KILL TYPE replica");
    eventually("the replica to be refused", || {
        Ok(ask(c, "ACL LOG").contains("psync"))
    })?;
    assert!(!link(r));
    ask(c, "ACL SETUSER replica +psync");
    eventually("the replica to be back", || Ok(link(r)))
}

#[test]
fn the_categories_hold_the_public_commands_where_the_server_has_categories() -> Result<()> {
    let c = &mut connection();
    let version = ask(c, "INFO server");
    // Valkey calls itself Redis 7.2 and adds its own version.
    let old = !version.contains("valkey_version:")
        && (version.contains("redis_version:7.0.") || version.contains("redis_version:7.2."));
    let known = ask(c, "ACL CAT");
    let known = |category: &str| known.split(' ').any(|one| one == category);
    assert_eq!((known("inventory"), known("session")), (!old, !old));
    if old {
        return Ok(());
    }
    assert_eq!(
        ask(c, "ACL SETUSER buyer on >buyer-secret ~* -@all +@inventory"),
        "OK"
    );
    for (command, allowed) in [
        ("INV.RESERVE a o1 1", true),
        ("INV.HELP", true),
        ("INV.APPLY a 1 COUNTED 5", false),
        ("INV.RESTORE a BASE 1 0 1", false),
        ("SESSION.END a", false),
        ("GET a", false),
    ] {
        assert_eq!(may(c, "buyer", command), allowed, "{command}");
    }
    ask(
        c,
        "ACL SETUSER writer on >writer-secret ~* +@all -@dangerous -@read",
    );
    for (command, allowed) in [
        ("INV.RESERVE a o1 1", true),
        ("INV.GET a", false),
        ("INV.APPLY a 1 COUNTED 5", false),
    ] {
        assert_eq!(may(c, "writer", command), allowed, "{command}");
    }
    Ok(())
}
