//! A. Never oversell: units confirmed ≤ units ever stocked, per SKU, and no buyer has more of a SKU
//! than its limit for each.

use super::evidence::Evidence;
use super::evidence::orders::{Hold, Outcome};
use super::evidence::stock::{Ledger, Stock};
use super::verdict::Verdict;

/// Judges the log of each SKU and what Redis says of it.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::new('A', "never oversell");
    // Where a change was undone, its row is gone, and the balances around it skip its units. Only
    // its events tell of it.
    let undone = undone_changes(evidence);
    let mut unchained = 0_u64;
    for (place, stock) in evidence.stocks.iter().enumerate() {
        let may_be_undone = evidence.events.removed > 0;
        let skips = may_be_undone || undone.binary_search(&place).is_ok();
        judge_log(stock, skips, &mut verdict);
        unchained += u64::from(may_be_undone && stock.log.misstep.is_some());
        if let Some(ledger) = stock.ledger {
            judge_ledger(stock, ledger, &mut verdict);
        }
    }
    judge_lines(evidence, &mut verdict);
    judge_purchases(evidence, &mut verdict);
    let sum = |units: fn(&Stock) -> i64| evidence.stocks.iter().map(units).sum::<i64>();
    verdict.proof = vec![
        format!(
            "{} SKUs: {} units put in, {} taken out, {} sold, {} returned, {} left",
            evidence.stocks.len(),
            sum(|stock| stock.log.put_in),
            sum(|stock| stock.log.taken_out),
            sum(|stock| stock.log.sold),
            sum(|stock| stock.log.returned),
            sum(|stock| stock.stock.unwrap_or_default()),
        ),
        format!(
            "{} changes of stock add up, SKU by SKU, and none led below 0",
            evidence
                .stocks
                .iter()
                .map(|stock| stock.log.rows)
                .sum::<u64>()
        ),
    ];
    if !evidence.purchases.is_empty() {
        verdict.proof.push(format!(
            "{} buyers of SKUs with a limit for each have what their orders say, and none above it",
            evidence.purchases.len()
        ));
    }
    if unchained > 0 {
        verdict.not_judged.push(format!(
            "whether each balance of {unchained} SKUs follows from the one before: a change may have \
             been undone, and {}",
            evidence.events.why_removed()
        ));
    }
    verdict
}

fn undone_changes(evidence: &Evidence) -> Vec<usize> {
    let adjustments = evidence.stocks.adjustments.iter();
    let undone = adjustments.filter(|(_, change)| change.told.iter().any(|told| told.is_undoing));
    let mut skus: Vec<usize> = undone.map(|((sku, _), _)| *sku).collect();
    skus.sort_unstable();
    skus
}

fn judge_log(stock: &Stock, may_skip: bool, verdict: &mut Verdict) {
    let Stock { name, log, .. } = stock;
    let left = stock.stock.unwrap_or_default();
    if left < 0 {
        verdict.breach_of_sku("stock_negative", name, format!("MySQL has {left} in stock"));
    }
    if log.sold - log.returned > log.put_in - log.taken_out {
        verdict.breach_of_sku(
            "oversold",
            name,
            format!(
                "{} units sold and {} returned, of {} put in and {} taken out",
                log.sold, log.returned, log.put_in, log.taken_out
            ),
        );
    }
    if log.sum() != left {
        verdict.breach_of_sku(
            "log_sum",
            name,
            format!(
                "MySQL has {left} in stock, and its changes add up to {}",
                log.sum()
            ),
        );
    }
    if let Some(row) = log.below_zero {
        verdict.breach_of_sku("below_zero", name, format!("change {row} left less than 0"));
    }
    if let Some(row) = log.unexplained {
        let says = format!("change {row} is no sale, no return, and has no id");
        verdict.breach_of_sku("unexplained_change", name, says);
    }
    if let (Some(step), false) = (&log.misstep, may_skip) {
        verdict.breach_of_sku(
            "log_chain",
            name,
            format!(
                "change {} left {}, and by the change before it is {}",
                step.log_id, step.found, step.wanted
            ),
        );
    }
}

fn judge_ledger(stock: &Stock, ledger: Ledger, verdict: &mut Verdict) {
    let Ledger {
        on_hand,
        held,
        prepared,
        available,
        sold,
        shortfall,
        ..
    } = ledger;
    let adds_up = on_hand >= 0
        && sold >= 0
        && (0..=held).contains(&prepared)
        && available == (on_hand - held).max(0)
        && shortfall == (held - on_hand).max(0);
    if !adds_up {
        let says = format!("what Redis says does not add up: {ledger:?}");
        verdict.breach_of_sku("ledger", &stock.name, says);
    }
    // A sale is in MySQL before it is in Redis, and Redis was read first.
    if sold > stock.log.sold {
        verdict.breach_of_sku(
            "sold_in_redis_only",
            &stock.name,
            format!("Redis has sold {sold} units, MySQL {}", stock.log.sold),
        );
    }
}

fn judge_lines(evidence: &Evidence, verdict: &mut Verdict) {
    for alone in &evidence.orders.logs_alone {
        let sku = &evidence.stocks.at(alone.sku).name;
        let order = alone
            .order
            .map_or("no order".to_owned(), |id| format!("order {id}"));
        let says = format!(
            "change {} is of {order}, which has no line of it",
            alone.log_id
        );
        verdict.breach_of_sku("sale_without_order", sku, says);
    }
    for order in evidence.orders.iter() {
        let is_aborted = order.outcome == Some(Outcome::Aborted);
        for line in evidence.orders.lines(order) {
            if line.quantity <= 0 {
                let says = format!("it is of {} units", line.quantity);
                verdict.breach_of_order("quantity", order.id, says);
            }
            if is_aborted && order.settled && line.hold == Hold::Confirmed {
                let sku = &evidence.stocks.at(line.sku).name;
                let says = format!(
                    "it is ABORTED, and Redis has sold its {} {sku}",
                    line.quantity
                );
                verdict.breach_of_order("aborted_and_sold_in_redis", order.id, says);
            }
        }
    }
}

fn judge_purchases(evidence: &Evidence, verdict: &mut Verdict) {
    for ((sku, buyer), purchase) in &evidence.purchases {
        let sku = &evidence.stocks.at(*sku).name;
        let counted = purchase.counted.unwrap_or_default();
        if counted != purchase.ordered {
            let says = format!(
                "buyer {buyer} has ordered {}, and {counted} are counted",
                purchase.ordered
            );
            verdict.breach_of_sku("buyer_count", sku, says);
        }
        if counted.max(purchase.ordered) > purchase.limit {
            let says = format!(
                "buyer {buyer} has ordered {}, {counted} by the count, of {} that one buyer may have",
                purchase.ordered, purchase.limit
            );
            verdict.breach_of_sku("buyer_limit", sku, says);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::purchases::Purchase;
    use crate::audit::evidence::sample::{self, DECLINED, NOBODY, SALE};

    fn kinds(doctor: impl FnOnce(&mut Evidence)) -> Vec<&'static str> {
        let mut evidence = sample::sound();
        doctor(&mut evidence);
        judge(&evidence)
            .breaches
            .iter()
            .map(|breach| breach.kind)
            .collect()
    }

    #[test]
    fn a_sound_shop_has_no_breach() {
        assert!(kinds(|_| {}).is_empty());
    }

    #[test]
    fn one_unit_too_many_is_found() {
        let oversold = kinds(|shop| {
            sample::log(shop, 0, Some(SALE), ("sold", -10, -1));
            shop.stocks.at_mut(0).stock = Some(-1);
        });
        assert_eq!(oversold, ["stock_negative", "oversold", "below_zero"]);
        assert_eq!(
            kinds(|shop| shop.stocks.at_mut(0).stock = Some(8)),
            ["log_sum"]
        );
    }

    #[test]
    fn a_change_that_does_not_follow_from_the_one_before_is_found() {
        let skipped = |shop: &mut Evidence| {
            sample::log(shop, 0, None, ("received", 5, 13));
            sample::log(shop, 0, None, ("corrected", -5, 9));
        };
        assert_eq!(kinds(skipped), ["log_chain"]);
        // A change was undone between them: its row is gone, and its events tell of it.
        let undone = kinds(|shop| {
            skipped(shop);
            sample::tell_stock(shop, "LAMP", "undone", -1);
        });
        assert!(undone.is_empty(), "{undone:?}");
        let unnamed = kinds(|shop| {
            sample::log(shop, 0, Some(SALE), ("received", 1, 10));
            shop.stocks.at_mut(0).stock = Some(10);
        });
        assert_eq!(unnamed, ["unexplained_change"]);
        // An operator's own "returned" is a change like any other.
        let returned = kinds(|shop| {
            sample::log(shop, 0, None, ("returned", 1, 10));
            shop.stocks.at_mut(0).stock = Some(10);
        });
        assert!(returned.is_empty(), "{returned:?}");
    }

    #[test]
    fn a_sale_without_an_order_is_found() {
        let alone = |order| {
            kinds(|shop| {
                sample::log(shop, 0, order, ("sold", -1, 8));
                shop.stocks.at_mut(0).stock = Some(8);
            })
        };
        assert_eq!(alone(Some(NOBODY)), ["sale_without_order"]);
        assert_eq!(alone(None), ["sale_without_order"]);
    }

    #[test]
    fn a_buyer_beyond_the_limit_or_a_wrong_count_is_found() {
        let purchase = |counted, ordered| {
            kinds(|shop| {
                let purchase = Purchase {
                    counted,
                    limit: 2,
                    ordered,
                };
                shop.purchases.insert((0, NOBODY), purchase);
            })
        };
        assert!(purchase(Some(2), 2).is_empty());
        assert!(purchase(Some(0), 0).is_empty());
        assert_eq!(purchase(Some(1), 2), ["buyer_count"]);
        assert_eq!(purchase(Some(3), 3), ["buyer_limit"]);
        assert_eq!(purchase(None, 3), ["buyer_count", "buyer_limit"]);
    }

    #[test]
    fn what_redis_sold_and_mysql_did_not_is_found() {
        let ledger = |change: fn(&mut Ledger)| {
            kinds(|shop| change(shop.stocks.at_mut(0).ledger.as_mut().expect("a ledger")))
        };
        assert_eq!(ledger(|ledger| ledger.sold = 3), ["sold_in_redis_only"]);
        assert_eq!(ledger(|ledger| ledger.prepared = 2), ["ledger"]);
        assert_eq!(ledger(|ledger| ledger.available = 9), ["ledger"]);
        let declined = kinds(|shop| sample::line_of(shop, DECLINED, 0).hold = Hold::Confirmed);
        assert_eq!(declined, ["aborted_and_sold_in_redis"]);
    }
}
