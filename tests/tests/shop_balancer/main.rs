//! A shop of two proxies behind a load balancer, HAProxy and nginx, each with the configuration that deploy/ has.

mod clients;
mod drain;
mod load;
mod outages;
mod repeats;
mod streams;

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Result;
use holdfast_tests::balancer::{Balancer, Behind, Kind};
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::Shop;
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use tokio::sync::RwLock;

const PATIENCE: Duration = Duration::from_secs(60);
/// Registrations that an address has.
const REGISTRATIONS: usize = 3;

/// The shop and its second proxy. Who takes one of them away has them for itself.
static PAIR: LazyLock<RwLock<Pair>> = LazyLock::new(|| RwLock::new(start().expect("a shop")));

struct Pair {
    stack: Stack,
    other: Proxy,
}

fn start() -> Result<Pair> {
    let registrations = REGISTRATIONS.to_string();
    let stack = Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&["LAMP", "VASE", "WATCHED", "SEEN"])?),
        environment: environment_of(&[
            ("HOLDFAST_HTTP__TRUSTED_PROXIES", "127.0.0.1"),
            ("HOLDFAST_HTTP__DRAIN_NOTICE_MS", "5000"),
            ("HOLDFAST_AUTH__ADDRESS_REGISTRATIONS", &registrations),
        ]),
        ..StackOptions::default()
    })?;
    let other = stack.another_proxy()?;
    Ok(Pair { stack, other })
}

impl Pair {
    /// A balancer before both proxies.
    fn behind(&self, kind: Kind) -> Result<Balancer> {
        Balancer::start(kind, self.addresses())
    }

    fn addresses(&self) -> [Behind; 2] {
        [(&self.stack.proxy).into(), (&self.other).into()]
    }

    fn shop(&self) -> Shop {
        Shop::of(&self.stack.proxy)
    }
}
