//! What each route answers while Redis is taken away under load and comes back: the table that
//! docs/operations.md shows. It hangs and goes on, is killed and started again, and is started
//! without its files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use holdfast_tests::faults::rest::audit;
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{Reply, Shop, send};
use holdfast_tests::stack::Stack;
use holdfast_tests::wait;
use nix::sys::signal::Signal;

use super::routes::{ORDER, ROUTES, Visitor};
use super::{PATIENCE, STACK, given_up, is_counted, is_refused_for_now, sells_again};

/// The pace of each route's load.
const PACE: Duration = Duration::from_millis(40);
/// Answers of each route that a lasting phase must see.
const ENOUGH: u64 = 20;
/// In turn those that last and those that lead from one to the next.
const PHASES: [&str; 13] = [
    "open",
    "hangs",
    "away",
    "goes on",
    "open",
    "killed",
    "away",
    "started again",
    "open",
    "killed",
    "away",
    "started empty",
    "open",
];
/// Those in which Redis is away and known to be.
const AWAY: [usize; 3] = [2, 6, 10];

/// What becomes of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Hangs,
    Killed,
    LosesAll,
}

/// What a route answered in a phase.
#[derive(Debug, Default)]
struct Cell {
    statuses: BTreeMap<u16, u64>,
    slowest: Duration,
}

/// The whole run.
#[derive(Default)]
struct Run {
    phase: AtomicUsize,
    /// By whether the proxy sells without Redis, route and phase.
    table: Mutex<BTreeMap<(bool, usize, usize), Cell>>,
    sold: Mutex<Vec<String>>,
}

impl Run {
    /// Asks one route again and again until the last phase has ended.
    async fn ask(&self, visitor: &Visitor, route: usize) -> Result<()> {
        let (name, ask, ..) = ROUTES[route];
        let mut pace = tokio::time::interval(PACE);
        loop {
            let began = self.phase.load(Ordering::SeqCst);
            if began == PHASES.len() {
                return Ok(());
            }
            let sent = Instant::now();
            let reply = send(ask(visitor).timeout(PATIENCE / 2)).await;
            let reply = reply.with_context(|| name.to_owned())?;
            let ended = self.phase.load(Ordering::SeqCst);
            // What began in one phase and ended in another belongs to what led from one to the other.
            let phase = if began == ended { began } else { began | 1 };
            self.judge(visitor, route, phase, &reply)?;
            if (name, reply.status) == (ORDER, 201) {
                self.sold
                    .lock()
                    .expect("no panic")
                    .push(reply.id()?.to_owned());
            }
            self.note(visitor, route, phase, reply.status, sent.elapsed());
            pace.tick().await;
        }
    }

    fn note(&self, by: &Visitor, route: usize, phase: usize, status: u16, took: Duration) {
        let mut table = self.table.lock().expect("no panic");
        let cell = table.entry((by.sells_without, route, phase)).or_default();
        *cell.statuses.entry(status).or_default() += 1;
        cell.slowest = cell.slowest.max(took);
    }

    fn judge(&self, visitor: &Visitor, route: usize, phase: usize, reply: &Reply) -> Result<()> {
        let (name, _, open, away) = ROUTES[route];
        let away = match name {
            ORDER if visitor.sells_without => open,
            _ => away,
        };
        let is_right = if AWAY.contains(&phase) {
            reply.status == away
        } else if phase.is_multiple_of(2) {
            reply.status == open
        } else {
            let is_under_way = (name, reply.status) == (ORDER, 202);
            reply.status == open || is_under_way || is_refused_for_now(reply)
        };
        let is_refused = reply.status != 503 || is_refused_for_now(reply);
        let owner = &reply.body["owner"];
        let is_own = name != "GET /v1/sessions/current"
            || reply.status != 200
            || *owner == visitor.shopper.session()["owner"];
        let phase = PHASES.get(phase).unwrap_or(&"the end");
        ensure!(
            is_right && is_refused && is_own,
            "{name} while {phase}: {reply:?}"
        );
        Ok(())
    }

    /// Does what leads to the next lasting phase, and waits until every route has answered in it.
    async fn go_on(&self, lead: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
        self.phase.fetch_add(1, Ordering::SeqCst);
        lead().await?;
        self.phase.fetch_add(1, Ordering::SeqCst);
        self.stay().await
    }

    async fn stay(&self) -> Result<()> {
        let phase = self.phase.load(Ordering::SeqCst);
        wait::until_async("every route to answer", PATIENCE, || async {
            let table = self.table.lock().expect("no panic");
            let answers = |sells_without: bool, route: usize| {
                let cell = table.get(&(sells_without, route, phase));
                cell.map_or(0, |cell| cell.statuses.values().sum::<u64>())
            };
            let enough =
                |route: usize| answers(true, route) >= ENOUGH && answers(false, route) >= ENOUGH;
            Ok((0..ROUTES.len()).all(enough).then_some(()))
        })
        .await
    }

    fn to_markdown(&self) -> String {
        let table = self.table.lock().expect("no panic");
        let mut text = String::new();
        for sells_without in [false, true] {
            let mode = if sells_without { "database" } else { "refuse" };
            let _ = writeln!(text, "| {mode} | {} |", PHASES.join(" | "));
            for (route, (name, ..)) in ROUTES.iter().enumerate() {
                let cells = (0..PHASES.len()).map(|phase| {
                    let cell = table.get(&(sells_without, route, phase));
                    cell.map_or_else(String::new, Cell::to_text)
                });
                let cells: Vec<String> = cells.collect();
                let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
            }
        }
        text
    }
}

impl Cell {
    fn to_text(&self) -> String {
        let statuses = self
            .statuses
            .iter()
            .map(|(status, count)| format!("{status} ×{count}"));
        let statuses: Vec<String> = statuses.collect();
        format!(
            "{}, ≤ {} ms",
            statuses.join(", "),
            self.slowest.as_millis() + 1
        )
    }
}

#[tokio::test]
async fn each_route_answers_rightly_while_redis_is_away_and_comes_back() -> Result<()> {
    let stack = STACK.lock().await;
    for sku in ["MANY", "SEEN"] {
        is_counted(&stack, sku).await?;
    }
    let other = stack.another_proxy_with(&[("HOLDFAST_ORDERS__WITHOUT_REDIS", "database")])?;
    Shop::of(&stack.proxy).set_stock("MANY", 1_000_000).await?;
    let visitors = [
        Visitor::come(&stack.proxy, "refused@example.com", false).await?,
        Visitor::come(&other, "served@example.com", true).await?,
    ];
    let run = Run::default();
    let asking = visitors.iter().flat_map(|visitor| {
        let run = &run;
        (0..ROUTES.len()).map(move |route| run.ask(visitor, route))
    });
    // Of a list that is short, and known to be, the first error ends all.
    let asking: Vec<_> = asking.collect();
    let disturbing = disturb(&stack, [&stack.proxy, &other], &run);
    let result = tokio::try_join!(try_join_all(asking), disturbing);
    println!("{}", run.to_markdown());
    // The tests after this one need it, whatever came of this.
    stack
        .redis
        .server()?
        .signal(Signal::SIGCONT)
        .or_else(|_| stack.redis.start_again())?;
    result?;

    let acknowledged = stack.proxy.server().home().path("acknowledged");
    let sold = run.sold.lock().expect("no panic").join("\n");
    std::fs::write(&acknowledged, sold + "\n")?;
    println!("{}", audit(&stack, Some(&acknowledged))?);
    Ok(())
}

async fn disturb(stack: &Stack, proxies: [&Proxy; 2], run: &Run) -> Result<()> {
    run.stay().await?;
    for trouble in [Trouble::Hangs, Trouble::Killed, Trouble::LosesAll] {
        run.go_on(async || {
            take_away(stack, trouble)?;
            try_join_all(proxies.map(given_up)).await.map(drop)
        })
        .await?;
        run.go_on(async || {
            bring_back(stack, trouble)?;
            try_join_all(proxies.map(sells_again)).await.map(drop)
        })
        .await?;
    }
    run.phase.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

fn take_away(stack: &Stack, trouble: Trouble) -> Result<()> {
    let redis = stack.redis.server()?;
    match trouble {
        Trouble::Hangs => redis.signal(Signal::SIGSTOP),
        Trouble::Killed | Trouble::LosesAll => redis.kill(),
    }
}

fn bring_back(stack: &Stack, trouble: Trouble) -> Result<()> {
    let redis = stack.redis.server()?;
    match trouble {
        Trouble::Hangs => return redis.signal(Signal::SIGCONT),
        Trouble::Killed => {}
        Trouble::LosesAll => std::fs::remove_dir_all(redis.home().path("appendonlydir"))?,
    }
    stack.redis.start_again()
}
