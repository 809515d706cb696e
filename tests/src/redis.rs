//! A private Redis (or Valkey) with the module loaded.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::certificates::Certificates;
use crate::data::{self, Home};
use crate::ports;
use crate::process::Launch;
use crate::server::Server;
use crate::users::Users;

/// The server's own file, in its home.
const CONFIGURATION: &str = "redis.conf";

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
    /// The port of the primary on 127.0.0.1 that this one is a replica of when it starts for the first time; a failover
    /// may change that.
    pub replica_of: Option<u16>,
    /// The files of `redis-conf/` that it includes.
    pub files: Vec<&'static str>,
    /// Who may log in; without, whoever comes may do everything. With them, [`Redis::url`] is the operator's.
    pub users: Option<Users>,
    /// With them it speaks TLS alone, as redis-conf/tls.conf has it.
    pub tls: Option<Certificates>,
    /// The port under which others reach it, where that is not its own.
    pub announced: Option<u16>,
}

impl RedisOptions {
    /// How its URLs begin.
    pub(crate) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "rediss",
            None => "redis",
        }
    }
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
            files: vec!["standalone.conf"],
            users: None,
            tls: None,
            announced: None,
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
        let login = options.users.as_ref().map(|users| users.login("operator"));
        let url = format!(
            "{}://{}127.0.0.1:{port}",
            options.scheme(),
            login.transpose()?.unwrap_or_default()
        );
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

    /// `redis://127.0.0.1:<port>`, with the operator's name and password where it asks for them.
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
        match self
            .private
            .as_ref()
            .and_then(|own| own.options.tls.as_ref())
        {
            Some(certificates) => certificates.client(&self.url),
            None => Ok(redis::Client::open(self.url.as_str())?),
        }
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
        Ok(self.url.replacen("://", "://proxy:secret@", 1))
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
            .ensure(|| launch(private), || self.answers(private))
    }

    /// Whether it answers PING with PONG: while it loads its files it answers `-LOADING`, which is not yet.
    fn answers(&self, private: &Private) -> bool {
        if private.options.tls.is_none() {
            return answers(private);
        }
        let ping = || -> Result<String> {
            let patience = Duration::from_secs(1);
            let mut connection = self.client()?.get_connection_with_timeout(patience)?;
            Ok(redis::cmd("PING").query(&mut connection)?)
        };
        ping().is_ok_and(|answer| answer == "PONG")
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
    let mut launch = Launch::new(program())
        .arg(write_configuration(private)?)
        .args(&options.args);
    for (name, value) in &options.envs {
        launch = launch.env(name, value);
    }
    Ok(launch)
}

/// The server: `HOLDFAST_REDIS_SERVER`, or the machine's.
pub fn program() -> OsString {
    std::env::var_os("HOLDFAST_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// Whether the server knows `CLUSTER MIGRATESLOTS`, as Valkey 9 does.
pub(crate) fn moves_slots_whole() -> Result<bool> {
    let output = Command::new(program()).arg("--version").output()?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    let major = version
        .split_once("Valkey server v=")
        .and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
    Ok(major.is_some_and(|major| major >= 9))
}

/// Writes the server's own file, as an operator does who follows redis-conf/README.md. What a failover has written into
/// it about whom the server follows is kept.
fn write_configuration(private: &Private) -> Result<PathBuf> {
    let (options, home) = (&private.options, private.server.home());
    let mut lines =
        vec!["# Written by the stack launcher at every start; changes here are lost.".to_owned()];
    let encrypted = options.tls.as_ref().map(|_| "tls.conf");
    for file in options.files.iter().copied().chain(encrypted) {
        let path = data::checkout().join("redis-conf").join(file);
        lines.push(format!("include {}", quoted_path(&path)));
    }
    match &options.tls {
        None => lines.push(format!("port {}", private.port)),
        Some(certificates) => lines.extend([
            format!("tls-port {}", private.port),
            format!("tls-cert-file {}", quoted_path(&certificates.certificate)),
            format!("tls-key-file {}", quoted_path(&certificates.key)),
            format!("tls-ca-cert-file {}", quoted_path(&certificates.authority)),
        ]),
    }
    lines.push(format!("dir {}", quoted_path(&home.folder)));
    // Not among the arguments: CONFIG REWRITE, which a failover brings, would have it loaded twice at the next start.
    if options.module {
        let args: String = options
            .module_args
            .iter()
            .map(|arg| format!(" {}", quoted(arg)))
            .collect();
        lines.push(format!("loadmodule {}{args}", quoted_path(&module_path()?)));
    }
    if let Some(users) = &options.users {
        let file = home.write_private("users.acl", &users.file()?)?;
        lines.push(format!("aclfile {}", quoted_path(&file)));
        lines.push("masteruser replica".to_owned());
        lines.push(format!("masterauth {}", users.password("replica")?));
    }
    if let Some(port) = options.announced {
        lines.push(format!(
            "replica-announce-ip 127.0.0.1\nreplica-announce-port {port}"
        ));
    }
    lines.extend(match std::fs::read_to_string(home.path(CONFIGURATION)) {
        Ok(old) => old
            .lines()
            .find(|line| line.starts_with("replicaof "))
            .map(str::to_owned),
        Err(_) => options
            .replica_of
            .map(|port| format!("replicaof 127.0.0.1 {port}")),
    });
    home.write_private(CONFIGURATION, &format!("{}\n", lines.join("\n")))
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A word of a configuration file of Redis.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The same of a server that speaks in the clear.
fn answers(private: &Private) -> bool {
    let ping = || -> Result<String> {
        let mut stream =
            TcpStream::connect_timeout(&ports::local(private.port), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut answers = BufReader::new(stream.try_clone()?).lines();
        if let Some(users) = &private.options.users {
            write!(stream, "AUTH operator {}\r\n", users.password("operator")?)?;
            answers.next().transpose()?;
        }
        stream.write_all(b"PING\r\n")?;
        Ok(answers.next().transpose()?.unwrap_or_default())
    };
    ping().is_ok_and(|line| line.starts_with("+PONG"))
}
