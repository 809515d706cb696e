//! Arguments for the commands by which replicas and files follow a primary, from a client that is allowed to use them.

use anyhow::Result;
use redis::Connection;

use super::values::{fill, is_session, ttl};
use super::watch::{Watch, assert_consistent};
use crate::module_support::numbers::Numbers;
use crate::module_support::{ask, ask_bytes, digest, in_step, redis, replica, stock};

/// Commands for each kind of value.
const TIMES: u64 = 1_500;

/// Effects of stock, records of stock, and effects of a session, with `i` for an id, `n` for a number and `v` for anything.
const SHAPES: [&str; 24] = [
    "COUNTED n",
    "ADJUSTED n n i",
    "RESERVED i n n",
    "RETAKEN i n n",
    "PREPARED i n",
    "EXTENDED i n",
    "CONFIRMED i n n",
    "RELEASED i n",
    "EXPIRED n n",
    "FORGOTTEN n n",
    "RETURNED i i n n",
    "BASE n n n",
    "HELD n i n n",
    "PREPARED n i n n",
    "CONFIRMED n i n n",
    "RELEASED n i n n",
    "RETURNED n i n n n",
    "ADJUSTED n i n n",
    "RETURN n i n n i",
    "TOUCHED n PAGE v ITEM i TAT n",
    "SET i v",
    "SET v v v v",
    "ROTATED v n",
    "PUT v",
];

const IDS: [&[u8]; 11] = [
    b"held",
    b"0190f3a2-7c1e-7abc-8def-0123456789ab",
    b"sold",
    b"early",
    b"old",
    b"young",
    b"delivery",
    b"back",
    b"new",
    b"\0\r\n\xff",
    &[b'x'; 64],
];

const NUMBERS: [&[u8]; 9] = [
    b"0",
    b"1",
    b"2",
    b"3",
    b"20",
    b"-1",
    b"9007199254740991",
    b"9223372036854775807",
    b"18446744073709551615",
];

/// What is neither an id nor a number, and numbers out of every range.
const OTHERS: [&[u8]; 11] = [
    b"",
    &[b'x'; 65],
    &[b'x'; 100_000],
    b"user",
    b"page_views",
    b"01",
    b"1e3",
    b"9007199254740992",
    b"-9223372036854775808",
    b"99999999999999999999",
    &[0xff; 32],
];

fn one_of(choices: &[&[u8]], numbers: &mut Numbers) -> Vec<u8> {
    choices[numbers.below(choices.len() as u64) as usize].to_vec()
}

/// An effect or a record with something else in place of an argument now and then, one missing or one too many.
fn shaped(numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let shape = numbers.one_of(&SHAPES);
    let mut args: Vec<_> = (shape.split(' '))
        .map(|part| match part {
            _ if numbers.once_in(12) => one_of(&OTHERS, numbers),
            "i" => one_of(&IDS, numbers),
            "n" => one_of(&NUMBERS, numbers),
            "v" => match numbers.below(3) {
                0 => one_of(&IDS, numbers),
                1 => one_of(&NUMBERS, numbers),
                _ => one_of(&OTHERS, numbers),
            },
            word => word.as_bytes().to_vec(),
        })
        .collect();
    if numbers.once_in(12) {
        args.pop();
    }
    if numbers.once_in(12) {
        args.push(one_of(&NUMBERS, numbers));
    }
    args
}

/// A whole command. `INV.APPLY` mostly gets the number that it must have, and `INV.RESTORE` some records at once.
fn command(c: &mut Connection, key: &str, numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let name = numbers.one_of(&["INV.APPLY", "INV.RESTORE", "SESSION.APPLY"]);
    let mut args = vec![name.as_bytes().to_vec(), key.as_bytes().to_vec()];
    if name == "INV.APPLY" {
        let seq = match ask(c, &format!("TYPE {key}")).as_str() {
            "holdstock" => stock(c, key, "seq") + 1,
            _ => 1,
        };
        args.push(if numbers.once_in(8) {
            one_of(&NUMBERS, numbers)
        } else {
            seq.to_string().into_bytes()
        });
    }
    for _ in 0..if name == "INV.RESTORE" {
        1 + numbers.below(3)
    } else {
        1
    } {
        args.extend(shaped(numbers));
    }
    args
}

#[test]
fn no_effect_or_record_from_a_client_makes_a_value_that_lies() -> Result<()> {
    let redis = redis(&[])?;
    let replica = replica(&redis, &[])?;
    let c = &mut redis.connection()?;
    let mut keys = fill(c);
    ask(c, "SET text plain");
    keys.extend(["text", "absent"]);
    let watch = Watch::begin(c)?;
    let mut numbers = Numbers::new(3);
    let (mut refused, mut taken) = (0, 0);
    for key in keys {
        let whole: Option<Vec<u8>> = redis::cmd("DUMP").arg(key).query(c)?;
        let before = digest(c, key);
        for _ in 0..TIMES {
            let command = command(c, key, &mut numbers);
            let args: Vec<_> = command.iter().map(Vec::as_slice).collect();
            let shown = command.join(&b' ').escape_ascii().to_string();
            let shown = &shown[..shown.len().min(500)];
            let answer = ask_bytes(c, &args);
            if answer == "OK" {
                taken += 1;
                assert!(key != "text", "{shown}");
                assert_consistent(c, key, shown.as_bytes());
                let restored: Option<String> = whole.as_ref().map(|whole| {
                    ask_bytes(
                        c,
                        &[b"RESTORE", key.as_bytes(), ttl(key), whole, b"REPLACE"],
                    )
                });
                assert!(restored.is_none_or(|restored| restored == "OK"));
            } else {
                refused += 1;
                assert!(
                    answer.starts_with('!') && !answer.contains("bug"),
                    "{shown}: {answer}"
                );
            }
            assert_eq!(digest(c, key), before, "after {shown}");
        }
        watch.assert_same_keys(c, &format!("commands on {key}"));
    }
    assert!(
        refused > 1_000 && taken > 100,
        "{refused} refused, {taken} taken"
    );
    in_step(&redis, &replica)?;
    watch.assert_same_keys(&mut replica.connection()?, "following it all");
    watch.end(&redis, c)
}

/// The control: an effect that is right in everything is taken, and the very same a second time is not.
#[test]
fn an_effect_is_taken_once() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    for key in fill(c) {
        let command = if is_session(key) {
            format!("SESSION.APPLY {key} SET lang en")
        } else {
            format!(
                "INV.APPLY {key} {} ADJUSTED 1 1760000000000 again",
                stock(c, key, "seq") + 1
            )
        };
        let before = digest(c, key);
        assert_eq!(ask(c, &command), "OK");
        let after = digest(c, key);
        assert!(
            before != after || key == "session:full",
            "{command} changed nothing"
        );
        // A session's effects say how it is from now on, so that one may come twice.
        let again = ask(c, &command);
        assert!(
            is_session(key) || again.starts_with("!ERR the ledger at"),
            "{again}"
        );
        assert_eq!(digest(c, key), after);
    }
    Ok(())
}
