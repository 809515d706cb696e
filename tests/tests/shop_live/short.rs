//! The list of what is low or sold out.

use anyhow::Context;
use futures::future::try_join_all;
use holdfast_tests::shop::{Reply, send};
use reqwest::{Client, Method};
use serde_json::json;
use sqlx::{Connection, MySqlConnection, QueryBuilder};

use super::*;

/// More products than one part of the list looks at.
const MANY: usize = 5_600;

async fn list(stack: &Stack, query: &str) -> Result<Reply> {
    let path = format!("/v1/stock?{query}");
    shop(stack).call(Method::GET, &path, &json!({})).await
}

/// Every product that is listed behind `after`, part by part, and how many parts there were.
async fn walk(stack: &Stack, query: &str, after: &str) -> Result<(Vec<String>, usize)> {
    let (mut listed, mut parts, mut after) = (Vec::new(), 0, after.to_owned());
    loop {
        let page = list(stack, &format!("{query}&after={after}")).await?;
        let products = page.body["products"].as_array();
        for product in products.with_context(|| format!("no list: {page:?}"))? {
            listed.push(product["sku"].as_str().context("a sku")?.to_owned());
        }
        parts += 1;
        match page.body["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return Ok((listed, parts)),
        }
    }
}

#[tokio::test]
async fn what_is_short_is_listed_part_by_part() -> Result<()> {
    let stack = STACK.read().await;
    let skus: Vec<String> = (0..8).map(|units| format!("X-{units}")).collect();
    try_join_all(skus.iter().map(|sku| async {
        let units = sku[2..].parse()?;
        shop(&stack).set_stock(sku, units).await
    }))
    .await?;
    let walked = async |query: &str| walk(&stack, query, "VASE").await;
    assert_eq!(walked("state=sold_out").await?.0, skus[..1]);
    assert_eq!(walked("state=low").await?.0, skus[..6], "five and fewer");
    assert_eq!(walked("state=low&threshold=2").await?.0, skus[..3]);
    assert_eq!(
        walked("state=low&threshold=2&limit=1").await?,
        (skus[..3].to_vec(), 3)
    );

    // What is held cannot be bought, so it counts as gone.
    let guest = shop(&stack).guest().await?;
    let hold = json!({ "items": [{ "sku": "X-7", "quantity": 7 }] });
    assert_eq!(
        guest.call(Method::POST, "/v1/holds", &hold).await?.status,
        201
    );
    assert_eq!(walked("state=sold_out").await?.0, ["X-0", "X-7"]);
    let page = list(&stack, "state=sold_out&after=X-6").await?;
    let mut shown = shop(&stack).stock("X-7").await?;
    shown["name"] = "Thing".into();
    assert_eq!(page.body["products"], json!([shown]));

    // A product that is sold no more is short of nothing.
    let retired = shop(&stack)
        .call(Method::DELETE, "/v1/products/X-0", &json!({}))
        .await?;
    assert_eq!(retired.status, 204, "{retired:?}");
    assert_eq!(walked("state=sold_out").await?.0, ["X-7"]);
    Ok(())
}

#[tokio::test]
async fn a_shop_in_which_nothing_is_short_is_walked_through_in_parts() -> Result<()> {
    let stack = STACK.read().await;
    let mut database = MySqlConnection::connect(&stack.database_url()).await?;
    let numbers: Vec<usize> = (0..MANY).collect();
    for some in numbers.chunks(800) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO products (sku, name, description, price, currency, stock) ",
        );
        insert.push_values(some, |mut row, number| {
            // The last one has nothing, and Redis has no count of it.
            let stock = i64::from(number + 1 != MANY) * 9;
            row.push_bind(format!("00-{number:05}"));
            row.push("'Thing', '', 1, 'GBP'").push_bind(stock);
        });
        insert.build().execute(&mut database).await?;
    }
    let (mut listed, parts) = walk(&stack, "state=low&limit=100", "0").await?;
    listed.retain(|sku| sku.starts_with("00-"));
    assert_eq!(listed, [format!("00-{:05}", MANY - 1)]);
    assert_eq!(parts, 2, "of 5,000 and the rest");
    Ok(())
}

#[tokio::test]
async fn only_who_works_at_the_shop_may_see_it_and_asks_for_something_that_there_is() -> Result<()>
{
    let stack = STACK.read().await;
    let guest = shop(&stack).guest().await?;
    assert_eq!(guest.get("/v1/stock?state=low").await?.status, 403);
    let url = format!("{}/v1/stock?state=low", stack.proxy.url());
    assert_eq!(send(Client::new().get(url)).await?.status, 401);
    for query in [
        "",
        "state=gone",
        "state=low&threshold=-1",
        "state=low&threshold=few",
        "state=low&threshold=9223372036854775807",
        "state=low&limit=0",
        "state=low&after=a%20b",
    ] {
        let refused = list(&stack, query).await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (400, "invalid-value"),
            "{query}: {refused:?}"
        );
    }
    Ok(())
}
