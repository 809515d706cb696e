//! `/v1/cart`: what a shopper means to buy.

use std::collections::BTreeMap;

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::{Answer, Call, Kind, Problem, json, no_content};
use crate::app::App;
use crate::carts::{self, MAX_LINES, MAX_QUANTITY};
use crate::catalogue::Sku;
use crate::orders::Item;

/// How many a cart's line shall have.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// From 1 to 1,000,000.
    #[schemars(range(min = 1, max = MAX_QUANTITY))]
    quantity: i64,
}

/// `GET /v1/cart`
pub async fn get(call: Call) -> Answer {
    let owner = call.identity().await?.owner;
    show(&call.app, owner).await
}

/// `POST /v1/cart/items`
pub async fn add(mut call: Call) -> Answer {
    let owner = call.identity().await?.owner;
    let Item { sku, quantity } = call.json().await?;
    check(&call.app, &sku, quantity).await?;
    let ttl_ms = call.app.config.cart.ttl_ms;
    let left_out = call
        .app
        .gateway
        .add_to_cart(owner, &[(sku, quantity)], ttl_ms)
        .await?;
    if left_out > 0 {
        return Err(full());
    }
    show(&call.app, owner).await
}

/// `PUT /v1/cart/items/{sku}`
pub async fn set(mut call: Call) -> Answer {
    let owner = call.identity().await?.owner;
    let sku = call.sku()?;
    let Quantity { quantity } = call.json().await?;
    check(&call.app, &sku, quantity).await?;
    let ttl_ms = call.app.config.cart.ttl_ms;
    if !call
        .app
        .gateway
        .set_in_cart(owner, &sku, quantity, ttl_ms)
        .await?
    {
        return Err(full());
    }
    show(&call.app, owner).await
}

/// `DELETE /v1/cart/items/{sku}`
pub async fn remove(call: Call) -> Answer {
    let owner = call.identity().await?.owner;
    call.app.gateway.drop_from_cart(owner, &call.sku()?).await?;
    show(&call.app, owner).await
}

/// `DELETE /v1/cart`
pub async fn empty(call: Call) -> Answer {
    let owner = call.identity().await?.owner;
    call.app.gateway.empty_cart(owner).await?;
    no_content()
}

async fn check(app: &App, sku: &Sku, quantity: i64) -> Result<(), Problem> {
    if !(1..=MAX_QUANTITY).contains(&quantity) {
        let detail = format!(
            "quantity: must be from 1 to {MAX_QUANTITY}; DELETE /v1/cart/items/{sku} takes a line out"
        );
        return Err(Problem::new(Kind::InvalidValue, detail));
    }
    match app.catalogue.product(sku).await? {
        Some(_) => Ok(()),
        None => Err(Problem::new(
            Kind::NotFound,
            format!("there is no product {sku}"),
        )),
    }
}

fn full() -> Problem {
    Problem::new(
        Kind::InvalidValue,
        format!("a cart has at most {MAX_LINES} different products; take one out first"),
    )
}

async fn show(app: &App, owner: Uuid) -> Answer {
    let entries = app.gateway.cart(owner).await?;
    let skus: Vec<&Sku> = entries.iter().map(|(sku, _)| sku).collect();
    let products = app.catalogue.products(&skus).await?;
    let stocks = app.gateway.stocks(&skus).await?;
    let available: BTreeMap<Sku, i64> = skus
        .into_iter()
        .zip(stocks)
        .filter_map(|(sku, stock)| Some((sku.clone(), stock?.available)))
        .collect();
    json(
        StatusCode::OK,
        &carts::price(&entries, &products, &available),
    )
}
