//! Hostile effects and records as text: a ledger takes one whole and stays sound, or refuses it unchanged.

use holdfast_stock::{Effect, Ledger, Record};

use super::sound;
use super::watched::Watched;
use crate::{Verdict, pieces};

/// The input is commands, each an effect or some records. Effects go to one ledger, records to another.
pub fn check(input: &[u8]) -> Verdict {
    let mut followed = Watched::new(Ledger::default());
    let mut restored = Ledger::default();
    for args in pieces::commands(input) {
        if let Ok(effect) = Effect::from_args(&args) {
            followed.apply(&effect);
        }
        if let Ok(records) = Record::all_from_args(&args) {
            restore(&mut restored, &records);
        }
    }
    sound::assert_sound(followed.ledger());
    sound::assert_sound(&restored);
    Verdict::accepted_if(followed.ledger().seq() > 0 || restored.seq() > 0)
}

fn restore(ledger: &mut Ledger, records: &[Record]) {
    let before = ledger.clone();
    match ledger.restore_all(records) {
        Ok(()) => assert_eq!(
            ledger.records().count(),
            before.records().count() + added(&before, records)
        ),
        Err(_) => {
            assert!(
                *ledger == before,
                "records were refused and changed something"
            );
            // Sums that are kept beside the records must be as before, too.
            sound::assert_sound(ledger);
        }
    }
}

/// Every ledger has a base, so the first one only fills in what was there.
fn added(before: &Ledger, records: &[Record]) -> usize {
    let bases = usize::from(before.seq() == 0 && !records.is_empty());
    records.len() - bases
}
