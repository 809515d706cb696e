//! Bytes that the server's account grows by for each of a million, name and index included.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::made_up::{self, digest, fields, session_key, user, uuid};
use crate::server;
use crate::wire::{self, Batch};

type Write = Box<dyn FnMut(&mut Batch, u64)>;

/// Prints a line for each kind.
pub fn measure(count: u64) -> Result<()> {
    let version = server::version(&mut server::start(&[])?.connection()?)?;
    println!("Memory by used_memory, {count} of each ({version})");
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let kinds: [(&str, Write); 6] = [
        ("idle session, five fields", Box::new(start_session)),
        (
            "… and 25 items of 5 or 6 characters",
            put_session(now_ms, made_up::short_sku),
        ),
        (
            "… and 25 items of 13 characters",
            put_session(now_ms, made_up::long_sku),
        ),
        ("live hold, UUID, all on one key", reserve(1)),
        (
            "live hold, UUID, 1,000 on each key",
            reserve(count.div_ceil(1_000)),
        ),
        ("kept outcome, UUID", Box::new(reserve_and_confirm)),
    ];
    for (name, write) in kinds {
        let server = server::start(&[])?;
        let connection = &mut server.connection()?;
        let before = server::used_memory(connection)?;
        wire::load(connection, count, write)?;
        let grown = server::used_memory(connection)? - before;
        println!("  {name:<40} {:>6.1} bytes", grown as f64 / count as f64);
    }
    Ok(())
}

fn start_session(batch: &mut Batch, n: u64) {
    let (key, digest, user, fields) = (session_key(n), digest(n), user(n), fields(n));
    let mut args: Vec<&[u8]> = vec![b"SESSION.START", key.as_bytes(), &digest, user.as_bytes()];
    args.extend([b"ROLES".as_slice(), b"customer", b"FIELD"]);
    for (name, value) in &fields {
        args.extend([name.as_bytes(), value.as_bytes()]);
    }
    batch.push(&args);
}

/// The session as a replica gets it: 25 times fewer commands, and the same in memory.
fn put_session(now_ms: u64, sku: fn(u64) -> String) -> Write {
    Box::new(move |batch, n| {
        let (key, packed) = (session_key(n), made_up::packed_session(n, now_ms, sku));
        batch.push(&[b"SESSION.APPLY", key.as_bytes(), b"PUT", &packed]);
    })
}

fn reserve(keys: u64) -> Write {
    Box::new(move |batch, n| {
        let key = format!("inv:{{lamp-{}}}", n % keys);
        if n < keys {
            batch.push(&[b"INV.SET", key.as_bytes(), b"1000000000"]);
        }
        batch.push(&[
            b"INV.RESERVE",
            key.as_bytes(),
            uuid(3, n).as_bytes(),
            b"1",
            b"PX",
            b"3600000",
        ]);
    })
}

fn reserve_and_confirm(batch: &mut Batch, n: u64) {
    let (key, id) = (b"inv:{lamp}", uuid(3, n));
    if n == 0 {
        batch.push(&[b"INV.SET", key, b"1000000000"]);
    }
    batch.push(&[b"INV.RESERVE", key, id.as_bytes(), b"1"]);
    batch.push(&[b"INV.CONFIRM", key, id.as_bytes()]);
}
