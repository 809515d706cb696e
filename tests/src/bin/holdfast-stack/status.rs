//! Where the stack is and what of it runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use holdfast_tests::data;
use holdfast_tests::kafka::Kafka;
use holdfast_tests::proxy::{self, Proxy};
use holdfast_tests::sentinel::SERVICE;
use holdfast_tests::shape::{RedisServers, Shape};
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// The addresses of the stack, as `data/stack.json` holds them (`stack-sentinel.json`, `stack-cluster.json`): readable by its owner only, for the passwords in it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// The HTTP API.
    pub api: String,
    /// Health.
    pub admin: String,
    /// In which shape Redis comes.
    pub shape: Shape,
    /// The URL that the proxy has: `redis://…`, `redis+sentinel://…` or `redis+cluster://…`.
    pub redis: String,
    /// `redis://…` of each server of it, as its operator.
    pub redis_servers: Vec<String>,
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
        place: Place,
        proxy: &Proxy,
        redis: &RedisServers,
        database: &str,
        kafka: &Kafka,
        has_kafka: bool,
    ) -> Result<Self> {
        Ok(Addresses {
            api: proxy.url(),
            admin: proxy.admin_url(),
            shape: place.shape,
            redis: redis.url()?,
            redis_servers: redis.all().map(|server| server.url().to_owned()).collect(),
            kafka: kafka.brokers().to_owned(),
            has_kafka,
            config: proxy.config_path(),
            operator_token: proxy.operator_token().to_owned(),
            database: database.to_owned(),
        })
    }

    /// Reads what `up` wrote.
    pub fn read(place: Place) -> Result<Addresses> {
        let text = fs::read(place.addresses());
        let text = text.with_context(|| {
            format!("this stack has not been started; run: {}", place.command())
        })?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Writes them for later.
    pub fn write(&self) -> Result<()> {
        let place = Place { shape: self.shape };
        data::write_private(&place.addresses(), &serde_json::to_string_pretty(self)?)
    }

    /// A connection to each server of Redis that takes writes now.
    pub fn redis_primaries(&self) -> Result<Vec<redis::Connection>> {
        let named = self.named_primary()?;
        let mut primaries = Vec::new();
        for url in &self.redis_servers {
            // One that does not run is no primary.
            let Ok(mut connection) = redis::Client::open(url.as_str())?.get_connection() else {
                continue;
            };
            let role: Vec<redis::Value> = redis::cmd("ROLE").query(&mut connection)?;
            let says_so = role.first() == Some(&redis::Value::BulkString(b"master".to_vec()));
            if named.as_ref().map_or(says_so, |port| url.ends_with(port)) {
                primaries.push(connection);
            }
        }
        Ok(primaries)
    }

    /// `:<port>` of the primary by the word of a Sentinel, where there are any. Asked itself, a former primary says for
    /// some seconds after a failover that it is still one.
    fn named_primary(&self) -> Result<Option<String>> {
        let Some(sentinel) = self.sentinel_port() else {
            return Ok(None);
        };
        let password = fs::read_to_string(self.secret("sentinels-password"))?;
        let url = format!("redis://:{}@127.0.0.1:{sentinel}", password.trim());
        let sentinel = redis::Client::open(url)?;
        let (_, port): (String, String) = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(SERVICE)
            .query(&mut sentinel.get_connection()?)?;
        Ok(Some(format!(":{port}")))
    }

    /// The port of a Sentinel, where there are any.
    fn sentinel_port(&self) -> Option<&str> {
        let (_, sentinels) = self
            .redis
            .strip_prefix("redis+sentinel://")?
            .split_once('@')?;
        sentinels.split(',').next()?.rsplit(':').next()
    }

    /// The last lines of `make up`: where everything is and what to try.
    pub fn print_farewell(&self) {
        let place = Place { shape: self.shape };
        let config = relative(&self.config);
        let holdfast = proxy::binary()
            .map(|path| relative(&path))
            .unwrap_or_default();
        println!("\nThe shop is open and stays open until: make down\n");
        println!("  API      {}", self.api);
        println!("  admin    {}/readyz", self.admin);
        println!("  Redis    {}", without_login(&self.redis));
        println!(
            "  Kafka    {}{}",
            self.kafka,
            if self.has_kafka {
                ""
            } else {
                " (nothing there yet)"
            }
        );
        println!("  logs     {}/<server>/log", relative(&place.folder()));
        println!("\nTry:\n");
        println!("  {} INV.GET 'inv:{{TEA-CADDY}}'", self.redis_cli());
        println!("  curl -s {}/v1/products/TEA-CADDY", self.api);
        println!("  {holdfast} --config {config} events tail --from-beginning");
        if let Some(port) = self.sentinel_port() {
            let password = relative(&self.secret("sentinels-password"));
            println!("  export REDISCLI_AUTH=$(cat {password})");
            println!("  sentinel/watch {port}");
            println!("  redis-cli -p {port} SENTINEL FAILOVER {SERVICE}");
        }
    }

    /// A file with a password of Redis.
    fn secret(&self, name: &str) -> PathBuf {
        Place { shape: self.shape }
            .folder()
            .join("redis-users")
            .join(name)
    }

    /// How redis-cli reaches the first server of Redis, with no password in it.
    fn redis_cli(&self) -> String {
        let first = self.redis_servers.first();
        let port = first.and_then(|url| url.rsplit(':').next());
        let port = port.unwrap_or_default();
        let password = relative(&self.secret("operator-password"));
        let login = format!("REDISCLI_AUTH=$(cat {password}) redis-cli --user operator");
        match self.shape {
            Shape::Standalone => format!("redis-cli -p {port}"),
            Shape::Sentinel => format!("{login} -p {port}"),
            Shape::Cluster => format!("{login} -c -p {port}"),
        }
    }
}

/// Tells of every server of the stacks that run whether it does; an error if one does not, or none runs at all.
pub fn run() -> Result<()> {
    let running: Vec<Place> = Place::all().filter(|place| place.runs()).collect();
    ensure!(
        !running.is_empty(),
        "nothing runs; to start a shop: make up, make sentinel or make cluster"
    );
    let mut down = Vec::new();
    for place in running {
        for name in place.servers().into_iter().rev() {
            match place.process(&name) {
                Some(process) => println!(
                    "{name:<10} runs as process {}, log {}",
                    process.pid(),
                    relative(&process.log())
                ),
                None => {
                    println!("{name:<10} does not run");
                    down.push(format!("{name} ({})", place.command()));
                }
            }
        }
        Addresses::read(place)?.print_farewell();
    }
    ensure!(
        down.is_empty(),
        "not running, with what starts it again: {}",
        down.join(", ")
    );
    Ok(())
}

/// A URL with neither user nor password.
fn without_login(url: &str) -> String {
    match url.split_once("://").zip(url.rsplit_once('@')) {
        Some(((scheme, _), (_, rest))) => format!("{scheme}://{rest}"),
        None => url.to_owned(),
    }
}

/// A path as it is typed in the current folder.
pub fn relative(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}
