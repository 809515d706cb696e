//! `make up` and `make down`, as their user sees them: without Kafka, twice, after a crash, and with a port taken.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use holdfast_tests::data::Home;
use holdfast_tests::process::{self, Process};
use holdfast_tests::{kafka, ports};

/// A stack with a data folder of its own, stopped at the end of the test however it ends.
struct Installation {
    data: PathBuf,
    http_port: u16,
    admin_port: u16,
}

impl Installation {
    fn stack(&self, command: &str, jars: &Path) -> Result<Output> {
        let mut stack = Command::new(env!("CARGO_BIN_EXE_holdfast-stack"));
        stack
            .args(command.split(' '))
            .env("HOLDFAST_DATA", &self.data)
            .env("HOLDFAST_KAFKA_JARS", jars);
        stack.env("HOLDFAST_HTTP_PORT", self.http_port.to_string());
        stack.env("HOLDFAST_ADMIN_PORT", self.admin_port.to_string());
        // It is the private servers that are tested here, whatever the other tests run against.
        for given in [
            "HOLDFAST_REDIS_URL",
            "HOLDFAST_MYSQL_URL",
            "HOLDFAST_KAFKA_BROKERS",
        ] {
            stack.env_remove(given);
        }
        Ok(stack.output()?)
    }

    /// What a successful `up` prints.
    fn up(&self, jars: &Path) -> Result<String> {
        self.sells("up", jars)
    }

    /// What a command prints that shows the shop selling.
    fn sells(&self, command: &str, jars: &Path) -> Result<String> {
        let output = self.stack(command, jars)?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{command} failed: {printed}{complaint}"
        );
        ensure!(
            printed.contains("9 sold, 1 refused"),
            "the rush is not shown: {printed}"
        );
        Ok(printed)
    }

    /// The servers that run, and their processes.
    fn pids(&self) -> BTreeMap<&'static str, u32> {
        let servers = ["redis", "mysql", "kafka", "payment", "proxy"];
        let process = |name: &str| Process::find(&self.data.join("stack").join(name));
        servers
            .into_iter()
            .filter_map(|name| Some((name, process(name)?.pid())))
            .collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        process::kill_leftovers(&self.data);
    }
}

#[test]
fn it_comes_up_whatever_is_missing_and_goes_down_without_a_trace() -> Result<()> {
    let taken = TcpListener::bind(ports::local(0))?;
    let shop = Installation {
        data: Home::for_test("data")?.folder,
        http_port: taken.local_addr()?.port(),
        admin_port: ports::free()?,
    };
    let jars = kafka::jars()?;
    let no_jars = shop.data.join("no-jars");

    // Without Kafka, and with the wanted port taken by another program.
    let first = shop.up(&no_jars)?;
    ensure!(
        first.contains(&format!("port {} is taken", shop.http_port)),
        "{first}"
    );
    ensure!(first.contains("events wait in the outbox"), "{first}");
    let without_kafka = shop.pids();
    assert_eq!(without_kafka.len(), 4);

    // Again, with Kafka: nothing else is started again, and the shop sells as before.
    let second = shop.up(&jars)?;
    ensure!(
        second.contains("9 sagas ended with OrderConfirmed"),
        "{second}"
    );
    let mut with_kafka = shop.pids();
    assert!(with_kafka.remove("kafka").is_some());
    assert_eq!(with_kafka, without_kafka);

    // Again, after two parts died: they are started, the others run on.
    for name in ["redis", "proxy"] {
        Process::find(&shop.data.join("stack").join(name))
            .expect("it ran")
            .kill()?;
    }
    shop.up(&jars)?;
    let healed = shop.pids();
    assert_eq!(healed.len(), 5);
    assert_ne!(healed["redis"], without_kafka["redis"]);
    assert_eq!(healed["mysql"], without_kafka["mysql"]);

    assert!(shop.stack("status", &jars)?.status.success());
    assert!(shop.stack("down", &jars)?.status.success());
    assert!(healed.values().all(|pid| !process::exists(*pid)));
    assert!(!shop.stack("status", &jars)?.status.success());
    let again = shop.stack("down", &jars)?;
    assert_eq!(String::from_utf8_lossy(&again.stdout), "nothing runs\n");
    Ok(())
}

/// Brings a shop of the shape up without Kafka, fails its Redis over as its user would, and takes it down.
fn a_shape_comes_up_and_goes_on(shape: &str, servers: usize) -> Result<()> {
    let shop = Installation {
        data: Home::for_test("data")?.folder,
        http_port: ports::free()?,
        admin_port: ports::free()?,
    };
    let no_jars = shop.data.join("no-jars");
    let folder = shop.data.join(format!("stack-{shape}"));
    let up = format!("up --shape {shape}");
    let first = shop.sells(&up, &no_jars)?;
    ensure!(
        first.contains(&format!("redis+{shape}://127.0.0.1:")),
        "{first}"
    );
    let password = std::fs::read_to_string(folder.join("redis-users/proxy-password"))?;
    ensure!(
        !first.contains(password.trim()),
        "a password is shown: {first}"
    );
    let status = shop.stack("status", &no_jars)?;
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    // Kafka does not run, and is said to be missing.
    ensure!(
        !status.status.success() && said.contains("kafka      does not run"),
        "{said}"
    );
    assert_eq!(said.matches(" runs as process ").count(), servers, "{said}");

    // The first primary dies, and comes back as a replica of the one that has replaced it.
    let redis = || Process::find(&folder.join("redis-1"));
    redis().expect("it ran").kill()?;
    shop.sells(&up, &no_jars)?;
    ensure!(redis().is_some());
    shop.sells(&format!("demo --shape {shape}"), &no_jars)?;
    ensure!(shop.stack("down", &no_jars)?.status.success());
    let again = shop.stack("down", &no_jars)?;
    assert_eq!(String::from_utf8_lossy(&again.stdout), "nothing runs\n");
    Ok(())
}

#[test]
fn it_comes_up_under_sentinel() -> Result<()> {
    a_shape_comes_up_and_goes_on("sentinel", 9)
}

#[test]
fn it_comes_up_on_a_cluster() -> Result<()> {
    a_shape_comes_up_and_goes_on("cluster", 9)
}
