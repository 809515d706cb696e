//! What an answer, or none, means to who asked, and whether the same request may be sent again.

use super::kind::Kind;
use crate::shop::Reply;

/// What a client saw of one attempt.
#[derive(Debug, Clone)]
pub enum Seen {
    /// No connection was made: the request has reached nobody.
    NotSent,
    /// The request was sent, and the connection broke or was given up.
    NoAnswer,
    /// An answer.
    Answer(Box<Reply>),
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Done as asked; of the last units also the answer that none is left.
    Served,
    /// A proper answer that it is not done now, or not decided yet.
    Refused,
    /// No answer, or one that a shop must not give.
    Failed,
}

/// What a client does then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It knows, or must not ask again.
    Over,
    /// It sends the same request again, at another proxy.
    Again,
    /// It looks what becomes of this order.
    LookAt(String),
}

/// What an attempt came to.
pub fn fate(kind: Kind, seen: &Seen) -> Fate {
    let Seen::Answer(reply) = seen else {
        return Fate::Failed;
    };
    let has_retry_after = reply.headers.contains_key("retry-after");
    match (reply.status, reply.problem()) {
        _ if is_under_way(kind, reply) => Fate::Refused,
        (200..=299, _) if is_called_off(kind, reply) => Fate::Refused,
        (200..=299, _) => Fate::Served,
        (409, "out-of-stock") if kind == Kind::LastUnits => Fate::Served,
        (402 | 409, _) => Fate::Refused,
        (429 | 503, _) if has_retry_after => Fate::Refused,
        _ => Fate::Failed,
    }
}

/// What a client does that repeats whatever is safe to repeat, and nothing else.
pub fn next(kind: Kind, seen: &Seen) -> Next {
    let reply = match seen {
        Seen::NotSent => return Next::Again,
        Seen::NoAnswer if kind.may_repeat() => return Next::Again,
        Seen::NoAnswer => return Next::Over,
        Seen::Answer(reply) => reply,
    };
    if is_under_way(kind, reply) {
        return reply
            .id()
            .map_or(Next::Again, |id| Next::LookAt(id.to_owned()));
    }
    if fate(kind, seen) == Fate::Served {
        return Next::Over;
    }
    let says_so = reply.body["retry_safe"] == true;
    let nobody_knows = reply.status >= 500 && kind.may_repeat();
    match says_so || nobody_knows || is_called_off(kind, reply) {
        true => Next::Again,
        false => Next::Over,
    }
}

/// The order that a client knows to be sold by this answer.
pub fn sold(kind: Kind, seen: &Seen) -> Option<&str> {
    let Seen::Answer(reply) = seen else {
        return None;
    };
    let is_sold = buys(kind) && reply.is_success() && status(reply) == "CONFIRMED";
    reply.id().ok().filter(|_| is_sold)
}

/// What was seen, in a few words.
pub fn words(seen: &Seen) -> String {
    match seen {
        Seen::NotSent => "no connection".to_owned(),
        Seen::NoAnswer => "no answer".to_owned(),
        Seen::Answer(reply) => {
            let what = match reply.problem() {
                "" => status(reply),
                problem => problem,
            };
            format!("{} {what}", reply.status).trim_end().to_owned()
        }
    }
}

fn buys(kind: Kind) -> bool {
    matches!(kind, Kind::Order | Kind::LastUnits)
}

fn status(reply: &Reply) -> &str {
    reply.body["status"].as_str().unwrap_or_default()
}

fn is_under_way(kind: Kind, reply: &Reply) -> bool {
    buys(kind) && reply.is_success() && matches!(status(reply), "PENDING" | "PAID")
}

/// An order that was looked at and has come to nothing: under its key it may be tried anew.
fn is_called_off(kind: Kind, reply: &Reply) -> bool {
    buys(kind) && reply.is_success() && !matches!(status(reply), "CONFIRMED" | "PENDING" | "PAID")
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: u16, body: Value) -> Seen {
        let mut headers = HeaderMap::new();
        if body["retry_after"] == true {
            headers.insert("retry-after", HeaderValue::from_static("1"));
        }
        Seen::Answer(Box::new(Reply {
            status,
            headers,
            body,
        }))
    }

    #[test]
    fn who_gets_no_answer_repeats_only_what_is_safe() {
        for kind in Kind::ALL {
            assert_eq!(next(kind, &Seen::NotSent), Next::Again);
            assert_eq!(fate(kind, &Seen::NotSent), Fate::Failed);
            assert_eq!(fate(kind, &Seen::NoAnswer), Fate::Failed);
        }
        assert_eq!(next(Kind::Touch, &Seen::NoAnswer), Next::Over);
        assert_eq!(next(Kind::Order, &Seen::NoAnswer), Next::Again);
    }

    #[test]
    fn a_proper_refusal_is_told_from_a_failure() {
        let away =
            json!({ "type": "/problems/unavailable", "retry_safe": true, "retry_after": true });
        assert_eq!(fate(Kind::Touch, &answer(503, away.clone())), Fate::Refused);
        assert_eq!(next(Kind::Touch, &answer(503, away)), Next::Again);
        let hasty = json!({ "type": "/problems/unavailable", "retry_safe": true });
        assert_eq!(fate(Kind::Touch, &answer(503, hasty)), Fate::Failed);
        let late = answer(504, json!({ "retry_safe": false }));
        assert_eq!(fate(Kind::Touch, &late), Fate::Failed);
        assert_eq!(next(Kind::Touch, &late), Next::Over);
        assert_eq!(next(Kind::Order, &late), Next::Again);
        let unknown = answer(
            401,
            json!({ "type": "/problems/no-session", "retry_safe": false }),
        );
        assert_eq!(fate(Kind::Cart, &unknown), Fate::Failed);
        assert_eq!(next(Kind::Cart, &unknown), Next::Over);
    }

    #[test]
    fn that_none_is_left_is_an_answer_only_where_few_are() {
        let short = answer(
            409,
            json!({ "type": "/problems/out-of-stock", "retry_safe": true }),
        );
        assert_eq!(fate(Kind::LastUnits, &short), Fate::Served);
        assert_eq!(fate(Kind::Order, &short), Fate::Refused);
        assert_eq!(next(Kind::LastUnits, &short), Next::Over);
        assert_eq!(next(Kind::Order, &short), Next::Again);
    }

    #[test]
    fn an_order_under_way_is_looked_at_until_it_is_decided() {
        let pending = answer(202, json!({ "order_id": "a", "status": "PENDING" }));
        assert_eq!(fate(Kind::Order, &pending), Fate::Refused);
        assert_eq!(next(Kind::Order, &pending), Next::LookAt("a".to_owned()));
        assert_eq!(sold(Kind::Order, &pending), None);
        let confirmed = answer(200, json!({ "order_id": "a", "status": "CONFIRMED" }));
        assert_eq!(fate(Kind::Order, &confirmed), Fate::Served);
        assert_eq!(next(Kind::Order, &confirmed), Next::Over);
        assert_eq!(sold(Kind::Order, &confirmed), Some("a"));
        assert_eq!(sold(Kind::OldOrder, &confirmed), None);
        let cancelled = answer(200, json!({ "order_id": "a", "status": "CANCELLED" }));
        assert_eq!(fate(Kind::Order, &cancelled), Fate::Refused);
        assert_eq!(next(Kind::Order, &cancelled), Next::Again);
    }
}
