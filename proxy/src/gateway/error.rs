//! Why a call to Redis gave no answer, and whether the command may have been done.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::redirect::{Advice, advice};

/// Why a call to Redis gave no answer. Commands carry ids, so any of them may be sent again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Redis has failed again and again and is left alone for a while: nothing was sent.
    #[error("redis does not answer, and is left alone for a while")]
    Away,
    /// The server answered with an error: nothing was changed.
    #[error("redis refused {command}: {message}")]
    Refused {
        /// The command's name.
        command: String,
        /// The server's words, beginning with the error's prefix.
        message: String,
    },
    /// The command was not sent, or to a server that may not do it now: nothing was changed.
    #[error("redis was not reached for {command}: {cause}")]
    NotDone {
        /// The command's name.
        command: String,
        /// What went wrong.
        cause: String,
    },
    /// No answer came in time, or it was not understood: the command may have been done.
    #[error("redis left {command} without a usable answer: {cause}")]
    Unknown {
        /// The command's name.
        command: String,
        /// What went wrong.
        cause: String,
    },
    /// The primary holds the units, and too few replicas have acknowledged that in time: a
    /// failover may forget it. Release the hold, or ask for it again.
    #[error("{replicas} replicas have the hold, and redis.replica_acks is {wanted}")]
    NotReplicated {
        /// How many have acknowledged it.
        replicas: u32,
        /// How many must have it.
        wanted: u32,
    },
}

impl Error {
    /// True when the server's error begins with `prefix`, such as `NOSUCHSTOCK`.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        matches!(self, Error::Refused { message, .. } if message.starts_with(prefix))
    }

    pub(super) fn not_done(command: &str, cause: impl ToString) -> Self {
        Self::NotDone {
            command: command.to_owned(),
            cause: cause.to_string(),
        }
    }

    pub(super) fn unknown(command: &str, cause: impl ToString) -> Self {
        Self::Unknown {
            command: command.to_owned(),
            cause: cause.to_string(),
        }
    }
}

/// An error of one attempt, and what to do about it within the deadline of the call.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) advice: Advice,
}

impl Failure {
    /// What came over a connection in place of an answer to `command`.
    pub(super) fn of(command: &str, error: &RedisError) -> Self {
        let is_answer = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
        if !is_answer {
            return Self::unknown(command, error);
        }
        let (code, detail) = (error.code().unwrap_or_default(), error.detail());
        let message = [code, detail.unwrap_or_default()].join(" ");
        let advice = advice(&message);
        let error = match advice {
            Advice::Final => Error::Refused {
                command: command.to_owned(),
                message,
            },
            _ => Error::not_done(command, message),
        };
        Self { error, advice }
    }

    /// Nothing was sent, and may be elsewhere.
    pub(super) fn not_reached(command: &str, cause: impl ToString) -> Self {
        Self {
            error: Error::not_done(command, cause),
            advice: Advice::Elsewhere,
        }
    }

    /// It may have been done, and so is not sent again.
    pub(super) fn unknown(command: &str, cause: impl ToString) -> Self {
        Self {
            error: Error::unknown(command, cause),
            advice: Advice::Final,
        }
    }
}

/// True when a server was reached, and does not let the proxy in.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm)
    )
}
