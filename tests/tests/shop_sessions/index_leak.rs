//! "The index of a user's sessions grows for ever, because expired ones stay in it", or lacks one that lives.

use std::time::Duration;

use holdfast_tests::wait;
use redis::Commands;

use super::*;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn index_ends_with_its_last_session() -> Result<()> {
    let shortly = STACK.another_proxy_with(&[
        ("HOLDFAST_SESSION__ABSOLUTE_MS", "1500"),
        ("HOLDFAST_SESSION__IDLE_MS", "1500"),
        ("HOLDFAST_CART__TTL_MS", "60000"),
    ])?;
    let shop = Shop::of(&shortly);
    shop.register("leak@example.com").await?;
    let user = shop.log_in("leak@example.com").await?;
    let user_id = user.session()["owner"]
        .as_str()
        .context("an owner")?
        .to_owned();
    assert!(
        redis()?.exists::<_, bool>(index_key(&user_id))?,
        "it is in the index"
    );
    wait::until("the end of the index", SOON, || {
        let exists: bool = redis()?.exists(index_key(&user_id))?;
        Ok((!exists).then_some(()))
    })
}

#[tokio::test]
async fn index_forgets_who_was_idle_for_too_long() -> Result<()> {
    shop().register("idle@example.com").await?;
    let (gone, here) = (
        shop().log_in("idle@example.com").await?,
        shop().log_in("idle@example.com").await?,
    );
    let user_id = here.session()["owner"].as_str().context("an owner")?;
    // As its timeout would, which nobody is told of.
    let _: i64 = redis()?.del(session_key(gone.session_id()))?;
    let members: usize = redis()?.zcard(index_key(user_id))?;
    assert_eq!(members, 2, "the control: nothing else has struck it out");
    let list = here.get("/v1/users/me/sessions").await?;
    let ids: Vec<_> = list.body["sessions"]
        .as_array()
        .context("a list")?
        .iter()
        .map(|session| session["session_id"].clone())
        .collect();
    assert_eq!(ids, [here.session_id()]);
    let members: Vec<String> = redis()?.zrange(index_key(user_id), 0, -1)?;
    assert_eq!(members, [here.session_id()]);
    Ok(())
}

#[tokio::test]
async fn index_has_a_session_again_that_redis_had_lost() -> Result<()> {
    shop().register("lost@example.com").await?;
    let user = shop().log_in("lost@example.com").await?;
    let user_id = user.session()["owner"].as_str().context("an owner")?;
    let lost = [session_key(user.session_id()), index_key(user_id)];
    let _: i64 = redis()?.del(&lost)?;
    let list = user.get("/v1/users/me/sessions").await?;
    assert_eq!(
        list.body["sessions"][0]["session_id"],
        user.session_id(),
        "{list:?}"
    );
    let members: Vec<String> = redis()?.zrange(index_key(user_id), 0, -1)?;
    assert_eq!(members, [user.session_id()]);
    Ok(())
}
