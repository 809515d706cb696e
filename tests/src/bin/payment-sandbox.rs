//! A payment provider for development and tests; see `holdfast_tests::payment_sandbox` for what each card does.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use holdfast_tests::payment_sandbox::service::Sandbox;
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
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let log = match &arguments.log {
        Some(path) => {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            Some(opened.with_context(|| format!("cannot write the log {}", path.display()))?)
        }
        None => None,
    };
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    println!("listening on {}", listener.local_addr()?);
    match Sandbox::new(log).serve(listener).await? {}
}
