//! Shows the shop selling: one purchase step by step, then ten buyers who want nine units.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use holdfast_tests::saga_events::EventReader;
use holdfast_tests::shop::{GOOD_CARD, Reply, Shop, Shopper};
use holdfast_tests::stack::TOPIC;
use holdfast_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection, Row};
use uuid::Uuid;

use crate::status::Addresses;

const SKU: &str = "STORM-LANTERN";
const UNITS: i64 = 9;
const BUYERS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs both scenes. Whatever was sold before, it starts with nine lanterns.
pub fn run(addresses: &Addresses) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut stage = Stage::set(addresses).await?;
        stage.one_purchase().await?;
        stage.a_rush().await
    })
}

/// What the scenes look at: the shop through its API, and behind it Redis, MySQL and Kafka directly.
struct Stage {
    shop: Shop,
    /// Of each server of Redis that takes writes.
    redis: Vec<redis::Connection>,
    mysql: MySqlConnection,
    /// Absent where there is no Kafka.
    events: Option<EventReader>,
}

impl Stage {
    async fn set(addresses: &Addresses) -> Result<Stage> {
        let shop = Shop::at(&addresses.api, &addresses.operator_token);
        shop.set_stock(SKU, UNITS).await?;
        let events = match addresses.has_kafka {
            true => Some(EventReader::from_now(&addresses.kafka, TOPIC)?),
            false => None,
        };
        Ok(Stage {
            shop,
            redis: addresses.redis_primaries()?,
            mysql: MySqlConnection::connect(&addresses.database).await?,
            events,
        })
    }

    async fn one_purchase(&mut self) -> Result<()> {
        title("One purchase, step by step");
        let guest = self.shop.guest().await?;
        say(
            "session",
            &format!("a guest comes in and gets session {}", guest.session_id()),
        );

        let touch = json!({ "page": "/lanterns", "item": SKU });
        expect(
            guest
                .call(Method::POST, "/v1/sessions/current/touch", &touch)
                .await?,
            200,
        )?;
        let product = expect(guest.get(&format!("/v1/products/{SKU}")).await?, 200)?;
        let (name, price) = (
            text(&product["name"]),
            money(&product["price_minor"], &product["currency"]),
        );
        say(
            "view",
            &format!(
                "looks at \"{name}\": {price}, {} available",
                product["available"]
            ),
        );

        let hold = json!({ "items": [{ "sku": SKU, "quantity": 1 }], "ttl_ms": 60_000 });
        let hold = expect(guest.call(Method::POST, "/v1/holds", &hold).await?, 201)?;
        let hold_id = text(&hold["hold_id"]).to_owned();
        let held = self.ledger("INV.HOLD", &[&hold_id])?;
        say(
            "hold",
            &format!("goes to the till: one lantern is set aside for 60 s, under hold {hold_id}"),
        );
        say(
            "Redis",
            &format!(
                "that hold is {}, quantity {}",
                held["state"], held["quantity"]
            ),
        );
        self.say_stock()?;

        let payment = json!({ "payment": { "card": GOOD_CARD } });
        let confirm = format!("/v1/holds/{hold_id}/confirm");
        let order = expect(guest.call(Method::POST, &confirm, &payment).await?, 201)?;
        let total = money(&order["total_minor"], &order["currency"]);
        say(
            "order",
            &format!(
                "pays {total}: the hold has become order {}",
                text(&order["order_id"])
            ),
        );
        self.say_order(&hold_id).await?;
        self.say_stock_after_sales()?;
        self.say_events(&hold_id)
    }

    async fn a_rush(&mut self) -> Result<()> {
        title(&format!(
            "A rush: {UNITS} lanterns, {BUYERS} buyers at once"
        ));
        self.shop.set_stock(SKU, UNITS).await?;
        let mut buyers = Vec::new();
        for _ in 0..BUYERS {
            buyers.push(self.shop.guest().await?);
        }
        let started = Instant::now();
        let purchases: Vec<_> = buyers
            .into_iter()
            .map(|buyer| tokio::spawn(buy_one(buyer)))
            .collect();
        let mut replies = Vec::new();
        for purchase in purchases {
            replies.push(purchase.await??);
        }
        let took = started.elapsed().as_millis();
        for (number, reply) in (1..).zip(&replies) {
            say(&format!("buyer {number}"), &outcome(reply));
        }
        let sold = replies.iter().filter(|reply| reply.status == 201).count();
        let refused = replies.iter().filter(|reply| reply.status == 409).count();
        ensure!(
            sold == 9 && refused == 1,
            "nine should have got a lantern and one not; {sold} did, {refused} did not"
        );
        say(
            "result",
            &format!("{sold} sold, {refused} refused, in {took} ms: none oversold, none lost"),
        );
        self.say_truth().await?;
        self.say_stock_after_sales()?;
        self.say_sagas(&replies)
    }

    /// What Redis itself tells, not the API: the fields of a command's answer.
    fn ledger(&mut self, command: &str, arguments: &[&str]) -> Result<BTreeMap<String, String>> {
        let mut command = redis::cmd(command);
        command.arg(format!("inv:{{{SKU}}}")).arg(arguments);
        // In a cluster all but one say that it is elsewhere.
        let mut answer = Err(anyhow!("no primary of Redis"));
        for redis in &mut self.redis {
            answer = command.query(redis).context("Redis");
            if answer.is_ok() {
                break;
            }
        }
        answer
    }

    fn say_stock(&mut self) -> Result<()> {
        let stock = self.ledger("INV.GET", &[])?;
        let field = |name: &str| stock.get(name).map_or("?", String::as_str);
        let (on_hand, held, available) = (field("on_hand"), field("held"), field("available"));
        say(
            "Redis",
            &format!("{on_hand} on hand, {held} held, {available} available"),
        );
        Ok(())
    }

    /// The last step of a sale, confirming the hold in Redis, may come a moment after the buyer's answer.
    fn say_stock_after_sales(&mut self) -> Result<()> {
        wait::until("the holds to be confirmed", PATIENCE, || {
            let stock = self.ledger("INV.GET", &[])?;
            Ok((stock.get("held").map(String::as_str) == Some("0")).then_some(()))
        })?;
        self.say_stock()
    }

    async fn say_order(&mut self, order_id: &str) -> Result<()> {
        let row =
            sqlx::query("SELECT status, CAST(total AS CHAR) AS total FROM orders WHERE id = ?")
                .bind(order_id.parse::<Uuid>()?.as_bytes().as_slice())
                .fetch_one(&mut self.mysql)
                .await?;
        let (status, total): (String, String) = (row.try_get("status")?, row.try_get("total")?);
        say("MySQL", &format!("the order's row says {status}, {total}"));
        Ok(())
    }

    async fn say_truth(&mut self) -> Result<()> {
        let stock: i64 = sqlx::query_scalar("SELECT stock FROM products WHERE sku = ?")
            .bind(SKU)
            .fetch_one(&mut self.mysql)
            .await?;
        say("MySQL", &format!("{stock} in stock"));
        Ok(())
    }

    /// Prints the order's events as they arrive, until the last.
    fn say_events(&self, order_id: &str) -> Result<()> {
        let Some(reader) = &self.events else {
            say(
                "Kafka",
                "there is none: the order's events wait in the outbox",
            );
            return Ok(());
        };
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let Some(event) = reader.next(Duration::from_millis(200))? else {
                continue;
            };
            if event.key == order_id {
                say(
                    "Kafka",
                    &format!("{:<17} {}", event.event_type, meaning(&event.event_type)),
                );
                if event.event_type == "OrderConfirmed" {
                    return Ok(());
                }
            }
        }
        say(
            "Kafka",
            "the order's events have not arrived yet; they wait in the outbox",
        );
        Ok(())
    }

    /// Counts the sagas that ended, sold or refused, as Kafka tells them.
    fn say_sagas(&self, replies: &[Reply]) -> Result<()> {
        let Some(reader) = &self.events else {
            say("Kafka", "there is none: the events wait in the outbox");
            return Ok(());
        };
        let sold: BTreeSet<&str> = replies
            .iter()
            .filter_map(|reply| reply.body["order_id"].as_str())
            .collect();
        let (mut confirmed, mut cancelled) = (0, 0);
        let started = Instant::now();
        let all_told = |confirmed, cancelled| {
            confirmed == sold.len() && confirmed + cancelled == replies.len()
        };
        while !all_told(confirmed, cancelled) && started.elapsed() < PATIENCE {
            let Some(event) = reader.next(Duration::from_millis(200))? else {
                continue;
            };
            match event.event_type.as_str() {
                "OrderConfirmed" if sold.contains(event.key.as_str()) => confirmed += 1,
                "OrderCancelled" => cancelled += 1,
                _ => {}
            }
        }
        say(
            "Kafka",
            &format!(
                "{confirmed} sagas ended with OrderConfirmed, {cancelled} with OrderCancelled"
            ),
        );
        Ok(())
    }
}

async fn buy_one(buyer: Shopper) -> Result<Reply> {
    buyer.buy(SKU, 1, GOOD_CARD).await
}

fn outcome(reply: &Reply) -> String {
    match reply.status {
        201 => format!("201, bought: order {}", text(&reply.body["order_id"])),
        409 => format!(
            "409, sold out: {} available",
            reply.body["lines"][0]["available"]
        ),
        other => format!("{other}, which should not happen: {}", reply.body),
    }
}

fn meaning(event_type: &str) -> &'static str {
    match event_type {
        "SagaStarted" => "somebody wants to buy",
        "InventoryReserved" => "the unit is held",
        "OrderCreated" => "the order is written down, unpaid",
        "PaymentProcessed" => "the money was taken",
        "OrderConfirmed" => "the unit is sold",
        _ => "",
    }
}

/// The reply if it has the expected status, else an error that shows it.
fn expect(reply: Reply, status: u16) -> Result<Value> {
    ensure!(
        reply.status == status,
        "expected {status} but the shop answered {reply:?}"
    );
    Ok(reply.body)
}

fn money(minor: &Value, currency: &Value) -> String {
    let minor = minor.as_i64().unwrap_or_default();
    format!("{}.{:02} {}", minor / 100, minor % 100, text(currency))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn title(words: &str) {
    println!("\n{words}\n");
}

fn say(who: &str, what: &str) {
    println!("  {who:<9} {what}");
}
