//! What one command costs in the pure cores, without a server: a million live holds must cost what a thousand do.

use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use holdfast_benches::{NOW_MS, hold_id, ledger, run, session};
use holdfast_session::{Digest, Rate, Touch};
use holdfast_stock::{Command, Until};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    reserve_and_confirm(&mut criterion);
    due_at_once(&mut criterion);
    touch(&mut criterion);
    criterion.final_summary();
}

fn reserve_and_confirm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reserve and confirm");
    for holds in [1_000, 1_000_000] {
        let mut ledger = ledger(holds);
        let mut next = holds;
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{holds} live holds"), |bencher| {
            bencher.iter(|| {
                next += 1;
                let id = hold_id(next);
                run(
                    &mut ledger,
                    &Command::Reserve {
                        id: id.clone(),
                        quantity: 1,
                        until: Until::In(120_000),
                    },
                );
                run(
                    &mut ledger,
                    &Command::Confirm {
                        id,
                        quantity: None,
                        late: None,
                    },
                );
            });
        });
    }
    group.finish();
}

/// One batch of the sweep.
fn due_at_once(criterion: &mut Criterion) {
    const BATCH: usize = 256;
    let full = ledger(10_000);
    let mut group = criterion.benchmark_group("sweep");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("256 holds due", |bencher| {
        bencher.iter_batched_ref(
            || full.clone(),
            |ledger| {
                let effect = ledger
                    .overdue(NOW_MS + 3_600_000, BATCH)
                    .expect("all are due");
                ledger.apply(&effect).expect("what is due can expire");
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn touch(criterion: &mut Criterion) {
    let digest = Digest::parse(&[7; 32]).expect("32 bytes");
    let rate = Rate::new(1_000_000, 1_000_000, 1);
    let mut record = session(digest);
    let mut now_ms = NOW_MS;
    criterion.bench_function("touch a session with page, item and rate", |bencher| {
        bencher.iter(|| {
            now_ms += 1;
            let item = [b'I', now_ms as u8];
            let touch = Touch {
                digest,
                page: Some(b"/lamps/lantern"),
                item: Some(&item),
                rate,
            };
            let touched = record.touch(&touch, now_ms);
            let effect = touched.effect.expect("the session is live and not limited");
            effect
                .apply(Some(&mut record))
                .expect("what was decided can be applied");
        });
    });
}
