//! Which server is written to, of several that say what they are. Pure.
//!
//! A server is written to only when it says itself that it takes writes, in the highest term that was ever heard of: a
//! promotion counts the term up, so a former primary that still takes writes is told by its own.

use std::fmt;

/// What one server said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Nothing, within the time that it was given; and why.
    Silent(String),
    /// It takes no writes.
    ReadOnly {
        /// The highest term that it knows of.
        term: u64,
    },
    /// It takes writes.
    Writable {
        /// The term in which it was promoted.
        term: u64,
        /// Its name of its own: another server may stand behind the same address by now.
        server: String,
    },
}

/// Who is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Which of the hosts.
    pub host: usize,
    /// The server that stood there.
    pub server: String,
}

/// What is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Belief {
    /// Who is written to; nobody while none may be.
    pub chosen: Option<Chosen>,
    /// The highest term that was heard of.
    pub term: u64,
}

/// What is to be believed after these reports, one of each host in order.
///
/// A server that is silent for once stays chosen: it may be busy, what is asked of it fails by itself where it is gone,
/// and the term of its successor is heard of from any of the others.
pub fn decide(before: &Belief, reports: &[Report]) -> Belief {
    let heard = reports.iter().filter_map(Report::term).max();
    let term = heard.map_or(before.term, |heard| heard.max(before.term));
    let writable: Vec<Chosen> = reports
        .iter()
        .enumerate()
        .filter_map(|(host, report)| report.chosen_in(host, term))
        .collect();
    let chosen = match writable.as_slice() {
        [one] => Some(one.clone()),
        [] => before.chosen.clone().filter(|chosen| {
            let is_silent = matches!(reports.get(chosen.host), Some(Report::Silent(_)));
            is_silent && term == before.term
        }),
        // Nobody knows which of them has what was acknowledged.
        _ => None,
    };
    Belief { chosen, term }
}

impl Report {
    fn term(&self) -> Option<u64> {
        match self {
            Report::Silent(_) => None,
            Report::ReadOnly { term } | Report::Writable { term, .. } => Some(*term),
        }
    }

    fn chosen_in(&self, host: usize, newest: u64) -> Option<Chosen> {
        match self {
            Report::Writable { term, server } if *term == newest => Some(Chosen {
                host,
                server: server.clone(),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Silent(why) => write!(formatter, "does not answer ({why})"),
            Report::ReadOnly { term } => write!(formatter, "is read only, term {term}"),
            Report::Writable { term, .. } => write!(formatter, "takes writes, term {term}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn silent() -> Report {
        Report::Silent("no answer".into())
    }

    fn writable(term: u64) -> Report {
        let server = "a".into();
        Report::Writable { term, server }
    }

    fn read_only(term: u64) -> Report {
        Report::ReadOnly { term }
    }

    fn believing(host: Option<usize>, term: u64) -> Belief {
        let chosen = host.map(|host| Chosen {
            host,
            server: "a".into(),
        });
        Belief { chosen, term }
    }

    fn chosen(before: &Belief, reports: &[Report]) -> (Option<usize>, u64) {
        let after = decide(before, reports);
        (after.chosen.map(|chosen| chosen.host), after.term)
    }

    #[test]
    fn the_one_that_takes_writes_is_written_to() {
        let start = Belief::default();
        let first = chosen(&start, &[read_only(1), writable(1), silent()]);
        assert_eq!(first, (Some(1), 1));
        // Before the first migration nobody knows of a term.
        assert_eq!(chosen(&start, &[writable(0)]), (Some(0), 0));
        assert_eq!(chosen(&start, &[read_only(3), silent()]), (None, 3));
    }

    #[test]
    fn a_former_primary_is_told_by_its_term() {
        let before = believing(Some(0), 1);
        assert_eq!(chosen(&before, &[writable(1), writable(2)]), (Some(1), 2));
        // It is enough that a replica has heard of the promotion.
        let third = [writable(1), silent(), read_only(2)];
        assert_eq!(chosen(&before, &third), (None, 2));
        assert_eq!(
            chosen(&believing(Some(1), 2), &[writable(1), silent()]),
            (Some(1), 2)
        );
        assert_eq!(
            chosen(&believing(None, 2), &[writable(1), silent()]),
            (None, 2)
        );
    }

    #[test]
    fn a_silent_one_stays_until_another_is_heard_of() {
        let before = believing(Some(0), 1);
        assert_eq!(chosen(&before, &[silent(), read_only(1)]), (Some(0), 1));
        assert_eq!(chosen(&before, &[silent(), writable(1)]), (Some(1), 1));
        assert_eq!(chosen(&before, &[silent(), read_only(2)]), (None, 2));
        assert_eq!(chosen(&before, &[read_only(1), read_only(1)]), (None, 1));
    }

    #[test]
    fn of_two_in_one_term_none_is_written_to() {
        let before = believing(Some(0), 1);
        assert_eq!(chosen(&before, &[writable(1), writable(1)]), (None, 1));
    }

    #[test]
    fn another_server_behind_the_same_address_is_another() {
        let server = "b".into();
        let after = decide(
            &believing(Some(0), 1),
            &[Report::Writable { term: 1, server }],
        );
        assert_eq!(after.chosen.map(|chosen| chosen.server), Some("b".into()));
    }

    fn report() -> impl Strategy<Value = Report> {
        prop_oneof![
            Just(silent()),
            (0..4_u64).prop_map(read_only),
            (0..4_u64).prop_map(writable),
        ]
    }

    proptest! {
        /// Whatever the servers say and however often: what was heard is never forgotten, and nobody is written to who
        /// said that it takes none, or whose term is not the newest.
        #[test]
        fn an_older_term_is_never_written_to(
            rounds in proptest::collection::vec(proptest::collection::vec(report(), 3), 1..20),
        ) {
            let (mut belief, mut newest, mut terms) = (Belief::default(), 0, [None; 3]);
            for reports in &rounds {
                belief = decide(&belief, reports);
                newest = reports.iter().filter_map(Report::term).fold(newest, u64::max);
                prop_assert_eq!(belief.term, newest);
                for (host, report) in reports.iter().enumerate() {
                    match report {
                        Report::Silent(_) => {}
                        Report::ReadOnly { .. } => terms[host] = None,
                        Report::Writable { term, .. } => terms[host] = Some(*term),
                    }
                }
                if let Some(chosen) = &belief.chosen {
                    prop_assert_eq!(terms[chosen.host], Some(newest));
                }
            }
        }
    }
}
