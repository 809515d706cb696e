//! People at the shop: sessions and users, carts, the catalogue, and the operator at the stock.

mod carts;
mod catalogue;
mod sessions;
mod stock;

use std::sync::LazyLock;

use anyhow::Result;
use holdfast_tests::shop::{Reply, Shop, Shopper, send};
use holdfast_tests::stack::{Stack, StackOptions};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection};

/// Each test has products of its own in the catalogue: `<its name>-1` and so on, at 10.00 times the number.
static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

fn start() -> Result<Stack> {
    let tests = [
        "VIEW", "CART", "TABS", "MERGE", "BAD", "ONCE", "HELD", "COUNT", "AWAY", "BUY",
    ];
    let rows = tests
        .iter()
        .flat_map(|test| (1..=3).map(move |n| format!("{test}-{n},Thing {n},,{n}0.00,GBP,10\n")));
    let folder = tempfile::tempdir()?;
    let catalogue = folder.path().join("catalogue.csv");
    let text = format!(
        "sku,name,description,price,currency,stock\n{}",
        rows.collect::<String>()
    );
    std::fs::write(&catalogue, text)?;
    let catalogue = Some(catalogue);
    Stack::start(StackOptions {
        kafka: false,
        catalogue,
        ..StackOptions::default()
    })
}

fn shop() -> Shop {
    Shop::of(&STACK.proxy)
}

async fn post(path: &str, body: &Value) -> Result<Response> {
    Ok(Client::new()
        .post(format!("{}{path}", STACK.proxy.url()))
        .json(body)
        .send()
        .await?)
}

async fn post_with(token: &str, path: &str, body: &Value) -> Result<Reply> {
    send(
        Client::new()
            .post(format!("{}{path}", STACK.proxy.url()))
            .bearer_auth(token)
            .json(body),
    )
    .await
}

async fn get_with(token: &str, path: &str) -> Result<Reply> {
    send(
        Client::new()
            .get(format!("{}{path}", STACK.proxy.url()))
            .bearer_auth(token),
    )
    .await
}

fn token(session: &Value) -> &str {
    session["token"].as_str().unwrap_or_default()
}

async fn database() -> Result<MySqlConnection> {
    Ok(MySqlConnection::connect(&STACK.database_url()).await?)
}

/// Unsold units in MySQL, and the deltas that its log has for a product.
async fn in_mysql(sku: &str) -> Result<(i64, Vec<i64>)> {
    let mut database = database().await?;
    let stock = sqlx::query_scalar("SELECT stock FROM products WHERE sku = ?").bind(sku);
    let deltas =
        sqlx::query_scalar("SELECT delta FROM inventory_logs WHERE sku = ? ORDER BY id").bind(sku);
    Ok((
        stock.fetch_one(&mut database).await?,
        deltas.fetch_all(&mut database).await?,
    ))
}

async fn adjust(sku: &str, id: &str, delta: i64) -> Result<Reply> {
    let body = json!({ "adjustment_id": id, "delta": delta, "reason": "corrected" });
    shop()
        .call(Method::POST, &format!("/v1/stock/{sku}/adjustments"), &body)
        .await
}

async fn add(shopper: &Shopper, sku: &str, quantity: i64) -> Result<Reply> {
    shopper
        .call(
            Method::POST,
            "/v1/cart/items",
            &json!({ "sku": sku, "quantity": quantity }),
        )
        .await
}
