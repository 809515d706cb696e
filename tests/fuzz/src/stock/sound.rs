//! What must be true of every ledger, however it came about.

use holdfast_stock::{
    Decoder, ENCODING_VERSION, Ledger, Record, Retention, Standing, State, StateFilter,
};

use crate::pieces;

/// No server's clock will ever show a later time, and no ledger takes one, in Unix milliseconds.
pub const END_OF_TIME_MS: u64 = (1 << 53) - 1;

/// Panics unless the ledger agrees with its own records, and survives being written down in both ways.
pub fn assert_sound(ledger: &Ledger) {
    let records: Vec<_> = ledger.records().collect();
    for now_ms in times(ledger) {
        assert_sums(ledger, &records, now_ms);
        assert_known(ledger, &records, now_ms);
        let _ = ledger.forgettable(&Retention::default(), now_ms, usize::MAX);
    }
    let _ = ledger.next_event_ms(&Retention::default());
    assert_pages(ledger, &records);
    assert_eq!(
        ledger.outcome_count() + ledger.adjustment_count(),
        remembered(&records)
    );
    if ledger.seq() > 0 {
        let bytes = encoded(ledger);
        let again = decoded(&bytes);
        assert!(again == *ledger, "what was written is read otherwise");
        assert_eq!(encoded(&again), bytes, "equal ledgers, unequal bytes");
        assert!(
            rewritten(&records) == *ledger,
            "the rewritten ledger is another"
        );
    }
}

/// Times at which the ledger may look different.
#[must_use]
pub fn times(ledger: &Ledger) -> [u64; 4] {
    let deadline_ms = ledger.records().find_map(|record| match record {
        Record::Hold { hold, .. } => Some(hold.deadline_ms()),
        _ => None,
    });
    let deadline_ms = deadline_ms.unwrap_or(1_000).min(END_OF_TIME_MS);
    [
        0,
        deadline_ms.saturating_sub(1),
        deadline_ms,
        END_OF_TIME_MS,
    ]
}

/// The ledger packed, its chunks put together.
#[must_use]
pub fn encoded(ledger: &Ledger) -> Vec<u8> {
    let mut bytes = Vec::new();
    ledger.encode(|chunk| {
        assert!(!chunk.is_empty());
        bytes.extend_from_slice(chunk);
    });
    bytes
}

fn decoded(bytes: &[u8]) -> Ledger {
    let mut decoder = Decoder::new(ENCODING_VERSION).expect("our own version");
    decoder
        .chunk(bytes)
        .expect("what was encoded can be decoded");
    decoder.finish().expect("it is complete")
}

fn rewritten(records: &[Record]) -> Ledger {
    let mut again = Ledger::default();
    for some in records.chunks(3) {
        let args: Vec<_> = some.iter().flat_map(Record::to_args).collect();
        let read =
            Record::all_from_args(&pieces::borrowed(&args)).expect("what was written can be read");
        assert_eq!(read, some);
        again
            .restore_all(&read)
            .expect("what was there can be restored");
    }
    again
}

fn assert_sums(ledger: &Ledger, records: &[Record], now_ms: u64) {
    let (mut held, mut prepared, mut holds, mut due) = (0, 0, 0, 0);
    for record in records {
        match record {
            Record::Hold { hold, .. } if hold.is_due(now_ms) => due += 1,
            Record::Hold { hold, .. } => {
                holds += 1;
                held += hold.quantity;
                if matches!(hold.state, State::Prepared { .. }) {
                    prepared += hold.quantity;
                }
            }
            _ => {}
        }
    }
    let summary = ledger.summary(now_ms);
    assert_eq!(
        (summary.held, summary.prepared, summary.holds),
        (held, prepared, holds)
    );
    assert_eq!(summary.available, summary.on_hand.saturating_sub(held));
    assert_eq!(summary.shortfall, held.saturating_sub(summary.on_hand));
    assert_eq!(ledger.available(now_ms), summary.available);
    let overdue = ledger
        .overdue(now_ms, usize::MAX)
        .map_or(0, |effect| effect.changes());
    assert_eq!(overdue, due);
}

fn assert_known(ledger: &Ledger, records: &[Record], now_ms: u64) {
    let mut prepared = Vec::new();
    for record in records {
        match record {
            Record::Hold { number, hold } => {
                let standing = ledger.standing(&hold.id, now_ms);
                let expected = if hold.is_due(now_ms) {
                    Standing::Due(hold.clone())
                } else {
                    Standing::Live(hold.clone())
                };
                assert_eq!(standing, expected);
                if let State::Prepared { since_ms } = hold.state {
                    prepared.push((since_ms, *number, hold.clone()));
                }
            }
            Record::Outcome { outcome, .. } => {
                assert_eq!(
                    ledger.standing(&outcome.id, now_ms),
                    Standing::Finished(outcome.clone())
                );
            }
            Record::Base { .. } | Record::Adjustment { .. } => {}
        }
    }
    prepared.sort_by_key(|(since_ms, number, _)| (*since_ms, *number));
    let expected: Vec<_> = (prepared.into_iter())
        .map(|(since_ms, _, hold)| (since_ms, hold))
        .collect();
    assert_eq!(
        ledger.oldest_prepared_ms(),
        expected.first().map(|(since_ms, _)| *since_ms)
    );
    assert_eq!(ledger.pending().collect::<Vec<_>>(), expected);
}

/// A walk through the pages shows every hold once, in order of age.
fn assert_pages(ledger: &Ledger, records: &[Record]) {
    for filter in [None, Some(StateFilter::Held), Some(StateFilter::Prepared)] {
        let wanted = records.iter().filter_map(|record| match record {
            Record::Hold { number, hold } => Some((*number, hold.clone())),
            _ => None,
        });
        let wanted = wanted.filter(|(_, hold)| match filter {
            None => true,
            Some(StateFilter::Held) => matches!(hold.state, State::Held { .. }),
            Some(StateFilter::Prepared) => matches!(hold.state, State::Prepared { .. }),
        });
        let (mut shown, mut after) = (Vec::new(), 0);
        loop {
            let page = ledger.holds_page(filter, after, 2);
            shown.extend(page.holds);
            assert!(page.next == 0 || page.next > after, "the walk goes back");
            after = page.next;
            if after == 0 {
                break;
            }
        }
        assert_eq!(shown, wanted.collect::<Vec<_>>());
    }
}

fn remembered(records: &[Record]) -> usize {
    let finished =
        |record: &&Record| matches!(record, Record::Outcome { .. } | Record::Adjustment { .. });
    records.iter().filter(finished).count()
}
