//! The clients of a shop in trouble: they buy, hang up in the middle, hold and pay later, and ask again under the same
//! Idempotency-Key, at any proxy, until they know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::accounts::{Accounts, Ending};
use super::random::Random;
use crate::shop::{
    DECLINED_CARD, GOOD_CARD, LOST_REPLY_CARD, Reply, SECOND_TIME_CARD, SLOW_CARD, Shop, Shopper,
    lines, send,
};

/// Longer than a proxy's own deadline for a request, so that a proxy that hangs is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long a client asks again before it gives up not knowing.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(250)];
/// One payment of three is made with one of these: every trouble that a provider can be.
const TROUBLE: [&str; 10] = [
    DECLINED_CARD,
    SECOND_TIME_CARD,
    LOST_REPLY_CARD,
    SLOW_CARD,
    // Pending, and captured or declined after 3 s.
    "4000000000000010",
    "4000000000000036",
    // Authorised, and answered with 500.
    "4000000000000044",
    // Declined when the money is to be captured; captured, and the answer lost; captured at the second attempt.
    "4000000000000051",
    "4000000000000069",
    "4000000000000077",
];

/// What all buyers share.
#[derive(Debug)]
pub struct Crowd {
    /// The URLs of the proxies.
    pub urls: Vec<String>,
    /// The operator's token.
    pub operator_token: String,
    /// What they are after; few units of each.
    pub hot: Vec<String>,
    /// What they know.
    pub accounts: Accounts,
    /// Requests on their way.
    pub in_flight: AtomicUsize,
    /// Set when nobody is to begin another purchase.
    pub is_over: AtomicBool,
}

/// One client.
struct Buyer {
    crowd: Arc<Crowd>,
    shopper: Shopper,
    random: Random,
}

/// The answer that a client got in the end, and when the attempt that got it was sent.
struct Told {
    reply: Reply,
    sent: Instant,
}

impl Crowd {
    /// Buys one thing after the other until it is over.
    pub async fn buy(self: Arc<Self>, mut random: Random) -> Result<()> {
        let shopper = self.enter(&mut random).await?;
        let mut buyer = Buyer {
            crowd: self,
            shopper,
            random,
        };
        while !buyer.crowd.is_over.load(Ordering::Relaxed) {
            buyer.purchase().await?;
        }
        Ok(())
    }

    /// Brings a few units of everything hot every now and then, so that the crowd always stands at the edge of sold out.
    /// Gives how many units of each were brought.
    pub async fn restock(self: Arc<Self>, units: i64, every: Duration) -> Result<i64> {
        let mut random = Random::new(1);
        let mut brought = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            for sku in &self.hot {
                let path = format!("/v1/stock/{sku}/adjustments");
                let body = json!({ "adjustment_id": format!("delivery-{brought}"), "delta": units, "reason": "restocked" });
                let told = self
                    .insist(&mut random, |url| {
                        let request = reqwest::Client::new().post(format!("{url}{path}"));
                        request.bearer_auth(&self.operator_token).json(&body)
                    })
                    .await;
                let Told { reply, .. } = told.map_err(|last| anyhow!("a delivery: {last}"))?;
                ensure!(reply.is_success(), "a delivery: {reply:?}");
            }
            brought += units;
            sleep(every).await;
        }
        Ok(brought)
    }

    /// A session, from whichever proxy gives one.
    async fn enter(&self, random: &mut Random) -> Result<Shopper> {
        let started = Instant::now();
        loop {
            let url = random.pick(self.urls.as_slice());
            let shop = Shop::at(url, &self.operator_token);
            match timeout(ANSWER_WITHIN, shop.guest()).await {
                Ok(Ok(shopper)) => return Ok(shopper),
                Ok(Err(error)) if started.elapsed() > PATIENCE => return Err(error),
                Err(_) if started.elapsed() > PATIENCE => bail!("nobody starts a session"),
                _ => sleep(random.time(PAUSES[0], PAUSES[1])).await,
            }
        }
    }

    /// Sends a request to any proxy until the answer says what came of it. When patience runs out, the error is what was
    /// seen last.
    async fn insist(
        &self,
        random: &mut Random,
        request: impl Fn(&str) -> RequestBuilder,
    ) -> Result<Told, String> {
        let started = Instant::now();
        let mut last = String::new();
        while started.elapsed() < PATIENCE {
            let url = random.pick(&self.urls);
            let sent = Instant::now();
            self.accounts.attempt();
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            let answer = timeout(ANSWER_WITHIN, send(request(url))).await;
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            match answer {
                Ok(Ok(reply)) if !says_nothing(&reply) => return Ok(Told { reply, sent }),
                Ok(Ok(reply)) => last = format!("{} {}", reply.status, reply.body),
                Ok(Err(error)) => last = format!("{error:#}"),
                Err(_) => last = format!("nothing within {ANSWER_WITHIN:?}"),
            }
            sleep(random.time(PAUSES[0], PAUSES[1])).await;
        }
        Err(last)
    }
}

/// Whether the same request may get another answer soon. What is replayed was decided, whatever it says.
fn says_nothing(reply: &Reply) -> bool {
    let may_change = reply.status >= 500
        || matches!(reply.status, 408 | 425 | 429)
        || reply.problem() == "request-in-flight";
    may_change && !is_replayed(reply)
}

fn is_replayed(reply: &Reply) -> bool {
    let header = reply.headers.get("idempotency-replayed");
    header.is_some_and(|value| value == "true")
}

impl Buyer {
    /// One purchase of one or two hot things, in one of the ways that there are.
    async fn purchase(&mut self) -> Result<()> {
        let (ending, sent) = match self.random.below(10) {
            0 => self.hang_up().await,
            1 => self.hold_and_pay().await,
            _ => self.order().await,
        };
        self.crowd.accounts.note(ending, sent)
    }

    /// Buys in one step, and sometimes thinks better of it.
    async fn order(&mut self) -> (Ending, Instant) {
        let (body, key) = self.wish();
        let told = self
            .ask(Method::POST, "/v1/orders", &body, Some(&key))
            .await;
        match self.ending(told).await {
            (Ending::Sold(id), sent) if self.random.chance(10) => (self.cancel(&id).await, sent),
            other => other,
        }
    }

    /// Cancels a sold order.
    async fn cancel(&mut self, id: &str) -> Ending {
        let (path, key) = (format!("/v1/orders/{id}/cancel"), self.key());
        let told = self.ask(Method::POST, &path, &json!({}), Some(&key)).await;
        match told {
            Ok(told) if told.reply.is_success() => Ending::Cancelled(id.to_owned()),
            Ok(told) => Ending::Odd(format!("{} {}", told.reply.status, told.reply.body)),
            Err(last) => Ending::Unclear(last),
        }
    }

    /// Sends an order, hangs up at a random instant, and does not come back unless it was answered before.
    async fn hang_up(&mut self) -> (Ending, Instant) {
        let (body, key) = self.wish();
        let url = self.random.pick(&self.crowd.urls).clone();
        let request = self
            .shopper
            .at_url(&url)
            .request(Method::POST, "/v1/orders");
        let request = request.header("Idempotency-Key", key).json(&body);
        let instant = self.random.time(Duration::ZERO, Duration::from_millis(60));
        self.crowd.accounts.attempt();
        let sent = Instant::now();
        // Dropping the request closes its connection.
        match timeout(instant, send(request)).await {
            Ok(Ok(reply)) if !says_nothing(&reply) => self.ending(Ok(Told { reply, sent })).await,
            _ => (Ending::HungUp, sent),
        }
    }

    /// Holds at checkout, sometimes asks for more time, and then pays or gives the units back.
    async fn hold_and_pay(&mut self) -> (Ending, Instant) {
        let began = Instant::now();
        let (mut body, key) = self.wish();
        let payment = body["payment"].take();
        let body = json!({ "items": body["items"], "ttl_ms": 30_000 });
        let held = self.ask(Method::POST, "/v1/holds", &body, Some(&key)).await;
        let id = match &held {
            Ok(told) if told.reply.status == 201 => told.reply.id().map(str::to_owned),
            _ => return self.ending(held).await,
        };
        let Ok(id) = id else {
            return (Ending::Odd("a hold without an id".to_owned()), began);
        };
        let path = format!("/v1/holds/{id}");
        if self.random.chance(30) {
            let more = json!({ "ttl_ms": 45_000 });
            let told = self.ask(Method::PATCH, &path, &more, None).await;
            if let Err(last) = told {
                return (Ending::Unclear(last), began);
            }
        }
        if self.random.chance(30) {
            let told = self.ask(Method::DELETE, &path, &Value::Null, None).await;
            let ending = told.map_or_else(Ending::Unclear, |_| Ending::Undone);
            return (ending, began);
        }
        let path = format!("{path}/confirm");
        let key = self.key();
        let told = self
            .ask(
                Method::POST,
                &path,
                &json!({ "payment": payment }),
                Some(&key),
            )
            .await;
        self.ending(told).await
    }

    /// What is bought, and under which key.
    fn wish(&mut self) -> (Value, String) {
        let mut skus: Vec<&str> = self.crowd.hot.iter().map(String::as_str).collect();
        self.random.shuffle(&mut skus);
        skus.truncate(1 + self.random.below(2) as usize);
        let items: Vec<(&str, i64)> = skus.into_iter().map(|sku| (sku, 1)).collect();
        let card = match self.random.below(3) {
            0 => *self.random.pick(&TROUBLE),
            _ => GOOD_CARD,
        };
        let body = json!({ "items": lines(&items), "payment": { "card": card } });
        (body, self.key())
    }

    fn key(&mut self) -> String {
        Uuid::from_u64_pair(self.random.number(), self.random.number()).to_string()
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Told, String> {
        let shopper = self.shopper.clone();
        let request = |url: &str| {
            let request = shopper.at_url(url).request(method.clone(), path);
            let request = match key {
                Some(key) => request.header("Idempotency-Key", key),
                None => request,
            };
            match body {
                Value::Null => request,
                body => request.json(body),
            }
        };
        self.crowd.insist(&mut self.random, request).await
    }

    /// What an answer to a purchase means; one that is not decided yet is waited for.
    async fn ending(&mut self, told: Result<Told, String>) -> (Ending, Instant) {
        let started = Instant::now();
        let mut told = match told {
            Ok(told) => told,
            Err(last) => return (Ending::Unclear(last), started),
        };
        while matches!(status(&told.reply), "PENDING" | "PAID") {
            if started.elapsed() > PATIENCE {
                return (Ending::Unclear("PENDING".to_owned()), told.sent);
            }
            let Ok(id) = told.reply.id().map(str::to_owned) else {
                break;
            };
            sleep(self.random.time(PAUSES[0], PAUSES[1])).await;
            let path = format!("/v1/orders/{id}");
            match self.ask(Method::GET, &path, &Value::Null, None).await {
                Ok(later) => told = later,
                Err(last) => return (Ending::Unclear(last), told.sent),
            }
        }
        (ending_of(&told.reply), told.sent)
    }
}

fn status(reply: &Reply) -> &str {
    reply.body["status"].as_str().unwrap_or_default()
}

fn ending_of(reply: &Reply) -> Ending {
    match (reply.status, status(reply), reply.problem()) {
        (200..=299, "CONFIRMED", _) => match reply.id() {
            Ok(id) => Ending::Sold(id.to_owned()),
            Err(error) => Ending::Odd(format!("{error:#}")),
        },
        (200..=299, "CANCELLED" | "EXPIRED" | "REFUNDED", _) => Ending::Undone,
        (402, ..) => Ending::Declined,
        (500.., ..) if is_replayed(reply) => Ending::Declined,
        (409, _, "out-of-stock") => Ending::SoldOut,
        (_, _, "hold-ended") => Ending::Undone,
        _ => Ending::Odd(format!("{} {}", reply.status, reply.body)),
    }
}
