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

const PROXY_KILLED: &[Step] = &[
    step(0, "killed", |site| site.stack.proxy.server().kill()),
    step(4_000, "started again", |site| site.stack.proxy.start()),
];

const PROXY_DRAINED: &[Step] = &[
    step(0, "SIGTERM", |site| {
        site.stack.proxy.server().signal(Signal::SIGTERM)
    }),
    step(0, "ended", |site| {
        site.stack.proxy.server().wait_for_end(DRAINED_WITHIN)
    }),
    step(7_000, "started again", |site| site.stack.proxy.start()),
];

/// Every fault.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "proxy-killed",
        shape: Shape::Single,
        title: "One of two proxies is killed",
        steps: PROXY_KILLED,
    },
    Scenario {
        name: "proxy-drained",
        shape: Shape::Single,
        title: "One of two proxies is drained by SIGTERM",
        steps: PROXY_DRAINED,
    },
    Scenario {
        name: "haproxy-proxy-killed",
        shape: Shape::Haproxy,
        title: "One of two proxies behind HAProxy is killed",
        steps: PROXY_KILLED,
    },
    Scenario {
        name: "haproxy-proxy-drained",
        shape: Shape::Haproxy,
        title: "One of two proxies behind HAProxy is drained by SIGTERM",
        steps: PROXY_DRAINED,
    },
    Scenario {
        name: "nginx-proxy-killed",
        shape: Shape::Nginx,
        title: "One of two proxies behind nginx is killed",
        steps: PROXY_KILLED,
    },
    Scenario {
        name: "nginx-proxy-drained",
        shape: Shape::Nginx,
        title: "One of two proxies behind nginx is drained by SIGTERM",
        steps: PROXY_DRAINED,
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
        name: "kafka-leader-killed",
        shape: Shape::KafkaBrokers,
        title: "Of three Kafka brokers, one that leads is killed",
        steps: &[
            step(0, "killed", |site| site.kafka_leader()?.kill()),
            step(6_000, "started again", |site| site.stack.kafka.start()),
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
    Scenario {
        name: "sentinel-killed",
        shape: Shape::Sentinel,
        title: "Under Sentinel, the primary of Redis is killed",
        steps: &[
            step(0, "killed", |site| site.redis_primary()?.server()?.kill()),
            step(6_000, "started again", Site::start_redis_again),
        ],
    },
    Scenario {
        name: "sentinel-stopped",
        shape: Shape::Sentinel,
        title: "Under Sentinel, the primary of Redis hangs (SIGSTOP)",
        steps: &[
            step(0, "stopped", |site| {
                site.choose(site.redis_primary()?)?
                    .server()?
                    .signal(Signal::SIGSTOP)
            }),
            step(6_000, "goes on", |site| {
                site.chosen()?.server()?.signal(Signal::SIGCONT)
            }),
        ],
    },
    Scenario {
        name: "sentinel-cut",
        shape: Shape::Sentinel,
        title: "Under Sentinel, the primary of Redis is cut off from everybody",
        steps: &[
            step(0, "cut off", |site| {
                let primary = site.choose(site.redis_primary()?)?;
                site.stack.sentinel()?.cut(&primary)
            }),
            step(6_000, "reachable again", |site| {
                site.stack.sentinel()?.mend(&*site.chosen()?)
            }),
        ],
    },
    Scenario {
        name: "sentinels-killed",
        shape: Shape::Sentinel,
        title: "All three Sentinels are killed, and Redis goes on",
        steps: &[
            step(0, "killed", |site| {
                let mut sentinels = site.stack.sentinel()?.sentinels().iter();
                sentinels.try_for_each(|sentinel| sentinel.server().kill())
            }),
            step(4_000, "started again", |site| {
                let mut sentinels = site.stack.sentinel()?.sentinels().iter();
                sentinels.try_for_each(|sentinel| sentinel.start_again())
            }),
        ],
    },
    Scenario {
        name: "cluster-killed",
        shape: Shape::Cluster,
        title: "In a cluster of three, one primary of Redis is killed",
        steps: &[
            step(0, "killed", |site| site.cluster_primary()?.server()?.kill()),
            step(8_000, "started again", Site::start_redis_again),
        ],
    },
    Scenario {
        name: "cluster-stopped",
        shape: Shape::Cluster,
        title: "In a cluster of three, one primary of Redis hangs (SIGSTOP)",
        steps: &[
            step(0, "stopped", |site| {
                site.choose(site.cluster_primary()?)?
                    .server()?
                    .signal(Signal::SIGSTOP)
            }),
            step(8_000, "goes on", |site| {
                site.chosen()?.server()?.signal(Signal::SIGCONT)
            }),
        ],
    },
    Scenario {
        name: "cluster-replica-killed",
        shape: Shape::Cluster,
        title: "In a cluster of three, one replica of Redis is killed",
        steps: &[
            step(0, "killed", |site| site.cluster_replica()?.server()?.kill()),
            step(4_000, "started again", Site::start_redis_again),
        ],
    },
    Scenario {
        name: "slots-moved",
        shape: Shape::Cluster,
        title: "The slots of live stock are moved to another node",
        steps: &[
            step(0, "begins", |_| Ok(())),
            step(0, "moved", Site::move_stock),
            step(3_000, "moved back", Site::move_stock_back),
        ],
    },
    Scenario {
        name: "node-added",
        shape: Shape::Cluster,
        title: "A node joins the cluster, and gets stock to sell",
        steps: &[
            step(0, "joins", Site::add_node),
            step(0, "has stock", Site::move_stock_to_added),
            step(3_000, "has none", Site::move_stock_back),
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
    use crate::data::checkout;

    #[test]
    fn the_page_names_tests_that_there_are() {
        let page = std::fs::read_to_string(checkout().join("docs/failures.md")).unwrap();
        let is_test = |word: &&str| {
            let mut kinds = ["shop_", "stack_", "module_"].iter();
            kinds.any(|kind| word.starts_with(kind))
        };
        let tests: BTreeSet<&str> = page.split('`').filter(is_test).collect();
        assert!(tests.len() > 10, "{tests:?}");
        for test in tests {
            let path = checkout().join("tests/tests").join(test);
            let is_there = path.is_dir() || path.with_extension("rs").exists();
            assert!(
                is_there,
                "docs/failures.md names {test}, which there is not"
            );
        }
    }

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
        let page = std::fs::read_to_string(checkout().join("docs/failures.md")).unwrap();
        for scenario in SCENARIOS {
            let name = format!("`{}`", scenario.name);
            assert!(page.contains(&name), "docs/failures.md lacks {name}");
        }
        let unknown = named("earthquake").unwrap_err().to_string();
        assert!(unknown.contains("proxy-killed, proxy-drained"), "{unknown}");
    }
}
