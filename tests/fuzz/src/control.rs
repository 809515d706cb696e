//! A target with a bug in it, so that it is known that the harness finds one and says so.

use holdfast_stock::{Effect, Ledger, Record};

use crate::{Verdict, pieces};

/// Applies effects as `stock_text` does, but finds fault with any ledger that has a hold. Its seed only counts units, so
/// a fuzzer has to come upon a RESERVED with all its arguments: without the guidance of coverage that takes for ever.
pub fn check(input: &[u8]) -> Verdict {
    let mut ledger = Ledger::default();
    for args in pieces::commands(input) {
        if let Ok(effect) = Effect::from_args(&args) {
            // What does not fit is refused, as it should be.
            let _ = ledger.apply(&effect);
        }
    }
    let held = ledger
        .records()
        .any(|record| matches!(record, Record::Hold { .. }));
    assert!(!held, "the planted bug");
    Verdict::accepted_if(ledger.seq() > 0)
}
