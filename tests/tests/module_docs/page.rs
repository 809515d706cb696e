//! The page: its entries, its outcome tables and its examples, and how each is checked.

use std::fmt;

use anyhow::Result;

/// How an example begins, and the block of those that redis-cli runs in RESP3.
const PROMPT: &str = "127.0.0.1:6379> ";
const RESP3: &str = "$ redis-cli -3";

/// The page as lines.
pub struct Page {
    lines: Vec<String>,
}

/// A command of an example, and the reply that stands below it.
#[derive(Debug)]
pub struct Example {
    section: String,
    pub command: String,
    pub resp3: bool,
    reply: String,
    /// The lines of the reply.
    at: std::ops::Range<usize>,
}

impl Page {
    pub fn new(text: &str) -> Page {
        Page {
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    /// Complaints of commands without an entry, entries without a command, and entries that do not begin with what the
    /// server says of the command.
    pub fn check_entries(&self, expected: &[(String, String)]) -> Vec<String> {
        let mut complaints = Vec::new();
        let text = self.to_string();
        for (name, entry) in expected {
            match self.section(name) {
                Some(at)
                    if self.lines[at..]
                        .join("\n")
                        .starts_with(&format!("\n{entry}\n")) => {}
                Some(_) => {
                    complaints.push(format!("{name}: the entry does not begin with\n{entry}"))
                }
                None => complaints.push(format!("{name}: there is no entry")),
            }
            let anchor = name.to_ascii_lowercase().replace('.', "");
            if !text.contains(&format!("[{name}](#{anchor})")) {
                complaints.push(format!("{name}: there is no link at the top"));
            }
        }
        let known = |name: &str| expected.iter().any(|(one, _)| one == name);
        let headings = self.lines.iter().filter_map(|line| command_heading(line));
        complaints.extend(
            headings
                .filter(|name| !known(name))
                .map(|name| format!("{name}: there is no such command")),
        );
        complaints
    }

    /// Complaints of outcomes in a section's table that none of its examples shows.
    pub fn check_outcomes(&self) -> Vec<String> {
        let examples = self.examples();
        let (mut section, mut in_table, mut complaints) = ("", false, Vec::new());
        for line in &self.lines {
            section = command_heading(line).unwrap_or(section);
            in_table = if in_table {
                line.starts_with('|')
            } else {
                ["| outcome | when |", "| state | when |"].contains(&line.as_str())
            };
            let words = line
                .split('|')
                .nth(1)
                .filter(|_| in_table)
                .unwrap_or_default();
            // Every second piece between backticks is a word.
            for word in words.split('`').skip(1).step_by(2) {
                let word = format!("\"{word}\"");
                let mut shown = examples.iter().filter(|example| example.section == section);
                if !shown.any(|example| example.reply.contains(&word)) {
                    complaints.push(format!("{section}: no example shows {word}"));
                }
            }
        }
        complaints
    }

    /// Complaints of examples whose reply is not what `run` gives.
    pub fn check_examples(&self, run: impl Fn(&Example) -> Result<String>) -> Result<Vec<String>> {
        let mut complaints = Vec::new();
        for example in self.examples() {
            let reply = run(&example)?;
            if normal(&example, &reply) != normal(&example, &example.reply) {
                let Example {
                    section,
                    command,
                    reply: told,
                    ..
                } = example;
                complaints.push(format!(
                    "{section}: {command}\n{reply}\n-- the page says\n{told}"
                ));
            }
        }
        Ok(complaints)
    }

    /// Writes entries and replies anew. An entry whose text is to come may be marked by a line `@entry`.
    pub fn rewrite(
        &mut self,
        expected: &[(String, String)],
        run: impl Fn(&Example) -> Result<String>,
    ) -> Result<()> {
        let mut replies = Vec::new();
        for example in self.examples() {
            replies.push((example.at.clone(), run(&example)?));
        }
        for (at, reply) in replies.into_iter().rev() {
            self.lines.splice(at, reply.lines().map(str::to_owned));
        }
        for (name, entry) in expected {
            let Some(at) = self.section(name) else {
                continue;
            };
            let last = self.lines[at..]
                .iter()
                .position(|line| line == "@entry" || line.starts_with("Complexity: "));
            if let Some(last) = last {
                let entry = entry.lines().map(str::to_owned);
                self.lines.splice(at + 1..=at + last, entry);
            }
        }
        Ok(())
    }

    /// The line behind a command's heading.
    fn section(&self, name: &str) -> Option<usize> {
        let heading = self
            .lines
            .iter()
            .position(|line| command_heading(line) == Some(name))?;
        Some(heading + 1)
    }

    /// Every example, in order.
    pub fn examples(&self) -> Vec<Example> {
        let mut examples: Vec<Example> = Vec::new();
        let (mut section, mut resp3, mut open) = (String::new(), false, false);
        for (at, line) in self.lines.iter().enumerate() {
            if let Some(command) = line.strip_prefix(PROMPT) {
                open = true;
                examples.push(Example {
                    section: section.clone(),
                    command: command.to_owned(),
                    resp3,
                    reply: String::new(),
                    at: at + 1..at + 1,
                });
            } else if line.starts_with("```") {
                (resp3, open) = (false, false);
            } else if line == RESP3 {
                resp3 = true;
            } else if let Some(name) = command_heading(line) {
                section = name.to_owned();
            } else if let (true, Some(example)) = (open, examples.last_mut()) {
                if !example.reply.is_empty() {
                    example.reply.push('\n');
                }
                example.reply.push_str(line);
                example.at.end = at + 1;
            }
        }
        examples
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// The command that the line is the heading of: one word with a dot.
fn command_heading(line: &str) -> Option<&str> {
    let name = line
        .strip_prefix("## ")
        .or_else(|| line.strip_prefix("### "))?;
    (name.contains('.') && !name.contains(' ')).then_some(name)
}

/// The reply with what differs from one time to the next replaced: figures as [`figure`] says, and ages in INV.PENDING by
/// `A`.
fn normal(example: &Example, reply: &str) -> String {
    let age = example.command.starts_with("INV.PENDING");
    let lines = reply.lines().map(|line| {
        let Some((head, number)) = line.split_once("(integer) ") else {
            return line.to_owned();
        };
        let shown = match number.parse() {
            Ok(0..=60_000) if age && head.ends_with("3) ") => "A".to_owned(),
            Ok(number) => figure(number),
            Err(_) => number.to_owned(),
        };
        format!("{head}(integer) {shown}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A number as it is compared: `T` for a Unix time in milliseconds, and the timeouts that the page uses, 1800000 and
/// 86400000 ms, for up to 10 s less than they are.
pub fn figure(number: i64) -> String {
    match number {
        1_600_000_000_000..=4_000_000_000_000 => "T".to_owned(),
        1_790_000..=1_800_000 => "1800000".to_owned(),
        86_390_000..=86_400_000 => "86400000".to_owned(),
        number => number.to_string(),
    }
}
