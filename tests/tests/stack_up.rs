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
            .arg(command)
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
        let output = self.stack("up", jars)?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "up failed: {printed}{complaint}");
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
