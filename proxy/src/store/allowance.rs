//! Who may have how much of products that have a limit for each buyer. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use uuid::Uuid;

use crate::catalogue::Sku;
use crate::orders::OrderLine;

/// What the tables say of the products and the buyers of some orders.
#[derive(Debug, Default)]
pub struct Standing {
    /// The most that one buyer may have of a product; the others have no limit.
    pub limits: BTreeMap<String, i64>,
    /// The buyers of limited products who have registered; the others are guests.
    pub users: HashSet<Uuid>,
    /// What these buyers have of limited products already.
    pub bought: BTreeMap<(String, Uuid), i64>,
}

/// Why a buyer may not have what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAllowed {
    /// A guest could come again as another one.
    Guest {
        /// What has a limit.
        sku: Sku,
        /// Which.
        limit: i64,
    },
    /// It would be more than the limit.
    OverLimit {
        /// Of what.
        sku: Sku,
        /// The most that one buyer may have.
        limit: i64,
        /// What the buyer has already.
        bought: i64,
    },
}

/// What becomes of orders that are to be recorded in one transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct Allowance<'a> {
    /// One verdict an order: nothing, or why not.
    pub orders: Vec<Option<NotAllowed>>,
    /// What each buyer gets of each limited product by the orders that are allowed.
    pub taken: BTreeMap<(&'a Sku, Uuid), i64>,
}

/// Allows in order of arrival what keeps to the limits. An order is allowed with all of its lines or
/// takes nothing.
pub fn allow<'a>(standing: &Standing, orders: &[(Uuid, &'a [OrderLine])]) -> Allowance<'a> {
    let mut taken: BTreeMap<(&'a Sku, Uuid), i64> = BTreeMap::new();
    let mut verdicts = Vec::with_capacity(orders.len());
    for &(buyer, lines) in orders {
        let has = |sku: &'a Sku| {
            let before = standing.bought.get(&(sku.to_string(), buyer));
            before.copied().unwrap_or_default()
                + taken.get(&(sku, buyer)).copied().unwrap_or_default()
        };
        let limited = |line: &'a OrderLine| {
            let limit = standing.limits.get(line.sku.as_str()).copied()?;
            Some((line, limit))
        };
        let refusal = lines.iter().filter_map(limited).find_map(|(line, limit)| {
            let (sku, bought) = (line.sku.clone(), has(&line.sku));
            if !standing.users.contains(&buyer) {
                Some(NotAllowed::Guest { sku, limit })
            } else if bought.saturating_add(line.quantity) > limit {
                Some(NotAllowed::OverLimit { sku, limit, bought })
            } else {
                None
            }
        });
        if refusal.is_none() {
            for (line, _) in lines.iter().filter_map(limited) {
                *taken.entry((&line.sku, buyer)).or_default() += line.quantity;
            }
        }
        verdicts.push(refusal);
    }
    Allowance {
        orders: verdicts,
        taken,
    }
}

/// The limited products that these orders ask for, each with its buyers, sorted.
pub fn asked_for<'a>(
    limits: &BTreeMap<String, i64>,
    orders: &[(Uuid, &'a [OrderLine])],
) -> BTreeMap<&'a Sku, BTreeSet<Uuid>> {
    let mut asked: BTreeMap<&Sku, BTreeSet<Uuid>> = BTreeMap::new();
    for &(buyer, lines) in orders {
        for line in lines {
            if limits.contains_key(line.sku.as_str()) {
                asked.entry(&line.sku).or_default().insert(buyer);
            }
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADA: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);
    const GUEST: Uuid = Uuid::from_u128(9);

    fn lines(wanted: &[(&str, i64)]) -> Vec<OrderLine> {
        let line = |&(sku, quantity): &(&str, i64)| OrderLine {
            sku: sku.parse().expect("a sku"),
            quantity,
            price_minor: 100,
            amount_minor: 100 * quantity,
        };
        wanted.iter().map(line).collect()
    }

    /// DROP has a limit, MUG has none; Ada has one DROP already.
    fn standing(limit: i64) -> Standing {
        Standing {
            limits: [("DROP".to_owned(), limit)].into(),
            users: [ADA, BOB].into(),
            bought: [(("DROP".to_owned(), ADA), 1)].into(),
        }
    }

    #[test]
    fn each_buyer_has_a_limit_of_their_own() {
        let (one, two, mugs) = (
            lines(&[("DROP", 1)]),
            lines(&[("DROP", 2)]),
            lines(&[("MUG", 50)]),
        );
        let orders: [(Uuid, &[OrderLine]); 5] = [
            (ADA, &two),
            (ADA, &one),
            (ADA, &one),
            (BOB, &two),
            (GUEST, &mugs),
        ];
        let allowance = allow(&standing(2), &orders);
        let over = |bought| {
            Some(NotAllowed::OverLimit {
                sku: one[0].sku.clone(),
                limit: 2,
                bought,
            })
        };
        assert_eq!(allowance.orders, [over(1), None, over(2), None, None]);
        let drop = &one[0].sku;
        let taken = [((drop, ADA), 1), ((drop, BOB), 2)];
        assert_eq!(allowance.taken, taken.into());
    }

    #[test]
    fn a_guest_has_no_limited_product_and_takes_nothing_else_either() {
        let wanted = lines(&[("DROP", 1), ("MUG", 1)]);
        let allowance = allow(&standing(2), &[(GUEST, &wanted)]);
        let sku = wanted[0].sku.clone();
        let refusal = NotAllowed::Guest { sku, limit: 2 };
        assert_eq!(allowance.orders, [Some(refusal)]);
        assert!(allowance.taken.is_empty());
    }

    /// What must be true of any allowance, found out by serving one after the other.
    fn is_sound(
        standing: &Standing,
        orders: &[(Uuid, &[OrderLine])],
        allowance: &Allowance<'_>,
    ) -> bool {
        let mut has = standing.bought.clone();
        let mut got: BTreeMap<(&Sku, Uuid), i64> = BTreeMap::new();
        let as_alone =
            std::iter::zip(orders, &allowance.orders).all(|(&(buyer, lines), verdict)| {
                let limited = || {
                    lines
                        .iter()
                        .filter(|line| standing.limits.contains_key(line.sku.as_str()))
                };
                let fits = limited().all(|line| {
                    let has = has.get(&(line.sku.to_string(), buyer));
                    standing.users.contains(&buyer)
                        && has.copied().unwrap_or_default() + line.quantity
                            <= standing.limits[line.sku.as_str()]
                });
                if verdict.is_none() {
                    for line in limited() {
                        *has.entry((line.sku.to_string(), buyer)).or_default() += line.quantity;
                        *got.entry((&line.sku, buyer)).or_default() += line.quantity;
                    }
                }
                fits == verdict.is_none()
            });
        as_alone && got == allowance.taken
    }

    fn any_orders() -> impl Strategy<Value = Vec<(Uuid, Vec<OrderLine>)>> {
        let buyer = prop_oneof![Just(ADA), Just(BOB), Just(GUEST)];
        let order = (buyer, 0..4i64, 0..4i64).prop_map(|(buyer, drops, mugs)| {
            let wanted = [("DROP", drops), ("MUG", mugs)];
            let some: Vec<_> = wanted.into_iter().filter(|(_, n)| *n > 0).collect();
            (buyer, lines(&some))
        });
        proptest::collection::vec(order, 0..30)
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_limit_nor_is_refused_below_it(orders in any_orders(), limit in 1..9i64) {
            let asked: Vec<(Uuid, &[OrderLine])> =
                orders.iter().map(|(buyer, lines)| (*buyer, lines.as_slice())).collect();
            let standing = standing(limit);
            prop_assert!(is_sound(&standing, &asked, &allow(&standing, &asked)));
        }
    }

    /// The control: the check sees an allowance that forgets what the buyer has.
    #[test]
    fn an_allowance_that_forgets_is_caught() {
        let two = lines(&[("DROP", 2)]);
        let orders: [(Uuid, &[OrderLine]); 1] = [(ADA, &two)];
        let forgetful = Standing {
            bought: BTreeMap::new(),
            ..standing(2)
        };
        let allowance = allow(&forgetful, &orders);
        assert_eq!(allowance.orders, [None]);
        assert!(!is_sound(&standing(2), &orders, &allowance));
    }
}
