//! What `holdfast orders` and `holdfast outbox` share: a list of what is parked, and letting it
//! go on.

use std::fmt::Display;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::output::say;
use crate::store::Error;

// No docstring: clap would take it for that of the command that the options are flattened into.
#[derive(Debug, Args)]
#[allow(missing_docs)]
pub(super) struct ListOptions {
    /// Print it as JSON, for other programs.
    #[arg(long)]
    json: bool,
    /// How many orders to name.
    #[arg(long, default_value_t = 100, value_name = "ORDERS")]
    pub(super) limit: u32,
}

impl ListOptions {
    /// Prints `list` as text or as JSON.
    pub(super) fn print(&self, list: &(impl Serialize + Display)) -> anyhow::Result<()> {
        if self.json {
            say(serde_json::to_string(list)?)?;
        } else {
            say(list)?;
        }
        Ok(())
    }
}

/// Lets those that were named go on, one after the other, and fails at the end if some were not
/// parked. `retry` gives how many things of a name go on, which `told` puts into words.
pub(super) async fn retry_each<N: Display>(
    names: &[N],
    list_command: &str,
    retry: impl AsyncFn(&N) -> Result<u64, Error>,
    told: impl Fn(u64) -> String,
) -> anyhow::Result<()> {
    let mut unknown = Vec::new();
    for name in names {
        match retry(name).await? {
            0 => unknown.push(name.to_string()),
            retried => say(format_args!("{name}: {}", told(retried)))?,
        }
    }
    if !unknown.is_empty() {
        bail!(
            "{} is not parked; see 'holdfast {list_command}'",
            unknown.join(", ")
        );
    }
    Ok(())
}

/// As in `2026-11-21T01:52:34.204Z`.
pub(super) fn moment(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
