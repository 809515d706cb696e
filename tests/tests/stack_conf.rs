//! The files of redis-conf/ and sentinel/ on real servers, used as an operator uses them: server.conf copied and changed
//! for each shape, TLS, and the scripts of sentinel/.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::certificates::Certificates;
use holdfast_tests::data::{self, Home};
use holdfast_tests::process::Launch;
use holdfast_tests::server::Server;
use holdfast_tests::users::Users;
use holdfast_tests::{ports, redis, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const DEADLINE: Duration = Duration::from_secs(30);

/// A server that was started from a copy of a file of the project.
struct Started {
    server: Server,
    port: u16,
    /// What redis-cli takes besides the port to be let in.
    login: Vec<String>,
}

impl Started {
    /// Changes `file` as an operator does, each change where the file has it, and starts the server.
    fn from(
        file: &str,
        changes: &[(&str, &str)],
        further: &str,
        arguments: &[&str],
        login: &[&str],
    ) -> Result<Started> {
        let home = Home::for_test("server")?;
        let port = home.port("redis", false)?;
        let mut text = std::fs::read_to_string(data::checkout().join(file))?;
        let folder = home.folder.display().to_string();
        let module = redis::module_path()?.display().to_string();
        let port_text = port.to_string();
        let own = [
            ("PORT", port_text.as_str()),
            ("FOLDER", &folder),
            ("MODULE", &module),
        ];
        let filled = |text: &str| {
            own.iter().fold(text.to_owned(), |text, (name, value)| {
                text.replace(name, value)
            })
        };
        for (from, to) in changes {
            ensure!(text.contains(from), "{file} has no {from}");
            text = text.replace(from, &filled(to));
        }
        text.push_str(&filled(further));
        let path = home.write_private("redis.conf", &text)?;
        let server = Server::new("the server", home);
        let started = Started {
            server,
            port,
            login: login.iter().map(|word| (*word).to_owned()).collect(),
        };
        started.server.ensure(
            || Ok(Launch::new(redis::program()).arg(path).args(arguments)),
            || started.ask("PING").is_ok_and(|said| said == "PONG"),
        )?;
        Ok(started)
    }

    /// What it says to redis-cli.
    fn ask(&self, command: &str) -> Result<String> {
        let output = self.cli(&self.login, command)?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn cli(&self, login: &[String], command: &str) -> Result<Output> {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(login)
            .args(command.split(' '))
            .stdin(Stdio::null());
        cli.output().context("cannot run redis-cli")
    }

    /// That its parameters have these values.
    fn has(&self, parameters: &[(&str, &str)]) -> Result<()> {
        for (name, value) in parameters {
            let said = self.ask(&format!("CONFIG GET {name}"))?;
            ensure!(said == format!("{name}\n{value}").trim(), "{name}: {said}");
        }
        Ok(())
    }

    fn eventually_says(&self, command: &str, what: &str) -> Result<()> {
        wait::until(format_args!("{command} to say {what}"), DEADLINE, || {
            Ok(self.ask(command)?.contains(what).then_some(()))
        })
    }
}

fn checkout() -> String {
    data::checkout().display().to_string()
}

/// server.conf, changed for this machine and by `changes`.
fn server(changes: &[(&str, &str)], further: &str, login: &[&str]) -> Result<Started> {
    let checkout = checkout();
    let own = [
        ("/usr/share/holdfast", checkout.as_str()),
        // With TLS, tls-port is among the changes.
        (
            "\nport 6379\n",
            if login.is_empty() {
                "\nport PORT\n"
            } else {
                "\n"
            },
        ),
        ("/var/lib/redis", "FOLDER"),
        ("/usr/lib/redis/modules/libholdfast.so", "MODULE"),
    ];
    Started::from(
        "redis-conf/server.conf",
        &[&own, changes].concat(),
        further,
        &[],
        login,
    )
}

#[test]
fn a_single_server_needs_nothing_but_its_own_file() -> Result<()> {
    let single = server(&[], "", &[])?;
    single.has(&[
        ("maxmemory", "2147483648"),
        ("maxmemory-policy", "volatile-lru"),
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("save", ""),
        ("min-replicas-to-write", "0"),
        ("enable-debug-command", "no"),
        ("enable-module-command", "no"),
    ])?;
    ensure!(single.ask("INV.SET inv:{a} 9")?.starts_with("OK\n9"));
    // What a server writes into its own file does not keep it from starting again.
    ensure!(single.ask("CONFIG REWRITE")? == "OK");
    single.server.stop()?;
    let file = single.server.home().path("redis.conf");
    single.server.ensure(
        || Ok(Launch::new(redis::program()).arg(&file)),
        || single.ask("PING").is_ok_and(|said| said == "PONG"),
    )?;
    ensure!(single.ask("INV.GET inv:{a}")?.starts_with("on_hand\n9"));
    Ok(())
}

#[test]
fn a_primary_takes_writes_while_a_replica_follows_it() -> Result<()> {
    let replicated = |further: &str| {
        let checkout = checkout();
        let file = format!("#include {checkout}/redis-conf/replica.conf");
        server(&[(file.as_str(), &file[1..])], further, &[])
    };
    let primary = replicated("")?;
    primary.has(&[
        ("min-replicas-to-write", "1"),
        ("min-replicas-max-lag", "4"),
        ("repl-backlog-size", "67108864"),
        ("repl-timeout", "10"),
        ("repl-ping-replica-period", "2"),
        ("appendonly", "yes"),
    ])?;
    let refused = primary.ask("INV.SET inv:{a} 9")?;
    ensure!(refused.starts_with("NOREPLICAS"), "{refused}");

    let replica = replicated(&format!("replicaof 127.0.0.1 {}\n", primary.port))?;
    primary.eventually_says("INV.SET inv:{a} 9", "OK")?;
    replica.eventually_says("INV.GET inv:{a}", "on_hand")?;
    replica.server.kill()?;
    primary.eventually_says("INV.SET inv:{a} 8", "NOREPLICAS")
}

#[test]
fn a_node_of_a_cluster_goes_on_where_others_are_gone() -> Result<()> {
    let checkout = checkout();
    let file = format!("#include {checkout}/redis-conf/cluster-node.conf");
    let bus = ports::free()?;
    let node = server(
        &[(file.as_str(), &file[1..])],
        &format!("cluster-port {bus}\n"),
        &[],
    )?;
    node.has(&[
        ("cluster-enabled", "yes"),
        ("cluster-node-timeout", "2000"),
        ("cluster-require-full-coverage", "no"),
        ("cluster-allow-replica-migration", "yes"),
        ("cluster-migration-barrier", "1"),
        ("min-replicas-to-write", "0"),
        ("maxmemory-policy", "volatile-lru"),
    ])?;
    // Of a key in a slot that nobody serves it says so, and serves its own.
    ensure!(node.ask("CLUSTER ADDSLOTSRANGE 0 15494")? == "OK");
    node.eventually_says("CLUSTER INFO", "cluster_state:ok")?;
    let nobodys = node.ask("INV.SET inv:{a} 9")?;
    ensure!(nobodys.starts_with("CLUSTERDOWN"), "{nobodys}");
    ensure!(node.ask("INV.SET inv:{b} 9")?.starts_with("OK\n9"));
    Ok(())
}

#[test]
fn with_tls_nothing_is_said_in_the_clear_to_anybody() -> Result<()> {
    let keys = Home::for_test("keys")?;
    let (tls, users) = (Certificates::make(&keys)?, Users::of(&keys)?);
    let (authority, certificate, key) = (
        path(&tls.authority)?,
        path(&tls.certificate)?,
        path(&tls.key)?,
    );
    let acl = path(&keys.write_private("users.acl", &users.file()?)?)?;
    let checkout = checkout();
    let includes = |name| format!("#include {checkout}/redis-conf/{name}.conf");
    let (replicated, encrypted) = (includes("replica"), includes("tls"));
    let masterauth = format!("masterauth {}", users.password("replica")?);
    let files = [
        (replicated.as_str(), &replicated[1..]),
        (encrypted.as_str(), &encrypted[1..]),
        ("#tls-port 6379", "tls-port PORT"),
        ("#aclfile /etc/redis/users.acl", &format!("aclfile {acl}")),
        ("#masteruser", "masteruser"),
        ("#masterauth <password of the user replica>", &masterauth),
        (
            "#tls-cert-file /etc/redis/tls/server.crt",
            &format!("tls-cert-file {certificate}"),
        ),
        (
            "#tls-key-file /etc/redis/tls/server.key",
            &format!("tls-key-file {key}"),
        ),
        (
            "#tls-ca-cert-file /etc/redis/tls/ca.crt",
            &format!("tls-ca-cert-file {authority}"),
        ),
    ];
    let operator = [
        "--no-auth-warning",
        "--user",
        "operator",
        "--pass",
        users.password("operator")?,
    ];
    let login = [&["--tls", "--cacert", authority.as_str()][..], &operator].concat();
    let primary = server(&files, "", &login)?;
    primary.has(&[
        ("port", "0"),
        ("tls-replication", "yes"),
        ("tls-cluster", "yes"),
        ("tls-auth-clients", "optional"),
    ])?;
    let replica = server(
        &files,
        &format!("replicaof 127.0.0.1 {}\n", primary.port),
        &login,
    )?;
    primary.eventually_says("INV.SET inv:{a} 9", "OK")?;
    replica.eventually_says("INV.GET inv:{a}", "on_hand")?;

    let in_the_clear: Vec<String> = operator.map(str::to_owned).to_vec();
    let unheard = primary.cli(&in_the_clear, "PING")?;
    ensure!(!String::from_utf8(unheard.stdout)?.contains("PONG"));
    let nobody = primary.cli(
        &login[..3]
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>(),
        "PING",
    )?;
    ensure!(String::from_utf8(nobody.stdout)?.starts_with("NOAUTH"));

    // A Sentinel that includes the same file watches them.
    let auth = format!(
        "sentinel auth-pass holdfast {}",
        users.password("sentinel")?
    );
    let monitor = format!("monitor holdfast 127.0.0.1 {} ", primary.port);
    let own = format!(
        "tls-port PORT\ndir FOLDER\ntls-cert-file {certificate}\ntls-key-file {key}\ntls-ca-cert-file {authority}\n"
    );
    let sentinel = Started::from(
        "sentinel/sentinel.conf",
        &[
            ("monitor holdfast 127.0.0.1 6379 ", &monitor),
            ("#sentinel auth-user", "sentinel auth-user"),
            (
                "#sentinel auth-pass holdfast <password of the user sentinel>",
                &auth,
            ),
            (
                "#include redis-conf/tls.conf",
                &format!("include {checkout}/redis-conf/tls.conf"),
            ),
        ],
        &own,
        &["--sentinel"],
        &login[..3],
    )?;
    sentinel.eventually_says("SENTINEL REPLICAS holdfast", &replica.port.to_string())?;
    let master = sentinel.ask("SENTINEL MASTER holdfast")?;
    for (name, value) in [
        ("flags", "master"),
        ("quorum", "2"),
        ("down-after-milliseconds", "2000"),
        ("failover-timeout", "5000"),
        ("parallel-syncs", "1"),
    ] {
        ensure!(
            master.contains(&format!("{name}\n{value}\n"))
                || master.ends_with(&format!("{name}\n{value}")),
            "{name}: {master}"
        );
    }
    Ok(())
}

fn path(path: &Path) -> Result<String> {
    Ok(path.to_str().context("the path is not UTF-8")?.to_owned())
}

/// The servers that sentinel/start leaves running, which end with the test however it ends.
struct Scripts {
    data: PathBuf,
    first: u16,
    sentinel: u16,
}

impl Scripts {
    fn run(&self, script: &str) -> Result<String> {
        let output = Command::new(data::checkout().join("sentinel").join(script))
            .env("HOLDFAST_DATA", &self.data)
            .env("HOLDFAST_MODULE", redis::module_path()?)
            .env("PORT", self.first.to_string())
            .env("SENTINEL_PORT", self.sentinel.to_string())
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{script}: {said}{complaint}");
        Ok(said)
    }

    fn ask(&self, port: u16, command: &str) -> Result<String> {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &port.to_string()]).args(command.split(' '));
        let output = cli.stdin(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        // Whatever the test found, nothing of it runs on.
        let _ = self.run("stop");
    }
}

#[test]
fn the_scripts_start_three_servers_whose_primary_is_replaced_when_it_dies() -> Result<()> {
    let scripts = Scripts {
        data: Home::for_test("data")?.folder,
        first: neighbours()?,
        sentinel: neighbours()?,
    };
    let (first, sentinel) = (scripts.first, scripts.sentinel);
    scripts.run("start")?;
    let primary = |expected: &dyn Fn(&str) -> bool| {
        wait::until("the primary", DEADLINE, || {
            let said = scripts.ask(sentinel, "SENTINEL get-master-addr-by-name holdfast")?;
            let port = said.lines().nth(1).unwrap_or_default().to_owned();
            Ok(expected(&port).then_some(port))
        })
    };
    primary(&|port| port == first.to_string())?;
    wait::until("a Sentinel to know all", DEADLINE, || {
        let said = scripts.ask(sentinel, "SENTINEL MASTER holdfast")?;
        let all = said.contains("num-slaves\n2\n") && said.contains("num-other-sentinels\n2\n");
        Ok(all.then_some(()))
    })?;
    let watch = Command::new(data::checkout().join("sentinel/watch"))
        .arg(sentinel.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let pid = std::fs::read_to_string(scripts.data.join(format!("sentinel/{first}/pid")))?;
    kill(Pid::from_raw(pid.trim().parse()?), Signal::SIGKILL)?;
    let second = primary(&|port| !port.is_empty() && port != first.to_string())?;

    // What died comes back as a replica when it is started again; what runs is left alone.
    let again = scripts.run("start")?;
    ensure!(again.matches(" runs, ").count() == 5, "{again}");
    ensure!(again.matches(" is started, ").count() == 1, "{again}");
    wait::until("the old primary to follow", DEADLINE, || {
        Ok(scripts.ask(first, "ROLE")?.contains(&second).then_some(()))
    })?;
    let stopped = scripts.run("stop")?;
    ensure!(stopped.lines().count() == 6, "{stopped}");
    ensure!((first..first + 3).all(ports::is_free));
    // It ends with its Sentinel.
    let seen = String::from_utf8(watch.wait_with_output()?.stdout)?;
    ensure!(seen.contains("+switch-master holdfast"), "{seen}");
    Ok(())
}

/// The first of three neighbouring ports that are free.
fn neighbours() -> Result<u16> {
    wait::until("three free ports", DEADLINE, || {
        let [first, second, third] = [ports::free()?, ports::free()?, ports::free()?];
        Ok((second == first + 1 && third == first + 2).then_some(first))
    })
}
