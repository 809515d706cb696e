//! When a shop that was disturbed is at rest again, and what the audit says of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::{Connection, MySqlConnection};
use uuid::Uuid;

use crate::stack::Stack;
use crate::wait;

/// How long the last orders and events may take when all servers are up.
pub const AT_REST_WITHIN: Duration = Duration::from_secs(120);

/// The orders that are not settled.
pub async fn unsettled(stack: &Stack) -> Result<BTreeSet<Uuid>> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM orders WHERE settled = 0")
        .fetch_all(&mut mysql)
        .await?;
    Ok(ids.into_iter().collect())
}

/// Waits until none of these orders is unsettled any more, and gives how long after `since` that was.
pub async fn settled(
    stack: &Stack,
    orders: &BTreeSet<Uuid>,
    since: Instant,
    deadline: Duration,
) -> Result<Duration> {
    wait::until_async("the orders in flight to be settled", deadline, || async {
        // A database that is away has settled nothing yet.
        let left = unsettled(stack).await.ok();
        let is_rest = left.is_some_and(|left| left.is_disjoint(orders));
        Ok(is_rest.then(|| since.elapsed()))
    })
    .await
}

/// `holdfast audit` of a shop at rest: what it said, or the error with what it found. The orders in the file must be
/// sold.
pub fn audit(stack: &Stack, acknowledged: Option<&Path>) -> Result<String> {
    let wait = AT_REST_WITHIN.as_secs().to_string();
    let mut options = vec!["--at-rest", "--wait", &wait];
    if let Some(file) = acknowledged {
        options.extend(["--acknowledged", file.to_str().context("a path in UTF-8")?]);
    }
    stack.audit(&options)
}
