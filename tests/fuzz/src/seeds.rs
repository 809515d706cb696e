//! Inputs to begin with: one of everything, as the code under test writes it today.

use holdfast_session::{Digest, Effect as Change, Rate, Start, Started, Touch};
use holdfast_stock::{Effect, Id, Ledger, Record};

use crate::{pieces, stock};

/// A target and an input for it.
pub type Seed = (&'static str, Vec<u8>);

/// At least one for each target that takes what the code under test has written.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let (changes, session) = session();
    let mut seeds = vec![
        (
            "session_codec",
            payload(holdfast_session::ENCODING_VERSION, &session),
        ),
        (
            "session_text",
            pieces::from_commands(&changes.iter().map(Change::to_args).collect::<Vec<_>>()),
        ),
        ("arguments", arguments()),
        (
            "control",
            pieces::from_commands(&[Effect::Counted { on_hand: 1 }.to_args()]),
        ),
    ];
    for effects in [one_of_each(), many()] {
        let mut ledger = Ledger::default();
        for effect in &effects {
            ledger.apply(effect).expect("effects that fit");
        }
        let records: Vec<_> = ledger
            .records()
            .flat_map(|record| Record::to_args(&record))
            .collect();
        let effects: Vec<_> = effects.iter().map(Effect::to_args).collect();
        seeds.extend([
            (
                "stock_codec",
                payload(
                    holdfast_stock::ENCODING_VERSION,
                    &stock::sound::encoded(&ledger),
                ),
            ),
            ("stock_text", pieces::from_commands(&effects)),
            ("stock_text", pieces::from_commands(&[records])),
        ]);
    }
    seeds
}

/// The input of a codec's target; without a cut.
fn payload(version: i32, bytes: &[u8]) -> Vec<u8> {
    let version = u8::try_from(version).expect("a small version");
    [&[version, pieces::UNCUT], bytes].concat()
}

/// Every command with all its options.
pub const COMMANDS: &[&str] = &[
    "INV.SET key 20 IF 3 FORCE",
    "INV.ADJUST key -5 ID delivery IF 3 FORCE",
    "INV.RESERVE key hold 2 PX 60000",
    "INV.RESERVE key hold 2 PXAT 1760000000000",
    "INV.MRESERVE 2 one two hold 1 2 PX 60000",
    "INV.PREPARE key hold LATE 2",
    "INV.EXTEND key hold PX 60000",
    "INV.CONFIRM key hold QUANTITY 1 LATE 2",
    "INV.RELEASE key hold",
    "INV.RETURN key hold back 1",
    "INV.GET key",
    "INV.HOLD key hold",
    "INV.HOLDS key STATE HELD CURSOR 0 COUNT 10",
    "INV.PENDING key 1000 COUNT 10",
    "INV.APPLY key 1 COUNTED 20",
    "INV.RESTORE key BASE 1 2 3",
    "SESSION.START key ######## ada IDLE 1 ABSOLUTE 2 ROLES buyer FIELD cart c1",
    "SESSION.TOUCH key ######## PAGE /lamps ITEM LAMP RATE 5 1 60",
    "SESSION.GET key cart lang",
    "SESSION.SET key cart c2 lang en",
    "SESSION.VIEWED key 5",
    "SESSION.ROTATE key ######## ======== GRACE 1000",
    "SESSION.END key",
    "SESSION.APPLY key SET cart c1",
    "INV.HELP",
    "SESSION.HELP",
];

/// Those commands, with digests in place of the hashes and of the equals signs.
fn arguments() -> Vec<u8> {
    let commands = COMMANDS.iter().map(|command| {
        let words = command.split(' ');
        words
            .map(|word| {
                word.replace("########", &"d1".repeat(32))
                    .replace("========", &"d2".repeat(32))
                    .into_bytes()
            })
            .collect()
    });
    pieces::from_commands(&commands.collect::<Vec<_>>())
}

/// The time of the seeds in Unix milliseconds.
const NOW_MS: u64 = 1_760_000_000_000;

fn id(text: &str) -> Id {
    Id::new(text.as_bytes()).expect("1 to 64 bytes")
}

/// Every effect of stock.
fn one_of_each() -> Vec<Effect> {
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
fn many() -> Vec<Effect> {
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

/// Every change of a session, and the packed session that comes of them.
fn session() -> (Vec<Change>, Vec<u8>) {
    let digest = |secret| Digest::parse(&[secret; 32]).expect("32 bytes");
    let now_ms = NOW_MS;
    let start = Start {
        digest: digest(1),
        user: b"ada",
        roles: b"buyer",
        idle_ms: 1_800_000,
        absolute_ms: 86_400_000,
        fields: vec![(b"cart", b"c1")],
    };
    let Ok(Started::New(_, put @ Change::Put(_))) = start.decide(None, now_ms) else {
        unreachable!("nothing is there")
    };
    let mut record = put.apply(None).expect("a start").expect("a session");
    let touch = Touch {
        digest: digest(1),
        page: Some(b"/lamps"),
        item: Some(b"LAMP"),
        rate: Rate::new(5, 1, 60),
    };
    let touched = record.touch(&touch, now_ms).effect.expect("a right secret");
    let set = Change::Set {
        pairs: vec![(b"lang".to_vec(), b"en".to_vec())],
    };
    let rotated = Change::Rotated {
        digest: digest(2),
        grace_until_ms: now_ms + 1_000,
    };
    for change in [&touched, &set, &rotated] {
        change.apply(Some(&mut record)).expect("it is there");
    }
    (vec![put, touched, set, rotated], record.encode())
}
