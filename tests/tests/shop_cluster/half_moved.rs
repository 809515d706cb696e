//! Slots stay half-moved for longer than a call may take, and nobody notices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holdfast_tests::cluster::RedisCluster;
use holdfast_tests::redis::Redis;
use holdfast_tests::shop::{GOOD_CARD, Reply, Shop, Shopper, send};
use holdfast_tests::stack::Stack;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::load::while_they_come;
use super::moving::all_served;
use super::{PLENTY, SKUS, STACK, assert_sound, slot, slot_of, whole};

/// Several times as long as a call may take, `redis.timeout_ms`.
const LONG: Duration = Duration::from_millis(2_000);
/// In the slot of the first product: one that stays behind, and one that is new.
const STAYS: &str = "CLOCK-45872";
const NEW: &str = "CLOCK-54833";
const PEOPLE: usize = 6;

/// Slots on their way, each from one node to another.
struct OnTheirWay<'a> {
    cluster: &'a RedisCluster,
    slots: BTreeMap<usize, (Arc<Redis>, Arc<Redis>)>,
}

impl<'a> OnTheirWay<'a> {
    fn of(cluster: &'a RedisCluster) -> Self {
        let slots = BTreeMap::new();
        Self { cluster, slots }
    }

    /// Has the slot of `key` be on its way, and the key at its new node already if it `goes` ahead.
    fn take(&mut self, key: &str, goes: bool) -> Result<()> {
        let slot = slot_of(self.cluster, key)?;
        if !self.slots.contains_key(&slot) {
            let from = self.cluster.owner(slot)?.clone();
            let others = SKUS.iter().map(|sku| {
                let slot = super::slot(self.cluster, sku)?;
                Ok(self.cluster.owner(slot)?.clone())
            });
            let others: Vec<_> = others.collect::<Result<_>>()?;
            let is_another = |node: &Arc<Redis>| !Arc::ptr_eq(node, &from);
            let to = others.into_iter().find(is_another).context("one node")?;
            self.cluster.begin_moving(slot, &from, &to)?;
            self.slots.insert(slot, (from, to));
        }
        let (from, to) = &self.slots[&slot];
        match goes {
            true => self.cluster.move_keys(&[key.to_owned()], from, to),
            false => Ok(()),
        }
    }

    /// Whether the node where the slot of `key` comes from has the key, and where it goes to.
    fn places(&self, key: &str) -> Result<(bool, bool)> {
        let slot = slot_of(self.cluster, key)?;
        let (from, to) = self.slots.get(&slot).context("it does not move")?;
        let has = |node: &Redis| {
            let keys = self.cluster.keys_in(slot, node)?;
            anyhow::Ok(keys.iter().any(|known| known == key))
        };
        Ok((has(from)?, has(to)?))
    }

    fn arrive(self) -> Result<()> {
        for (slot, (from, to)) in &self.slots {
            self.cluster.move_slots([*slot], from, to)?;
        }
        Ok(())
    }
}

/// The keys of all nodes that begin so, without who follows whom.
fn keys(stack: &Stack, pattern: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for node in stack.cluster()?.nodes() {
        let mut keys = redis::cmd("KEYS");
        let keys: Vec<String> = keys.arg(pattern).query(&mut node.connection()?)?;
        all.extend(keys);
    }
    all.sort();
    all.dedup();
    Ok(all)
}

async fn put_product(shop: &Shop, sku: &str) -> Result<()> {
    let form =
        json!({ "name": "Thing", "description": "", "price_minor": 1000, "currency": "GBP" });
    let put = shop
        .call(Method::PUT, &format!("/v1/products/{sku}"), &form)
        .await?;
    ensure!(put.is_success(), "{put:?}");
    shop.set_stock(sku, PLENTY).await
}

/// One who is not known, so that each try is counted.
async fn log_in_in_vain(stack: &Stack, email: &str) -> Result<()> {
    let request = Client::new().post(format!("{}/v1/sessions", stack.proxy.url()));
    let form = json!({ "email": email, "password": "wrong horse" });
    let answered = send(request.json(&form)).await?;
    ensure!(answered.status == 401, "{answered:?}");
    Ok(())
}

async fn hold(shopper: &Shopper, skus: &[&str]) -> Result<String> {
    let lines = skus
        .iter()
        .map(|sku| json!({ "sku": sku, "quantity": 1 }))
        .collect::<Vec<_>>();
    let form = json!({ "items": lines });
    let held = served(shopper, Method::POST, "/v1/holds", &form).await?;
    Ok(held.id()?.to_owned())
}

async fn served(shopper: &Shopper, method: Method, path: &str, form: &Value) -> Result<Reply> {
    let asked = Instant::now();
    let reply = shopper.call(method.clone(), path, form).await?;
    let took = asked.elapsed();
    ensure!(
        reply.is_success() && reply.status != 202,
        "{method} {path} after {took:?}: {reply:?}"
    );
    Ok(reply)
}

/// Everything that a visitor does with a session and a cart of theirs.
async fn visit(shopper: &Shopper) -> Result<()> {
    let path = "/v1/sessions/current/touch";
    served(shopper, Method::POST, path, &json!({})).await?;
    let item = json!({ "sku": SKUS[0], "quantity": 1 });
    served(shopper, Method::POST, "/v1/cart/items", &item).await?;
    let cart = served(shopper, Method::GET, "/v1/cart", &Value::Null).await?;
    ensure!(
        cart.body["lines"][0]["quantity"].as_i64() >= Some(2),
        "what was there before is not: {cart:?}"
    );
    let card = json!({ "payment": { "card": GOOD_CARD } });
    let confirm = format!(
        "/v1/holds/{}/confirm",
        hold(shopper, &[SKUS[0], STAYS]).await?
    );
    served(shopper, Method::POST, &confirm, &card).await?;
    let key = uuid::Uuid::new_v4().to_string();
    let bought = shopper
        .order(&[(SKUS[0], 1)], GOOD_CARD, Some(&key))
        .await?;
    ensure!(bought.status == 201, "{bought:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_are_half_moved_for_long_fail_no_request() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = whole(&stack).await?;
    let cluster = stack.cluster()?;
    let mut people = Vec::new();
    let mut holds = Vec::new();
    put_product(&shop, STAYS).await?;
    for _ in 0..PEOPLE {
        let shopper = shop.guest().await?;
        let item = json!({ "sku": SKUS[0], "quantity": 1 });
        served(&shopper, Method::POST, "/v1/cart/items", &item).await?;
        holds.push(hold(&shopper, &[SKUS[0], STAYS]).await?);
        people.push(shopper);
    }
    log_in_in_vain(&stack, "nobody@example.com").await?;
    let throttles = keys(&stack, "throttle:login-*")?;
    ensure!(throttles.len() >= 2, "{throttles:?}");

    let stock = |sku: &str| format!("inv:{{{sku}}}");
    let baskets = [
        vec![SKUS[0]],
        vec![STAYS],
        vec![SKUS[0], STAYS],
        SKUS.to_vec(),
    ];
    let slot = slot(cluster, SKUS[0])?;
    let home = cluster.owner(slot)?.clone();
    let act = async {
        let mut way = OnTheirWay::of(cluster);
        block_in_place(|| {
            way.take(&stock(SKUS[0]), true)?;
            way.take(&stock(STAYS), false)?;
            for (number, shopper) in people.iter().enumerate() {
                let owner = shopper.session()["owner"].as_str().context("an owner")?;
                way.take(
                    &format!("session:{}", shopper.session_id()),
                    number % 2 == 0,
                )?;
                way.take(&format!("cart:{{{owner}}}"), number % 3 == 0)?;
                way.take(&format!("hold:{}", holds[number]), number % 2 == 1)?;
            }
            // One is counted on at the new node, the other is there no more and new there.
            for throttle in &throttles {
                way.take(throttle, true)?;
            }
            anyhow::Ok(())
        })?;
        let began = Instant::now();
        put_product(&shop, NEW).await?;
        let buyer = shop.guest().await?;
        let mut rounds = 0;
        while began.elapsed() < LONG || rounds < 3 {
            for shopper in &people {
                visit(shopper).await?;
            }
            let bought = buyer
                .order(&[(NEW, 1), (SKUS[0], 1)], GOOD_CARD, None)
                .await?;
            ensure!(bought.status == 201, "{bought:?}");
            log_in_in_vain(&stack, "nobody@example.com").await?;
            log_in_in_vain(&stack, &format!("nobody-{rounds}@example.com")).await?;
            rounds += 1;
        }
        for (shopper, hold) in people.iter().zip(&holds) {
            let path = format!("/v1/holds/{hold}");
            let shown = served(shopper, Method::GET, &path, &Value::Null).await?;
            ensure!(shown.body["state"] == "HELD", "{shown:?}");
        }
        let card = json!({ "payment": { "card": GOOD_CARD } });
        let (sold, given_back) = holds.split_at(PEOPLE / 2);
        for (shopper, hold) in people.iter().zip(sold) {
            let path = format!("/v1/holds/{hold}/confirm");
            served(shopper, Method::POST, &path, &card).await?;
        }
        for (shopper, hold) in people[sold.len()..].iter().zip(given_back) {
            let path = format!("/v1/holds/{hold}");
            served(shopper, Method::DELETE, &path, &Value::Null).await?;
        }
        // The cart may be emptied later: the mark beside it is a second key.
        let of_the_cart = json!({ "cart": true, "payment": { "card": GOOD_CARD } });
        for shopper in &people {
            served(shopper, Method::POST, "/v1/orders", &of_the_cart).await?;
        }
        let took = began.elapsed();
        block_in_place(|| {
            // Until now.
            for (sku, places) in [
                (SKUS[0], (false, true)),
                (STAYS, (true, false)),
                (NEW, (false, true)),
            ] {
                let found = way.places(&stock(sku))?;
                ensure!(found == places, "{sku} is at {found:?}");
            }
            way.arrive()?;
            let there = cluster.owner(slot)?.clone();
            cluster.move_slots([slot], &there, &home)
        })?;
        Ok((took, rounds))
    };
    let ((took, rounds), answered) = while_they_come(&shop, &baskets, act).await?;
    eprintln!("half-moved for {took:?}, {rounds} rounds of {PEOPLE} people");
    all_served(&answered, "half-moved")?;
    assert_sound(&stack)
}
