//! "The cookie is there and the session is not, or the other way round."

use std::time::Duration;

use holdfast_tests::wait;
use redis::Commands;

use super::*;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn cookie_and_store_agree_on_expiry() -> Result<()> {
    let shortly = STACK.another_proxy_with(&[
        ("HOLDFAST_SESSION__ABSOLUTE_MS", "3400"),
        ("HOLDFAST_SESSION__IDLE_MS", "3400"),
        ("HOLDFAST_SESSION__GUEST_FIRST_MS", "3400"),
    ])?;
    let url = format!("{}/v1/sessions", shortly.url());
    let started = send(Client::new().post(url)).await?;
    assert_eq!(started.body["absolute_ms"], 3400);
    let set = started.headers[SET_COOKIE].to_str()?.to_owned();
    assert!(set.contains("; Max-Age=3;"), "{set}");
    let cookie = cookie_of(&started)?;
    let id = started.body["token"]
        .as_str()
        .and_then(|token| token.split('.').next());
    let key = session_key(id.context("an id")?);
    let left: i64 = redis()?.pttl(&key)?;
    assert!((1..=3400).contains(&left), "{left}");
    // A browser that shows the cookie for longer gains nothing: the store decides.
    let ask = || with_cookie(&cookie, Method::GET, "/v1/sessions/current");
    assert_eq!(ask().await?.status, 200);
    wait::until_async("the end of the session", SOON, || async {
        Ok((ask().await?.status == 401).then_some(()))
    })
    .await?;
    assert!(!redis()?.exists::<_, bool>(&key)?);
    Ok(())
}

#[tokio::test]
async fn a_guest_who_comes_once_is_soon_forgotten_and_one_who_comes_twice_is_not() -> Result<()> {
    let (once, twice) = (shop().guest().await?, shop().guest().await?);
    assert_eq!(once.session()["idle_ms"], FIRST_LIFE_MS);
    let again = twice.get("/v1/sessions/current").await?;
    assert!(
        again.body["idle_ms"].as_i64() > Some(FIRST_LIFE_MS),
        "{again:?}"
    );
    let key = session_key(once.session_id());
    wait::until("the end of the first life", SOON, || {
        let exists: bool = redis()?.exists(&key)?;
        Ok((!exists).then_some(()))
    })?;
    assert_eq!(once.get("/v1/sessions/current").await?.status, 401);
    assert_eq!(twice.get("/v1/sessions/current").await?.status, 200);
    Ok(())
}
