//! Idempotency keys: a call that comes again is answered as before, and another call under a key
//! that was used is refused.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::Value;

/// What was asked under each key, and what was answered.
#[derive(Debug, Default)]
pub struct Keys {
    used: BTreeMap<String, Use>,
}

#[derive(Debug)]
struct Use {
    path: String,
    body: Bytes,
    answer: Option<(StatusCode, Value)>,
}

/// What a key says of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// The call is new, or its answer was none that lasts.
    Fresh,
    /// It was answered before.
    Answered(StatusCode, Value),
    /// The key was used for another call.
    Mismatch,
}

impl Keys {
    /// Notes that a call comes under `key`.
    pub fn begin(&mut self, key: &str, path: &str, body: &Bytes) -> Known {
        let Some(known) = self.used.get(key) else {
            let first = Use {
                path: path.to_owned(),
                body: body.clone(),
                answer: None,
            };
            self.used.insert(key.to_owned(), first);
            return Known::Fresh;
        };
        match &known.answer {
            _ if known.path != path || known.body != *body => Known::Mismatch,
            Some((status, answer)) => Known::Answered(*status, answer.clone()),
            None => Known::Fresh,
        }
    }

    /// Keeps an answer that decided something. One that did not, such as 202 or 500, is not kept:
    /// the caller repeats the call to learn more.
    pub fn end(&mut self, key: &str, status: StatusCode, answer: &Value) {
        let decides = status != StatusCode::ACCEPTED && !status.is_server_error();
        if let Some(known) = self.used.get_mut(key)
            && decides
        {
            known.answer = Some((status, answer.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_gets_the_first_answer_and_another_call_none() {
        let mut keys = Keys::default();
        let (body, other) = (Bytes::from("{}"), Bytes::from("{ }"));
        assert_eq!(keys.begin("k", "/pay", &body), Known::Fresh);
        keys.end("k", StatusCode::ACCEPTED, &Value::from("pending"));
        assert_eq!(keys.begin("k", "/pay", &body), Known::Fresh);
        keys.end("k", StatusCode::OK, &Value::from("paid"));
        let answered = Known::Answered(StatusCode::OK, Value::from("paid"));
        assert_eq!(keys.begin("k", "/pay", &body), answered);
        assert_eq!(keys.begin("k", "/pay", &other), Known::Mismatch);
        assert_eq!(keys.begin("k", "/refund", &body), Known::Mismatch);
        assert_eq!(keys.begin("other", "/pay", &other), Known::Fresh);
    }
}
