//! A proxy that reconciles and stands still.

use std::time::Duration;

use anyhow::Result;
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use nix::sys::signal::Signal;

use super::command::{is_filled, key, tell};

/// More than the silence after which the database ends its lock.
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn a_proxy_that_stands_still_while_it_reconciles_is_replaced() -> Result<()> {
    let stack = Stack::start(StackOptions {
        kafka: false,
        catalogue: Some(catalogue_of(&["KEPT"])?),
        ..StackOptions::default()
    })?;
    is_filled(&stack, PATIENCE)?;
    let _other = stack.another_proxy()?;
    stack.proxy.server().signal(Signal::SIGSTOP)?;
    tell::<()>(&stack, &["FLUSHALL"])?;
    is_filled(&stack, PATIENCE)?;
    let units: Option<Vec<redis::Value>> = tell(&stack, &["INV.GET", &key("KEPT")])?;
    assert!(units.is_some(), "it was not made anew");
    stack.proxy.server().signal(Signal::SIGCONT)
}
