//! The table of faults, for people.

use std::time::Duration;

use super::schedule::Fault;

/// What one fault cost.
#[derive(Debug, Clone)]
pub struct Cost {
    /// What was done.
    pub fault: Fault,
    /// When, since the load began.
    pub at: Duration,
    /// Requests of clients on their way when the server was killed.
    pub requests: usize,
    /// Orders that were not settled then; `None` when the database was away itself.
    pub orders: Option<usize>,
    /// From the kill until the server answered again.
    pub back: Duration,
    /// From the kill until the server was back and every proxy ready.
    pub ready: Duration,
    /// From the kill until those orders were settled.
    pub settled: Option<Duration>,
    /// From the kill to the first 201 for a request that was sent after it.
    pub sold: Option<Duration>,
}

/// A line for each fault.
pub fn table(costs: &[Cost]) -> String {
    let head = [
        "at s",
        "killed",
        "away s",
        "requests",
        "in flight",
        "back s",
        "ready s",
        "settled s",
        "first 201",
    ];
    let lines: String = costs.iter().map(line).collect();
    format!(
        "{}{lines}* the next fault came before this one was over\n",
        row(head)
    )
}

/// One fault.
pub fn line(cost: &Cost) -> String {
    let orders = cost
        .orders
        .map_or("?".to_owned(), |orders| orders.to_string());
    let overlap = if cost.fault.is_overlapped { "*" } else { "" };
    row([
        &seconds(cost.at),
        &format!("{}{overlap}", cost.fault.target),
        &seconds(cost.fault.downtime),
        &cost.requests.to_string(),
        &orders,
        &seconds(cost.back),
        &seconds(cost.ready),
        &cost.settled.map_or("?".to_owned(), seconds),
        &cost.sold.map_or("never".to_owned(), seconds),
    ])
}

fn row(cells: [&str; 9]) -> String {
    let [at, killed, cells @ ..] = cells;
    let cells: String = cells.iter().map(|cell| format!("{cell:>11}")).collect();
    format!("{at:>8}  {killed:<8}{cells}\n")
}

fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}
