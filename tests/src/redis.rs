//! A private Redis (or Valkey) with the module loaded.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::data::{self, Home};
use crate::ports;
use crate::process::Launch;
use crate::server::Server;

/// How a Redis is started. The default is what Holdfast uses: the module, and `redis-conf/standalone.conf`.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where it lives; a fresh test folder when absent.
    pub home: Option<Home>,
    /// Its port; a free one when absent. It keeps its port when it is started again.
    pub port: Option<u16>,
    /// Whether `libholdfast.so` is loaded.
    pub module: bool,
    /// Arguments of the module, as they stand behind `--loadmodule <path>`.
    pub module_args: Vec<String>,
    /// Further arguments of the server, such as `["--appendonly", "no"]`; they win over the file.
    pub args: Vec<String>,
    /// Environment variables of the server.
    pub envs: Vec<(String, String)>,
    /// The port of the primary on 127.0.0.1 that this one is a replica of.
    pub replica_of: Option<u16>,
}

impl Default for RedisOptions {
    fn default() -> RedisOptions {
        RedisOptions {
            home: None,
            port: None,
            module: true,
            module_args: Vec::new(),
            args: Vec::new(),
            envs: Vec::new(),
            replica_of: None,
        }
    }
}

/// A running Redis. A private one is killed when this is dropped, unless its home is detached; one that was given by
/// `HOLDFAST_REDIS_URL` is used and never stopped.
#[derive(Debug)]
pub struct Redis {
    url: String,
    private: Option<Private>,
}

#[derive(Debug)]
struct Private {
    server: Server,
    port: u16,
    options: RedisOptions,
}

impl Redis {
    /// Starts a Redis and waits until it answers. With `HOLDFAST_REDIS_URL` set, that server is used instead.
    pub fn start(options: RedisOptions) -> Result<Redis> {
        match std::env::var("HOLDFAST_REDIS_URL") {
            Ok(url) => Ok(Redis { url, private: None }),
            Err(_) => Redis::start_private(options),
        }
    }

    /// Starts a Redis of one's own, whatever the environment says: for tests that stop it or read its files.
    pub fn start_private(options: RedisOptions) -> Result<Redis> {
        let server = Server::new("Redis", Home::or_for_test(options.home.as_ref(), "redis")?);
        let port = match options.port {
            Some(port) => port,
            None => server.home().port("redis", server.is_running())?,
        };
        let url = format!("redis://127.0.0.1:{port}");
        let redis = Redis {
            url,
            private: Some(Private {
                server,
                port,
                options,
            }),
        };
        redis.start_again()?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port of a private server.
    pub fn port(&self) -> Result<u16> {
        Ok(self.private()?.port)
    }

    /// The private server itself: its folder, its pid, and to stop, kill or signal it.
    pub fn server(&self) -> Result<&Server> {
        Ok(&self.private()?.server)
    }

    /// A client of it; `get_connection` blocks, `get_multiplexed_async_connection` does not.
    pub fn client(&self) -> Result<redis::Client> {
        Ok(redis::Client::open(self.url.as_str())?)
    }

    /// A blocking connection to it.
    pub fn connection(&self) -> Result<redis::Connection> {
        let connection = self.client()?.get_connection()?;
        connection.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(connection)
    }

    /// Lets the user `proxy` of redis-conf/users.acl in, and answers the URL of who comes as that user.
    pub fn admit_proxy(&self) -> Result<String> {
        let users = std::fs::read_to_string(data::checkout().join("redis-conf/users.acl"))?;
        let rules = users
            .lines()
            .find_map(|line| line.strip_prefix("user proxy "));
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg("proxy");
        for rule in acl_rules(rules.context("users.acl has no user 'proxy'")?) {
            command.arg(rule);
        }
        let () = command
            .arg("on")
            .arg(">secret")
            .query(&mut self.connection()?)?;
        Ok(self.url.replacen("redis://", "redis://proxy:secret@", 1))
    }

    /// Whether it runs a module that has been built anew since.
    pub fn runs_replaced_module(&self) -> bool {
        self.server()
            .is_ok_and(|server| server.runs_replaced_file("libholdfast.so"))
    }

    /// Starts it on the same port and the same files if it does not run, and waits until it answers.
    pub fn start_again(&self) -> Result<()> {
        let private = self.private()?;
        private
            .server
            .ensure(|| launch(private), || answers(private.port))
    }

    fn private(&self) -> Result<&Private> {
        self.private
            .as_ref()
            .context("this Redis was given by HOLDFAST_REDIS_URL and is not ours to manage")
    }
}

/// The words of an ACL line; a selector in parentheses is one word.
fn acl_rules(line: &str) -> Vec<String> {
    let mut rules: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        match rules.last_mut() {
            Some(rule) if rule.starts_with('(') && !rule.ends_with(')') => {
                rule.push(' ');
                rule.push_str(word);
            }
            _ => rules.push(word.to_owned()),
        }
    }
    rules
}

/// The path of the module: `HOLDFAST_MODULE`, or the one built beside the running program.
pub fn module_path() -> Result<PathBuf> {
    match std::env::var_os("HOLDFAST_MODULE") {
        Some(path) => {
            let path = PathBuf::from(path);
            ensure!(
                path.exists(),
                "HOLDFAST_MODULE names {}, which does not exist",
                path.display()
            );
            Ok(path.canonicalize()?)
        }
        None => data::built("libholdfast.so"),
    }
}

fn launch(private: &Private) -> Result<Launch> {
    let options = &private.options;
    let program =
        std::env::var_os("HOLDFAST_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
    let mut launch = Launch::new(program)
        .arg(data::checkout().join("redis-conf/standalone.conf"))
        .args(["--port", &private.port.to_string()])
        .arg("--dir")
        .arg(&private.server.home().folder);
    if let Some(primary) = options.replica_of {
        launch = launch.args(["--replicaof", "127.0.0.1", &primary.to_string()]);
    }
    launch = launch.args(&options.args);
    if options.module {
        launch = launch
            .arg("--loadmodule")
            .arg(module_path()?)
            .args(&options.module_args);
    }
    for (name, value) in &options.envs {
        launch = launch.env(name, value);
    }
    Ok(launch)
}

/// Whether it answers PING with PONG: while it loads its files it answers `-LOADING`, which is not yet.
fn answers(port: u16) -> bool {
    let ping = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&ports::local(port), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    ping().is_ok_and(|line| line.starts_with("+PONG"))
}
