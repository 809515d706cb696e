//! The proxy: the `holdfast` binary with a configuration of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::data::{self, Home};
use crate::probe;
use crate::process::Launch;
use crate::server::Server;

/// What the proxy is told. The rest of its configuration is its defaults.
#[derive(Debug, Clone, Default)]
pub struct ProxyOptions {
    /// Where it lives; a fresh test folder when absent.
    pub home: Option<Home>,
    /// The port of the API; a free one when absent.
    pub http_port: Option<u16>,
    /// The admin port; a free one when absent.
    pub admin_port: Option<u16>,
    /// `redis://…`, `redis+sentinel://…` or `redis+cluster://…`
    pub redis_url: String,
    /// The file with the password that the Sentinels ask for.
    pub sentinel_password_file: Option<PathBuf>,
    /// `mysql://…/database`
    pub mysql_url: String,
    /// `host:port`; nobody needs to listen there.
    pub kafka_brokers: String,
    /// The topic of the events; the default when absent.
    pub kafka_topic: Option<String>,
    /// `http://…`
    pub payment_url: String,
    /// The file with the provider's API key.
    pub payment_api_key_file: Option<PathBuf>,
    /// The file with what the provider signs its webhooks with.
    pub webhook_secret_file: Option<PathBuf>,
    /// The operator's token, which the proxies of one shop share; one of its own when absent.
    pub operator_token: Option<String>,
    /// Further settings as environment variables, such as `("HOLDFAST_HOLDS__TTL_MS", "1000")`.
    pub environment: Vec<(String, String)>,
}

/// A proxy. One of a test is killed when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    server: Server,
    http_port: u16,
    admin_port: u16,
    operator_token: String,
    environment: Vec<(String, String)>,
}

impl Proxy {
    /// Writes the proxy's configuration, and starts nothing yet: `migrate` and `import` come first.
    ///
    /// A proxy that runs with another configuration, or from a binary that has been built anew, is stopped.
    pub fn configure(options: ProxyOptions) -> Result<Proxy> {
        let home = Home::or_for_test(options.home.as_ref(), "proxy")?;
        let server = Server::new("the proxy", home.clone());
        let running = server.is_running();
        let port = |name: &str, wanted: Option<u16>| match wanted {
            Some(port) => home.note_port(name, port).map(|()| port),
            None => home.port(name, running),
        };
        let http_port = port("http", options.http_port)?;
        let admin_port = port("admin", options.admin_port)?;
        if let Some(shared) = &options.operator_token {
            home.write_private("operator-token", shared)?;
        }
        let operator_token = home.secret("operator-token")?;
        let text = configuration(&options, &home, http_port, admin_port);
        let unchanged =
            std::fs::read_to_string(home.path(CONFIGURATION)).is_ok_and(|old| old == text);
        home.write_private(CONFIGURATION, &text)?;
        if running && (!unchanged || server.runs_replaced_file("holdfast")) {
            server.stop()?;
        }
        Ok(Proxy {
            server,
            http_port,
            admin_port,
            operator_token,
            environment: options.environment,
        })
    }

    /// Starts it on the same ports if it does not run, and waits until it is ready.
    pub fn start(&self) -> Result<()> {
        self.server.ensure(
            || {
                let mut launch = Launch::new(binary()?)
                    .arg("--config")
                    .arg(self.config_path())
                    .arg("serve");
                for (name, value) in &self.environment {
                    launch = launch.env(name, value);
                }
                Ok(launch)
            },
            || probe::http_status(self.admin_port, "/readyz") == Some(200),
        )
    }

    /// Runs another subcommand of the binary with the same configuration, and gives what it printed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_with(&[], arguments)
    }

    /// The same with further settings, such as `("HOLDFAST_REDIS__URL", "redis://…")`.
    pub fn run_with(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Result<String> {
        let output = Command::new(binary()?)
            .arg("--config")
            .arg(self.config_path())
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(settings.iter().copied())
            .current_dir(data::checkout())
            .stdin(Stdio::null())
            .output()
            .context("cannot run the holdfast binary")?;
        ensure!(
            output.status.success(),
            "holdfast {} failed: {}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The server itself: its folder, its pid, and to stop, kill or signal it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The configuration file, for `holdfast --config`.
    pub fn config_path(&self) -> PathBuf {
        self.server.home().path(CONFIGURATION)
    }

    /// Where its API is, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// Where its admin port is.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin_port)
    }

    /// The value of a metric, named as GET /metrics writes it, labels included.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let response = reqwest::get(format!("{}/metrics", self.admin_url())).await?;
        let text = response.error_for_status()?.text().await?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.with_context(|| format!("there is no metric {name}"))?;
        Ok(value.parse()?)
    }

    /// The port of `/readyz`.
    pub fn admin_port(&self) -> u16 {
        self.admin_port
    }

    /// The bearer token of the operator.
    pub fn operator_token(&self) -> &str {
        &self.operator_token
    }
}

const CONFIGURATION: &str = "holdfast.toml";

/// The `holdfast` binary: `HOLDFAST_BIN`, or the one built beside the running program.
pub fn binary() -> Result<PathBuf> {
    match std::env::var_os("HOLDFAST_BIN") {
        Some(path) => Ok(PathBuf::from(path)),
        None => data::built("holdfast"),
    }
}

fn configuration(options: &ProxyOptions, home: &Home, http_port: u16, admin_port: u16) -> String {
    let token_file = home.path("operator-token");
    let topic = options
        .kafka_topic
        .as_ref()
        .map(|topic| format!("topic = {}\n", quoted(topic)));
    format!(
        "# Written by the stack launcher at every start; changes here are lost.\n\
         [http]\nlisten = \"127.0.0.1:{http_port}\"\nplain_http_cookies = true\n\
         # No balancer stands before it that would have to take notice.\n\
         drain_notice_ms = 0\n\n\
         [admin]\nlisten = \"127.0.0.1:{admin_port}\"\n\n\
         [auth]\noperator_token_file = {}\n\n\
         [redis]\nurl = {}\n{}\n\
         [mysql]\nurl = {}\n\n\
         [kafka]\nbrokers = {}\n{}\n\
         [payment]\nurl = {}\n{}{}",
        quoted(path_text(&token_file)),
        quoted(&options.redis_url),
        file_setting(
            "sentinel_password_file",
            options.sentinel_password_file.as_deref()
        ),
        quoted(&options.mysql_url),
        quoted(&options.kafka_brokers),
        topic.unwrap_or_default(),
        quoted(&options.payment_url),
        file_setting("api_key_file", options.payment_api_key_file.as_deref()),
        file_setting(
            "webhook_secret_file",
            options.webhook_secret_file.as_deref()
        ),
    )
}

fn file_setting(name: &str, path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| {
        format!("{name} = {}\n", quoted(path_text(path)))
    })
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// A TOML string. JSON's escapes are a subset of TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
