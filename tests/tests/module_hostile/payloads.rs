//! Payloads for RESTORE.

use anyhow::Result;
use redis::Connection;

use super::damage;
use super::values::{fill, is_session, ttl};
use super::watch::{Watch, assert_consistent, log};
use crate::module_support::dump::Dump;
use crate::module_support::numbers::Numbers;
use crate::module_support::{ask, ask_bytes, digest, redis};

/// Random damage to each kind of value under each setting.
const TIMES: usize = 1_000;

/// The settings of the server that have a say in how a payload is written or read.
const SETTINGS: [(&str, &str); 4] = [
    ("no", "no"),
    ("no", "yes"),
    ("yes", "no"),
    ("yes", "clients"),
];

fn dump(c: &mut Connection, key: &str) -> Result<Dump> {
    let payload: Vec<u8> = redis::cmd("DUMP").arg(key).query(c)?;
    Ok(Dump::new(&payload))
}

/// Where values like that of the key are restored.
fn place(key: &str) -> &'static str {
    if is_session(key) {
        "session:damaged"
    } else {
        "damaged"
    }
}

/// Restores the payload, as a new key or in place of one that is there.
fn restore(c: &mut Connection, place: &str, payload: &[u8], replace: bool) -> String {
    let mut args: Vec<&[u8]> = vec![b"RESTORE", place.as_bytes(), ttl(place), payload];
    args.extend(replace.then_some(b"REPLACE".as_slice()));
    ask_bytes(c, &args)
}

#[test]
fn no_damaged_payload_harms_the_server_or_becomes_a_value_that_lies() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let keys = fill(c);
    let watch = Watch::begin(c)?;
    let (mut refused, mut taken) = (0, 0);
    for (number, (compression, sanitize)) in SETTINGS.into_iter().enumerate() {
        ask(c, &format!("CONFIG SET rdbcompression {compression}"));
        ask(c, &format!("CONFIG SET sanitize-dump-payload {sanitize}"));
        for key in &keys {
            let (whole, place) = (dump(c, key)?, place(key));
            let mut numbers = Numbers::new(number as u64);
            let random =
                std::iter::repeat_with(|| damage::any(&whole.value, &mut numbers)).take(TIMES);
            for value in damage::truncated(&whole.value)
                .chain(random)
                .collect::<Vec<_>>()
            {
                let payload = Dump {
                    value,
                    ..whole.clone()
                }
                .payload();
                // By turns as a new key and in place of one that is there.
                let replace = (refused + taken) % 2 == 0;
                if replace {
                    assert_eq!(restore(c, place, &whole.payload(), false), "OK");
                }
                match restore(c, place, &payload, replace).as_str() {
                    "OK" => {
                        taken += 1;
                        assert_consistent(c, place, &payload);
                    }
                    error => {
                        refused += 1;
                        assert!(
                            error.starts_with("!ERR Bad data format"),
                            "{error}: {}",
                            payload.escape_ascii()
                        );
                        if replace {
                            assert_eq!(
                                digest(c, place),
                                digest(c, key),
                                "what was there has changed"
                            );
                            ask(c, &format!("DEL {place}"));
                        }
                    }
                }
            }
            watch.assert_same_keys(c, &format!("payloads of {key}"));
        }
    }
    assert!(
        refused > 1_000 && taken > 10,
        "{refused} refused, {taken} taken"
    );
    let log = log(&redis)?;
    for kind in ["holdstock", "holdsessn"] {
        assert!(
            log.contains(&format!("a value of type {kind} was refused: ")),
            "no reason for {kind}"
        );
    }
    watch.end(&redis, c)
}

#[test]
fn a_value_of_another_encoding_version_is_refused_and_the_log_says_so() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let keys = fill(c);
    let watch = Watch::begin(c)?;
    for key in keys {
        let (whole, place) = (dump(c, key)?, place(key));
        let own = damage::version(&whole.value);
        for (version, value) in damage::other_versions(&whole.value) {
            let answer = restore(
                c,
                place,
                &Dump {
                    value,
                    ..whole.clone()
                }
                .payload(),
                false,
            );
            // An older version may say the same of such a value.
            if version == 0 || version > own {
                assert!(
                    answer.starts_with("!ERR Bad data format"),
                    "{key} of version {version}: {answer}"
                );
            }
            ask(c, &format!("DEL {place}"));
        }
        let reason = format!(
            "its encoding version {} is not known to this release",
            own + 1
        );
        assert!(log(&redis)?.contains(&reason), "no word of {key}");
    }
    watch.end(&redis, c)
}

/// A value is written in chunks, none of which cuts a record in two; whoever cuts elsewhere made it himself.
#[test]
fn a_value_in_other_pieces_is_the_same_value_or_refused() -> Result<()> {
    let redis = redis(&["--rdbcompression", "no"])?;
    let c = &mut redis.connection()?;
    let keys = fill(c);
    let watch = Watch::begin(c)?;
    for key in keys {
        let (whole, place) = (dump(c, key)?, place(key));
        let (mut same, mut refused) = (0, 0);
        for value in damage::in_pieces(&whole.value) {
            let payload = Dump {
                value,
                ..whole.clone()
            }
            .payload();
            match restore(c, place, &payload, false).as_str() {
                "OK" => {
                    assert_eq!(
                        digest(c, place),
                        digest(c, key),
                        "{}",
                        payload.escape_ascii()
                    );
                    same += 1;
                }
                error => {
                    assert!(
                        error.starts_with("!ERR Bad data format"),
                        "{error}: {}",
                        payload.escape_ascii()
                    );
                    refused += 1;
                }
            }
            ask(c, &format!("DEL {place}"));
        }
        assert!(
            refused > 0 && (same > 0 || is_session(key)),
            "{key}: {refused} refused, {same} the same"
        );
    }
    watch.end(&redis, c)
}

/// The controls: without the damage a payload made in the same way is taken, and without the CRC none gets as far as the
/// module.
#[test]
fn a_payload_is_judged_by_the_module_only_because_its_crc_is_right() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    for key in fill(c) {
        let (whole, place) = (dump(c, key)?, place(key));
        assert_eq!(restore(c, place, &whole.payload(), false), "OK");
        assert_eq!(digest(c, place), digest(c, key));
        let mut payload = whole.payload();
        let last = payload.len() - 1;
        payload[last] ^= 1;
        let answer = restore(c, place, &payload, true);
        assert!(
            answer.starts_with("!ERR DUMP payload version or checksum are wrong"),
            "{answer}"
        );
        ask(c, &format!("DEL {place}"));
    }
    assert!(!log(&redis)?.contains("was refused"));
    Ok(())
}
