//! Who watches stock through a balancer is told at once, and goes on elsewhere when a proxy ends.

use anyhow::{Context, ensure};
use reqwest::{Client, Response};
use tokio::time::timeout;

use super::*;

/// Somebody who watches a product as an EventSource does.
pub struct Watcher {
    client: Client,
    url: String,
    stream: Option<Response>,
    /// What the stream of the moment has told.
    heard: String,
}

impl Watcher {
    pub fn new(balancer: &Balancer, sku: &str) -> Result<Watcher> {
        Ok(Watcher {
            client: balancer.client()?.build()?,
            url: format!("{}/v1/stock/{sku}/stream", balancer.url()),
            stream: None,
            heard: String::new(),
        })
    }

    /// Listens until this many units are told, and connects again when a stream ends.
    pub async fn hears(&mut self, units: i64) -> Result<()> {
        let wanted = format!("\"on_hand\":{units},");
        let listening = async {
            while !self.heard.contains(&wanted) {
                self.listen().await?;
            }
            Ok(())
        };
        let heard = timeout(PATIENCE, listening).await;
        heard.with_context(|| format!("{wanted} is not told"))?
    }

    /// Listens to the next piece.
    async fn listen(&mut self) -> Result<()> {
        let Some(stream) = &mut self.stream else {
            let answer = self.client.get(&self.url).send().await?;
            ensure!(answer.status() == 200, "no stream: {answer:?}");
            self.heard.clear();
            self.stream = Some(answer);
            return Ok(());
        };
        match stream.chunk().await? {
            Some(chunk) => self.heard += std::str::from_utf8(&chunk)?,
            None => self.stream = None,
        }
        Ok(())
    }

    fn has_heard_a_heartbeat(&self) -> bool {
        self.heard.contains("\n:\n")
    }
}

#[tokio::test]
async fn a_change_is_told_before_the_next_heartbeat() -> Result<()> {
    let pair = PAIR.read().await;
    for (kind, units) in [(Kind::Haproxy, 21), (Kind::Nginx, 22)] {
        let balancer = pair.behind(kind)?;
        let mut watcher = Watcher::new(&balancer, "SEEN")?;
        while !watcher.heard.contains("on_hand") {
            timeout(PATIENCE, watcher.listen()).await??;
        }
        pair.shop().set_stock("SEEN", units).await?;
        watcher.hears(units).await?;
        assert!(!watcher.has_heard_a_heartbeat(), "{kind:?} keeps it back");
    }
    Ok(())
}
