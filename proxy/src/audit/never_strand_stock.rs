//! C. Never strand stock: a hold that is not confirmed is given back, by its deadline, by
//! compensation or by recovery.

use super::evidence::orders::Order;
use super::evidence::{Evidence, HoldId, LiveHold};
use super::verdict::Verdict;

/// Judges each live hold: it has a deadline, or an order that will end it.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::new('C', "never strand stock");
    let (mut in_flight, mut with_deadline) = (0_u64, 0_u64);
    for hold in evidence.holds.iter().filter(|hold| hold.stays) {
        match evidence.order_of(hold) {
            Some(order) if !order.settled => in_flight += 1,
            None if !hold.prepared => with_deadline += 1,
            order => strand(evidence, hold, order, &mut verdict),
        }
    }
    let over = evidence.holds.iter().filter(|hold| !hold.stays).count();
    verdict.proof = vec![format!(
        "{} live holds: {in_flight} of orders in flight, {with_deadline} with a deadline and no order, {over} that ended meanwhile",
        evidence.holds.len(),
    )];
    verdict
}

fn strand(evidence: &Evidence, hold: &LiveHold, order: Option<&Order>, verdict: &mut Verdict) {
    let (units, sku) = (hold.units, &evidence.stocks.at(hold.sku).name);
    let state = if hold.prepared { "PREPARED" } else { "HELD" };
    match (order, &hold.id) {
        (Some(order), _) => {
            let says = format!(
                "it is {} and settled, and {units} {sku} are still {state}",
                order.status
            );
            verdict.breach_of_order("settled_and_held", order.id, says);
        }
        (None, HoldId::Order(id)) => {
            let says = format!(
                "MySQL has no such order, and {units} {sku} are {state} for it, without a deadline"
            );
            verdict.breach_of_order("stranded", *id, says);
        }
        (None, HoldId::Other(id)) => {
            let says = format!(
                "{units} units are {state} under '{id}', without a deadline and without an order"
            );
            verdict.breach_of_sku("stranded", sku, says);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::sample::{self, IN_FLIGHT, NOBODY, SALE};

    fn kinds(id: HoldId, prepared: bool, stays: bool) -> Vec<&'static str> {
        let mut evidence = sample::sound();
        evidence.holds.push(LiveHold {
            sku: 0,
            id,
            prepared,
            units: 2,
            stays,
        });
        judge(&evidence)
            .breaches
            .iter()
            .map(|breach| breach.kind)
            .collect()
    }

    #[test]
    fn a_hold_in_flight_or_with_a_deadline_is_sound() {
        assert!(judge(&sample::sound()).is_sound());
        assert!(kinds(HoldId::Order(IN_FLIGHT), true, true).is_empty());
        assert!(kinds(HoldId::Order(NOBODY), false, true).is_empty());
        assert!(kinds(HoldId::Other("walk-in".into()), false, true).is_empty());
    }

    #[test]
    fn a_stranded_hold_is_found() {
        assert_eq!(kinds(HoldId::Order(NOBODY), true, true), ["stranded"]);
        assert_eq!(
            kinds(HoldId::Other("walk-in".into()), true, true),
            ["stranded"]
        );
        assert_eq!(kinds(HoldId::Order(SALE), true, true), ["settled_and_held"]);
        assert_eq!(
            kinds(HoldId::Order(SALE), false, true),
            ["settled_and_held"]
        );
        // It was ended between the two looks.
        assert!(kinds(HoldId::Order(SALE), true, false).is_empty());
    }
}
