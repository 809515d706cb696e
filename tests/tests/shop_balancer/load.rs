//! Clients who ask all the time, at a fixed pace, through a balancer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context;
use holdfast_tests::shop::{GOOD_CARD, Reply, Shopper, lines, send};
use reqwest::{Client, Method};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::*;

const PACE: Duration = Duration::from_millis(40);
/// A purchase whose proxy was killed is finished by another one within the lease.
const PAUSE: Duration = Duration::from_millis(200);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A touch of the session.
    Touch,
    /// The catalogue, and what was bought.
    Read,
    /// An order that may be sent again.
    OrderWithKey,
    /// One that may not.
    OrderWithoutKey,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Fate {
    pub through: &'static str,
    pub asked: Asked,
    pub at: Instant,
    pub took: Duration,
    /// Why it failed: no answer, or one of the 500s.
    pub failure: Option<String>,
    /// The order that was bought.
    pub order: Option<String>,
}

/// Clients at work.
pub struct Load {
    fates: Arc<Mutex<Vec<Fate>>>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<Result<()>>,
}

impl Load {
    pub fn new() -> Load {
        Load {
            fates: Arc::default(),
            is_over: Arc::default(),
            clients: JoinSet::new(),
        }
    }

    /// Adds a client of this balancer.
    pub async fn add(
        &mut self,
        through: &'static str,
        balancer: &Balancer,
        pair: &Pair,
        asked: Asked,
    ) -> Result<()> {
        let client = Caller {
            through,
            asked,
            client: balancer.client()?.build()?,
            url: balancer.url(),
            guest: pair.shop().guest().await?,
        };
        let (fates, is_over) = (self.fates.clone(), self.is_over.clone());
        self.clients.spawn(async move {
            let mut pace = tokio::time::interval(PACE);
            while !is_over.load(Ordering::Relaxed) {
                pace.tick().await;
                let fate = client.ask().await?;
                fates.lock().expect("the fates").push(fate);
            }
            Ok(())
        });
        Ok(())
    }

    /// Waits until each kind of request through each balancer was answered `count` times more.
    pub async fn goes_on(&self, count: usize) -> Result<()> {
        let since = Instant::now();
        let kinds = |fates: &[Fate]| {
            let mut kinds: Vec<_> = Vec::new();
            for fate in fates {
                let kind = (fate.through, fate.asked);
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            kinds
        };
        holdfast_tests::wait::until_async("the load to go on", PATIENCE, || async {
            let fates = self.fates.lock().expect("the fates");
            let is_enough = kinds(&fates).into_iter().all(|kind| {
                let answered = fates.iter().filter(|fate| {
                    fate.at > since && (fate.through, fate.asked) == kind && fate.failure.is_none()
                });
                answered.count() >= count
            });
            Ok((is_enough && !fates.is_empty()).then_some(()))
        })
        .await
    }

    /// Ends it; gives what became of every request.
    pub async fn end(mut self) -> Result<Vec<Fate>> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended??;
        }
        Ok(self.fates.lock().expect("the fates").clone())
    }
}

struct Caller {
    through: &'static str,
    asked: Asked,
    client: Client,
    url: String,
    guest: Shopper,
}

impl Caller {
    async fn ask(&self) -> Result<Fate> {
        let at = Instant::now();
        let key = Uuid::new_v4().to_string();
        let outcome = loop {
            let outcome = self.send(&key).await;
            match &outcome {
                // The first of two is still at work, or its proxy died over it.
                Ok(reply) if reply.problem() == "request-in-flight" && at.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                _ => break outcome,
            }
        };
        let (failure, order) = match outcome {
            Err(error) => (Some(format!("{error:#}")), None),
            Ok(reply) if reply.status >= 400 => {
                (Some(format!("{} {}", reply.status, reply.body)), None)
            }
            Ok(reply) if reply.status == 201 => {
                let id = reply.body["order_id"].as_str();
                (None, Some(id.context("an order without an id")?.to_owned()))
            }
            Ok(_) => (None, None),
        };
        Ok(Fate {
            through: self.through,
            asked: self.asked,
            at,
            took: at.elapsed(),
            failure,
            order,
        })
    }

    async fn send(&self, key: &str) -> Result<Reply> {
        let (method, path) = match self.asked {
            Asked::Touch => (Method::POST, "/v1/sessions/current/touch"),
            Asked::Read => (Method::GET, "/v1/products/LAMP"),
            _ => (Method::POST, "/v1/orders"),
        };
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.guest.token());
        if self.asked == Asked::OrderWithKey {
            request = request.header("Idempotency-Key", format!("\"{key}\""));
        }
        request = match self.asked {
            Asked::Read => request,
            Asked::Touch => request.json(&json!({ "page": "/lamp" })),
            _ => request.json(&json!({
                "items": lines(&[("LAMP", 1), ("VASE", 1)]),
                "payment": { "card": GOOD_CARD },
            })),
        };
        send(request).await
    }
}
