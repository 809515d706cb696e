use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// An issuer that publishes `document`, and counts how often it was asked.
async fn issuer(document: Value) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/jwks", listener.local_addr().expect("bound"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let body = document.to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _request = stream.read(&mut [0; 4096]).await;
            let answer = stream.write_all(format!("{head}{body}").as_bytes()).await;
            drop(answer);
        }
    });
    (url, asked)
}

fn key(kid: &str, change: &[(&str, &str)]) -> Value {
    let pem = super::super::tests::pem(Algorithm::EdDSA);
    let private = EncodingKey::from_ed_pem(pem.as_bytes()).expect("a key");
    let public = Jwk::from_encoding_key(&private, Algorithm::EdDSA).expect("its public half");
    let mut public = serde_json::to_value(public).expect("json");
    public["kid"] = kid.into();
    for (name, value) in change {
        public[*name] = (*value).into();
    }
    public
}

#[tokio::test]
async fn another_issuers_tokens_are_read_by_its_published_keys() {
    let pem = super::super::tests::pem(Algorithm::EdDSA);
    let private = EncodingKey::from_ed_pem(pem.as_bytes()).expect("a key");
    let public = Jwk::from_encoding_key(&private, Algorithm::EdDSA).expect("its public half");
    let (url, asked) = issuer(json!({ "keys": [public] })).await;
    let config = crate::config::Jwt {
        algorithm: crate::config::JwtAlgorithm::EdDSA,
        jwks_url: Some(url),
        issuer: "https://issuer.example".into(),
        ..crate::config::Jwt::default()
    };
    let tokens = super::super::AccessTokens::open(&config).expect("a client");
    let owner = uuid::Uuid::from_u128(9);
    let claims = json!({
        "iss": "https://issuer.example", "aud": ["holdfast", "others"],
        "sub": owner, "exp": 32_503_680_000_u64, "roles": ["support"],
    });
    let header = jsonwebtoken::Header::new(Algorithm::EdDSA);
    let token = jsonwebtoken::encode(&header, &claims, &private).expect("signed");
    let holder = tokens.read(&token).await.expect("it is good");
    assert_eq!((holder.owner, holder.roles.as_str()), (owner, "support"));
    // What is signed otherwise does not even have the issuer asked.
    let secret = EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef");
    let header = jsonwebtoken::Header::new(Algorithm::HS256);
    let other = jsonwebtoken::encode(&header, &claims, &secret).expect("signed");
    assert!(tokens.read(&other).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(
        tokens.issue(&holder),
        Ok(None),
        "only its issuer issues them"
    );
}

#[test]
fn the_issuer_is_asked_when_it_must_be_and_not_more_often() {
    let (old, young) = (Some(KEPT_FOR), Some(PAUSE));
    assert_eq!(decide(false, None, None), Step::Wait);
    assert_eq!(decide(true, young, young), Step::Use);
    assert_eq!(decide(true, old, old), Step::Refresh);
    assert_eq!(decide(true, old, Some(PAUSE / 2)), Step::Use);
    assert_eq!(decide(false, young, young), Step::Wait);
    assert_eq!(decide(false, young, Some(PAUSE / 2)), Step::GiveUp);
}

#[tokio::test]
async fn a_crowd_asks_once_and_invented_names_ask_no_more() {
    let (url, asked) = issuer(json!({ "keys": [key("a", &[]), key("b", &[])] })).await;
    let keys = PublishedKeys::new(&url, Algorithm::EdDSA).expect("a client");
    let crowd = (0..20).map(|_| keys.find(Some("a")));
    let found = futures::future::join_all(crowd).await;
    assert!(found.iter().all(Result::is_ok));
    assert!(keys.find(Some("b")).await.is_ok());
    for invented in [Some("c"), Some(""), None] {
        let refused = keys.find(invented).await.err();
        assert!(matches!(refused, Some(Error::Refused(_))), "{invented:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn keys_for_something_else_are_left_alone() {
    let only = key("a", &[("use", "enc")]);
    let others = [key("b", &[("alg", "RS256")]), key("c", &[("use", "sig")])];
    let document = json!({ "keys": [only, others[0], others[1]] });
    let (url, _) = issuer(document).await;
    let keys = PublishedKeys::new(&url, Algorithm::EdDSA).expect("a client");
    assert!(keys.find(Some("a")).await.is_err());
    assert!(keys.find(Some("b")).await.is_err());
    assert!(keys.find(Some("c")).await.is_ok());
    assert!(keys.find(None).await.is_ok(), "only one is fit");
}

#[tokio::test]
async fn an_issuer_that_is_away_or_says_too_much_is_no_refusal() {
    let (endless, _) = issuer(json!({ "keys": [], "more": "x".repeat(MOST_BYTES) })).await;
    for url in ["http://127.0.0.1:1/jwks", &endless] {
        let keys = PublishedKeys::new(url, Algorithm::EdDSA).expect("a client");
        let error = keys.find(Some("a")).await.err();
        assert!(matches!(error, Some(Error::KeysAway(_))), "{error:?}");
    }
}
