//! What is done to a shop under load: each fault, and how it is mended.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::site::{Shape, Site};

/// How long a proxy may take to drain.
const DRAINED_WITHIN: Duration = Duration::from_secs(30);

/// One fault.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called on the command line, and its drawing.
    pub name: &'static str,
    /// The shop that it is done to.
    pub shape: Shape,
    /// What happens, as a heading.
    pub title: &'static str,
    /// The fault, and then what mends it.
    pub steps: &'static [Step],
}

/// Something that is done to the shop.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// How long after the fault it begins, ms; later where the step before has not ended by then.
    pub after_ms: u64,
    /// What happens, for the timeline.
    pub words: &'static str,
    /// Does it.
    pub act: fn(&Site) -> Result<()>,
}

/// Every fault.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "proxy-killed",
        shape: Shape::Single,
        title: "One of two proxies is killed",
        steps: &[
            step(0, "killed", |site| site.stack.proxy.server().kill()),
            step(4_000, "started again", |site| site.stack.proxy.start()),
        ],
    },
    Scenario {
        name: "proxy-drained",
        shape: Shape::Single,
        title: "One of two proxies is drained by SIGTERM",
        steps: &[
            step(0, "SIGTERM", |site| {
                site.stack.proxy.server().signal(Signal::SIGTERM)
            }),
            step(0, "ended", |site| {
                site.stack.proxy.server().wait_for_end(DRAINED_WITHIN)
            }),
            step(4_000, "started again", |site| site.stack.proxy.start()),
        ],
    },
    Scenario {
        name: "redis-killed",
        shape: Shape::Single,
        title: "The only Redis is killed, and started again",
        steps: &[
            step(0, "killed", |site| site.stack.redis.server()?.kill()),
            step(3_000, "started again", |site| {
                site.stack.redis.start_again()
            }),
        ],
    },
    Scenario {
        name: "mysql-killed",
        shape: Shape::Single,
        title: "The only MySQL is killed, and started again",
        steps: &[
            step(0, "killed", |site| site.stack.mysql.server()?.kill()),
            step(3_000, "started again", |site| {
                site.stack.mysql.start_again()
            }),
        ],
    },
    Scenario {
        name: "kafka-killed",
        shape: Shape::Single,
        title: "The only Kafka is killed, and started again",
        steps: &[
            step(0, "killed", |site| site.stack.kafka.server()?.kill()),
            step(4_000, "started again", |site| site.stack.kafka.start()),
        ],
    },
    Scenario {
        name: "payment-stopped",
        shape: Shape::Single,
        title: "The payment provider hangs for four seconds",
        steps: &[
            step(0, "stopped", |site| {
                site.stack.payment.server().signal(Signal::SIGSTOP)
            }),
            step(4_000, "goes on", |site| {
                site.stack.payment.server().signal(Signal::SIGCONT)
            }),
        ],
    },
    Scenario {
        name: "mysql-primary-killed",
        shape: Shape::MysqlServers,
        title: "The primary of three MySQL servers is killed, and a replica promoted",
        steps: &[
            step(0, "killed", |site| site.mysql()?.primary().server()?.kill()),
            step(2_000, "promoted", |site| site.mysql()?.promote().map(drop)),
            step(8_000, "rejoined", Site::rejoin_mysql),
        ],
    },
    Scenario {
        name: "mysql-replica-killed",
        shape: Shape::MysqlServers,
        title: "A replica of three MySQL servers is killed",
        steps: &[
            step(0, "killed", |site| site.mysql_replica()?.server()?.kill()),
            step(4_000, "rejoined", Site::rejoin_mysql),
        ],
    },
];

const fn step(after_ms: u64, words: &'static str, act: fn(&Site) -> Result<()>) -> Step {
    Step {
        after_ms,
        words,
        act,
    }
}

/// The fault of this name.
///
/// # Errors
/// With the names that there are.
pub fn named(name: &str) -> Result<&'static Scenario> {
    let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
    found.with_context(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        format!(
            "there is no scenario {name}; there are: {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_a_fault_and_what_mends_it() {
        let names: BTreeSet<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
        for scenario in SCENARIOS {
            assert_eq!(named(scenario.name).unwrap().title, scenario.title);
            let times: Vec<u64> = scenario.steps.iter().map(|step| step.after_ms).collect();
            assert!(
                times[0] == 0 && times.is_sorted(),
                "{}: {times:?}",
                scenario.name
            );
        }
        let unknown = named("earthquake").unwrap_err().to_string();
        assert!(unknown.contains("proxy-killed, proxy-drained"), "{unknown}");
    }
}
