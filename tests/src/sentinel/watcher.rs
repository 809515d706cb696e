//! One Sentinel.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use redis::FromRedisValue;

use super::SERVICE;
use crate::data::{self, Home};
use crate::process::Launch;
use crate::redis::program;
use crate::server::Server;
use crate::users::Users;

const CONFIGURATION: &str = "sentinel.conf";

/// A running Sentinel. One of a test is killed when this is dropped.
#[derive(Debug)]
pub struct Sentinel {
    server: Server,
    port: u16,
    password: String,
    /// What its file says until it writes into it itself.
    configuration: String,
}

/// What a Sentinel says of the primary.
#[derive(Debug)]
pub(super) struct View {
    pub port: u16,
    /// Of which failover it has this from; the latest is right.
    pub epoch: u64,
    /// `master`, and what is wrong with it.
    pub flags: String,
    /// How many Sentinels it knows, itself included.
    pub sentinels: usize,
}

impl Sentinel {
    /// Starts one with its own copy of sentinel/sentinel.conf, for the primary at this port.
    pub(super) fn start(home: Home, primary: u16, users: &Users) -> Result<Sentinel> {
        let configuration = configuration(primary, users)?;
        let server = Server::new("Sentinel", home);
        let port = server.home().port("sentinel", server.is_running())?;
        let sentinel = Sentinel {
            server,
            port,
            password: users.sentinels_password().to_owned(),
            configuration,
        };
        sentinel.start_again()?;
        Ok(sentinel)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://:<password>@127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// The server itself: its folder, its pid, and to stop, kill or signal it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Starts it with what it has learned if it does not run, and waits until it answers.
    pub fn start_again(&self) -> Result<()> {
        self.server.ensure(
            || {
                Ok(Launch::new(program())
                    .arg(self.write_configuration()?)
                    .arg("--sentinel")
                    .args(["--port", &self.port.to_string()])
                    .arg("--dir")
                    .arg(&self.server.home().folder))
            },
            || self.connection().is_ok(),
        )
    }

    /// Asks `SENTINEL <words>`.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        let mut command = redis::cmd("SENTINEL");
        command.arg(words);
        let answer = command.query(&mut self.connection()?);
        answer.with_context(|| format!("SENTINEL {} at {}", words.join(" "), self.port))
    }

    pub(super) fn view(&self) -> Result<View> {
        let fields: HashMap<String, String> = self.ask(&["MASTER", SERVICE])?;
        let field = |name: &str| {
            let value = fields.get(name);
            value.with_context(|| format!("SENTINEL MASTER says no {name}"))
        };
        // Who leads a failover tells only here of the promoted one before all others follow it.
        let (_host, port) = self.ask::<(String, u16)>(&["GET-MASTER-ADDR-BY-NAME", SERVICE])?;
        Ok(View {
            port,
            epoch: field("config-epoch")?.parse()?,
            flags: field("flags")?.clone(),
            sentinels: field("num-other-sentinels")?.parse::<usize>()? + 1,
        })
    }

    fn connection(&self) -> Result<redis::Connection> {
        let patience = Duration::from_secs(1);
        let client = redis::Client::open(self.url())?;
        let connection = client.get_connection_with_timeout(patience)?;
        connection.set_read_timeout(Some(patience))?;
        Ok(connection)
    }

    /// The file is written once: a Sentinel keeps in it what it learns.
    fn write_configuration(&self) -> Result<PathBuf> {
        let home = self.server.home();
        let path = home.path(CONFIGURATION);
        match path.exists() {
            true => Ok(path),
            false => home.write_private(CONFIGURATION, &self.configuration),
        }
    }
}

/// The project's file, with the address and the passwords that an operator puts there.
fn configuration(primary: u16, users: &Users) -> Result<String> {
    let path = data::checkout().join("sentinel/sentinel.conf");
    let mut text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let monitor = format!("sentinel monitor {SERVICE} 127.0.0.1 ");
    let (sentinel, all) = (users.password("sentinel")?, users.sentinels_password());
    let user = format!("sentinel auth-user {SERVICE} sentinel\n");
    let password = format!("sentinel auth-pass {SERVICE} ");
    let changes = [
        (format!("{monitor}6379 "), format!("{monitor}{primary} ")),
        (format!("#{user}"), user),
        (
            format!("#{password}<password of the user sentinel>"),
            format!("{password}{sentinel}"),
        ),
        (
            "#requirepass <password>".to_owned(),
            format!("requirepass {all}"),
        ),
        (
            "#sentinel sentinel-pass <password>".to_owned(),
            format!("sentinel sentinel-pass {all}"),
        ),
    ];
    for (from, to) in &changes {
        ensure!(text.contains(from), "sentinel.conf has no {from}");
        text = text.replace(from, to);
    }
    Ok(text)
}
