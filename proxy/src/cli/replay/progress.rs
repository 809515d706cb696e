//! How far a replay is: a bar on a terminal, a plain line every few seconds in a pipe.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::crowd::Counts;

/// Time between two lines in a pipe.
const EVERY: Duration = Duration::from_secs(2);
const TEMPLATE: &str = "{elapsed_precise} [{bar:30}] {pos}/{len} invoices  {msg}";

/// Told on standard error, so that the report on standard output stays clean.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    invoices: usize,
    started: Instant,
    last_line: Instant,
    done: u64,
}

impl Progress {
    /// Begins with none of so many invoices done.
    pub fn start(invoices: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(invoices));
        let now = Instant::now();
        Self {
            bar,
            invoices,
            started: now,
            last_line: now,
            done: 0,
        }
    }

    /// One invoice more is done.
    pub fn step(&mut self, counts: &Counts) {
        self.done += 1;
        match &self.bar {
            Some(bar) => {
                bar.set_message(self.message(counts));
                bar.inc(1);
            }
            None if self.last_line.elapsed() >= EVERY => self.line(counts),
            None => {}
        }
    }

    /// All are done.
    pub fn finish(&mut self, counts: &Counts) {
        match &self.bar {
            Some(bar) => bar.finish_with_message(self.message(counts)),
            None => self.line(counts),
        }
    }

    fn line(&mut self, counts: &Counts) {
        self.last_line = Instant::now();
        eprintln!(
            "{}/{} invoices  {}",
            self.done,
            self.invoices,
            self.message(counts)
        );
    }

    fn message(&self, counts: &Counts) -> String {
        let rate = self.done as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        let Counts {
            refused, failed, ..
        } = counts;
        format!("{rate:.0}/s  {refused} refused, {failed} failed")
    }
}

fn bar(invoices: usize) -> ProgressBar {
    let bar = ProgressBar::new(invoices as u64);
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    // So that the clock goes on while the shop is away.
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
