use std::path::PathBuf;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use serde_json::{Value, json};

use super::*;
use crate::people::{ADMIN, CUSTOMER};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// A private key as PEM, made anew: none is kept in the tree.
pub(super) fn pem(algorithm: Algorithm) -> String {
    let der = match algorithm {
        Algorithm::RS256 => {
            let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key pair");
            let der: Pkcs8V1Der = pair.as_der().expect("PKCS#8");
            der.as_ref().to_vec()
        }
        _ => {
            // PKCS#8 of Ed25519 is this and 32 random bytes (RFC 8410, 7).
            let mut der = vec![
                0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
            ];
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).expect("randomness");
            der.extend(seed);
            der
        }
    };
    let base64 = STANDARD.encode(der);
    format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
}

pub(super) fn kept_in_file(text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("holdfast-key-{}", Uuid::new_v4()));
    std::fs::write(&path, text).expect("a file");
    path
}

fn keys(algorithm: Algorithm) -> (EncodingKey, DecodingKey) {
    let text = match algorithm {
        Algorithm::HS256 => Uuid::new_v4().to_string(),
        _ => pem(algorithm),
    };
    let path = kept_in_file(&text);
    let keys = key_file::read(&path, algorithm).expect("a key");
    std::fs::remove_file(path).expect("it is there");
    keys
}

fn rules() -> Rules {
    Rules {
        issuer: "holdfast".into(),
        audience: "shop".into(),
        leeway: MINUTE,
    }
}

fn holder() -> Holder {
    Holder {
        owner: Uuid::from_u128(7),
        roles: format!("{CUSTOMER},{ADMIN}"),
        session_id: Some("s".into()),
    }
}

fn signed(algorithm: Algorithm, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, key).expect("signed")
}

fn claims() -> Value {
    let (holder, rules) = (holder(), rules());
    let claims = Claims::new(&holder, &rules, NOW, 5 * MINUTE);
    serde_json::to_value(claims).expect("json")
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn what_was_issued_is_read_again_with_every_algorithm() {
    for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::EdDSA] {
        let (signing, verifying) = keys(algorithm);
        let token = signed(algorithm, &claims(), &signing);
        let read = claims::verify(&token, &verifying, algorithm, &rules(), NOW);
        assert_eq!(read, Ok(holder()), "{algorithm:?}");
        let (_, another) = keys(algorithm);
        let forged = claims::verify(&token, &another, algorithm, &rules(), NOW);
        assert!(forged.is_err(), "{algorithm:?}");
    }
}

#[test]
fn it_is_good_from_its_beginning_to_its_end_and_a_skew_beyond() {
    let (signing, verifying) = keys(Algorithm::HS256);
    let token = signed(Algorithm::HS256, &claims(), &signing);
    let is_good = |now| claims::verify(&token, &verifying, Algorithm::HS256, &rules(), now).is_ok();
    let second = Duration::from_secs(1);
    assert!(is_good(NOW - MINUTE) && !is_good(NOW - MINUTE - second));
    assert!(is_good(NOW + 6 * MINUTE - second) && !is_good(NOW + 6 * MINUTE));
}

#[test]
fn claims_that_are_missing_or_of_others_are_refused() {
    let (signing, verifying) = keys(Algorithm::HS256);
    let refused = |claims: &Value| {
        let token = signed(Algorithm::HS256, claims, &signing);
        claims::verify(&token, &verifying, Algorithm::HS256, &rules(), NOW).is_err()
    };
    assert!(!refused(&claims()), "the control: all is as it should be");
    for name in ["iss", "aud", "sub", "exp"] {
        let mut without = claims();
        without.as_object_mut().expect("an object").remove(name);
        assert!(refused(&without), "without {name}");
    }
    for (name, value) in [
        ("iss", json!("another")),
        ("aud", json!("another")),
        ("aud", json!(["another", "third"])),
        ("sub", json!("ada@example.com")),
        ("exp", json!("soon")),
        ("exp", json!(-1)),
        ("nbf", json!("now")),
        ("roles", json!("admin")),
    ] {
        assert!(refused(&with(name, value.clone())), "{name}: {value}");
    }
    let roles = with("roles", json!(["admin", "emperor", "admin,support"]));
    let token = signed(Algorithm::HS256, &roles, &signing);
    let read = claims::verify(&token, &verifying, Algorithm::HS256, &rules(), NOW);
    assert_eq!(read.expect("it is good").roles, "admin");
}

#[test]
fn the_token_does_not_choose_its_algorithm() {
    let (signing, verifying) = keys(Algorithm::EdDSA);
    let token = signed(Algorithm::EdDSA, &claims(), &signing);
    let (_, signature) = token.rsplit_once('.').expect("three parts");
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let unsigned = format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims()));
    let kept = format!(
        "{}.{}.{signature}",
        part(&json!({ "alg": "none" })),
        part(&claims())
    );
    // The public key is no secret: who signs with it as if it were one proves nothing.
    let public = Jwk::from_decoding_key(&verifying, None).expect("a public key");
    let public = serde_json::to_value(public).expect("json")["x"].to_string();
    let secret = EncodingKey::from_secret(public.as_bytes());
    let confused = signed(Algorithm::HS256, &claims(), &secret);
    let critical = json!({ "alg": "EdDSA", "crit": ["b64"], "b64": true });
    let critical: Header = serde_json::from_value(critical).expect("a header");
    let critical = jsonwebtoken::encode(&critical, &claims(), &signing).expect("signed");
    for token in [&unsigned, &kept, &confused, &critical, "a.b.c", ".."] {
        let read = claims::verify(token, &verifying, Algorithm::EdDSA, &rules(), NOW);
        assert!(read.is_err(), "{token}");
    }
}

#[tokio::test]
async fn without_a_key_none_are_issued_and_none_believed() {
    let none = AccessTokens::open(&config::Jwt::default()).expect("nothing to read");
    assert_eq!(none.issue(&holder()), Ok(None));
    assert!(matches!(none.read("a.b.c").await, Err(Error::Refused(_))));
}

#[tokio::test]
async fn the_configured_key_issues_and_reads() {
    for (algorithm, text) in [
        (config::JwtAlgorithm::HS256, "x".repeat(SECRET_BYTES)),
        (config::JwtAlgorithm::EdDSA, pem(Algorithm::EdDSA)),
    ] {
        let key_file = Some(kept_in_file(&text));
        let config = config::Jwt {
            algorithm,
            key_file,
            ..config::Jwt::default()
        };
        let tokens = AccessTokens::open(&config).expect("a key");
        let issued = tokens.issue(&holder()).expect("signed");
        let (token, ttl) = issued.expect("there is a key");
        assert!(has_form(&token) && ttl == 5 * MINUTE);
        assert_eq!(tokens.read(&token).await, Ok(holder()));
    }
}

const SECRET_BYTES: usize = 32;

#[test]
fn what_is_no_key_of_the_algorithm_is_refused() {
    for (algorithm, text) in [
        (Algorithm::HS256, "x".repeat(SECRET_BYTES - 1)),
        (Algorithm::EdDSA, "x".repeat(SECRET_BYTES)),
        (Algorithm::RS256, pem(Algorithm::EdDSA)),
    ] {
        let path = kept_in_file(&text);
        assert!(key_file::read(&path, algorithm).is_err(), "{algorithm:?}");
    }
}
