//! "Two visitors were given one session id, and one saw the other's cart."

use holdfast_proxy::sessions::SessionToken;
use holdfast_proxy::sessions::of_people::Beginning;
use uuid::Uuid;

use super::*;

#[tokio::test]
async fn session_id_collision_is_refused_and_another_is_drawn() -> Result<()> {
    let (sessions, _) = by_library()?;
    let guest = shop().guest().await?;
    let taken = format!("{}.another secret", guest.session_id());
    let free = format!("{}.another secret", Uuid::new_v4());
    let mut drawn = [taken, free.clone()].into_iter();
    let owner = Uuid::new_v4();
    let started = sessions
        .start_drawn(
            || {
                Ok(drawn
                    .next()
                    .and_then(|token| SessionToken::parse(&token))
                    .expect("a third is not drawn"))
            },
            |token| Beginning {
                token,
                owner,
                roles: "customer".into(),
                idle_ms: 60_000,
                first_ms: 60_000,
            },
        )
        .await?;
    assert_eq!(started.token.reveal(), free);
    let noted: Vec<String> = redis::cmd("ZRANGE")
        .arg(index_key(&owner.to_string()))
        .arg(0)
        .arg(-1)
        .query(&mut redis()?)?;
    assert_eq!(noted, [started.token.id.as_str()]);
    let untouched = guest.get("/v1/sessions/current").await?;
    assert_eq!(
        untouched.body["owner"],
        guest.session()["owner"],
        "whose it was, it is"
    );
    Ok(())
}
