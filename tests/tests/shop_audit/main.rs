//! `holdfast audit` on real servers: it finds nothing in a shop that sold, declined and was killed, and finds what
//! somebody did behind the shop's back.
//!
//! The tests take turns on one stack, because an audit looks at all of it.

mod behind;
mod lost;
mod selling;
mod topic;

use std::process::Output;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::proxy;
use holdfast_tests::shop::{GOOD_CARD, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Mutex;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

static STACK: LazyLock<Mutex<Stack>> = LazyLock::new(|| Mutex::new(start().expect("a shop")));

fn start() -> Result<Stack> {
    let settings = [
        ("HOLDFAST_RECOVERY__INTERVAL_MS", "200"),
        ("HOLDFAST_RECOVERY__LEASE_MS", "4000"),
        ("HOLDFAST_HOLDS__TTL_MS", "3000"),
    ];
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&["LAMP", "MUG", "VASE"])?),
        environment: environment_of(&settings),
        ..StackOptions::default()
    })
}

/// What an audit said: its exit code, and its report.
struct Audit {
    code: i32,
    report: Value,
}

impl Audit {
    async fn of(stack: &Stack, arguments: &[&str]) -> Result<Audit> {
        let output = audit(stack, &[&["--json"], arguments].concat()).await?;
        let code = output.status.code().context("the audit was killed")?;
        let report = serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "exit code {code}, {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        Ok(Audit { code, report })
    }

    /// The invariant, kind and subject (an order or a SKU) of each breach.
    fn breaches(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let verdicts = self.report["verdicts"].as_array().into_iter().flatten();
        let breaches = verdicts.flat_map(|verdict| {
            let all = verdict["breaches"].as_array().into_iter().flatten();
            all.map(|breach| {
                let subject = if breach["order"].is_null() {
                    &breach["sku"]
                } else {
                    &breach["order"]
                };
                (
                    text(&verdict["invariant"]),
                    text(&breach["kind"]),
                    text(subject),
                )
            })
        });
        breaches.collect()
    }
}

async fn audit(stack: &Stack, arguments: &[&str]) -> Result<Output> {
    audit_of_topic(stack, stack.topic(), arguments).await
}

async fn audit_of_topic(stack: &Stack, topic: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(proxy::binary()?);
    command
        .arg("--config")
        .arg(stack.proxy.config_path())
        .env("HOLDFAST_KAFKA__TOPIC", topic)
        .arg("audit")
        .args(arguments)
        .kill_on_drop(true);
    command
        .output()
        .await
        .context("the audit cannot be started")
}

async fn assert_sound(stack: &Stack, arguments: &[&str]) -> Result<()> {
    let audit = Audit::of(stack, &[&["--wait", "30", "--at-rest"], arguments].concat()).await?;
    ensure!(
        audit.code == 0 && audit.report["sound"] == true,
        "{:#}",
        audit.report
    );
    Ok(())
}

async fn sold(buyer: &Shopper, sku: &str) -> Result<String> {
    let reply = buyer.buy(sku, 2, GOOD_CARD).await?;
    ensure!(reply.status == 201, "{reply:?}");
    Ok(reply.id()?.to_owned())
}

fn hex(id: &str) -> Result<String> {
    Ok(format!("0x{}", Uuid::parse_str(id)?.simple()))
}
