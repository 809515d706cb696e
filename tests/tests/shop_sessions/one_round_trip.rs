//! A request with a session asks Redis about it once.

use std::sync::mpsc;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;

use super::*;

/// What Redis is told about a session, by its commands' names, until `last` is among it.
struct Watched {
    lines: mpsc::Receiver<String>,
}

impl Watched {
    fn begin() -> Result<Watched> {
        let mut redis = redis()?;
        redis.send_packed_command(&redis::cmd("MONITOR").get_packed_command())?;
        redis.recv_response()?;
        let (told, lines) = mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(redis::Value::SimpleString(line)) = redis.recv_response() {
                if told.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Watched { lines })
    }

    /// The commands that name `id`, up to an ECHO that is sent now.
    fn naming(&self, id: &str) -> Result<Vec<String>> {
        let _: String = redis::cmd("ECHO")
            .arg(format!("end of {id}"))
            .query(&mut redis()?)?;
        let mut commands = Vec::new();
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(10))?;
            let Some((_, command)) = line.split_once("] \"") else {
                continue;
            };
            let name = command
                .split('"')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            if name == "echo" && command.contains(id) {
                return Ok(commands);
            }
            if command.contains(id) {
                commands.push(name);
            }
        }
    }
}

#[tokio::test]
async fn a_request_with_a_session_touches_it_once_and_asks_nothing_else() -> Result<()> {
    let guest = shop().guest().await?;
    let watched = Watched::begin()?;
    let id = guest.session_id();
    assert_eq!(guest.get("/v1/sessions/current").await?.status, 200);
    assert_eq!(watched.naming(id)?, ["session.touch"]);
    let view = json!({ "page": "/tea", "item": "TEA-CADDY" });
    guest
        .call(Method::POST, "/v1/sessions/current/touch", &view)
        .await?;
    assert_eq!(watched.naming(id)?, ["session.touch"]);
    assert_eq!(guest.get("/v1/cart").await?.status, 200);
    assert_eq!(watched.naming(id)?, ["session.touch"]);
    assert_eq!(guest.get("/v1/orders").await?.status, 200);
    assert_eq!(watched.naming(id)?, ["session.touch"]);
    // The control: what needs two commands is seen to.
    assert_eq!(guest.get("/v1/sessions/current/viewed").await?.status, 200);
    assert_eq!(watched.naming(id)?, ["session.touch", "session.viewed"]);
    Ok(())
}

#[tokio::test]
async fn the_rate_of_a_session_is_counted_in_the_same_step() -> Result<()> {
    let slowly = STACK.another_proxy_with(&[
        ("HOLDFAST_LIMITS__SESSION_REQUESTS", "1"),
        ("HOLDFAST_LIMITS__SESSION_PERIOD_S", "60"),
        ("HOLDFAST_LIMITS__SESSION_BURST", "2"),
    ])?;
    let guest = Shop::of(&slowly).guest().await?;
    let watched = Watched::begin()?;
    for _ in 0..3 {
        assert_eq!(guest.get("/v1/sessions/current").await?.status, 200);
    }
    let refused = guest.get("/v1/sessions/current").await?;
    assert_eq!(
        (refused.status, refused.problem()),
        (429, "too-many-requests")
    );
    let seconds: u64 = refused.headers[RETRY_AFTER].to_str()?.parse()?;
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(watched.naming(guest.session_id())?, ["session.touch"; 4]);
    let elsewhere = guest.at(&STACK.proxy).get("/v1/sessions/current").await?;
    assert_eq!(
        elsewhere.status, 200,
        "the control: a proxy with another limit"
    );
    Ok(())
}
