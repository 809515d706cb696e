//! One client: sends random commands to whichever server is the primary, and looks at every reply.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail, ensure};
use redis::{Cmd, Connection, Value};

use super::commands::{self, Line, command, line};
use super::pair::Pair;
use super::parameters::Parameters;
use super::payload::damage;
use super::server_commands::{DATABASES, common, rare};
use crate::module_support::numbers::Numbers;
use crate::module_support::text;

/// Runs the commands in ARGV, each after the number of its words, and returns what errors they met.
const SCRIPT: &str = "
local at, errors = 1, {}
while at <= #ARGV do
    local words = {}
    for word = 1, tonumber(ARGV[at]) do words[word] = ARGV[at + word] end
    at = at + #words + 1
    local reply = redis.pcall(unpack(words))
    if type(reply) == 'table' and reply.err then errors[#errors + 1] = reply.err end
end
return errors";

/// At the end nobody shakes the server, so that something is left to be compared.
const CALM_STEPS: usize = 200;

/// How many of its last commands a client tells when something is wrong.
const TOLD: usize = 8;

pub struct Client<'a> {
    pair: &'a Pair,
    parameters: &'a Parameters,
    connections: [Connection; 2],
    numbers: Numbers,
    last: VecDeque<String>,
}

impl<'a> Client<'a> {
    pub fn new(pair: &'a Pair, parameters: &'a Parameters, seed: u64) -> Result<Client<'a>> {
        Ok(Client {
            pair,
            parameters,
            connections: pair.connections()?,
            numbers: Numbers::new(seed),
            last: VecDeque::new(),
        })
    }

    /// Sends so many steps, each of one command or a few that belong together.
    pub fn run(&mut self, steps: usize, mut done: impl FnMut()) -> Result<()> {
        for left in (0..steps).rev() {
            self.step(left >= CALM_STEPS).with_context(|| {
                let last: Vec<_> = self.last.iter().map(String::as_str).collect();
                format!("after these commands of one client:\n{}", last.join("\n"))
            })?;
            done();
        }
        Ok(())
    }

    fn step(&mut self, shakes: bool) -> Result<()> {
        match self.numbers.below(1_000) {
            0..=2 if shakes => self.shake(),
            3..=4 => self.run_out_of_memory(),
            5..=9 => self.ask_the_replica(),
            10..=29 => {
                let db = self.numbers.below(DATABASES);
                self.send(&line(&format!("SELECT {db}"))).map(drop)
            }
            30..=79 => {
                let command = self.common();
                self.send(&command).map(drop)
            }
            80..=129 => self.transaction(),
            130..=179 => self.script(),
            180..=219 => self.dump_and_restore(),
            220..=259 => self.apply_the_next_effect(),
            _ => {
                let command = command(&mut self.numbers);
                self.send(&command).map(drop)
            }
        }
    }

    fn shake(&mut self) -> Result<()> {
        let words = match self.numbers.once_in(3) {
            true => self.parameters.change(&mut self.numbers),
            false => rare(&mut self.numbers),
        };
        self.send(&line(&words)).map(drop)
    }

    /// While memory is short, the server refuses what takes some and evicts sessions.
    fn run_out_of_memory(&mut self) -> Result<()> {
        self.send(&line("CONFIG SET maxmemory 1"))?;
        for _ in 0..5 {
            let command = command(&mut self.numbers);
            self.send(&command)?;
        }
        self.send(&line("CONFIG SET maxmemory 0")).map(drop)
    }

    /// A replica answers reads, refuses writes, and is changed by neither.
    fn ask_the_replica(&mut self) -> Result<()> {
        let replica = 1 - self.pair.primary_index();
        let command = command(&mut self.numbers);
        self.send_to(replica, &command).map(drop)
    }

    fn transaction(&mut self) -> Result<()> {
        let server = self.pair.primary_index();
        if self.numbers.once_in(2) {
            let watched = commands::key(&mut self.numbers);
            self.send_to(server, &line(&format!("WATCH {watched}")))?;
        }
        self.send_to(server, &line("MULTI"))?;
        let commands = self.several();
        for command in &commands {
            self.send_to(server, command)?;
        }
        let end = self.numbers.one_of(&["EXEC", "EXEC", "EXEC", "DISCARD"]);
        let reply = self.exchange(server, &line(end))?;
        self.check(&commands, &reply)
    }

    fn script(&mut self) -> Result<()> {
        let commands = self.several();
        let mut eval = vec![b"EVAL".to_vec(), SCRIPT.into(), b"0".to_vec()];
        for command in &commands {
            eval.push(command.len().to_string().into());
            eval.extend(command.clone());
        }
        let reply = self.exchange(self.pair.primary_index(), &eval)?;
        self.check(&commands, &reply)
    }

    fn several(&mut self) -> Vec<Line> {
        let count = 1 + self.numbers.below(4);
        let mut one = || match self.numbers.once_in(4) {
            true => self.common(),
            false => command(&mut self.numbers),
        };
        (0..count).map(|_| one()).collect()
    }

    /// A command of the server's own that it is able to replicate.
    fn common(&mut self) -> Line {
        let words = common(&mut self.numbers);
        let crosses = words.starts_with("MOVE") || words.contains(" DB ");
        line(match self.pair.confuses_databases() && crosses {
            true => "PING",
            false => &words,
        })
    }

    fn dump_and_restore(&mut self) -> Result<()> {
        let (from, to) = (
            commands::key(&mut self.numbers),
            commands::key(&mut self.numbers),
        );
        let dump: redis::RedisResult<Option<Vec<u8>>> = redis::cmd("DUMP")
            .arg(from)
            .query(&mut self.connections[self.pair.primary_index()]);
        let Ok(Some(mut payload)) = dump else {
            return Ok(());
        };
        if self.numbers.once_in(2) {
            damage(&mut payload, &mut self.numbers);
        }
        let ttl = [0, 0, commands::ms(&mut self.numbers)][self.numbers.below(3) as usize];
        let mut restore = line(&format!("RESTORE {to} {ttl}"));
        restore.extend([payload, b"REPLACE".to_vec()]);
        self.send(&restore).map(drop)
    }

    /// An effect that may fit, because its `seq` is the next.
    fn apply_the_next_effect(&mut self) -> Result<()> {
        let key = commands::key(&mut self.numbers);
        let shown = self.send(&line(&format!("INV.GET {key}")))?;
        let mut words = shown.split(' ').skip_while(|word| *word != "seq");
        let seq: u64 = words
            .nth(1)
            .and_then(|seq| seq.parse().ok())
            .unwrap_or_default();
        let now_ms = std::time::UNIX_EPOCH.elapsed()?.as_millis() as u64;
        let effect = commands::effect(&mut self.numbers, now_ms);
        self.send(&line(&format!("INV.APPLY {key} {} {effect}", seq + 1)))
            .map(drop)
    }

    fn send(&mut self, command: &Line) -> Result<String> {
        self.send_to(self.pair.primary_index(), command)
    }

    fn send_to(&mut self, server: usize, words: &Line) -> Result<String> {
        let reply = self.exchange(server, words)?;
        self.check(std::slice::from_ref(words), &reply)?;
        Ok(reply)
    }

    /// Sends the command and returns the reply as a text; an error reply is a reply, no answer is an error.
    fn exchange(&mut self, server: usize, words: &Line) -> Result<String> {
        let mut command = Cmd::new();
        for word in words {
            command.arg(word);
        }
        let shown: Vec<_> = (words.iter())
            .map(|word| word.escape_ascii().to_string())
            .collect();
        self.last.push_back(shown.join(" "));
        if self.last.len() > TOLD {
            self.last.pop_front();
        }
        match command.query::<Value>(&mut self.connections[server]) {
            Ok(value) => Ok(text(&value)),
            Err(error) if error.is_io_error() || error.is_unrecoverable_error() => {
                bail!("the server did not answer: {error}")
            }
            Err(error) => Ok(format!("!{error}")),
        }
    }

    /// No reply may tell of a caught panic, nor of an effect that the module decided and then could not apply.
    fn check(&self, commands: &[Line], reply: &str) -> Result<()> {
        ensure!(!reply.contains("internal error"), "{reply}");
        let asked_for_it = commands.iter().any(|words| {
            let names = words.iter().map(|word| word.to_ascii_uppercase());
            names.into_iter().any(|name| name.ends_with(b".APPLY"))
        });
        ensure!(
            asked_for_it || !reply.contains("effect was refused"),
            "{reply}"
        );
        Ok(())
    }
}
