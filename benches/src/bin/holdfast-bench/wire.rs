//! Commands written down before the clock starts, so that what is measured is the server and not the writing.

use anyhow::Result;
use redis::{Connection, ConnectionLike, Value};

/// Commands that go out together, in the Redis protocol.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    replies: usize,
}

impl Batch {
    /// Adds a command.
    pub fn push(&mut self, args: &[&[u8]]) {
        self.bytes
            .extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            self.bytes
                .extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            self.bytes.extend_from_slice(arg);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.replies += 1;
    }

    /// Sends them and reads all replies, none of which may be an error.
    pub fn run(&self, connection: &mut Connection) -> Result<Vec<Value>> {
        let replies = connection.req_packed_commands(&self.bytes, 0, self.replies)?;
        let replies = replies.into_iter().map(Value::extract_error);
        Ok(replies.collect::<Result<_, _>>()?)
    }
}

/// Sends what `write` adds for each number, in batches as large as is sensible for loading.
pub fn load(
    connection: &mut Connection,
    count: u64,
    mut write: impl FnMut(&mut Batch, u64),
) -> Result<()> {
    const TOGETHER: u64 = 200;
    for first in (0..count).step_by(TOGETHER as usize) {
        let mut batch = Batch::default();
        (first..count.min(first + TOGETHER)).for_each(|n| write(&mut batch, n));
        batch.run(connection)?;
    }
    Ok(())
}
