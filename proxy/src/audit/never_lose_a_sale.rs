//! B. Never lose a sale: an order answered 201 is CONFIRMED in MySQL, its stock deducted exactly
//! once, its hold confirmed in Redis in the end.

use super::evidence::Evidence;
use super::evidence::orders::{Hold, Line, Order, Outcome, Status};
use super::verdict::Verdict;

/// Judges each order: that its status fits what was decided, and the log its lines.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::new('B', "never lose a sale");
    let (mut sold, mut taken_back, mut confirmed, mut expired) = (0_u64, 0_u64, 0_u64, 0_u64);
    for order in evidence.orders.iter() {
        let lines = evidence.orders.lines(order);
        judge_status(order, lines, &mut verdict);
        if order.was_sold() {
            sold += 1;
            taken_back += u64::from(order.status != Status::Confirmed);
        }
        if lines.is_empty() {
            verdict.breach_of_order("no_lines", order.id, "it has no lines".into());
        } else if order.unexplained_minor != 0 {
            let says = format!(
                "its total differs from its lines by {}",
                order.unexplained_minor
            );
            verdict.breach_of_order("total", order.id, says);
        }
        for line in lines {
            let sku = &evidence.stocks.at(line.sku).name;
            judge_log(order, line, sku, &mut verdict);
            judge_hold(order, line, sku, &mut verdict);
            let was_asked = order.was_sold() && order.settled;
            confirmed += u64::from(was_asked && line.hold == Hold::Confirmed);
            expired += u64::from(was_asked && line.hold == Hold::Expired);
        }
    }
    for (id, outcome) in &evidence.orders.outcomes_alone {
        if *outcome != Outcome::Aborted {
            let says = "it was decided COMMITTED, and MySQL has no such order".into();
            verdict.breach_of_order("sold_without_order", *id, says);
        }
    }
    for id in &evidence.orders.lines_alone {
        let says = "it has a line, and MySQL has no such order".into();
        verdict.breach_of_order("line_without_order", *id, says);
    }
    judge_acknowledged(evidence, &mut verdict);
    verdict.proof = vec![format!(
        "{sold} orders sold, {taken_back} of them taken back later; each line deducted exactly once"
    )];
    if confirmed > 0 {
        let also = match expired {
            0 => String::new(),
            _ => format!("; {expired} had run out in Redis before"),
        };
        verdict.proof.push(format!(
            "{confirmed} lines that Redis still remembers are CONFIRMED there{also}"
        ));
    }
    if !evidence.acknowledged.is_empty() {
        let count = evidence.acknowledged.len();
        verdict
            .proof
            .push(format!("{count} acknowledged orders are among the sold"));
    }
    verdict
}

/// Does the status fit the decision? A transaction writes both.
fn judge_status(order: &Order, lines: &[Line], verdict: &mut Verdict) {
    use Status::{Cancelled, Confirmed, Expired, Paid, Parked, Pending, Refunded};
    let returned = lines.iter().any(|line| line.returned_rows > 0);
    let fits = match (order.outcome, order.status) {
        (_, Status::Unknown) | (Some(Outcome::Unknown), _) => false,
        (_, Parked) => true,
        (Some(Outcome::Committed), Confirmed) => !returned,
        (Some(Outcome::Committed), Cancelled | Refunded) => returned,
        (Some(Outcome::Committed), _) => false,
        (Some(Outcome::Aborted), Cancelled | Expired | Refunded) => true,
        // Somebody who found a hold without an order decided, and the order was recorded late.
        (Some(Outcome::Aborted), Pending | Paid) => !order.settled,
        (Some(Outcome::Aborted), Confirmed) => false,
        (None, Pending | Paid) => !order.settled,
        (None, _) => false,
    };
    if !fits {
        let outcome = match order.outcome {
            None => "nothing was decided".to_owned(),
            Some(outcome) => format!("it was decided {outcome}"),
        };
        let settled = if order.settled { ", settled" } else { "" };
        let back = if returned { ", its units returned" } else { "" };
        let says = format!("it is {}{settled}{back}, and {outcome}", order.status);
        verdict.breach_of_order("status", order.id, says);
    }
}

/// Was the stock of a line deducted once if it was sold, and returned once if it was taken back?
fn judge_log(order: &Order, line: &Line, sku: &str, verdict: &mut Verdict) {
    let Line {
        quantity,
        sold_rows,
        sold_units,
        returned_rows,
        returned_units,
        ..
    } = *line;
    let wanted = u32::from(order.was_sold());
    if (sold_rows, sold_units) != (wanted, i64::from(wanted) * quantity) {
        let kind = match (wanted, sold_rows) {
            (0, _) => "deducted_and_not_sold",
            (_, 0) => "not_deducted",
            (_, 1) => "wrong_deduction",
            _ => "deducted_twice",
        };
        let was = if order.was_sold() {
            "was sold"
        } else {
            "was not sold"
        };
        let says = format!(
            "it {was}, and its {quantity} {sku} were deducted {sold_rows} times, {sold_units} units"
        );
        verdict.breach_of_order(kind, order.id, says);
    }
    // `judge_status` sees to it that units came back if and only if the order was taken back.
    let wanted = match order.status {
        _ if !order.was_sold() => 0,
        Status::Parked => returned_rows.min(1),
        Status::Cancelled | Status::Refunded => 1,
        _ => 0,
    };
    if (returned_rows, returned_units) != (wanted, i64::from(wanted) * quantity) {
        let says = format!(
            "it is {}, and its {quantity} {sku} came back {returned_rows} times, {returned_units} units",
            order.status
        );
        verdict.breach_of_order("wrong_return", order.id, says);
    }
}

/// Does Redis remember of a settled sale what it should?
fn judge_hold(order: &Order, line: &Line, sku: &str, verdict: &mut Verdict) {
    if !order.was_sold() || !order.settled {
        return;
    }
    // One that ran out before its sale was decided, and could not be taken again, stays EXPIRED;
    // the count is put right all the same, and D sees whether it is.
    let says = match line.hold {
        Hold::NotAsked | Hold::Unknown | Hold::Confirmed | Hold::Expired => return,
        Hold::Live => format!("it is sold and settled, and its {sku} are still held in Redis"),
        Hold::Released => format!("it is sold, and Redis has given its {sku} back"),
    };
    verdict.breach_of_order("not_confirmed_in_redis", order.id, says);
}

fn judge_acknowledged(evidence: &Evidence, verdict: &mut Verdict) {
    for id in &evidence.acknowledged {
        let order = evidence
            .orders
            .find(*id)
            .and_then(|place| evidence.orders.at(place));
        let is = match order {
            Some(order) if order.was_sold() => continue,
            Some(order) => format!("is {}", order.status),
            None => "is not in MySQL".to_owned(),
        };
        verdict.breach_of_order("lost", *id, format!("it was answered 201, and {is}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::sample::{self, DECLINED, IN_FLIGHT, NOBODY, SALE, TAKEN_BACK};

    fn found(doctor: impl FnOnce(&mut Evidence)) -> Vec<(&'static str, u128)> {
        let mut evidence = sample::sound();
        doctor(&mut evidence);
        let breaches = judge(&evidence).breaches;
        let order = |order: Option<uuid::Uuid>| order.map_or(0, |id| id.as_u128());
        breaches
            .iter()
            .map(|breach| (breach.kind, order(breach.order)))
            .collect()
    }

    #[test]
    fn a_sound_shop_has_no_breach() {
        assert!(found(|_| {}).is_empty());
    }

    #[test]
    fn a_lost_order_is_found() {
        assert_eq!(found(|shop| shop.acknowledged.push(NOBODY)), [("lost", 7)]);
        assert_eq!(
            found(|shop| shop.acknowledged.push(DECLINED)),
            [("lost", 2)]
        );
        let alone = found(|shop| {
            shop.orders
                .outcomes_alone
                .push((NOBODY, Outcome::Committed))
        });
        assert_eq!(alone, [("sold_without_order", 7)]);
        let aborted = found(|shop| shop.orders.outcomes_alone.push((NOBODY, Outcome::Aborted)));
        assert!(aborted.is_empty());
    }

    #[test]
    fn a_status_that_does_not_fit_the_decision_is_found() {
        let with = |id, change: fn(&mut Order)| found(|shop| change(shop.orders.at_mut(id)));
        assert_eq!(
            with(SALE, |order| order.status = Status::Pending),
            [("status", 1)]
        );
        assert_eq!(
            with(DECLINED, |order| order.status = Status::Confirmed),
            [("status", 2)]
        );
        assert_eq!(
            with(DECLINED, |order| order.outcome = None),
            [("status", 2)]
        );
        assert_eq!(
            with(IN_FLIGHT, |order| order.settled = true),
            [("status", 5)]
        );
        assert_eq!(
            with(IN_FLIGHT, |order| order.status = Status::Unknown),
            [("status", 5)]
        );
        // CONFIRMED, and its units are back in stock: neither fits.
        let kept = with(TAKEN_BACK, |order| order.status = Status::Confirmed);
        assert_eq!(
            kept,
            [("status", 3), ("wrong_return", 3), ("wrong_return", 3)]
        );
    }

    #[test]
    fn stock_deducted_twice_or_not_at_all_is_found() {
        let twice = found(|shop| sample::log(shop, 0, Some(SALE), ("sold", -1, 8)));
        assert_eq!(twice, [("deducted_twice", 1)]);
        let never = found(|shop| {
            let line = sample::line_of(shop, SALE, 0);
            (line.sold_rows, line.sold_units) = (0, 0);
        });
        assert_eq!(never, [("not_deducted", 1)]);
        let other = found(|shop| sample::line_of(shop, SALE, 1).sold_units = 2);
        assert_eq!(other, [("wrong_deduction", 1)]);
        let unsold = found(|shop| sample::log(shop, 0, Some(DECLINED), ("sold", -1, 8)));
        assert_eq!(unsold, [("deducted_and_not_sold", 2)]);
        let back_twice = found(|shop| sample::log(shop, 0, Some(TAKEN_BACK), ("returned", 1, 10)));
        assert_eq!(back_twice, [("wrong_return", 3)]);
    }

    #[test]
    fn what_redis_still_holds_or_gave_back_is_found() {
        let with = |hold| found(|shop| sample::line_of(shop, SALE, 0).hold = hold);
        assert_eq!(with(Hold::Live), [("not_confirmed_in_redis", 1)]);
        assert_eq!(with(Hold::Released), [("not_confirmed_in_redis", 1)]);
        assert!(with(Hold::Unknown).is_empty());
        assert!(with(Hold::Expired).is_empty());
    }

    #[test]
    fn lines_that_do_not_make_the_order_are_found() {
        let total = found(|shop| shop.orders.at_mut(SALE).unexplained_minor = 1);
        assert_eq!(total, [("total", 1)]);
        let alone = found(|shop| shop.orders.add_line(NOBODY, Line::default(), 1));
        assert_eq!(alone, [("line_without_order", 7)]);
        let none = found(|shop| shop.orders.add(Order::new(NOBODY, Status::Pending), ""));
        assert_eq!(none, [("no_lines", 7)]);
    }
}
