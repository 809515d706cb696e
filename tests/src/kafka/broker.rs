//! One broker, which is a controller too (KRaft).

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::jars::jars;
use crate::data::{self, Home};
use crate::process::Launch;
use crate::server::Server;

/// Any valid id does: it says to which cluster a data folder belongs.
const CLUSTER_ID: &str = "aG9sZGZhc3QtbG9jYWwtMQ";

/// A broker, running or not.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) server: Server,
    /// From 1 on.
    id: usize,
    pub(super) port: u16,
    controller_port: u16,
}

impl Broker {
    /// One that lives in this home, not started yet.
    pub(super) fn reserve(home: Home, id: usize) -> Result<Broker> {
        let server = Server::new("Kafka", home);
        let running = server.is_running();
        let port = server.home().port("kafka", running)?;
        let controller_port = server.home().port("controller", running)?;
        Ok(Broker {
            server,
            id,
            port,
            controller_port,
        })
    }

    /// How it is started as one of `all`.
    pub(super) fn launch(&self, all: &[Broker]) -> Result<Launch> {
        let jars = jars()?;
        let home = self.server.home();
        let (file, heap) = match all.len() {
            1 => ("server.properties", "-Xmx512m"),
            _ => ("cluster.properties", "-Xmx256m"),
        };
        let overrides = self.overrides(all);
        if !home.path("data").join("meta.properties").exists() {
            format_storage(home, &jars, file, &overrides)?;
        }
        let mut launch = Launch::new(java())
            .args(java_options(&jars, heap))
            .arg("kafka.Kafka")
            .arg(configuration(file));
        for setting in overrides {
            launch = launch.arg("--override").arg(setting);
        }
        Ok(launch)
    }

    fn overrides(&self, all: &[Broker]) -> [String; 5] {
        let voter = |broker: &Broker| format!("{}@127.0.0.1:{}", broker.id, broker.controller_port);
        let voters: Vec<String> = all.iter().map(voter).collect();
        [
            format!("node.id={}", self.id),
            format!("log.dirs={}", self.server.home().path("data").display()),
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}",
                self.port, self.controller_port
            ),
            format!("advertised.listeners=PLAINTEXT://127.0.0.1:{}", self.port),
            format!("controller.quorum.voters={}", voters.join(",")),
        ]
    }
}

/// KRaft wants its folder marked with the cluster's id before the first start.
fn format_storage(home: &Home, jars: &Path, file: &str, overrides: &[String]) -> Result<()> {
    let base = fs::read_to_string(configuration(file))?;
    let settings = home.path("format.properties");
    fs::write(&settings, format!("{base}\n{}\n", overrides.join("\n")))?;
    let output = Command::new(java())
        .args(java_options(jars, "-Xmx256m"))
        .args([
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            CLUSTER_ID,
            "--config",
        ])
        .arg(&settings)
        .stdin(Stdio::null())
        .output()
        .context("cannot run Java, which Kafka needs")?;
    ensure!(
        output.status.success(),
        "Kafka's storage cannot be formatted: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn java() -> OsString {
    std::env::var_os("HOLDFAST_JAVA").unwrap_or_else(|| "java".into())
}

/// A small heap, and the settings with which a JVM starts soonest rather than runs fastest.
fn java_options(jars: &Path, heap: &str) -> Vec<OsString> {
    let mut logging = OsString::from("-Dlog4j2.configurationFile=");
    logging.push(configuration("log4j2.properties"));
    let options = [
        heap,
        "-Xms128m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
    ];
    let mut arguments = vec![logging];
    arguments.extend(options.map(OsString::from));
    arguments.push(jars.join("*").into_os_string());
    arguments
}

fn configuration(name: &str) -> PathBuf {
    data::checkout().join("deploy/kafka").join(name)
}
