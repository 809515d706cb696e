//! Orders of what lies on several nodes.

use anyhow::{Result, ensure};
use holdfast_tests::shop::GOOD_CARD;

use super::{SKUS, STACK, assert_sound, whole};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_held_on_all_its_nodes_or_on_none() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = whole(&stack).await?;
    let buyer = shop.guest().await?;
    let one_of_each: Vec<(&str, i64)> = SKUS.iter().map(|sku| (*sku, 1)).collect();
    let bought = buyer.order(&one_of_each, GOOD_CARD, None).await?;
    ensure!(bought.status == 201, "{bought:?}");

    let before = availables(&shop).await?;
    for (place, short) in SKUS.iter().enumerate() {
        let mut items = one_of_each.clone();
        items[place].1 = 999;
        shop.set_stock(short, 998).await?;
        let refused = buyer.order(&items, GOOD_CARD, None).await?;
        ensure!(refused.problem() == "out-of-stock", "{refused:?}");
        let lines = refused.body["lines"].as_array().map_or(0, Vec::len);
        ensure!(lines <= 1, "only one line is at fault: {refused:?}");
        shop.set_stock(short, before[place]).await?;
        // At once, and not when the holds would end by themselves.
        ensure!(availables(&shop).await? == before, "{short} was refused");
    }
    assert_sound(&stack)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_at_checkout_on_several_nodes_is_bought_or_given_back() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = whole(&stack).await?;
    let before = availables(&shop).await?;
    let buyer = shop.guest().await?;
    let items: Vec<_> = SKUS
        .iter()
        .map(|sku| serde_json::json!({ "sku": sku, "quantity": 2 }))
        .collect();
    let form = serde_json::json!({ "items": items });
    let held = buyer
        .call(reqwest::Method::POST, "/v1/holds", &form)
        .await?;
    ensure!(held.status == 201, "{held:?}");
    let path = format!("/v1/holds/{}", held.id()?);
    let held_then: Vec<i64> = before.iter().map(|available| available - 2).collect();
    ensure!(availables(&shop).await? == held_then);
    let given_back = buyer
        .call(reqwest::Method::DELETE, &path, &serde_json::Value::Null)
        .await?;
    ensure!(given_back.is_success(), "{given_back:?}");
    ensure!(availables(&shop).await? == before);
    assert_sound(&stack)
}

async fn availables(shop: &holdfast_tests::shop::Shop) -> Result<Vec<i64>> {
    let mut availables = Vec::new();
    for sku in SKUS {
        let stock = shop.stock(sku).await?;
        availables.push(stock["available"].as_i64().unwrap_or_default());
    }
    Ok(availables)
}
