//! What a request with a key is to do, and what of its answer is kept.

use std::time::Duration;

use hyper::StatusCode;

use crate::config;
use crate::gateway::idempotency::{Marker, StoredAnswer};
use crate::http::Kind;

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is the first under its key.
    Proceed,
    /// It was answered before, with this.
    Replay(StoredAnswer),
    /// The same is being worked on.
    InFlight,
    /// Another request came under the same key.
    Mismatch,
}

/// What becomes of the marker when the request is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Memory {
    /// The answer is given again for so long.
    Keep(Duration),
    /// Nothing was decided: the same request may try anew.
    Forget,
    /// The request goes on without its client; the marker ends by itself, and MySQL knows more.
    Leave,
}

/// `found` is the marker that was there before.
pub fn decide(found: Option<Marker>, request_hash: &[u8; 32]) -> Decision {
    match found {
        None => Decision::Proceed,
        Some(marker) if marker.request_hash != *request_hash => Decision::Mismatch,
        Some(Marker { answer, .. }) => answer.map_or(Decision::InFlight, Decision::Replay),
    }
}

/// Only what decided something is kept; `problem` is the kind of a refusal.
pub fn memory(status: StatusCode, problem: Option<Kind>, config: &config::Idempotency) -> Memory {
    match (status, problem) {
        (StatusCode::ACCEPTED, _) => Memory::Leave,
        (StatusCode::PAYMENT_REQUIRED, _) => Memory::Keep(config.expiry()),
        (_, Some(Kind::OutOfStock)) => Memory::Keep(config.refusal_expiry()),
        (status, _) if status.is_success() => Memory::Keep(config.expiry()),
        _ => Memory::Forget,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ASKED: [u8; 32] = [1; 32];
    const OTHER: [u8; 32] = [2; 32];

    fn marker(answer: Option<StoredAnswer>) -> Option<Marker> {
        Some(Marker {
            request_hash: ASKED,
            attempt: Uuid::nil(),
            answer,
        })
    }

    fn answer() -> StoredAnswer {
        StoredAnswer {
            status: 201,
            content_type: None,
            location: None,
            body: "{}".into(),
        }
    }

    #[test]
    fn a_request_goes_on_once_and_is_told_the_same_afterwards() {
        assert_eq!(decide(None, &ASKED), Decision::Proceed);
        assert_eq!(decide(marker(None), &ASKED), Decision::InFlight);
        let replay = Decision::Replay(answer());
        assert_eq!(decide(marker(Some(answer())), &ASKED), replay);
    }

    #[test]
    fn another_request_under_the_key_is_refused_in_flight_and_after() {
        assert_eq!(decide(marker(None), &OTHER), Decision::Mismatch);
        assert_eq!(decide(marker(Some(answer())), &OTHER), Decision::Mismatch);
    }

    #[test]
    fn only_what_was_decided_is_kept() {
        let config = config::Idempotency::default();
        let kept = |status: u16, problem| {
            let status = StatusCode::from_u16(status).expect("a status");
            memory(status, problem, &config)
        };
        assert_eq!(kept(201, None), Memory::Keep(config.expiry()));
        let declined = Some(Kind::PaymentDeclined);
        assert_eq!(kept(402, declined), Memory::Keep(config.expiry()));
        let short = Some(Kind::OutOfStock);
        assert_eq!(kept(409, short), Memory::Keep(config.refusal_expiry()));
        assert_eq!(kept(202, None), Memory::Leave);
        for (status, problem) in [
            (400, Kind::InvalidBody),
            (404, Kind::NotFound),
            (409, Kind::EmptyCart),
            (409, Kind::RequestInFlight),
            (422, Kind::Mismatch),
            (500, Kind::Internal),
            (503, Kind::Unavailable),
            (503, Kind::Overloaded),
        ] {
            assert_eq!(kept(status, Some(problem)), Memory::Forget, "{problem:?}");
        }
    }
}
