//! SESSION.TOUCH beside what a shop without it does on every request, and beside the cheapest write that there is.
//!
//! The others keep no secret, no absolute timeout and no TTL on the list of items: TOUCH does more than they do.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use holdfast_tests::redis::Redis;
use redis::Connection;

use crate::made_up::{digest, session_key, short_sku, user};
use crate::rounds::{self, Contender, Turn};
use crate::server;
use crate::wire::{self, Batch};

const SESSIONS: u64 = 100_000;
const ROUNDS: usize = 9;

/// How the requests come in.
struct Traffic {
    connections: u64,
    together: u64,
    exchanges: u64,
}

/// Writes the `n`-th request on one of the sessions.
type Write = fn(&mut Batch, n: u64, script: &str);

/// Prints requests a second, and how long an exchange takes.
pub fn measure() -> Result<()> {
    let server = server::start(&[])?;
    let connection = &mut server.connection()?;
    wire::load(connection, SESSIONS, |batch, n| {
        let (key, digest, user) = (session_key(n), digest(n), user(n));
        batch.push(&[
            b"SESSION.START",
            key.as_bytes(),
            &digest,
            user.as_bytes(),
            b"ROLES",
            b"customer",
        ]);
    })?;
    let script: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(include_str!("lua/touch.lua"))
        .query(connection)?;
    println!("SESSION.TOUCH with page and item, {SESSIONS} sessions");
    for (how, traffic) in [
        (
            "8 connections, one request after the other",
            Traffic {
                connections: 8,
                together: 1,
                exchanges: 1_000,
            },
        ),
        (
            "4 connections, 16 requests in a pipeline; an exchange is the pipeline",
            Traffic {
                connections: 4,
                together: 16,
                exchanges: 250,
            },
        ),
    ] {
        println!("  {how}");
        let contenders: [(&str, Write); 4] = [
            ("SESSION.TOUCH", session_touch),
            ("MULTI HSET HINCRBY EXPIRE ZADD ZREMRANGEBY…", multi),
            ("the same five as a Lua script", lua),
            ("plain SET", set),
        ];
        let turns = Cell::new(0);
        let mut contenders = contenders.map(|(name, write)| {
            let (server, traffic, script, turns) = (&server, &traffic, &script, &turns);
            Contender::new(name, move || {
                turns.set(turns.get() + 1);
                traffic.turn(server, turns.get(), write, script)
            })
        });
        rounds::run(ROUNDS, &mut contenders)?;
    }
    Ok(())
}

impl Traffic {
    fn turn(&self, server: &Redis, turn: u64, write: Write, script: &str) -> Result<Turn> {
        let clients: Vec<_> = (0..self.connections)
            .map(|client| {
                let first = (turn * self.connections + client) * self.exchanges * self.together;
                let batches = (0..self.exchanges).map(|exchange| {
                    let mut batch = Batch::default();
                    for n in 0..self.together {
                        write(&mut batch, first + exchange * self.together + n, script);
                    }
                    batch
                });
                Ok((server.connection()?, batches.collect()))
            })
            .collect::<Result<_>>()?;
        let began = Instant::now();
        let exchanges = thread::scope(|scope| {
            let clients: Vec<_> = clients
                .into_iter()
                .map(|(connection, batches)| scope.spawn(|| exchanges(connection, batches)))
                .collect();
            let clients = clients.into_iter().map(|client| client.join().ok());
            clients.collect::<Option<Result<Vec<_>>>>()
        });
        Ok(Turn {
            operations: self.connections * self.exchanges * self.together,
            elapsed: began.elapsed(),
            exchanges: exchanges.context("a client panicked")??.concat(),
        })
    }
}

fn exchanges(mut connection: Connection, batches: Vec<Batch>) -> Result<Vec<Duration>> {
    let run = |batch: &Batch| {
        let began = Instant::now();
        batch.run(&mut connection)?;
        Ok(began.elapsed())
    };
    batches.iter().map(run).collect()
}

fn session_touch(batch: &mut Batch, n: u64, _: &str) {
    let session = session(n);
    let (key, digest, page, sku) = (session_key(session), digest(session), page(n), short_sku(n));
    batch.push(&[
        b"SESSION.TOUCH",
        key.as_bytes(),
        &digest,
        b"PAGE",
        page.as_bytes(),
        b"ITEM",
        sku.as_bytes(),
    ]);
}

fn multi(batch: &mut Batch, n: u64, _: &str) {
    let (hash, viewed) = plain_keys(n);
    let (hash, viewed) = (hash.as_bytes(), viewed.as_bytes());
    let (page, sku, now_ms) = (page(n), short_sku(n), now_ms(n));
    let (page, sku, now_ms) = (page.as_bytes(), sku.as_bytes(), now_ms.as_bytes());
    batch.push(&[b"MULTI"]);
    batch.push(&[b"HSET", hash, b"page", page, b"activity", now_ms]);
    batch.push(&[b"HINCRBY", hash, b"views", b"1"]);
    batch.push(&[b"EXPIRE", hash, b"1800"]);
    batch.push(&[b"ZADD", viewed, now_ms, sku]);
    batch.push(&[b"ZREMRANGEBYRANK", viewed, b"0", b"-26"]);
    batch.push(&[b"EXEC"]);
}

fn lua(batch: &mut Batch, n: u64, script: &str) {
    let (hash, viewed) = plain_keys(n);
    let (page, sku, now_ms) = (page(n), short_sku(n), now_ms(n));
    batch.push(&[
        b"EVALSHA",
        script.as_bytes(),
        b"2",
        hash.as_bytes(),
        viewed.as_bytes(),
        page.as_bytes(),
        sku.as_bytes(),
        now_ms.as_bytes(),
        b"1800",
    ]);
}

fn set(batch: &mut Batch, n: u64, _: &str) {
    let key = format!("plain:{}", session_key(session(n)));
    batch.push(&[b"SET", key.as_bytes(), page(n).as_bytes()]);
}

/// Which of the sessions the `n`-th request is about.
fn session(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % SESSIONS
}

fn plain_keys(n: u64) -> (String, String) {
    let key = session_key(session(n));
    (format!("{{{key}}}:hash"), format!("{{{key}}}:viewed"))
}

fn page(n: u64) -> String {
    format!("/products/{}", short_sku(n))
}

fn now_ms(n: u64) -> String {
    (1_800_000_000_000 + n).to_string()
}
