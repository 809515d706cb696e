//! What clients asked of one key at once, and what they were told.

use std::collections::BTreeMap;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow};
use redis::Connection;
use todc_utils::linearizability::history::Action;

use super::specification::{Command, ON_HAND, Operation, Reply, units};
use crate::module_support::ask;
use crate::module_support::numbers::Numbers;

/// Calls and responses in the order in which they happened, each with its client.
pub type Actions = Vec<(usize, Action<Operation>)>;

/// Few enough holds that clients meet on each.
const HOLDS: u64 = 5;

/// How long holds last, in milliseconds.
#[derive(Clone, Copy)]
pub enum Deadlines {
    /// Longer than the history.
    Far,
    /// Some are over within it.
    Near,
}

/// Lets each connection's client send random commands to the key, all at once.
pub fn record(
    connections: &mut [Connection],
    key: &str,
    seed: u64,
    deadlines: Deadlines,
) -> Result<Actions> {
    ask(&mut connections[0], &format!("INV.SET {key} {ON_HAND}"));
    let actions = Mutex::new(Vec::new());
    let note = |client, action| {
        let mut actions = actions.lock().unwrap_or_else(PoisonError::into_inner);
        actions.push((client, action));
    };
    // Deadlines need some time to pass; without them, short histories are judged faster.
    let commands = match deadlines {
        Deadlines::Far => 10,
        Deadlines::Near => 40,
    };
    let start = Barrier::new(connections.len());
    std::thread::scope(|scope| {
        let clients: Vec<_> = (connections.iter_mut().enumerate())
            .map(|(client, connection)| {
                let (note, start) = (&note, &start);
                scope.spawn(move || -> Result<()> {
                    let mut numbers = Numbers::new(seed * 100 + client as u64);
                    start.wait();
                    for _ in 0..commands {
                        let command = random(&mut numbers, deadlines);
                        let mut operation = Operation {
                            command,
                            reply: Reply::Refused(String::new()),
                            called_ms: now_ms()?,
                            returned_ms: u64::MAX,
                        };
                        note(client, Action::Call(operation.clone()));
                        operation.reply = send(connection, key, &operation.command)?;
                        operation.returned_ms = now_ms()?;
                        note(client, Action::Response(operation));
                    }
                    Ok(())
                })
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
    })?;
    Ok(actions.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// How many operations were under way when another was called.
pub fn overlaps(actions: &Actions) -> usize {
    let (mut under_way, mut overlaps) = (0, 0);
    for (_, action) in actions {
        match action {
            Action::Call(_) => {
                overlaps += usize::from(under_way > 0);
                under_way += 1;
            }
            Action::Response(_) => under_way -= 1,
        }
    }
    overlaps
}

/// A history as lines, one a call or response.
pub fn shown(actions: &Actions) -> String {
    let line = |(client, action): &(usize, Action<Operation>)| match action {
        Action::Call(operation) => {
            let (at, command) = (operation.called_ms, text("", &operation.command));
            format!("{at} client {client}: {command}")
        }
        Action::Response(operation) => {
            let (at, reply) = (operation.returned_ms, &operation.reply);
            format!("{at} client {client}:         {reply:?}")
        }
    };
    actions.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn random(numbers: &mut Numbers, deadlines: Deadlines) -> Command {
    let id = numbers.below(HOLDS) as u8;
    let late = numbers.once_in(3);
    let for_ms = match deadlines {
        Deadlines::Far => 60_000 + numbers.below(60_000),
        Deadlines::Near => 1 + numbers.below(4),
    };
    match numbers.below(20) {
        0 => Command::Set {
            on_hand: numbers.below(9),
        },
        1 => Command::Adjust {
            id,
            delta: numbers.below(4) as i64 - 4,
        },
        2 => Command::Adjust {
            id,
            delta: 1 + numbers.below(2) as i64,
        },
        3..=7 => Command::Reserve { id, for_ms },
        8 | 9 => Command::Prepare { id, late },
        10 => Command::Extend { id, for_ms },
        11 | 12 => Command::Confirm {
            id,
            quantity: None,
            late,
        },
        13 => Command::Confirm {
            id,
            quantity: Some(1 + numbers.below(3)),
            late,
        },
        14 | 15 => Command::Release { id },
        16 | 17 => Command::Return {
            id,
            number: numbers.below(4) as u8,
        },
        _ => Command::Get,
    }
}

/// The command as it is sent.
fn text(key: &str, command: &Command) -> String {
    let late = |late: bool, id| match late {
        true => format!(" LATE {}", units(id)),
        false => String::new(),
    };
    match *command {
        Command::Set { on_hand } => format!("INV.SET {key} {on_hand}"),
        Command::Adjust { id, delta } => format!("INV.ADJUST {key} {delta} ID a{id}"),
        Command::Reserve { id, for_ms } => {
            format!("INV.RESERVE {key} o{id} {} PX {for_ms}", units(id))
        }
        Command::Prepare { id, late: is_late } => {
            format!("INV.PREPARE {key} o{id}{}", late(is_late, id))
        }
        Command::Extend { id, for_ms } => format!("INV.EXTEND {key} o{id} PX {for_ms}"),
        Command::Confirm {
            id,
            quantity,
            late: is_late,
        } => {
            let quantity = quantity.map_or_else(String::new, |n| format!(" QUANTITY {n}"));
            format!("INV.CONFIRM {key} o{id}{quantity}{}", late(is_late, id))
        }
        Command::Release { id } => format!("INV.RELEASE {key} o{id}"),
        Command::Return { id, number } => format!("INV.RETURN {key} o{id} r{id}-{number} 1"),
        Command::Get => format!("INV.GET {key}"),
    }
}

fn send(connection: &mut Connection, key: &str, command: &Command) -> Result<Reply> {
    let text = text(key, command);
    let mut line = redis::Cmd::new();
    line.arg(text.split(' ').collect::<Vec<_>>());
    if matches!(command, Command::Get) {
        let view: BTreeMap<String, u64> = line.query(connection)?;
        let field = |name: &str| {
            view.get(name)
                .copied()
                .context("a field of INV.GET is missing")
        };
        return Ok(Reply::View {
            on_hand: field("on_hand")?,
            held: field("held")?,
            prepared: field("prepared")?,
            available: field("available")?,
            sold: field("sold")?,
            seq: field("seq")?,
            holds: field("holds")?,
        });
    }
    match line.query::<(String, u64, u64, u64, bool)>(connection) {
        Ok((word, available, seq, deadline_ms, replayed)) => Ok(Reply::Outcome {
            word,
            available,
            seq,
            deadline_ms,
            replayed,
        }),
        Err(error) => match error.code() {
            Some(prefix @ ("MISMATCH" | "EXCEEDS_HOLD")) => Ok(Reply::Refused(prefix.to_owned())),
            _ => Err(error).context(text),
        },
    }
}

fn now_ms() -> Result<u64> {
    Ok(UNIX_EPOCH.elapsed()?.as_millis() as u64)
}
