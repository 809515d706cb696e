//! Buying in one step: what each way of a payment to go leads to.

use std::io::Write;
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use holdfast_tests::books::{self, Books, Expected};
use holdfast_tests::shop::{
    DECLINED_CARD, FAILING_CARD, GOOD_CARD, LOST_REPLY_CARD, SECOND_TIME_CARD, SLOW_CARD, Shop,
    Shopper, VERY_SLOW_CARD, lines,
};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;
use reqwest::header::LOCATION;
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection};

/// Each test has products of its own, ten units each at 10.00.
static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

const PATIENCE: Duration = Duration::from_secs(60);

fn start() -> Result<Stack> {
    let products = [
        "PAYS", "DECLINED", "FAILING", "SECOND", "LOST", "SLOW", "LATER", "MANY-1", "MANY-2",
        "MANY-3", "GUARD", "GONE",
    ];
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&products)?),
        ..StackOptions::default()
    })
}

async fn guest() -> Result<Shopper> {
    Shop::of(&STACK.proxy).guest().await
}

/// Waits until everything agrees that these orders, and no others, were sold.
async fn audit(sku: &str, sold: &[&str], refused: usize) -> Result<Books> {
    books::audit(&STACK, sku, &Expected::of(10, sold, refused)).await
}

/// Says something to MySQL that the shop does not know of.
async fn behind_the_shops_back(statement: &'static str) -> Result<()> {
    let mut mysql = MySqlConnection::connect(&STACK.database_url()).await?;
    sqlx::query(statement).execute(&mut mysql).await?;
    Ok(())
}

#[tokio::test]
async fn a_card_that_pays_buys_and_only_the_buyer_sees_the_order() -> Result<()> {
    let (buyer, stranger) = (guest().await?, guest().await?);
    let mut ids = Vec::new();
    for quantity in [1, 2, 1] {
        let sold = buyer.buy("pays", quantity, GOOD_CARD).await?;
        assert_eq!(sold.status, 201, "{sold:?}");
        let id = sold.id()?.to_owned();
        let line = json!({ "sku": "PAYS", "quantity": quantity, "price_minor": 1000, "amount_minor": 1000 * quantity });
        let order = json!({
            "order_id": id, "lines": [line], "total_minor": 1000 * quantity, "currency": "GBP",
            "status": "CONFIRMED", "created_at": sold.body["created_at"],
        });
        assert_eq!(sold.body, order);
        let place = sold.headers[LOCATION].to_str()?;
        assert_eq!(place, format!("/v1/orders/{id}"));
        assert_eq!(buyer.get(place).await?.body, order);
        assert_eq!(stranger.get(place).await?.problem(), "not-found");
        ids.push(id);
    }
    let page = |orders: &Value| -> Vec<Value> {
        let orders = orders["orders"].as_array().into_iter().flatten();
        orders.map(|order| order["order_id"].clone()).collect()
    };
    let first = buyer.get("/v1/orders?limit=2").await?.body;
    assert_eq!(page(&first), [json!(ids[2]), json!(ids[1])]);
    let before = first["next"].as_str().context("a next page")?;
    let second = format!("/v1/orders?limit=2&before={before}");
    let rest = buyer.get(&second).await?.body;
    assert_eq!(
        (page(&rest), &rest["next"]),
        (vec![json!(ids[0])], &Value::Null)
    );
    assert_eq!(stranger.orders().await?, Vec::<Value>::new());
    audit("PAYS", &[&ids[0], &ids[1], &ids[2]], 0).await?;
    Ok(())
}

#[tokio::test]
async fn a_declined_card_buys_nothing_and_the_units_are_free_again() -> Result<()> {
    let buyer = guest().await?;
    let reply = buyer
        .order(&[("DECLINED", 10)], DECLINED_CARD, Some("no"))
        .await?;
    assert_eq!((reply.status, reply.problem()), (402, "payment-declined"));
    let again = buyer
        .order(&[("DECLINED", 10)], DECLINED_CARD, Some("no"))
        .await?;
    assert_eq!((again.status, again.problem()), (402, "payment-declined"));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let orders = buyer.orders().await?;
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0]["status"], "CANCELLED");
    assert_eq!(orders[0]["reason"], "payment_declined");
    let books = audit("DECLINED", &[], 0).await?;
    let events: Vec<_> = books.event_types().map(|(_, types)| types).collect();
    let told = [
        "SagaStarted",
        "InventoryReserved",
        "OrderCreated",
        "PaymentFailed",
        "InventoryReleased",
        "OrderCancelled",
    ];
    assert_eq!(events, [told]);
    let payments: Vec<_> = books.payments.values().collect();
    assert_eq!(payments, ["declined"], "nothing was taken");
    Ok(())
}

#[tokio::test]
async fn a_provider_that_fails_every_time_takes_nothing() -> Result<()> {
    let reply = guest().await?.buy("FAILING", 3, FAILING_CARD).await?;
    assert_eq!((reply.status, reply.problem()), (503, "unavailable"));
    assert_eq!(reply.body["retry_safe"], true);
    let books = audit("FAILING", &[], 0).await?;
    assert!(books.payments.is_empty(), "{books:?}");
    let reason = books
        .orders
        .values()
        .next()
        .and_then(|order| order.reason.as_deref());
    assert_eq!(reason, Some("payment_failed"));
    Ok(())
}

#[tokio::test]
async fn a_provider_that_stumbles_is_paid_once() -> Result<()> {
    let ways = [
        ("SECOND", SECOND_TIME_CARD),
        ("LOST", LOST_REPLY_CARD),
        ("SLOW", SLOW_CARD),
    ];
    try_join_all(ways.map(|(sku, card)| async move {
        let reply = guest().await?.buy(sku, 2, card).await?;
        assert_eq!(reply.status, 201, "{sku}: {reply:?}");
        let books = audit(sku, &[reply.id()?], 0).await?;
        assert_eq!(books.payments.len(), 1, "{sku}");
        anyhow::Ok(())
    }))
    .await?;
    Ok(())
}

#[tokio::test]
async fn an_order_whose_payment_takes_longer_than_anyone_waits_is_sold_in_the_end() -> Result<()> {
    let (buyer, late) = (guest().await?, guest().await?);
    let reply = buyer.buy("LATER", 3, VERY_SLOW_CARD).await?;
    assert_eq!(
        (reply.status, &reply.body["status"]),
        (202, &json!("PENDING"))
    );
    let id = reply.id()?;
    let place = reply.headers[LOCATION].to_str()?;
    assert_eq!(place, format!("/v1/orders/{id}"));
    let hold: Vec<String> = redis::cmd("INV.HOLD")
        .arg(&["inv:{LATER}", id])
        .query(&mut STACK.redis.connection()?)?;
    assert!(hold.contains(&"PREPARED".to_owned()), "{hold:?}");
    let refused = late.buy("LATER", 8, GOOD_CARD).await?;
    let short = json!([{ "sku": "LATER", "requested": 8, "available": 7 }]);
    assert_eq!((refused.status, &refused.body["lines"]), (409, &short));
    wait::until_async("the order to be sold", PATIENCE, || async {
        Ok((buyer.get(place).await?.body["status"] == "CONFIRMED").then_some(()))
    })
    .await?;
    audit("LATER", &[id], 1).await?;
    Ok(())
}

#[tokio::test]
async fn several_lines_are_bought_all_or_none() -> Result<()> {
    let buyer = guest().await?;
    let asked = [("MANY-1", 11), ("MANY-2", 10), ("MANY-3", 12)];
    let refused = buyer.order(&asked, GOOD_CARD, None).await?;
    assert_eq!((refused.status, refused.problem()), (409, "out-of-stock"));
    let short = json!([
        { "sku": "MANY-1", "requested": 11, "available": 10 },
        { "sku": "MANY-3", "requested": 12, "available": 10 },
    ]);
    assert_eq!(refused.body["lines"], short);
    assert_eq!(buyer.orders().await?, Vec::<Value>::new());
    let sold = buyer
        .order(&[("MANY-2", 10), ("MANY-1", 4)], GOOD_CARD, None)
        .await?;
    assert_eq!(
        (sold.status, &sold.body["total_minor"]),
        (201, &json!(14_000))
    );
    audit("MANY-1", &[sold.id()?], 1).await?;
    audit("MANY-2", &[sold.id()?], 1).await?;
    audit("MANY-3", &[], 1).await?;
    Ok(())
}

#[tokio::test]
async fn what_mysql_does_not_have_is_not_sold_and_the_money_goes_back() -> Result<()> {
    behind_the_shops_back("UPDATE products SET stock = 2 WHERE sku = 'GUARD'").await?;
    let refused = guest().await?.buy("GUARD", 3, GOOD_CARD).await?;
    assert_eq!((refused.status, refused.problem()), (409, "out-of-stock"));
    let short = json!([{ "sku": "GUARD", "requested": 3, "available": 2 }]);
    assert_eq!(refused.body["lines"], short);
    // The audit itself is put to the test while the books are known to be wrong.
    let wrong = Books::read(&STACK, "GUARD", &[]).await?;
    let faults = wrong.faults(&Expected::of(10, &[], 0)).join("; ");
    assert!(faults.contains("MySQL: 2 in stock, not 10"), "{faults}");
    behind_the_shops_back("UPDATE products SET stock = 10 WHERE sku = 'GUARD'").await?;
    let books = audit("GUARD", &[], 0).await?;
    assert_eq!(books.payments.values().collect::<Vec<_>>(), ["refunded"]);
    let events: Vec<_> = books.event_types().flat_map(|(_, types)| types).collect();
    assert!(events.contains(&"OrderRefunded"), "{events:?}");
    Ok(())
}

#[tokio::test]
async fn a_buyer_who_hangs_up_right_after_asking_has_bought() -> Result<()> {
    let buyer = guest().await?;
    let body =
        json!({ "items": lines(&[("GONE", 1)]), "payment": { "card": GOOD_CARD } }).to_string();
    let address = STACK.proxy.url().replace("http://", "");
    for _ in 0..10 {
        let mut connection = TcpStream::connect(&address)?;
        let request = format!(
            "POST /v1/orders HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            buyer.token(),
            body.len(),
        );
        connection.write_all(request.as_bytes())?;
    }
    let orders = wait::until_async("ten sales", Duration::from_secs(10), || async {
        let orders = buyer.orders().await?;
        let sold = orders.iter().filter(|order| order["status"] == "CONFIRMED");
        Ok((sold.count() == 10).then_some(orders))
    })
    .await?;
    let ids: Vec<&str> = orders
        .iter()
        .filter_map(|order| order["order_id"].as_str())
        .collect();
    audit("GONE", &ids, 0).await?;
    Ok(())
}
