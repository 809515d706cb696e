//! `holdfast reconcile`, and the servers behind it as they are seen from outside.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_tests::proxy::{Proxy, binary};
use holdfast_tests::stack::{Stack, environment_of};
use holdfast_tests::wait;
use redis::{FromRedisValue, cmd};
use serde_json::Value;
use sqlx::{Connection, MySqlConnection};

/// What the command said.
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// What it printed, a JSON object a line: findings, and the sums as the last.
    pub lines: Vec<Value>,
}

impl Said {
    /// What it found wrong with a SKU.
    pub fn of(&self, sku: &str) -> Option<&Value> {
        let mut findings = self.lines.iter();
        findings.find(|line| line["sku"] == sku && line["compared"] != false)
    }

    /// How many SKUs were wrong.
    pub fn wrong(&self) -> i64 {
        let sums = self.lines.last();
        sums.and_then(|sums| sums["wrong"].as_i64()).unwrap_or(-1)
    }
}

/// Runs `holdfast reconcile --json` with further arguments.
pub fn reconcile(proxy: &Proxy, arguments: &[&str]) -> Result<Said> {
    let output = Command::new(binary()?)
        .arg("--config")
        .arg(proxy.config_path())
        .args(["reconcile", "--json"])
        .args(arguments)
        .envs([
            ("HOLDFAST_RECOVERY__LEASE_MS", "1000"),
            ("HOLDFAST_RECONCILE__ORPHAN_AGE_MS", "1001"),
        ])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(Said {
        code: output.status.code().context("it was killed")?,
        lines: lines
            .collect::<Result<_, _>>()
            .with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?,
    })
}

/// The settings of a stack whose drift is made by hand: nobody else looks at it.
pub fn quiet() -> Vec<(String, String)> {
    let settings = [
        ("HOLDFAST_RECONCILE__INTERVAL_MS", "3600000"),
        ("HOLDFAST_RECOVERY__LEASE_MS", "1000"),
        ("HOLDFAST_RECONCILE__ORPHAN_AGE_MS", "3600000"),
    ];
    environment_of(&settings)
}

/// Sends Redis a command by hand.
pub fn tell<T: FromRedisValue>(stack: &Stack, words: &[&str]) -> Result<T> {
    let (name, arguments) = words.split_first().context("a command")?;
    let mut command = cmd(name);
    for argument in arguments {
        command.arg(*argument);
    }
    Ok(command.query(&mut stack.redis.connection()?)?)
}

/// The stock key of a SKU.
pub fn key(sku: &str) -> String {
    format!("inv:{{{sku}}}")
}

/// Waits until a proxy has noted that all stock is there. It compares everything once when it finds a Redis that nobody
/// has filled.
pub fn is_filled(stack: &Stack, deadline: Duration) -> Result<()> {
    wait::until("all stock to be there", deadline, || {
        let marker: Option<HashMap<String, i64>> =
            tell(stack, &["INV.GET", "inv:{rebuilt}:marker"])?;
        Ok(marker.filter(|marker| marker["on_hand"] == 1))
    })?;
    Ok(())
}

/// One number out of MySQL.
pub async fn number(stack: &Stack, query: &'static str, argument: &[u8]) -> Result<Option<i64>> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let number = sqlx::query_scalar(query).bind(argument);
    Ok(number.fetch_optional(&mut mysql).await?)
}
