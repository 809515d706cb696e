//! D. Converge: at rest, Redis `on_hand` = MySQL `stock`, and `held` = 0. Not at rest, the same with
//! what is in flight accounted for.

use super::evidence::Evidence;
use super::evidence::stock::Stock;
use super::verdict::Verdict;

/// Judges both counts of each SKU. With `at_rest`, that something is in flight is a breach too.
pub fn judge(evidence: &Evidence, at_rest: bool) -> Verdict {
    let mut verdict = Verdict::new('D', "converge");
    let (mut equal, mut explained) = (0_u64, 0_u64);
    for stock in evidence.stocks.iter() {
        let comparison = &stock.comparison;
        if !comparison.is_still {
            continue;
        }
        if !comparison.agrees() {
            drift(stock, &mut verdict);
        } else if comparison.on_hand.unwrap_or_default() == comparison.stock.unwrap_or_default() {
            equal += 1;
        } else {
            explained += 1;
        }
    }
    if at_rest && !evidence.in_flight.is_nothing() {
        verdict.breach(
            "not_at_rest",
            format!("not at rest: {}", evidence.in_flight),
        );
    }
    verdict.proof = vec![format!(
        "{equal} SKUs have the same count in Redis and MySQL, {explained} differ by what is in flight"
    )];
    let moving = evidence.stocks.moving();
    if moving > 0 {
        verdict.not_judged.push(format!(
            "{moving} SKUs sold too fast to be compared; audit again at rest"
        ));
    }
    verdict
}

fn drift(stock: &Stock, verdict: &mut Verdict) {
    let comparison = &stock.comparison;
    let redis = match comparison.on_hand {
        Some(on_hand) => format!("Redis has {on_hand} on hand"),
        None => "Redis has no such key".to_owned(),
    };
    let mysql = match comparison.stock {
        Some(stock) => format!("MySQL {stock} in stock"),
        None => "MySQL no such product".to_owned(),
    };
    let (lowest, highest) = comparison.permitted();
    let wanted = if lowest == highest {
        lowest.to_string()
    } else {
        format!("{lowest} to {highest}")
    };
    verdict.breach_of_sku(
        "drift",
        &stock.name,
        format!("{redis}, {mysql}; with what is in flight Redis should have {wanted}"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::sample;
    use crate::audit::evidence::stock::Comparison;

    /// What is found when the lamps, 9 in both, compare otherwise.
    fn kinds(change: impl FnOnce(&mut Comparison)) -> Vec<&'static str> {
        let mut evidence = sample::sound();
        change(&mut evidence.stocks.at_mut(0).comparison);
        judge(&evidence, false)
            .breaches
            .iter()
            .map(|breach| breach.kind)
            .collect()
    }

    #[test]
    fn drift_is_found_in_either_direction() {
        assert!(kinds(|_| {}).is_empty());
        assert_eq!(kinds(|lamps| lamps.on_hand = Some(10)), ["drift"]);
        assert_eq!(kinds(|lamps| lamps.on_hand = Some(8)), ["drift"]);
        assert_eq!(kinds(|lamps| lamps.on_hand = None), ["drift"]);
        assert_eq!(kinds(|lamps| lamps.stock = None), ["drift"]);
    }

    #[test]
    fn what_is_in_flight_explains_a_difference_of_its_own_size() {
        let unconfirmed =
            |on_hand| kinds(|lamps| (lamps.on_hand, lamps.unconfirmed) = (Some(on_hand), 2));
        assert!(unconfirmed(11).is_empty());
        assert_eq!(unconfirmed(12), ["drift"]);
        assert_eq!(unconfirmed(9), ["drift"]);
        let changing = |on_hand| {
            kinds(|lamps| {
                lamps.on_hand = Some(on_hand);
                (lamps.perhaps_added, lamps.perhaps_taken) = (4, -1);
            })
        };
        assert!(changing(5).is_empty() && changing(9).is_empty() && changing(10).is_empty());
        assert_eq!(changing(4), ["drift"]);
        assert_eq!(changing(11), ["drift"]);
        let forgotten = |on_hand| {
            kinds(|lamps| (lamps.on_hand, lamps.perhaps_unconfirmed) = (Some(on_hand), 1))
        };
        assert!(forgotten(9).is_empty() && forgotten(10).is_empty());
        assert_eq!(forgotten(11), ["drift"]);
    }

    #[test]
    fn a_count_that_never_stood_still_is_not_judged_and_said_so() {
        let mut evidence = sample::sound();
        let lamps = &mut evidence.stocks.at_mut(0).comparison;
        (lamps.is_still, lamps.on_hand) = (false, Some(1));
        let verdict = judge(&evidence, false);
        assert!(verdict.is_sound());
        assert!(
            verdict.not_judged[0].starts_with("1 SKUs sold too fast"),
            "{:?}",
            verdict.not_judged
        );
    }

    #[test]
    fn rest_is_demanded_when_asked_for() {
        let mut evidence = sample::sound();
        assert_eq!(judge(&evidence, true).breaches[0].kind, "not_at_rest");
        evidence.in_flight = Default::default();
        assert!(judge(&evidence, true).is_sound());
    }
}
