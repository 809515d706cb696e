//! What a command answers.

/// A reply, sent as RESP2 or RESP3 as the client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Integer(i64),
    /// A bulk string, never a simple one: what a user sent may hold any byte.
    Bulk(Vec<u8>),
    /// A bulk string of our own.
    Word(&'static str),
    /// A line of our own, without a line's end: a simple string.
    Line(String),
    Array(Vec<Reply>),
    /// Flat pairs in RESP2.
    Map(Vec<(Vec<u8>, Reply)>),
    Null,
}

impl Reply {
    /// A count, a sequence number or a time; each of them stays below 2^63.
    pub(crate) fn number(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A map with names of our own.
    pub(crate) fn map<const N: usize>(pairs: [(&str, Reply); N]) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value))
                .collect(),
        )
    }
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Arity,
    WrongType,
    /// An error with its prefix, such as `ERR` or `MISMATCH`.
    Message(String),
}

impl Failure {
    pub(crate) fn error(message: impl std::fmt::Display) -> Self {
        Self::Message(format!("ERR {message}"))
    }

    pub(crate) fn no_stock(key: &[u8]) -> Self {
        let key = quoted(key);
        Self::Message(format!(
            "NOSUCHSTOCK no stock at key {key}; create it with INV.SET"
        ))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Arity => "ERR wrong number of arguments",
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::Message(message) => message,
        })
    }
}

impl From<holdfast_stock::Misuse> for Failure {
    fn from(misuse: holdfast_stock::Misuse) -> Self {
        Self::Message(misuse.to_string())
    }
}

impl From<holdfast_session::Misuse> for Failure {
    fn from(misuse: holdfast_session::Misuse) -> Self {
        Self::error(misuse)
    }
}

/// What a user sent, made fit to stand in an error message.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let shown = bytes.get(..SHOWN).unwrap_or(bytes).escape_ascii();
    if bytes.len() > SHOWN {
        format!("'{shown}…'")
    } else {
        format!("'{shown}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_sent_cannot_break_the_protocol() {
        assert_eq!(quoted(b"a\r\nb\0c"), "'a\\r\\nb\\x00c'");
        assert_eq!(quoted(&[b'x'; 65]), format!("'{}…'", "x".repeat(64)));
    }
}
