//! Whether a webhook is the provider's, and what it says. Signatures are those of Standard
//! Webhooks 1.0 (<https://github.com/standard-webhooks/standard-webhooks>): `v1`, HMAC-SHA256.

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use serde::Deserialize;
use sha2::Sha256;
use uuid::Uuid;

use super::provider::is_payment_id;

/// A webhook may be this much older or newer than our clock, seconds: enough for a slow network
/// and a clock that is wrong, too little to send again what was overheard.
const TOLERANCE_S: u64 = 300;

/// What the provider says of an order's payment. It is a hint: whoever acts on it asks the
/// provider what is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose payment it is.
    pub order_id: Uuid,
    /// The provider's word, such as `captured`.
    pub status: String,
    /// The provider's name for the payment.
    pub payment_id: Option<String>,
}

/// Why a webhook is not acted on. Sent again as it is, it will be rejected again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// One of the three headers is missing or unreadable.
    #[error("the header {0} is missing or unreadable")]
    Unsigned(&'static str),
    /// It was signed too long ago, or in the future.
    #[error("webhook-timestamp is more than {TOLERANCE_S} s from now")]
    OutOfTime,
    /// No secret of ours made the signature.
    #[error("no signature in webhook-signature is right")]
    Forged,
    /// It is the provider's, and not what this route takes.
    #[error("the body is no notice of a payment: {0}")]
    Unreadable(String),
}

impl Notice {
    /// The payment's name, where the provider says that the money was taken.
    pub fn captured(&self) -> Option<&str> {
        (self.status == "captured")
            .then_some(self.payment_id.as_deref())
            .flatten()
    }
}

/// What a webhook says, if one of `secrets` signed it within the tolerance around `now_s`, Unix
/// seconds.
pub fn verify(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Vec<u8>],
    now_s: u64,
) -> Result<Notice, Rejection> {
    let id = text(headers, "webhook-id")?;
    let timestamp = text(headers, "webhook-timestamp")?;
    let signatures = text(headers, "webhook-signature")?;
    // A full stop would let the signed text be cut elsewhere than where it was joined.
    if id.is_empty() || id.contains('.') {
        return Err(Rejection::Unsigned("webhook-id"));
    }
    let signed_at: u64 = timestamp
        .parse()
        .map_err(|_| Rejection::Unsigned("webhook-timestamp"))?;
    if signed_at.abs_diff(now_s) > TOLERANCE_S {
        return Err(Rejection::OutOfTime);
    }
    let is_right = |signature: &[u8]| {
        secrets.iter().any(|secret| {
            let hmac = signing(secret, id, timestamp, body);
            // Compared in constant time.
            hmac.is_some_and(|hmac| hmac.verify_slice(signature).is_ok())
        })
    };
    let mut given = signatures.split(' ').filter_map(signature_bytes);
    if given.any(|signature| is_right(&signature)) {
        read(body)
    } else {
        Err(Rejection::Forged)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Rejection> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.ok_or(Rejection::Unsigned(name))
}

/// The bytes of one `v1,<base64>`; other versions are for other receivers.
fn signature_bytes(signature: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    STANDARD.decode(signature.strip_prefix("v1,")?).ok()
}

fn signing(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    hmac.update(format!("{id}.{timestamp}.").as_bytes());
    hmac.update(body);
    Some(hmac)
}

fn read(body: &[u8]) -> Result<Notice, Rejection> {
    #[derive(Deserialize)]
    struct Message {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        order_id: Uuid,
        status: String,
        payment_id: Option<String>,
    }
    let Message { data } =
        serde_json::from_slice(body).map_err(|error| Rejection::Unreadable(error.to_string()))?;
    if !data.payment_id.as_deref().is_none_or(is_payment_id) {
        let problem = "payment_id is too long or not ASCII";
        return Err(Rejection::Unreadable(problem.into()));
    }
    Ok(Notice {
        order_id: data.order_id,
        status: data.status,
        payment_id: data.payment_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_795_000_000;
    const BODY: &str = r#"{"type":"payment.captured","data":{"order_id":"00000000-0000-0000-0000-000000000001","status":"captured","payment_id":"pay_1"}}"#;

    fn signed(secret: &[u8], id: &str, timestamp: u64, body: &str) -> HeaderMap {
        use base64::Engine;
        let timestamp = timestamp.to_string();
        let hmac = signing(secret, id, &timestamp, body.as_bytes()).expect("a key");
        let signature =
            base64::engine::general_purpose::STANDARD.encode(hmac.finalize().into_bytes());
        headers(id, &timestamp, &format!("v1,{signature}"))
    }

    fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ] {
            headers.insert(name, value.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn a_notice_by_any_of_our_secrets_is_read() {
        let (old, new) = (b"old secret".to_vec(), b"new secret".to_vec());
        let expected = Notice {
            order_id: Uuid::from_u128(1),
            status: "captured".into(),
            payment_id: Some("pay_1".into()),
        };
        for secret in [&old, &new] {
            let headers = signed(secret, "msg_1", NOW_S, BODY);
            let secrets = [new.clone(), old.clone()];
            let read = verify(&headers, BODY.as_bytes(), &secrets, NOW_S);
            assert_eq!(read, Ok(expected.clone()));
        }
        assert_eq!(expected.captured(), Some("pay_1"));
    }

    /// The example of the reference libraries' own tests.
    #[test]
    fn the_published_example_has_the_right_signature() {
        use base64::Engine;
        let secret = base64::engine::general_purpose::STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .expect("base64");
        let headers = headers(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
        let rejected = verify(
            &headers,
            br#"{"test": 2432232314}"#,
            &[secret],
            1_614_265_330,
        );
        // The signature is right, so what is wrong is that the example is no payment.
        assert!(
            matches!(rejected, Err(Rejection::Unreadable(_))),
            "{rejected:?}"
        );
    }

    #[test]
    fn what_was_changed_or_signed_by_another_is_forged() {
        let secrets = [b"secret".to_vec()];
        let sound = signed(&secrets[0], "msg_1", NOW_S, BODY);
        let other_body = BODY.replace("captured", "declined");
        let judged = |headers: &HeaderMap, body: &str| {
            verify(headers, body.as_bytes(), &secrets, NOW_S).err()
        };
        assert_eq!(judged(&sound, BODY), None);
        assert_eq!(judged(&sound, &other_body), Some(Rejection::Forged));
        for name in ["webhook-id", "webhook-timestamp"] {
            let mut changed = sound.clone();
            changed.insert(name, "1795000001".parse().expect("a header"));
            assert_eq!(judged(&changed, BODY), Some(Rejection::Forged), "{name}");
        }
        let stranger = signed(b"stranger", "msg_1", NOW_S, BODY);
        assert_eq!(judged(&stranger, BODY), Some(Rejection::Forged));
        let without = verify(&sound, BODY.as_bytes(), &[], NOW_S);
        assert_eq!(without, Err(Rejection::Forged), "without a secret");
        for nonsense in ["", "v1,", "v1,%%%", "v1a,AAAA", "v2,AAAA"] {
            let headers = headers("msg_1", &NOW_S.to_string(), nonsense);
            assert_eq!(judged(&headers, BODY), Some(Rejection::Forged));
        }
        // A receiver that is moved to a new secret is sent both signatures.
        let mut both = sound.clone();
        let right = sound["webhook-signature"].to_str().expect("ASCII");
        let value = format!("v1,AAAA v2,AAAA {right}");
        both.insert("webhook-signature", value.parse().expect("a header"));
        assert_eq!(judged(&both, BODY), None);
    }

    #[test]
    fn what_is_old_or_unsigned_is_not_read() {
        let secrets = [b"secret".to_vec()];
        for (signed_at, accepted) in [
            (NOW_S - TOLERANCE_S, true),
            (NOW_S - TOLERANCE_S - 1, false),
            (NOW_S + TOLERANCE_S, true),
            (NOW_S + TOLERANCE_S + 1, false),
            (0, false),
        ] {
            let headers = signed(&secrets[0], "msg_1", signed_at, BODY);
            let judged = verify(&headers, BODY.as_bytes(), &secrets, NOW_S);
            let expected = (!accepted).then_some(Rejection::OutOfTime);
            assert_eq!(judged.err(), expected, "{signed_at}");
        }
        let sound = signed(&secrets[0], "msg_1", NOW_S, BODY);
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut without = sound.clone();
            without.remove(name);
            let judged = verify(&without, BODY.as_bytes(), &secrets, NOW_S);
            assert_eq!(judged, Err(Rejection::Unsigned(name)));
        }
        let dotted = signed(&secrets[0], "msg.1", NOW_S, BODY);
        let judged = verify(&dotted, BODY.as_bytes(), &secrets, NOW_S);
        assert_eq!(judged, Err(Rejection::Unsigned("webhook-id")));
    }

    #[test]
    fn a_signed_body_that_is_no_notice_is_named() {
        let secrets = [b"secret".to_vec()];
        let long = BODY.replace("pay_1", &"p".repeat(65));
        for body in [
            "",
            "{}",
            r#"{"data":{"order_id":"1","status":"captured"}}"#,
            &long,
        ] {
            let headers = signed(&secrets[0], "msg_1", NOW_S, body);
            let judged = verify(&headers, body.as_bytes(), &secrets, NOW_S);
            assert!(matches!(judged, Err(Rejection::Unreadable(_))), "{body}");
        }
    }
}
