//! Somebody who watches the stock of a product, as a browser's EventSource does.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::time::timeout;

/// How long anything on a stream may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream, and what has been heard on it.
#[derive(Debug)]
pub struct Heard {
    response: Response,
    buffer: String,
    /// The id of the last event.
    pub last_id: Option<String>,
}

/// One block of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// The stock.
    Stock(Value),
    /// When to come back, ms.
    Retry(u64),
    /// A sign of life.
    Heartbeat,
}

impl Heard {
    /// Watches a product, as one who has heard the event `last_id` before.
    pub async fn of(client: &Client, url: &str, sku: &str, last_id: Option<&str>) -> Result<Heard> {
        let mut request = client.get(format!("{url}/v1/stock/{sku}/stream"));
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await?;
        let kind = response.headers().get("content-type").cloned();
        ensure!(
            response.status() == 200
                && kind
                    .as_ref()
                    .is_some_and(|kind| kind == "text/event-stream"),
            "no stream: {} {kind:?}",
            response.status()
        );
        Ok(Heard {
            response,
            buffer: String::new(),
            last_id: None,
        })
    }

    /// The next block; `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<Block>> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return self.read(&block).map(Some);
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await;
            match chunk.context("nothing is heard")?? {
                Some(chunk) => self.buffer += std::str::from_utf8(&chunk)?,
                None => return Ok(None),
            }
        }
    }

    /// The next stock that is told.
    pub async fn stock(&mut self) -> Result<Value> {
        loop {
            match self.next().await? {
                Some(Block::Stock(stock)) => return Ok(stock),
                Some(_) => {}
                None => bail!("the stream has ended"),
            }
        }
    }

    /// The stock as soon as it is told to be so.
    pub async fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let told = async {
            loop {
                let stock = self.stock().await?;
                if is_so(&stock) {
                    return anyhow::Ok(stock);
                }
            }
        };
        timeout(PATIENCE, told).await.context("it is never told")?
    }

    fn read(&mut self, block: &str) -> Result<Block> {
        if block == ":" {
            return Ok(Block::Heartbeat);
        }
        if let Some(retry) = block.strip_prefix("retry: ") {
            return Ok(Block::Retry(retry.parse()?));
        }
        let mut lines = block.lines();
        let mut field = |name: &str| {
            let line = lines.next().unwrap_or_default();
            let value = line
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix(": "));
            value
                .map(str::to_owned)
                .with_context(|| format!("no {name} in '{block}'"))
        };
        let (id, event, data) = (field("id")?, field("event")?, field("data")?);
        ensure!(event == "stock", "an event of another kind: {event}");
        self.last_id = Some(id);
        Ok(Block::Stock(serde_json::from_str(&data)?))
    }
}
