//! RESERVE and CONFIRM on a key with few and with many live holds, beside the same as Lua scripts on a hash and a
//! sorted set: idempotent by id, with deadlines, and with outcomes that are kept.

use std::cell::RefCell;
use std::time::Instant;

use anyhow::Result;
use redis::{Connection, Value};

use crate::made_up::uuid;
use crate::rounds::{self, Contender, Turn};
use crate::server;
use crate::wire::{self, Batch};

const FEW: u64 = 1_000;
const ROUNDS: usize = 9;
const HOLD_MS: &[u8] = b"3600000";

/// Something that holds units of one SKU.
struct Stock<'a> {
    sku: &'static str,
    scripts: Option<&'a Scripts>,
    /// The next hold's number.
    next: u64,
}

/// The digests of the Lua scripts.
struct Scripts {
    reserve: String,
    confirm: String,
}

/// Prints pairs of RESERVE and CONFIRM a second, and how long a pair takes.
pub fn measure(count: u64) -> Result<()> {
    let server = server::start(&[])?;
    let connection = &mut server.connection()?;
    let scripts = Scripts {
        reserve: script(connection, include_str!("lua/reserve.lua"))?,
        confirm: script(connection, include_str!("lua/confirm.lua"))?,
    };
    let mut stocks = Vec::new();
    let contenders = [
        ("few", None, FEW),
        ("many", None, count),
        ("lua-few", Some(&scripts), FEW),
        ("lua-many", Some(&scripts), count),
    ];
    for (sku, scripts, holds) in contenders {
        let before = server::used_memory(connection)?;
        let mut stock = Stock {
            sku,
            scripts,
            next: 0,
        };
        stock.fill(connection, holds)?;
        let grown = server::used_memory(connection)? - before;
        stocks.push((stock, holds, grown / holds));
    }
    let (_, _, native) = &stocks[1];
    let (_, _, lua) = &stocks[3];
    println!(
        "RESERVE + CONFIRM on one key ({count} holds take {native} bytes each, as Lua's plain structures {lua})"
    );
    for (how, together, pairs) in [
        ("one pair after the other", 1, 2_000),
        (
            "50 pairs in a pipeline; an exchange is the pipeline",
            50,
            10_000,
        ),
    ] {
        println!("  {how}");
        let connection = RefCell::new(server.connection()?);
        let mut contenders: Vec<_> = stocks
            .iter_mut()
            .map(|(stock, holds, _)| {
                (
                    format!(
                        "{}, {holds} live holds",
                        if stock.scripts.is_some() {
                            "Lua"
                        } else {
                            "INV"
                        }
                    ),
                    stock,
                )
            })
            .collect();
        let mut contenders: Vec<_> = contenders
            .iter_mut()
            .map(|(name, stock)| {
                let connection = &connection;
                Contender::new(name, move || {
                    stock.turn(&mut connection.borrow_mut(), pairs, together)
                })
            })
            .collect();
        rounds::run(ROUNDS, &mut contenders)?;
    }
    Ok(())
}

fn script(connection: &mut Connection, text: &str) -> Result<String> {
    Ok(redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(text)
        .query(connection)?)
}

impl Stock<'_> {
    fn fill(&mut self, connection: &mut Connection, holds: u64) -> Result<()> {
        match self.scripts {
            None => redis::cmd("INV.SET")
                .arg(self.key())
                .arg(1_000_000_000)
                .query::<Value>(connection)?,
            Some(_) => redis::cmd("HSET")
                .arg(self.key())
                .arg("on_hand")
                .arg(1_000_000_000)
                .query(connection)?,
        };
        wire::load(connection, holds, |batch, _| {
            self.next += 1;
            self.reserve(batch);
        })
    }

    fn turn(&mut self, connection: &mut Connection, pairs: u64, together: u64) -> Result<Turn> {
        let batches: Vec<Batch> = (0..pairs / together)
            .map(|_| {
                let mut batch = Batch::default();
                for _ in 0..together {
                    self.next += 1;
                    self.reserve(&mut batch);
                    self.confirm(&mut batch);
                }
                batch
            })
            .collect();
        let mut exchanges = Vec::with_capacity(batches.len());
        let began = Instant::now();
        for batch in &batches {
            let began = Instant::now();
            batch.run(connection)?;
            exchanges.push(began.elapsed());
        }
        Ok(Turn {
            operations: pairs,
            elapsed: began.elapsed(),
            exchanges,
        })
    }

    fn key(&self) -> String {
        format!("inv:{{{}}}", self.sku)
    }

    fn reserve(&self, batch: &mut Batch) {
        let id = uuid(4, self.next);
        match self.scripts {
            None => batch.push(&[
                b"INV.RESERVE",
                self.key().as_bytes(),
                id.as_bytes(),
                b"1",
                b"PX",
                HOLD_MS,
            ]),
            Some(scripts) => self.call(batch, &scripts.reserve, &[id.as_bytes(), b"1", HOLD_MS]),
        }
    }

    fn confirm(&self, batch: &mut Batch) {
        let id = uuid(4, self.next);
        match self.scripts {
            None => batch.push(&[b"INV.CONFIRM", self.key().as_bytes(), id.as_bytes()]),
            Some(scripts) => self.call(batch, &scripts.confirm, &[id.as_bytes()]),
        }
    }

    fn call(&self, batch: &mut Batch, script: &str, args: &[&[u8]]) {
        let counts = self.key();
        let keys =
            ["holds", "deadlines", "outcomes", "finished"].map(|part| format!("{counts}:{part}"));
        let mut command: Vec<&[u8]> = vec![b"EVALSHA", script.as_bytes(), b"5", counts.as_bytes()];
        command.extend(keys.iter().map(|key| key.as_bytes()));
        command.extend(args);
        batch.push(&command);
    }
}
