//! Sessions, holds and items as a shop has them, each made from its number.

use holdfast_session::{Digest, Effect, Record, Start, Started, Touch};

/// Pairs of a name and a value.
pub type Fields = Vec<(&'static str, String)>;

/// A UUID like those that the proxy gives, different for each `kind` of thing.
pub fn uuid(kind: u64, n: u64) -> String {
    let (a, b) = (mix(kind << 48 | n), mix(kind << 48 | n | 1 << 47));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 48 & 0x3fff | 0x8000,
        b & 0xffff_ffff_ffff
    )
}

/// The digest of the `n`-th session's secret.
pub fn digest(n: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    for (at, bytes) in digest.chunks_exact_mut(8).enumerate() {
        bytes.copy_from_slice(&mix(n << 2 | at as u64).to_le_bytes());
    }
    digest
}

/// The key of the `n`-th session.
pub fn session_key(n: u64) -> String {
    format!("session:{}", uuid(1, n))
}

/// The user of the `n`-th session.
pub fn user(n: u64) -> String {
    uuid(2, n)
}

/// Five free fields.
pub fn fields(n: u64) -> Fields {
    let one_of =
        |what: u64, words: &[&str]| words[(mix(n + what) % words.len() as u64) as usize].to_owned();
    vec![
        ("locale", one_of(1, &["en-GB", "de-DE", "fr-FR", "pt-BR"])),
        ("currency", one_of(2, &["GBP", "EUR", "USD", "BRL"])),
        ("theme", one_of(3, &["dark", "light", "contrast"])),
        ("cart", format!("c-{:06}", mix(n) % 1_000_000)),
        (
            "campaign",
            one_of(4, &["spring-sale", "newsletter-47", "black-friday", "none"]),
        ),
    ]
}

/// An item's number in the catalogue, of 5 or 6 characters as in the *Online Retail* data.
pub fn short_sku(n: u64) -> String {
    let number = 10_000 + mix(n) % 90_000;
    match n % 3 {
        0 => format!("{number}{}", char::from(b'A' + (n % 26) as u8)),
        _ => number.to_string(),
    }
}

/// An item's number of 13 characters.
pub fn long_sku(n: u64) -> String {
    let kind = ["LAMP", "VASE", "SOFA", "DESK"][(n % 4) as usize];
    format!("{kind}-{:08}", mix(n) % 100_000_000)
}

/// The `n`-th session as `SESSION.APPLY … PUT` takes it, with 25 items viewed.
pub fn packed_session(n: u64, now_ms: u64, sku: fn(u64) -> String) -> Vec<u8> {
    let digest = Digest::from(digest(n));
    let (user, fields) = (user(n), fields(n));
    let start = Start {
        digest,
        user: user.as_bytes(),
        roles: b"customer",
        idle_ms: 1_800_000,
        absolute_ms: 86_400_000,
        fields: fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect(),
    };
    let Ok(Started::New(_, Effect::Put(mut record))) = start.decide(None, now_ms) else {
        unreachable!("a session starts where there is none")
    };
    for view in 0..25 {
        view_item(
            &mut record,
            digest,
            &sku(n * 25 + view),
            now_ms + view * 20_000,
        );
    }
    record.encode()
}

fn view_item(record: &mut Record, digest: Digest, item: &str, now_ms: u64) {
    let touch = Touch {
        digest,
        page: None,
        item: Some(item.as_bytes()),
        rate: None,
    };
    let effect = record.touch(&touch, now_ms).effect;
    let applied = effect.map(|effect| effect.apply(Some(record)));
    assert!(
        matches!(applied, Some(Ok(None))),
        "a live session can be touched"
    );
}

/// Spreads a number over 64 bits (the finisher of SplitMix64).
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}
