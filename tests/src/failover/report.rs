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
