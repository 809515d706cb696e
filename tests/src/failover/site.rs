//! The shop that is disturbed: the servers of a shape with two proxies before them.

use anyhow::Result;
use std::time::Duration;

use super::crowd::{PLENTY, SCARCE};
use crate::probe;
use crate::proxy::Proxy;
use crate::stack::{Stack, StackOptions, catalogue_of};
use crate::wait;

/// How long everything may take to be as it was.
const WHOLE_WITHIN: Duration = Duration::from_secs(90);

/// Which servers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// One Redis, one MySQL, one Kafka.
    Single,
}

/// A running shop with two proxies.
#[derive(Debug)]
pub struct Site {
    /// The servers and the first proxy.
    pub stack: Stack,
    /// The second proxy.
    pub second: Proxy,
}

impl Site {
    /// Starts it.
    pub fn open(shape: Shape) -> Result<Site> {
        let skus = [&PLENTY[..], &[SCARCE]].concat();
        let options = StackOptions {
            catalogue: Some(catalogue_of(&skus)?),
            ..StackOptions::default()
        };
        let stack = Stack::start(match shape {
            Shape::Single => options,
        })?;
        let second = stack.another_proxy()?;
        Ok(Site { stack, second })
    }

    /// What clients ask.
    pub fn targets(&self) -> Vec<String> {
        vec![self.stack.proxy.url(), self.second.url()]
    }

    /// Waits until every server is where it belongs and every proxy sells.
    pub fn wait_until_whole(&self) -> Result<()> {
        let ports = [self.stack.proxy.admin_port(), self.second.admin_port()];
        wait::until("both proxies to be ready", WHOLE_WITHIN, || {
            let is_ready = |port: &u16| probe::http_status(*port, "/readyz") == Some(200);
            Ok(ports.iter().all(is_ready).then_some(()))
        })
    }
}
