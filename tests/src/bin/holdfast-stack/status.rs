//! Where the stack is and what of it runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use holdfast_tests::data;
use holdfast_tests::kafka::Kafka;
use holdfast_tests::process::Process;
use holdfast_tests::proxy::{self, Proxy};
use holdfast_tests::redis::Redis;
use serde::{Deserialize, Serialize};

use crate::down::SERVERS;

const FILE: &str = "stack.json";

/// The addresses of the stack, as `data/stack.json` holds them: readable by its owner only, for the passwords in it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// The HTTP API.
    pub api: String,
    /// Health.
    pub admin: String,
    /// `redis://…`
    pub redis: String,
    /// `host:port`, where a broker answers or is awaited.
    pub kafka: String,
    /// Whether a broker was there at `up`.
    pub has_kafka: bool,
    /// The configuration for `holdfast --config`.
    pub config: PathBuf,
    /// The operator's bearer token.
    pub operator_token: String,
    /// `mysql://…`, password included.
    pub database: String,
}

impl Addresses {
    /// The addresses of these servers.
    pub fn of(
        proxy: &Proxy,
        redis: &Redis,
        database: &str,
        kafka: &Kafka,
        has_kafka: bool,
    ) -> Self {
        Addresses {
            api: proxy.url(),
            admin: proxy.admin_url(),
            redis: redis.url().to_owned(),
            kafka: kafka.brokers().to_owned(),
            has_kafka,
            config: proxy.config_path(),
            operator_token: proxy.operator_token().to_owned(),
            database: database.to_owned(),
        }
    }

    /// Reads what `up` wrote.
    pub fn read() -> Result<Addresses> {
        let text = fs::read(data::root().join(FILE));
        Ok(serde_json::from_slice(&text.context(
            "the stack has not been started; run: make up",
        )?)?)
    }

    /// Writes them for later.
    pub fn write(&self) -> Result<()> {
        data::write_private(
            &data::root().join(FILE),
            &serde_json::to_string_pretty(self)?,
        )
    }

    /// The last lines of `make up`: where everything is and what to try.
    pub fn print_farewell(&self) {
        let redis_port = self.redis.rsplit(':').next().unwrap_or_default();
        let config = relative(&self.config);
        let holdfast = proxy::binary()
            .map(|path| relative(&path))
            .unwrap_or_default();
        println!("\nThe shop is open and stays open until: make down\n");
        println!("  API      {}", self.api);
        println!("  admin    {}/readyz", self.admin);
        println!("  Redis    {}", self.redis);
        println!(
            "  Kafka    {}{}",
            self.kafka,
            if self.has_kafka {
                ""
            } else {
                " (nothing there yet)"
            }
        );
        println!(
            "  logs     {}/<server>/log",
            relative(&data::stack_folder())
        );
        println!("\nTry:\n");
        println!("  redis-cli -p {redis_port} INV.GET 'inv:{{TEA-CADDY}}'");
        println!("  curl -s {}/v1/products/TEA-CADDY", self.api);
        println!("  {holdfast} --config {config} events tail --from-beginning");
    }
}

/// Tells of every server whether it runs; an error if one does not.
pub fn run() -> Result<()> {
    let mut down = Vec::new();
    for name in SERVERS.iter().rev() {
        match Process::find(&data::stack_folder().join(name)) {
            Some(process) => println!(
                "{name:<8} runs as process {}, log {}",
                process.pid(),
                relative(&process.log())
            ),
            None => {
                println!("{name:<8} does not run");
                down.push(*name);
            }
        }
    }
    ensure!(
        down.is_empty(),
        "not running: {}; to start what is missing: make up",
        down.join(", ")
    );
    Addresses::read()?.print_farewell();
    Ok(())
}

/// A path as it is typed in the current folder.
pub fn relative(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}
