//! Inputs to begin with: some of everything, as the code under test writes it today.

mod arguments;
mod session;
mod stock;

pub use arguments::COMMANDS;
use holdfast_stock::{Effect, Ledger, Record};

use crate::{pieces, stock::sound};

/// A target and an input for it.
pub type Seed = (&'static str, Vec<u8>);

/// The time of the seeds in Unix milliseconds.
const NOW_MS: u64 = 1_760_000_000_000;

/// At least one for each target that takes what the code under test has written.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let counted = Effect::Counted { on_hand: 1 };
    let mut seeds = vec![
        ("arguments", arguments::arguments()),
        ("control", pieces::from_commands(&[counted.to_args()])),
    ];
    for changes in [session::one_of_each(), session::longest()] {
        let packed = session::record(&changes).encode();
        let changes: Vec<_> = changes.iter().map(|change| change.to_args()).collect();
        seeds.extend([
            (
                "session_codec",
                payload(holdfast_session::ENCODING_VERSION, &packed),
            ),
            ("session_text", pieces::from_commands(&changes)),
        ]);
    }
    for effects in [stock::one_of_each(), stock::many()] {
        let mut ledger = Ledger::default();
        for effect in &effects {
            ledger.apply(effect).expect("effects that fit");
        }
        let packed = sound::encoded(&ledger);
        let effects: Vec<_> = effects.iter().map(Effect::to_args).collect();
        let records: Vec<_> = ledger
            .records()
            .flat_map(|record| Record::to_args(&record))
            .collect();
        seeds.extend([
            (
                "stock_codec",
                payload(holdfast_stock::ENCODING_VERSION, &packed),
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
