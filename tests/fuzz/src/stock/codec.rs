//! Hostile payloads: what can be decoded at all is a ledger as good as any.

use holdfast_stock::{Command, Decoder, Ledger, Record, Until};

use super::sound;
use super::watched::Watched;
use crate::{Verdict, pieces};

/// The input is an encoding version, a place to cut, and a payload.
pub fn check(input: &[u8]) -> Verdict {
    let Some(ledger) = pieces::payload(input).and_then(|(version, chunks)| decode(version, chunks))
    else {
        return Verdict::Refused;
    };
    assert!(
        ledger.memory() < 64 * 1024 + 512 * input.len(),
        "{} bytes made a ledger of {}",
        input.len(),
        ledger.memory()
    );
    sound::assert_sound(&ledger);
    obeys(ledger);
    Verdict::Accepted
}

/// The ledger in a payload, if it is one.
pub fn decode(version: i32, chunks: [&[u8]; 2]) -> Option<Ledger> {
    let mut decoder = Decoder::new(version).ok()?;
    for chunk in chunks {
        decoder.chunk(chunk).ok()?;
    }
    decoder.finish().ok()
}

/// Puts every command to a few of the ledger's holds, before and after their deadlines.
fn obeys(ledger: Ledger) {
    let holds: Vec<_> = ledger
        .records()
        .filter_map(|record| match record {
            Record::Hold { hold, .. } => Some((hold.id, hold.quantity)),
            Record::Outcome { outcome, .. } => Some((outcome.id, outcome.quantity)),
            _ => None,
        })
        .take(3)
        .collect();
    let times = sound::times(&ledger);
    let mut watched = Watched::new(ledger);
    for now_ms in times {
        for (id, quantity) in holds.clone() {
            let quantity = quantity.max(1);
            let until = Until::In(1_000);
            let late = Some(quantity);
            let commands = [
                Command::Extend {
                    id: id.clone(),
                    for_ms: 5_000,
                },
                Command::Reserve {
                    id: id.clone(),
                    quantity,
                    until,
                },
                Command::Prepare {
                    id: id.clone(),
                    late,
                },
                Command::Confirm {
                    id: id.clone(),
                    quantity: None,
                    late,
                },
                Command::Release { id: id.clone() },
                Command::Return {
                    return_id: id.clone(),
                    id,
                    quantity,
                },
            ];
            for command in commands {
                watched.ask(&command, now_ms);
            }
        }
        watched.ask(
            &Command::Adjust {
                delta: -1,
                id: None,
                only_if: None,
                force: true,
            },
            now_ms,
        );
        watched.ask(
            &Command::Set {
                on_hand: 5,
                only_if: None,
                force: false,
            },
            now_ms,
        );
        watched.sweep(now_ms, 2);
    }
    sound::assert_sound(watched.ledger());
}
