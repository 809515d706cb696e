//! Contenders in turns, and what came of it.

use std::time::Duration;

use anyhow::Result;

/// What one turn came to.
#[derive(Default)]
pub struct Turn {
    /// Operations done.
    pub operations: u64,
    /// How long all of them took together.
    pub elapsed: Duration,
    /// How long each exchange with the server took.
    pub exchanges: Vec<Duration>,
}

/// One way of doing the same thing.
pub struct Contender<'a> {
    name: &'a str,
    turn: Box<dyn FnMut() -> Result<Turn> + 'a>,
    per_second: Vec<f64>,
    exchanges: Vec<Duration>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'a str, turn: impl FnMut() -> Result<Turn> + 'a) -> Self {
        Self {
            name,
            turn: Box::new(turn),
            per_second: Vec::new(),
            exchanges: Vec::new(),
        }
    }

    fn operations_a_second(&mut self) -> f64 {
        self.per_second.sort_by(f64::total_cmp);
        self.per_second[self.per_second.len() / 2]
    }
}

/// Lets all take turns, and prints the median rate, each rate in terms of the first, and the exchanges' percentiles.
pub fn run(rounds: usize, contenders: &mut [Contender<'_>]) -> Result<()> {
    // The first round warms up.
    for round in 0..=rounds {
        // Another one begins each time, so that none always comes after the same.
        let (later, first) = contenders.split_at_mut(round % contenders.len());
        for contender in first.iter_mut().chain(later) {
            let turn = (contender.turn)()?;
            if round > 0 {
                let rate = turn.operations as f64 / turn.elapsed.as_secs_f64();
                contender.per_second.push(rate);
                contender.exchanges.extend(turn.exchanges);
            }
        }
    }
    println!(
        "    {:<44} {:>10} {:>7} {:>9} {:>9} {:>9}",
        "", "ops/s", "ratio", "p50 us", "p99 us", "p99.9 us"
    );
    let mut first = None;
    for contender in contenders {
        let rate = contender.operations_a_second();
        let ratio = rate / *first.get_or_insert(rate);
        contender.exchanges.sort_unstable();
        let [p50, p99, p999] =
            [0.5, 0.99, 0.999].map(|part| percentile(&contender.exchanges, part));
        println!(
            "    {:<44} {rate:>10.0} {ratio:>7.2} {p50:>9.1} {p99:>9.1} {p999:>9.1}",
            contender.name
        );
    }
    Ok(())
}

/// In microseconds, of sorted durations.
pub fn percentile(sorted: &[Duration], part: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted
        .get(at)
        .map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e6)
}
