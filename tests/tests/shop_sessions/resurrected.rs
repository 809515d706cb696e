//! "I logged out, and a request that was under way logged me in again."

use futures::future::join_all;
use redis::Commands;

use super::*;

#[tokio::test]
async fn logout_is_not_resurrected_by_a_request_in_flight() -> Result<()> {
    for _ in 0..10 {
        let guest = shop().guest().await?;
        let requests = join_all((0..20).map(|n| {
            let guest = guest.clone();
            async move {
                match n {
                    10 => {
                        guest
                            .call(Method::DELETE, "/v1/sessions/current", &json!({}))
                            .await
                    }
                    _ => guest.get("/v1/sessions/current").await,
                }
            }
        }));
        let replies: Vec<_> = requests.await.into_iter().collect::<Result<_>>()?;
        assert_eq!(replies[10].status, 204);
        assert!(
            replies
                .iter()
                .all(|reply| [200, 204, 401].contains(&reply.status)),
            "{replies:?}"
        );
        let exists: bool = redis()?.exists(session_key(guest.session_id()))?;
        assert!(!exists, "it is back");
        assert_eq!(guest.get("/v1/sessions/current").await?.status, 401);
    }
    Ok(())
}

#[test]
fn control_a_store_that_writes_back_brings_it_back() -> Result<()> {
    let mut redis = redis()?;
    let key = "control:resurrected";
    naive::Request::read(&mut redis, key)?.write(&mut redis)?;
    let in_flight = naive::Request::read(&mut redis, key)?;
    let _: i64 = redis.del(key)?;
    in_flight.write(&mut redis)?;
    assert!(redis.exists::<_, bool>(key)?, "the logout came to nothing");
    Ok(())
}
