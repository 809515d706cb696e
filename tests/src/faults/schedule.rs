//! Which server is killed when, and for how long it stays away: a pure function of the seed.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::random::Random;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One of the proxies, by its place.
    Proxy(usize),
    /// The gate.
    Redis,
    /// The truth.
    Mysql,
    /// The news.
    Kafka,
}

/// One `kill -9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How long the shop sells in peace before it.
    pub pause: Duration,
    /// What is killed.
    pub target: Target,
    /// How long it stays away; zero means that it is started again at once.
    pub downtime: Duration,
    /// Whether the next fault comes before everything is right again.
    pub is_overlapped: bool,
}

/// The longest that a server stays away.
pub const LONGEST_DOWNTIME: Duration = Duration::from_secs(5);
const PAUSE: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(2_500)];
/// So soon after a fault comes the one that overlaps it.
const OVERLAP: [Duration; 2] = [Duration::from_millis(0), Duration::from_millis(700)];

/// So many faults: the four kinds of servers take turns in an order that changes from round to round, so that each is
/// killed as often as the others. Half of the downtimes are zero, and one fault of six is overlapped by the next.
pub fn schedule(seed: u64, faults: usize, proxies: usize) -> Vec<Fault> {
    let mut random = Random::new(seed);
    let mut schedule: Vec<Fault> = Vec::with_capacity(faults);
    while schedule.len() < faults {
        let proxy = Target::Proxy(random.below(proxies as u64) as usize);
        let mut round = [proxy, Target::Redis, Target::Mysql, Target::Kafka];
        random.shuffle(&mut round);
        for target in round {
            let follows_closely = schedule.last().is_some_and(|last| last.is_overlapped);
            let [shortest, longest] = if follows_closely { OVERLAP } else { PAUSE };
            let downtime = match random.chance(50) {
                true => Duration::ZERO,
                false => random.time(Duration::ZERO, LONGEST_DOWNTIME),
            };
            schedule.push(Fault {
                pause: random.time(shortest, longest),
                target,
                downtime,
                is_overlapped: random.below(6) == 0,
            });
        }
    }
    schedule.truncate(faults);
    if let Some(last) = schedule.last_mut() {
        last.is_overlapped = false;
    }
    schedule
}

impl Display for Target {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Target::Proxy(place) => write!(formatter, "proxy {}", place + 1),
            Target::Redis => formatter.write_str("Redis"),
            Target::Mysql => formatter.write_str("MariaDB"),
            Target::Kafka => formatter.write_str("Kafka"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_seed_repeats_its_schedule_and_no_other() {
        assert_eq!(schedule(7, 50, 2), schedule(7, 50, 2));
        assert_ne!(schedule(7, 50, 2), schedule(8, 50, 2));
        // A shorter run is the beginning of the longer one, so that a fault is found again sooner.
        assert_eq!(schedule(7, 50, 2)[..11], schedule(7, 12, 2)[..11]);
    }

    #[test]
    fn every_kind_is_killed_as_often_as_the_others() {
        for seed in 0..100 {
            let mut kills: BTreeMap<_, usize> = BTreeMap::new();
            for fault in schedule(seed, 52, 2) {
                assert!(fault.downtime <= LONGEST_DOWNTIME);
                let kind = match fault.target {
                    Target::Proxy(place) => {
                        assert!(place < 2);
                        Target::Proxy(0)
                    }
                    other => other,
                };
                *kills.entry(kind).or_default() += 1;
            }
            assert_eq!(kills.into_values().collect::<Vec<_>>(), [13; 4]);
        }
    }
}
