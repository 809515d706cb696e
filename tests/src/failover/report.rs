//! What came of a scenario, as text.

use std::fmt::Write as _;
use std::time::Duration;

use super::kind::Kind;
use super::scenario::Scenario;
use super::timeline::{Bar, Gap, Outcome, bars, totals, troubles, without_service};

/// What came of one scenario.
#[derive(Debug)]
pub struct Report {
    /// What was done.
    pub scenario: &'static Scenario,
    /// When; the first one is the fault.
    pub marks: Vec<Mark>,
    /// What became of every request.
    pub outcomes: Vec<Outcome>,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When, since the load began.
    pub at: Duration,
    /// What.
    pub words: &'static str,
}

impl Report {
    /// When it broke.
    pub fn fault(&self) -> Duration {
        self.marks.first().map_or(Duration::ZERO, |mark| mark.at)
    }

    /// For how long a kind of request was not served after the fault.
    pub fn without_service(&self, kind: Kind) -> Gap {
        without_service(&self.outcomes, kind, self.fault())
    }

    /// Whether everything was served in the end.
    pub fn is_back(&self) -> bool {
        Kind::ALL
            .iter()
            .all(|kind| self.without_service(*kind).is_back)
    }

    /// The timeline and the figures.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.scenario.name, self.scenario.title);
        for mark in &self.marks {
            let since = mark.at.saturating_sub(self.fault());
            let _ = writeln!(
                text,
                "  {:>9} after the fault: {}",
                seconds(since),
                mark.words
            );
        }
        text.push_str(
            "  First attempts, a character per 100 ms from a second before the fault: . all served, r some refused, \
             x some failed, R and X none served\n",
        );
        for kind in Kind::ALL {
            let _ = writeln!(text, "  {:<11}{}", kind.name(), self.strip(kind));
        }
        text.push_str(
            "                 sent  at once  repeated  refused  failed    slowest  without service\n",
        );
        for kind in Kind::ALL {
            let all = totals(&self.outcomes, kind);
            let _ = writeln!(
                text,
                "  {:<11}{:>8}{:>9}{:>10}{:>9}{:>8}{:>11}{:>17}",
                kind.name(),
                all.sent,
                all.at_once,
                all.repeated,
                all.refused,
                all.failed,
                seconds(all.slowest),
                gap(self.without_service(kind)),
            );
        }
        for mark in self.marks.iter().skip(1) {
            // Of what was still away then, how much longer.
            let waits = Kind::ALL.into_iter().filter_map(|kind| {
                let wait = without_service(&self.outcomes, kind, mark.at);
                let was_away = self.without_service(kind).lasted > mark.at - self.fault();
                was_away.then(|| format!("{} {}", kind.name(), gap(wait)))
            });
            let waits: Vec<String> = waits.collect();
            if !waits.is_empty() {
                let _ = writeln!(
                    text,
                    "  counted from \"{}\": {}",
                    mark.words,
                    waits.join(", ")
                );
            }
        }
        for kind in Kind::ALL {
            let troubles = troubles(&self.outcomes, kind);
            if !troubles.is_empty() {
                let seen: Vec<String> = troubles
                    .iter()
                    .map(|(words, count)| format!("{words} ×{count}"))
                    .collect();
                let _ = writeln!(text, "  {} at first: {}", kind.name(), seen.join(", "));
            }
        }
        text
    }

    /// The times without service in one line, for one of many repetitions.
    pub fn line(&self) -> String {
        let kinds =
            Kind::ALL.map(|kind| format!("{} {}", kind.name(), gap(self.without_service(kind))));
        format!(
            "{}: without service: {}",
            self.scenario.name,
            kinds.join(", ")
        )
    }

    fn strip(&self, kind: Kind) -> String {
        let before = self.fault().saturating_sub(Duration::from_secs(1));
        let skipped = (before.as_millis() / super::timeline::STEP.as_millis()) as usize;
        bars(&self.outcomes, &[kind])
            .into_iter()
            .skip(skipped)
            .map(letter)
            .collect()
    }
}

/// A table in Markdown with the times without service of many runs: of each scenario the median, and in parentheses the
/// worst where it ran more than once; and how many requests were refused or failed to the end.
pub fn summary(reports: &[Report]) -> String {
    let mut text = String::from("| scenario | runs |");
    for kind in Kind::ALL {
        let _ = write!(text, " {} |", kind.name());
    }
    let columns = "|---".repeat(Kind::ALL.len() + 4);
    let _ = write!(text, " refused | failed |\n{columns}|\n");
    let mut names: Vec<&str> = reports.iter().map(|report| report.scenario.name).collect();
    names.dedup();
    for name in names {
        let runs = || reports.iter().filter(|report| report.scenario.name == name);
        let _ = write!(text, "| `{name}` | {} |", runs().count());
        for kind in Kind::ALL {
            let mut gaps: Vec<Gap> = runs().map(|run| run.without_service(kind)).collect();
            gaps.sort_by_key(|gap| (!gap.is_back, gap.lasted));
            let cell = match &gaps[..] {
                [] => String::new(),
                [only] => self::gap(*only),
                [.., worst] => format!(
                    "{} ({})",
                    self::gap(gaps[gaps.len() / 2]),
                    self::gap(*worst)
                ),
            };
            let _ = write!(text, " {cell} |");
        }
        let all = runs().flat_map(|run| Kind::ALL.map(|kind| totals(&run.outcomes, kind)));
        let (refused, failed) = all.fold((0, 0), |(refused, failed), all| {
            (refused + all.refused, failed + all.failed)
        });
        let _ = writeln!(text, " {refused} | {failed} |");
    }
    text
}

fn letter(bar: Bar) -> char {
    match bar {
        Bar {
            served: 0,
            refused: 0,
            failed: 0,
        } => ' ',
        Bar {
            failed: 0,
            refused: 0,
            ..
        } => '.',
        Bar {
            served: 0,
            failed: 0,
            ..
        } => 'R',
        Bar { served: 0, .. } => 'X',
        Bar { failed: 0, .. } => 'r',
        Bar { .. } => 'x',
    }
}

fn gap(gap: Gap) -> String {
    match gap.is_back {
        true => seconds(gap.lasted),
        false => "not back".to_owned(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::super::fate::Fate;
    use super::super::scenario::SCENARIOS;
    use super::*;

    /// Orders are not served for so long, ten times a second.
    fn report(away_ms: u64) -> Report {
        let outcome = |step: u64| {
            let due = Duration::from_millis(step * 100);
            let is_away = (2_000..2_000 + away_ms).contains(&(step * 100));
            let fate = if is_away { Fate::Refused } else { Fate::Served };
            Outcome::of_an_order(due, fate)
        };
        Report {
            scenario: &SCENARIOS[0],
            marks: vec![
                Mark {
                    at: Duration::from_millis(2_000),
                    words: "killed",
                },
                Mark {
                    at: Duration::from_millis(2_500),
                    words: "mended",
                },
            ],
            outcomes: (0..60).map(outcome).collect(),
        }
    }

    #[test]
    fn a_report_tells_when_and_for_how_long() {
        let text = report(1_000).text();
        assert!(text.contains("0.50 s after the fault: mended"), "{text}");
        assert!(
            text.contains(&format!("order      {}{}.", ".".repeat(10), "R".repeat(10))),
            "{text}"
        );
        assert!(
            text.contains("counted from \"mended\": order 0.50 s"),
            "{text}"
        );
        assert!(text.contains("order at first: Refused ×10"), "{text}");
        assert!(report(1_000).is_back() && !report(60_000).is_back());
    }

    #[test]
    fn a_summary_tells_the_median_and_the_worst() {
        let text = summary(&[report(1_000), report(3_000), report(2_000)]);
        assert!(text.contains("| `proxy-killed` | 3 |"), "{text}");
        assert!(
            text.contains("| 2.00 s (3.00 s) |") && text.ends_with("| 60 | 0 |\n"),
            "{text}"
        );
        let text = summary(&[report(1_000), report(60_000)]);
        assert!(text.contains("not back (not back) |"), "{text}");
    }
}
