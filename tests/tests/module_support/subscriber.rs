//! A client that only listens, on a bare socket: it hears messages of every kind of channel alike.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::{ports, wait};

/// What came on which channel.
#[derive(Clone, Debug)]
pub struct Message {
    pub channel: String,
    pub payload: String,
}

impl Message {
    pub fn json(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.payload)?)
    }
}

/// It ends when the server closes the connection, or with the test.
pub struct Subscriber(Arc<Mutex<Vec<Message>>>);

impl Subscriber {
    /// Sends the command, which must subscribe to one channel or pattern, and waits until it is answered.
    pub fn start(port: u16, command: &[&str]) -> Result<Self> {
        let mut stream = TcpStream::connect(ports::local(port))?;
        let mut request = format!("*{}\r\n", command.len());
        for word in command {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(request.as_bytes())?;
        let mut reader = BufReader::new(stream);
        let answer = read(&mut reader)?;
        ensure!(
            answer
                .first()
                .is_some_and(|kind| kind.ends_with("subscribe")),
            "{command:?} was answered {answer:?}"
        );
        let heard = Arc::new(Mutex::new(Vec::new()));
        let messages = Arc::clone(&heard);
        std::thread::spawn(move || {
            while let Ok(mut words) = read(&mut reader) {
                if let (Some(payload), Some(channel)) = (words.pop(), words.pop()) {
                    lock(&messages).push(Message { channel, payload });
                }
            }
        });
        Ok(Self(heard))
    }

    /// All that has come so far.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.0).clone()
    }

    /// Waits until so many have come.
    pub fn wait_for(&self, count: usize) -> Result<Vec<Message>> {
        wait::until("messages", Duration::from_secs(30), || {
            let messages = self.messages();
            Ok((messages.len() >= count).then_some(messages))
        })
    }
}

fn lock(messages: &Mutex<Vec<Message>>) -> MutexGuard<'_, Vec<Message>> {
    messages.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One array of RESP2, its strings and numbers as text.
fn read(reader: &mut impl BufRead) -> Result<Vec<String>> {
    let mut length = line(reader, '*')?;
    let mut words = Vec::new();
    while length > 0 {
        let kind = *reader.fill_buf()?.first().context("the end")?;
        if kind == b':' {
            words.push(line(reader, ':')?.to_string());
        } else {
            let mut bytes = vec![0; usize::try_from(line(reader, '$')?)? + 2];
            reader.read_exact(&mut bytes)?;
            bytes.truncate(bytes.len() - 2);
            words.push(String::from_utf8(bytes)?);
        }
        length -= 1;
    }
    Ok(words)
}

fn line(reader: &mut impl BufRead, kind: char) -> Result<i64> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let number = line.strip_prefix(kind).context("another kind of reply")?;
    Ok(number.trim().parse()?)
}
