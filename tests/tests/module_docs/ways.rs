//! The examples asked in other ways than by a plain command in RESP2: all answer the same.

use anyhow::Result;
use holdfast_tests::redis::Redis;
use redis::{Connection, Value};

use crate::module_support::{answer, ask, ask_bytes, eventually};
use crate::page::{Example, figure};

/// A way of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Plain,
    Resp3,
    Transaction,
    Script,
}

/// What all examples answer when they are asked like this, in the notation of [`ask`], without what differs from one
/// time to the next.
pub fn answers(server: &Redis, examples: &[Example], way: Way) -> Result<Vec<String>> {
    let mut connection = match way {
        Way::Resp3 => {
            let url = format!("{}/?protocol=resp3", server.url());
            redis::Client::open(url)?.get_connection()?
        }
        _ => server.connection()?,
    };
    let answers = examples.iter().map(|example| {
        let command = example.command.as_str();
        // WAIT does not wait in a transaction or a script.
        let of_module = command.starts_with("INV.") || command.starts_with("SESSION.");
        let answer = match way {
            Way::Transaction if of_module => in_transaction(&mut connection, command),
            Way::Script if of_module => in_script(&mut connection, command),
            _ => ask(&mut connection, command),
        };
        if command.ends_with(" PX 1") {
            await_deadline(&mut connection, command)?;
        }
        Ok(normal(example, &answer))
    });
    answers.collect()
}

/// Waits until the hold that was just taken is past its deadline, as it is by the time that somebody has typed on.
fn await_deadline(c: &mut Connection, reserve: &str) -> Result<()> {
    let hold: Vec<_> = reserve.split(' ').skip(1).take(2).collect();
    let hold = hold.join(" ");
    eventually("the deadline", || {
        Ok(ask(c, &format!("INV.HOLD {hold}")).contains("state EXPIRED"))
    })
}

fn in_transaction(c: &mut Connection, command: &str) -> String {
    assert_eq!(ask(c, "MULTI"), "OK");
    let queued = ask(c, command);
    assert_eq!(queued, "QUEUED", "{command}");
    let mut exec = redis::Cmd::new();
    exec.arg("EXEC");
    match exec.query::<Value>(c) {
        // Its replies are an array, of which the texts have brackets if they are arrays themselves.
        Ok(Value::Array(mut replies)) if replies.len() == 1 => answer(Ok(replies.remove(0))),
        other => answer(other),
    }
}

fn in_script(c: &mut Connection, command: &str) -> String {
    let words: Vec<_> = command.split(' ').map(str::as_bytes).collect();
    let mut args: Vec<&[u8]> = vec![b"EVAL", b"return redis.pcall(unpack(ARGV))", b"0"];
    args.extend(words);
    ask_bytes(c, &args)
}

fn normal(example: &Example, answer: &str) -> String {
    let age = example.command.starts_with("INV.PENDING");
    let words = answer.split(' ').map(|word| {
        let (number, brackets) = word.split_at(word.trim_end_matches(']').len());
        match number.parse() {
            Ok(_) if age && !brackets.is_empty() => format!("A{brackets}"),
            Ok(number) => figure(number) + brackets,
            Err(_) => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
