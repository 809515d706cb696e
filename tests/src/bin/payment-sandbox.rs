//! A payment provider for development and tests; see `holdfast_tests::payment_sandbox::cards` for what each card does.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{CommandFactory, FromArgMatches, Parser};
use holdfast_tests::payment_sandbox::cards;
use holdfast_tests::payment_sandbox::service::{Options, Sandbox};
use holdfast_tests::payment_sandbox::webhooks::Sender;
use tokio::net::TcpListener;

/// A payment provider that takes no money: how it behaves depends on the card.
#[derive(Parser)]
struct Arguments {
    /// The address to serve; with port 0 a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Append one line a request to this file.
    #[arg(long)]
    log: Option<PathBuf>,
    /// A file whose first line callers must send as a bearer token; without one, anybody may call.
    #[arg(long)]
    api_key_file: Option<PathBuf>,
    /// Send webhooks to this URL, such as http://127.0.0.1:8080/v1/webhooks/payment.
    #[arg(long, requires = "webhook_secret_file")]
    webhook_url: Option<String>,
    /// A file whose first line is the secret that webhooks are signed with: whsec_ and base64.
    #[arg(long, env = "PAYMENT_SANDBOX_WEBHOOK_SECRET_FILE")]
    webhook_secret_file: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let command = Arguments::command().after_help(cards::table());
    let arguments = Arguments::from_arg_matches(&command.get_matches())?;
    let log = match &arguments.log {
        Some(path) => {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            Some(opened.with_context(|| format!("cannot write the log {}", path.display()))?)
        }
        None => None,
    };
    let webhooks = match (arguments.webhook_url, &arguments.webhook_secret_file) {
        (Some(url), Some(secret)) => Some(Sender::new(url, first_line(secret)?)?),
        _ => None,
    };
    let options = Options {
        log,
        api_key: arguments
            .api_key_file
            .as_deref()
            .map(first_line)
            .transpose()?,
        webhooks,
    };
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    println!("listening on {}", listener.local_addr()?);
    match Sandbox::new(options).serve(listener).await? {}
}

fn first_line(path: &Path) -> Result<String> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
