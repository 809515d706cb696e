//! Looks at a page of SKUs: Redis, then one snapshot of MySQL, then whether Redis is still as it
//! was seen.

use std::collections::{HashMap, HashSet};

use futures::future::try_join_all;
use time::OffsetDateTime;
use uuid::Uuid;

use super::decision::{Decision, Gate, LiveHold, LiveState, Truth, Verdict, decide};
use super::walk::Task;
use super::{Error, Servers};
use crate::catalogue::Sku;
use crate::gateway::inventory::Stock;

/// The most live holds that are kept at once. A SKU beyond it is looked at again, when those that
/// are right are done with.
const MAX_HOLDS: i64 = 200_000;

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// What costs one command a SKU and does not grow with the orders in flight: enough to see
    /// that nothing is wrong, and no more.
    Glance,
    /// Everything that a verdict needs.
    Close,
}

/// What was seen of one SKU.
pub(super) struct Sighting {
    pub sku: Sku,
    pub on_hand: Option<i64>,
    pub truth: Truth,
    pub verdict: Verdict,
}

/// Looks at those of `skus` that are products, as the `task` wants it.
pub(super) async fn look(
    servers: &Servers,
    skus: &[&Sku],
    depth: Depth,
    task: Task,
) -> Result<Vec<Sighting>, Error> {
    let mut gates = gates(servers, skus, task).await?;
    let named: Vec<(&Sku, Uuid)> = gates
        .iter()
        .filter_map(|(sku, gate)| Some((*sku, gate.as_ref()?)))
        .flat_map(|(sku, gate)| gate.live.iter().map(move |hold| (sku, hold.order)))
        .collect();
    let (close, now) = (depth == Depth::Close, OffsetDateTime::now_utc());
    let truths = servers.store.truths(skus, &named, close, now).await?;
    let mut seen = Vec::with_capacity(truths.len());
    let mut sightings = Vec::with_capacity(truths.len());
    for (sku, truth) in truths {
        match gates.remove(&sku) {
            Some(gate) => seen.push((sku, gate, truth)),
            None => sightings.push(Sighting::postponed(sku, truth)),
        }
    }
    let seqs_after = if close {
        look_again(servers, &mut seen).await?
    } else {
        seen.iter().map(|(_, gate, _)| seq(gate)).collect()
    };
    let seen = seen.into_iter().zip(seqs_after);
    sightings.extend(seen.map(|((sku, gate, truth), seq_after)| Sighting {
        verdict: decide(gate.as_ref(), &truth, seq_after),
        sku,
        on_hand: gate.map(|gate| gate.on_hand),
        truth,
    }));
    Ok(sightings)
}

impl Sighting {
    /// True when nothing is wrong and nothing unclear.
    pub fn is_right(&self) -> bool {
        self.verdict.decision == Decision::Right && self.verdict.orphans.is_empty()
    }

    fn postponed(sku: Sku, truth: Truth) -> Self {
        let (decision, orphans) = (Decision::Again, Vec::new());
        Self {
            sku,
            on_hand: None,
            truth,
            verdict: Verdict { decision, orphans },
        }
    }
}

/// Asks Redis for what only MySQL has named, and then for the version of each key.
async fn look_again(
    servers: &Servers,
    seen: &mut [(Sku, Option<Gate>, Truth)],
) -> Result<Vec<Option<i64>>, Error> {
    let asked = seen
        .iter_mut()
        .map(|(sku, gate, truth)| ask_for_named(servers, sku, gate.as_mut(), truth));
    try_join_all(asked).await?;
    let skus: Vec<&Sku> = seen.iter().map(|(sku, ..)| sku).collect();
    let stocks = servers.gateway.stocks(&skus).await?;
    let seqs = stocks.iter().map(|stock| stock.map(|stock| stock.seq));
    Ok(seqs.collect())
}

/// What Redis shows of each SKU; those beyond [`MAX_HOLDS`] are left out.
async fn gates<'a>(
    servers: &Servers,
    skus: &[&'a Sku],
    task: Task,
) -> Result<HashMap<&'a Sku, Option<Gate>>, Error> {
    let stocks = servers.gateway.stocks(skus).await?;
    let mut room = MAX_HOLDS;
    let within = skus.iter().zip(stocks).filter(|(_, stock)| {
        let holds = stock.map_or(0, |stock| stock.holds);
        let fits = holds <= room;
        room -= if fits { holds } else { 0 };
        fits
    });
    let gates = within.map(|(sku, stock)| async move {
        let gate = match stock {
            Some(stock) => Some(gate(servers, sku, stock, task).await?),
            None => None,
        };
        Ok::<_, Error>((*sku, gate))
    });
    Ok(try_join_all(gates).await?.into_iter().collect())
}

fn seq(gate: &Option<Gate>) -> Option<i64> {
    gate.as_ref().map(|gate| gate.seq)
}

/// The key as `stock` showed it, with its live holds.
async fn gate(servers: &Servers, sku: &Sku, stock: Stock, task: Task) -> Result<Gate, Error> {
    let (mut holds, mut long) = (Vec::new(), HashSet::new());
    if stock.holds > 0 {
        holds = servers.gateway.live_holds(sku).await?;
    }
    if stock.prepared > 0 {
        let pending = servers
            .gateway
            .prepared_long(sku, task.orphan_age_ms)
            .await?;
        long = pending.into_iter().collect();
    }
    let live = holds.into_iter().filter_map(|hold| {
        let state = match hold.is_prepared {
            false => LiveState::Held,
            true if long.contains(&hold.id) => LiveState::PreparedLong,
            true if task.is_in_doubt => LiveState::PreparedInDoubt,
            true => LiveState::Prepared,
        };
        Some(LiveHold {
            order: hold.id.parse().ok()?,
            quantity: hold.quantity,
            state,
        })
    });
    Ok(Gate {
        seq: stock.seq,
        on_hand: stock.on_hand,
        live: live.collect(),
        ..Gate::default()
    })
}

/// Asks for the holds of sold orders in flight that are not live, and for the changes of the stock
/// that are not acknowledged.
async fn ask_for_named(
    servers: &Servers,
    sku: &Sku,
    gate: Option<&mut Gate>,
    truth: &Truth,
) -> Result<(), Error> {
    let Some(gate) = gate else {
        return Ok(());
    };
    let gateway = &servers.gateway;
    let orders = gate.not_live(truth);
    let states = orders
        .iter()
        .map(|(order, quantity)| gateway.hold_state(*order, (sku, *quantity)));
    let states = try_join_all(states).await?;
    let over = orders.iter().zip(states).filter(|(_, state)| {
        let state = state.as_ref().map(|hold| hold.state.as_str());
        matches!(state, Some("CONFIRMED" | "RELEASED"))
    });
    gate.over = over.map(|((order, _), _)| *order).collect();
    let changes = truth.unacknowledged.iter().map(|change| async move {
        let is_applied = gateway.has_change(sku, change.delta, &change.adjustment_id);
        Ok::<_, Error>(is_applied.await?.then(|| change.adjustment_id.clone()))
    });
    let applied = try_join_all(changes).await?;
    gate.applied = applied.into_iter().flatten().collect();
    Ok(())
}
