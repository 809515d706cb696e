//! What is sent at once: one command, or a transaction.

use super::keys::key_of;
use redis::aio::MultiplexedConnection;
use redis::{Arg, Cmd, RedisError, RedisResult, Value, pipe};

/// One command, or several that are done together or not at all.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    Command(&'a Cmd),
    /// A command that holds units, which replicas must have where `redis.replica_acks` says so.
    Reserve(&'a Cmd),
    /// Sent as `MULTI … EXEC`, answered with an array.
    Transaction(&'a [Cmd]),
}

impl Request<'_> {
    /// The name of its first command, for errors.
    pub(super) fn name(&self) -> String {
        let first = match self {
            Self::Command(command) | Self::Reserve(command) => Some(*command),
            Self::Transaction(commands) => commands.first(),
        };
        match first.and_then(|command| command.args_iter().next()) {
            Some(Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => String::new(),
        }
    }

    /// The key that it is about, if there is one.
    pub(super) fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Command(command) | Self::Reserve(command) => key_of(command),
            Self::Transaction(commands) => commands.iter().find_map(key_of),
        }
    }

    /// Sends it, after `ASKING` if the server is to take a slot that is on its way to it.
    pub(super) async fn send(
        &self,
        connection: &mut MultiplexedConnection,
        asking: bool,
    ) -> RedisResult<Value> {
        if let (Self::Command(command) | Self::Reserve(command), false) = (self, asking) {
            return connection
                .send_packed_command(command)
                .await?
                .extract_error();
        }
        // As one message, so that nobody else's command comes between. What ASKING allows lasts
        // to the EXEC of a MULTI.
        let mut pipeline = pipe();
        if asking {
            pipeline.cmd("ASKING");
        }
        match self {
            Self::Command(command) | Self::Reserve(command) => {
                pipeline.add_command((*command).clone());
            }
            Self::Transaction(commands) => {
                pipeline.cmd("MULTI");
                for command in *commands {
                    pipeline.add_command(command.clone());
                }
                pipeline.cmd("EXEC");
            }
        }
        let answers = connection
            .send_packed_commands(&pipeline, 0, pipeline.len())
            .await?;
        outcome(answers)
    }
}

/// The last answer, or the first error: of a command that was not queued, EXEC only says that it
/// does nothing.
fn outcome(answers: Vec<Value>) -> RedisResult<Value> {
    let mut last = Value::Nil;
    for answer in answers {
        last = answer.extract_error()?;
    }
    match last {
        Value::Array(answers) => {
            let answers: Result<_, RedisError> =
                answers.into_iter().map(Value::extract_error).collect();
            Ok(Value::Array(answers?))
        }
        other => Ok(other),
    }
}
