//! Random commands, most of them sensible, under a random clock.

use holdfast_session::Rate;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub type Text = Vec<u8>;

/// One command, secrets being known by a number.
#[derive(Clone, Debug)]
pub enum Command {
    Start {
        secret: u8,
        user: Text,
        roles: Text,
        idle_ms: u64,
        absolute_ms: u64,
        fields: Vec<(Text, Text)>,
    },
    Touch {
        secret: u8,
        page: Option<Text>,
        item: Option<Text>,
        rate: Option<Rate>,
    },
    Set {
        pairs: Vec<(Text, Text)>,
    },
    Rotate {
        old: u8,
        new: u8,
        grace_ms: u64,
    },
    End,
}

/// A command, and how far the clock goes before it: forward as a rule, a little back at times.
pub fn steps() -> impl Strategy<Value = Vec<(i64, Command)>> {
    let passes_ms = prop_oneof![
        8 => 0..900_i64,
        1 => 0..400_000_i64,
        1 => -900..0_i64,
    ];
    vec((passes_ms, command()), 1..60)
}

fn command() -> impl Strategy<Value = Command> {
    let timeout_ms = || prop_oneof![1..4_000_u64, Just(900_000), 1..5_000_000_u64];
    let start = (
        0..3_u8,
        text(130),
        option::weighted(0.5, text(260)),
        timeout_ms(),
        timeout_ms(),
        vec(pair(), 0..4),
    );
    let touch = (
        0..3_u8,
        option::of(text(100)),
        option::of(item()),
        option::of(rate()),
    );
    prop_oneof![
        2 => start.prop_map(|(secret, user, roles, idle_ms, absolute_ms, fields)| Command::Start {
            secret, user, roles: roles.unwrap_or_default(), idle_ms, absolute_ms, fields,
        }),
        12 => touch.prop_map(|(secret, page, item, rate)| Command::Touch { secret, page, item, rate }),
        3 => vec(pair(), 1..4).prop_map(|pairs| Command::Set { pairs }),
        2 => (0..3_u8, 0..2_u8, 0..2_000_u64).prop_map(|(old, other, grace_ms)| Command::Rotate {
            old,
            new: (old + 1 + other) % 3,
            grace_ms,
        }),
        1 => Just(Command::End),
    ]
}

fn rate() -> impl Strategy<Value = Rate> {
    (0..4_u64, 1..4_u64, 1..3_u64).prop_map(|(burst, count, period_s)| {
        Rate::new(burst, count, period_s).expect("a sound rate")
    })
}

/// A few items over and over, so that lists fill up and items come back.
fn item() -> impl Strategy<Value = Text> {
    prop_oneof![
        8 => (0..40_u8).prop_map(|n| format!("SKU-{n:05}").into_bytes()),
        1 => (0..40_u8).prop_map(|n| vec![n; 1 + usize::from(n) * 3]),
    ]
}

/// A field: a few names over and over; also names that are kept, prefixed, empty or too long, and values too long.
fn pair() -> impl Strategy<Value = (Text, Text)> {
    const NAMES: [&str; 10] = [
        "cart",
        "locale",
        "field:cart",
        "field:field:cart",
        "naïve",
        "user",
        "field:user",
        "roles",
        "page_views",
        "",
    ];
    let name = prop_oneof![
        6 => (0..5_usize).prop_map(|n| NAMES[n].as_bytes().to_vec()),
        1 => proptest::sample::select(&NAMES[5..]).prop_map(|name| name.as_bytes().to_vec()),
        1 => text(70),
    ];
    let value = prop_oneof![20 => text(80), 1 => vec(any::<u8>(), 1_000..1_050)];
    (name, value)
}

/// Any bytes, or such as sessions have.
fn text(longest: usize) -> impl Strategy<Value = Text> {
    prop_oneof![
        2 => "[a-z]{1,8}".prop_map(String::into_bytes),
        2 => "(/(products|cart|search)){0,2}/[0-9]{5}[A-Z]?".prop_map(String::into_bytes),
        1 => "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fA]{12}".prop_map(String::into_bytes),
        1 => "\\PC{1,20}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..longest),
    ]
}
