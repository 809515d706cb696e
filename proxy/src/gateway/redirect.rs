//! What to do about an error that a server answers: all of these say that nothing was done, and
//! some that it can be done elsewhere or a moment later. Pure. The words are those of the
//! [Redis Cluster specification](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/)
//! and of the servers' sources.

use crate::config::Address;

/// What to do with a command that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Advice {
    /// Nothing: the same would be answered again, or it may have been done.
    Final,
    /// Send it again in a moment, and find out meanwhile which server is the primary.
    Elsewhere,
    /// Send it again in a moment.
    Later,
    /// The slot belongs to another server, and the command to that one.
    Moved(Redirection),
    /// The slot is moving: this one command belongs to another server, after `ASKING`.
    Ask(Redirection),
}

/// Where a server points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirection {
    /// The slot of the key.
    pub slot: u16,
    /// Its host is empty where the server knows no other than the one it was asked by.
    pub address: Address,
}

/// What to do about a server's error, given with its prefix.
pub(super) fn advice(message: &str) -> Advice {
    let mut words = message.split_ascii_whitespace();
    match words.next().unwrap_or_default() {
        // It is a replica (now), or has none and may not write alone, or does not know who the
        // primary is: another server may be it.
        "READONLY" | "MASTERDOWN" | "NOREPLICAS" | "CLUSTERDOWN" => Advice::Elsewhere,
        // It has begun only now; another may have been promoted meanwhile.
        "LOADING" => Advice::Elsewhere,
        "TRYAGAIN" => Advice::Later,
        "MOVED" => redirection(words).map_or(Advice::Elsewhere, Advice::Moved),
        "ASK" => redirection(words).map_or(Advice::Elsewhere, Advice::Ask),
        // What was queued was refused at the end: the server became a replica meanwhile.
        "EXECABORT" => match message.split_once("because of: ") {
            Some((_, cause)) => advice(cause),
            None => Advice::Final,
        },
        _ => Advice::Final,
    }
}

/// `<slot> <host>:<port>`, where a host may have colons of its own.
fn redirection<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Redirection> {
    let slot = words.next()?.parse().ok()?;
    let (host, port) = words.next()?.rsplit_once(':')?;
    let address = Address {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().ok()?,
    };
    Some(Redirection { slot, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_done_is_told_from_what_is_refused_for_good() {
        for (message, expected) in [
            (
                "READONLY You can't write against a read only replica.",
                Advice::Elsewhere,
            ),
            ("MASTERDOWN Link with MASTER is down", Advice::Elsewhere),
            ("CLUSTERDOWN Hash slot not served", Advice::Elsewhere),
            (
                "NOREPLICAS Not enough good replicas to write.",
                Advice::Elsewhere,
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                Advice::Elsewhere,
            ),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                Advice::Later,
            ),
            ("NOSUCHSTOCK no stock", Advice::Final),
            ("OOM command not allowed", Advice::Final),
            (
                "MISCONF Redis is configured to save RDB snapshots",
                Advice::Final,
            ),
            ("READONLYISH", Advice::Final),
            (
                "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.",
                Advice::Elsewhere,
            ),
            (
                "EXECABORT Transaction discarded because of previous errors.",
                Advice::Final,
            ),
            ("", Advice::Final),
        ] {
            assert_eq!(advice(message), expected, "{message}");
        }
    }

    #[test]
    fn a_redirection_is_followed_as_far_as_it_can_be_read() {
        let to = |host: &str, port| Redirection {
            slot: 3999,
            address: Address {
                host: host.into(),
                port,
            },
        };
        let moved = advice("MOVED 3999 127.0.0.1:6381");
        assert_eq!(moved, Advice::Moved(to("127.0.0.1", 6381)));
        assert_eq!(advice("ASK 3999 ::1:6381"), Advice::Ask(to("::1", 6381)));
        assert_eq!(advice("MOVED 3999 :6381"), Advice::Moved(to("", 6381)));
        for odd in [
            "MOVED",
            "MOVED 3999",
            "ASK x 127.0.0.1:1",
            "MOVED 1 a:99999",
        ] {
            assert_eq!(advice(odd), Advice::Elsewhere, "{odd}");
        }
    }
}
