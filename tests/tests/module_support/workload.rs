//! Random commands on a few keys, with deadlines that fall due while they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};
use holdfast_tests::redis::Redis;
use redis::Connection;

use super::ask;
use super::numbers::Numbers;

/// The keys of stock that [`work`] leaves.
pub const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];

/// Runs that many commands on stock and sessions.
pub fn work(c: &mut Connection, numbers: &mut Numbers, commands: usize) {
    for _ in 0..commands {
        let (key, id, units) = (numbers.below(4), numbers.below(200), 1 + numbers.below(3));
        let digest = numbers.below(2).to_string().repeat(64);
        let command = match numbers.below(20) {
            0 => format!("INV.SET k{key} {}", numbers.below(60)),
            1 => format!("INV.SET k{key} {} FORCE", numbers.below(60)),
            2 => format!("INV.ADJUST k{key} {} ID a{id}", units * 5),
            3 => format!("INV.ADJUST k{key} -{units}"),
            4..=7 => format!(
                "INV.RESERVE k{key} o{id} {units} PX {}",
                1 + numbers.below(300)
            ),
            8 => format!("INV.MRESERVE 2 k0 k1 o{id} {units} {units} PX 200"),
            9 | 10 => format!("INV.PREPARE k{key} o{id} LATE {units}"),
            11 => format!("INV.EXTEND k{key} o{id} PX {}", 1 + numbers.below(500)),
            12 | 13 => format!("INV.CONFIRM k{key} o{id}"),
            14 => format!("INV.CONFIRM k{key} o{id} LATE {units}"),
            15 => format!("INV.RELEASE k{key} o{id}"),
            16 => format!(
                "SESSION.START s{key} {digest} user IDLE {}",
                50 + numbers.below(5_000)
            ),
            17 => format!("SESSION.TOUCH s{key} {digest} PAGE /{id} ITEM I{id} RATE 3 1 1"),
            18 => format!("SESSION.SET s{key} f{units} v{id}"),
            _ => format!(
                "SESSION.ROTATE s{key} {digest} {}",
                numbers.below(2).to_string().repeat(64)
            ),
        };
        ask(c, &command);
    }
}

/// A client that works until it is stopped.
pub struct Worker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Worker {
    pub fn start(redis: &Redis, seed: u64) -> Result<Worker> {
        let mut connection = redis.connection()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut numbers = Numbers::new(seed);
            while !stopped.load(Ordering::Relaxed) {
                work(&mut connection, &mut numbers, 100);
            }
        });
        Ok(Worker { stop, thread })
    }

    pub fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the worker panicked"))
    }
}
