//! The effects of a ledger's life.

use holdfast_stock::{Effect, Id};

use super::NOW_MS;

/// Every effect of stock.
pub(super) fn one_of_each() -> Vec<Effect> {
    let uuid = || id("0190f3a2-7c1e-7abc-8def-0123456789ab");
    let at_ms = NOW_MS;
    let reserved = |id: Id, quantity, deadline_ms| Effect::Reserved {
        id,
        quantity,
        deadline_ms,
    };
    vec![
        Effect::Counted { on_hand: 20 },
        Effect::Adjusted {
            delta: 5,
            id: Some(id("delivery")),
            at_ms,
        },
        Effect::Adjusted {
            delta: -2,
            id: None,
            at_ms,
        },
        reserved(id("expired"), 1, at_ms),
        Effect::Expired { count: 1, at_ms },
        reserved(id("again"), 1, at_ms),
        Effect::Expired { count: 1, at_ms },
        Effect::Retaken {
            id: id("again"),
            quantity: 1,
            at_ms,
        },
        reserved(uuid(), 3, at_ms + 60_000),
        Effect::Extended {
            id: uuid(),
            deadline_ms: at_ms + 90_000,
        },
        reserved(id("prepared"), 2, at_ms + 60_000),
        Effect::Prepared {
            id: id("prepared"),
            at_ms,
        },
        reserved(id("sold"), 4, at_ms + 60_000),
        Effect::Confirmed {
            id: id("sold"),
            quantity: 3,
            at_ms,
        },
        Effect::Returned {
            id: id("sold"),
            return_id: id("back"),
            quantity: 1,
            at_ms,
        },
        reserved(id("released"), 1, at_ms + 60_000),
        Effect::Released {
            id: id("released"),
            at_ms,
        },
        Effect::Released {
            id: id("early"),
            at_ms,
        },
        Effect::Forgotten {
            outcomes: 1,
            adjustments: 0,
        },
    ]
}

/// So many holds, outcomes and adjustments that each kind fills several chunks, their deadlines in no order.
pub(super) fn many() -> Vec<Effect> {
    let at_ms = NOW_MS;
    let hold = |number: u64| match number % 2 {
        0 => id(&format!("{number:x}")),
        _ => id(&format!("0190f3a2-7c1e-7abc-8def-0123456789{number:02x}")),
    };
    let mut effects = vec![Effect::Counted { on_hand: 500 }];
    for number in 0..36 {
        let deadline_ms = at_ms + 1_000 * (number * 17 % 36);
        effects.push(Effect::Reserved {
            id: hold(number),
            quantity: 2 + number % 3,
            deadline_ms,
        });
        let delta = 1;
        let adjustment = (number % 3 == 0).then(|| Effect::Adjusted {
            delta,
            id: Some(id(&format!("a{number}"))),
            at_ms,
        });
        effects.extend(adjustment);
    }
    effects.push(Effect::Expired {
        count: 6,
        at_ms: at_ms + 5_000,
    });
    for number in 0..36 {
        // Those that expired are the ones whose deadline was among the first six.
        let live = number * 17 % 36 >= 6;
        effects.extend(live.then(|| hold(number)).and_then(|id| match number % 4 {
            0 => Some(Effect::Confirmed {
                id,
                quantity: 2,
                at_ms,
            }),
            1 if number > 16 => Some(Effect::Prepared { id, at_ms }),
            3 if number < 20 => Some(Effect::Released { id, at_ms }),
            _ => None,
        }));
        let sold = live && number % 8 == 0;
        let return_id = id(&format!("r{number}"));
        effects.extend(sold.then(|| Effect::Returned {
            id: hold(number),
            return_id,
            quantity: 1,
            at_ms,
        }));
    }
    effects
}

fn id(text: &str) -> Id {
    Id::new(text.as_bytes()).expect("1 to 64 bytes")
}
