//! A request with a session asks Redis about it once.

use std::sync::mpsc;
use std::time::Duration;

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
