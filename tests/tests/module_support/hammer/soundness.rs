//! Whether what a server shows of each stock key fits together.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_tests::redis::Redis;
use holdfast_tests::wait;
use redis::Connection;

use super::commands::all_keys;
use super::server_commands::DATABASES;

type View = BTreeMap<String, u64>;
type Page = (String, Vec<(Vec<u8>, String, u64, u64)>);

/// Requires of every stock key that its holds add up to what INV.GET says of them, and that no more is promised than
/// there is.
pub fn require_sound(redis: &Redis) -> Result<()> {
    let c = &mut redis.connection()?;
    for db in 0..DATABASES {
        redis::cmd("SELECT").arg(db).exec(c)?;
        for key in all_keys() {
            // A hold may fall due between two looks.
            let what = format!("{key} of database {db} to be the same twice");
            let looked = wait::until(what, Duration::from_secs(30), || {
                let before = view(c, &key)?;
                let holds = holds(c, &key)?;
                Ok((before == view(c, &key)?).then_some((before, holds)))
            })?;
            if let (Some(view), holds) = looked {
                require_fit(&view, &holds, &key)?;
            }
        }
    }
    Ok(())
}

fn require_fit(view: &View, holds: &[(String, u64)], key: &str) -> Result<()> {
    let units = |state: &str| -> u64 {
        let of_state = holds.iter().filter(|(of, _)| of == state);
        of_state.map(|(_, units)| units).sum()
    };
    let (on_hand, held) = (view["on_hand"], units("HELD") + units("PREPARED"));
    let expected = [
        ("holds", holds.len() as u64),
        ("held", held),
        ("prepared", units("PREPARED")),
        ("available", on_hand.saturating_sub(held)),
        ("shortfall", held.saturating_sub(on_hand)),
    ];
    for (name, expected) in expected {
        ensure!(
            view[name] == expected,
            "{key} shows {view:?}, and {name} should be {expected}"
        );
    }
    Ok(())
}

/// INV.GET, or nothing where there is no stock.
fn view(c: &mut Connection, key: &str) -> Result<Option<View>> {
    Ok(redis::cmd("INV.GET").arg(key).query(c).unwrap_or_default())
}

/// State and units of every hold, walked page by page.
fn holds(c: &mut Connection, key: &str) -> Result<Vec<(String, u64)>> {
    let (mut cursor, mut holds) = ("0".to_owned(), Vec::new());
    loop {
        let mut command = redis::cmd("INV.HOLDS");
        command
            .arg(key)
            .arg("CURSOR")
            .arg(&cursor)
            .arg("COUNT")
            .arg(7);
        let Ok((next, page)) = command.query::<Page>(c) else {
            return Ok(holds);
        };
        holds.extend(page.into_iter().map(|(_, state, units, _)| (state, units)));
        if next == "0" {
            return Ok(holds);
        }
        cursor = next;
    }
}
