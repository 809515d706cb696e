//! Every way in which a payment can go: what becomes of the order, of the units and of the money.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use holdfast_tests::shop::{GOOD_CARD, Reply, Shop, Shopper, lines, send};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of, webhook_url};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection, Row};
use standardwebhooks::Webhook;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

const LATE_CARD: &str = "4000000000000010";
const LATER_CARD: &str = "4000000000000028";
const NO_REFUND_CARD: &str = "4000000000000085";
const REPEATED_WEBHOOKS_CARD: &str = "4000000000000101";
const LOST_REFUND_CARD: &str = "4000000000000093";

/// What buying two units with a card leads to. The provider takes the money exactly of those that
/// end CONFIRMED.
struct Case {
    card: &'static str,
    /// What the buyer may be answered.
    answers: &'static [u16],
    /// Status and reason in the end.
    order: (&'static str, Option<&'static str>),
    /// How the payment stands in the end, where there is one.
    payment: Option<&'static str>,
}

const fn sold(card: &'static str, answers: &'static [u16]) -> Case {
    Case {
        card,
        answers,
        order: ("CONFIRMED", None),
        payment: Some("captured"),
    }
}

const fn declined(card: &'static str, answers: &'static [u16]) -> Case {
    Case {
        card,
        answers,
        order: ("CANCELLED", Some("payment_declined")),
        payment: Some("declined"),
    }
}

const CASES: &[Case] = &[
    sold("4242424242424242", &[201]),
    declined("4000000000000002", &[402]),
    sold("4000000000000341", &[201]),
    sold(LATE_CARD, &[201, 202]),
    sold(LATER_CARD, &[202]),
    declined("4000000000000036", &[402, 202]),
    Case {
        card: "4000000000000119",
        answers: &[503],
        order: ("CANCELLED", Some("payment_failed")),
        payment: None,
    },
    sold("4000000000000374", &[201]),
    sold("4000000000000044", &[201]),
    sold("4000000000000259", &[201]),
    declined("4000000000000051", &[402]),
    sold("4000000000000069", &[201]),
    sold("4000000000000077", &[201]),
    sold(NO_REFUND_CARD, &[201]),
    sold(LOST_REFUND_CARD, &[201]),
    sold("4000000000000101", &[201]),
    sold("4000000000000127", &[201]),
    sold("4000000000000135", &[201]),
    declined("1234", &[402]),
];

/// A shop that is told of payments by webhooks. Its events stay in the outbox, where they can be counted.
static STACK: LazyLock<Stack> = LazyLock::new(|| {
    let skus: Vec<String> = CASES.iter().map(|case| sku_of(case.card)).collect();
    let mut skus: Vec<&str> = skus.iter().map(String::as_str).collect();
    skus.extend(["CANCEL-1", "CANCEL-2", "FORGED", "RUSH"]);
    start(&skus, &[]).expect("a shop")
});

fn start(skus: &[&str], environment: &[(&str, &str)]) -> Result<Stack> {
    Stack::start(StackOptions {
        kafka: false,
        catalogue: Some(catalogue_of(skus)?),
        webhooks: true,
        environment: environment_of(environment),
        ..StackOptions::default()
    })
}

fn sku_of(card: &str) -> String {
    format!("CARD-{card}")
}

/// An order as its row says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OrderRow {
    status: String,
    reason: Option<String>,
    payment_id: Option<String>,
    version: i64,
    is_settled: bool,
    /// The types of its events, in their order.
    events: Vec<String>,
}

async fn order_row(stack: &Stack, id: &str) -> Result<OrderRow> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let row = sqlx::query(
        "SELECT status, reason, payment_id, version, settled = 1 AS is_settled FROM orders WHERE id = ?",
    )
    .bind(id.parse::<Uuid>()?)
    .fetch_one(&mut mysql)
    .await?;
    let events =
        sqlx::query_scalar("SELECT event_type FROM outbox WHERE message_key = ? ORDER BY id")
            .bind(id)
            .fetch_all(&mut mysql)
            .await?;
    Ok(OrderRow {
        status: row.try_get("status")?,
        reason: row.try_get("reason")?,
        payment_id: row.try_get("payment_id")?,
        version: row.try_get("version")?,
        is_settled: row.try_get("is_settled")?,
        events,
    })
}

/// Waits until nothing is left to do for an order that ends so.
async fn settled_as(stack: &Stack, id: &str, status: &str) -> Result<OrderRow> {
    let what = format!("order {id} to be settled as {status}");
    let settled = wait::until_async(what, PATIENCE, || async {
        let row = order_row(stack, id).await?;
        Ok((row.is_settled && row.status == status).then_some(row))
    });
    match settled.await {
        Ok(row) => Ok(row),
        Err(error) => Err(error.context(format!("it is {:?}", order_row(stack, id).await?))),
    }
}

/// The order's payment as the sandbox shows it.
async fn payment(stack: &Stack, id: &str) -> Result<Option<Value>> {
    let documents = stack.payment.documents().await?;
    Ok(documents
        .into_iter()
        .find(|payment| payment["order_id"] == id))
}

/// What is wrong with the money of an order that ended so: it is taken once of what is sold, given
/// back once of what was called off after, and not taken of anything else.
fn money_faults(status: &str, payment: Option<&Value>) -> Vec<String> {
    let count = |name: &str| payment.and_then(|payment| payment[name].as_u64());
    let taken = count("captures").unwrap_or(0);
    let given_back = count("refunds").unwrap_or(0);
    let expected = match status {
        // The provider has refused to give it back.
        "CONFIRMED" | "PARKED" => (1, 0),
        "REFUNDED" => (1, 1),
        _ => (0, 0),
    };
    let sound = (taken, given_back) == expected;
    let fault = || format!("{status}: taken {taken} times, given back {given_back}: {payment:?}");
    (!sound).then(fault).into_iter().collect()
}

#[test]
fn money_that_is_where_it_should_not_be_is_noticed() {
    let payment = |captures: u32, refunds: u32| json!({ "captures": captures, "refunds": refunds });
    for (status, captures, refunds) in [
        ("CONFIRMED", 0, 0),
        ("CONFIRMED", 2, 0),
        ("CONFIRMED", 1, 1),
        ("CANCELLED", 1, 0),
        ("EXPIRED", 1, 0),
        ("REFUNDED", 1, 0),
        ("REFUNDED", 1, 2),
    ] {
        let faults = money_faults(status, Some(&payment(captures, refunds)));
        assert_eq!(faults.len(), 1, "{status} {captures} {refunds}");
    }
    assert_eq!(money_faults("CONFIRMED", None).len(), 1);
    assert!(money_faults("CONFIRMED", Some(&payment(1, 0))).is_empty());
    assert!(money_faults("CANCELLED", None).is_empty());
}

/// Fails unless the order's money is where it should be; gives the payment's status.
async fn money(stack: &Stack, id: &str) -> Result<Option<String>> {
    let payment = payment(stack, id).await?;
    let status = order_row(stack, id).await?.status;
    assert_eq!(money_faults(&status, payment.as_ref()), [""; 0], "{id}");
    let standing = payment
        .as_ref()
        .and_then(|payment| payment["status"].as_str());
    Ok(standing.map(str::to_owned))
}

/// Units in the house, and units held.
async fn units(stack: &Stack, sku: &str) -> Result<(i64, i64)> {
    let shop = Shop::of(&stack.proxy);
    let stock = shop.guest().await?.get(&format!("/v1/stock/{sku}")).await?;
    let count = |name: &str| stock.body[name].as_i64().context("a count of units");
    Ok((count("on_hand")?, count("held")?))
}

async fn newest_order(buyer: &Shopper) -> Result<String> {
    let orders = buyer.orders().await?;
    let id = orders.first().and_then(|order| order["order_id"].as_str());
    Ok(id.context("an order")?.to_owned())
}

#[tokio::test]
async fn every_card_leads_where_it_should_and_money_is_taken_only_of_what_is_sold() -> Result<()> {
    try_join_all(CASES.iter().map(|case| async move {
        let buyer = Shop::of(&STACK.proxy).guest().await?;
        let sku = sku_of(case.card);
        let reply = buyer.buy(&sku, 2, case.card).await?;
        ensure!(
            case.answers.contains(&reply.status),
            "{}: {reply:?}",
            case.card
        );
        let id = newest_order(&buyer).await?;
        let (status, reason) = case.order;
        let row = settled_as(&STACK, &id, status).await.context(case.card)?;
        assert_eq!(row.reason.as_deref(), reason, "{}", case.card);
        let is_sold = status == "CONFIRMED";
        let left = if is_sold { 8 } else { 10 };
        assert_eq!(units(&STACK, &sku).await?, (left, 0), "{}", case.card);
        let standing = money(&STACK, &id).await?;
        assert_eq!(standing.as_deref(), case.payment, "{}", case.card);
        let told = row.events.iter().filter(|event| *event == "OrderConfirmed");
        assert_eq!(told.count(), usize::from(is_sold), "{}: {row:?}", case.card);
        Ok(())
    }))
    .await?;
    Ok(())
}

#[tokio::test]
async fn what_a_shopper_cancels_is_paid_back_once_even_if_the_reply_is_lost() -> Result<()> {
    let buyer = Shop::of(&STACK.proxy).guest().await?;
    let sold = buyer.buy("CANCEL-1", 3, LOST_REFUND_CARD).await?;
    let id = sold.id()?.to_owned();
    for _ in 0..2 {
        let cancelled = cancel(&buyer, &id).await?;
        assert_eq!(cancelled.status, 200, "{cancelled:?}");
    }
    let row = settled_as(&STACK, &id, "REFUNDED").await?;
    let refunds = row.events.iter().filter(|event| *event == "OrderRefunded");
    assert_eq!(refunds.count(), 1, "{row:?}");
    assert_eq!(money(&STACK, &id).await?.as_deref(), Some("refunded"));
    assert_eq!(units(&STACK, "CANCEL-1").await?, (10, 0));
    Ok(())
}

#[tokio::test]
async fn a_refund_that_is_refused_for_good_waits_for_a_person() -> Result<()> {
    let buyer = Shop::of(&STACK.proxy).guest().await?;
    let sold = buyer.buy("CANCEL-2", 3, NO_REFUND_CARD).await?;
    let id = sold.id()?.to_owned();
    cancel(&buyer, &id).await?;
    wait::until_async("the order to be parked", PATIENCE, || async {
        Ok((order_row(&STACK, &id).await?.status == "PARKED").then_some(()))
    })
    .await?;
    assert_eq!(money(&STACK, &id).await?.as_deref(), Some("captured"));
    // The units do not wait for the person.
    assert_eq!(units(&STACK, "CANCEL-2").await?, (10, 0));
    Ok(())
}

async fn cancel(buyer: &Shopper, id: &str) -> Result<Reply> {
    let path = format!("/v1/orders/{id}/cancel");
    buyer.call(Method::POST, &path, &json!({})).await
}

/// Sends the shop a webhook about an order, signed by `signer` and dated `age_s` ago.
async fn tell(
    stack: &Stack,
    signer: &Webhook,
    id: &str,
    status: &str,
    age_s: i64,
) -> Result<Reply> {
    let body = json!({
        "type": format!("payment.{status}"),
        "data": { "order_id": id, "status": status, "payment_id": "pay_told" },
    });
    let body = body.to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let timestamp = i64::try_from(now)? - age_s;
    let signature = signer.sign("msg_1", timestamp, body.as_bytes())?;
    let port = reqwest::Url::parse(&stack.proxy.url())?.port();
    let request = Client::new().post(webhook_url(port.context("a port")?));
    let request = request
        .header(standardwebhooks::HEADER_WEBHOOK_ID, "msg_1")
        .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, timestamp)
        .header(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signature);
    send(request.body(body)).await
}

#[tokio::test]
async fn a_webhook_counts_for_as_much_as_its_signature_and_is_never_taken_at_its_word() -> Result<()>
{
    let provider = Webhook::new(STACK.payment.webhook_secret())?;
    let forger = Webhook::from_bytes(vec![7; 24])?;
    let buyer = Shop::of(&STACK.proxy).guest().await?;
    let reply = buyer.buy("FORGED", 3, LATER_CARD).await?;
    assert_eq!(reply.status, 202, "{reply:?}");
    let id = reply.id()?.to_owned();

    for (signer, age_s) in [(&forger, 0), (&provider, 301), (&provider, -302)] {
        let rejected = tell(&STACK, signer, &id, "captured", age_s).await?;
        assert_eq!(
            (rejected.status, rejected.problem()),
            (401, "bad-signature")
        );
        let row = order_row(&STACK, &id).await?;
        assert_eq!((row.status.as_str(), row.payment_id), ("PENDING", None));
    }
    let unknown = tell(&STACK, &provider, &Uuid::nil().to_string(), "captured", 0).await?;
    assert_eq!((unknown.status, unknown.problem()), (404, "not-found"));
    let unreadable = tell(&STACK, &provider, "no order", "captured", 0).await?;
    assert_eq!(
        (unreadable.status, unreadable.problem()),
        (400, "invalid-body")
    );

    // Signed by the provider and untrue: the order shows it, and is sold only when it is true.
    for _ in 0..2 {
        assert_eq!(
            tell(&STACK, &provider, &id, "captured", 0).await?.status,
            204
        );
        let row = order_row(&STACK, &id).await?;
        assert_eq!(row.status, "PAID", "{row:?}");
        assert_eq!(row.version, 2, "{row:?}");
    }
    let sold = settled_as(&STACK, &id, "CONFIRMED").await?;
    assert_eq!(money(&STACK, &id).await?.as_deref(), Some("captured"));
    let truth = payment(&STACK, &id).await?.context("a payment")?;
    assert_eq!(sold.payment_id.as_deref(), truth["payment_id"].as_str());

    // What is decided stays as it is, whatever is told of it.
    for status in ["captured", "declined", "refunded"] {
        assert_eq!(tell(&STACK, &provider, &id, status, 0).await?.status, 204);
    }
    assert_eq!(order_row(&STACK, &id).await?, sold);
    Ok(())
}

/// Each order is told of six times while it is bought.
#[tokio::test]
async fn webhooks_that_come_in_a_rush_disturb_no_sale() -> Result<()> {
    const BUYERS: i64 = 100;
    let shop = Shop::of(&STACK.proxy);
    shop.set_stock("RUSH", BUYERS / 2).await?;
    let buyers = try_join_all((0..BUYERS).map(|_| shop.guest())).await?;
    let buys = buyers
        .iter()
        .map(|buyer| buyer.buy("RUSH", 1, REPEATED_WEBHOOKS_CARD));
    let replies = try_join_all(buys).await?;
    let (sold, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 201);
    assert_eq!(sold.len(), 50, "{replies:?}");
    assert!(refused.iter().all(|reply| reply.status == 409));
    for reply in sold {
        let row = settled_as(&STACK, reply.id()?, "CONFIRMED").await?;
        let told = row.events.iter().filter(|event| *event == "OrderConfirmed");
        assert_eq!(told.count(), 1, "{row:?}");
        money(&STACK, reply.id()?).await?;
    }
    assert_eq!(units(&STACK, "RUSH").await?, (0, 0));
    Ok(())
}

#[tokio::test]
async fn money_that_comes_after_the_order_was_given_up_goes_back() -> Result<()> {
    let stack = start(&["OVERDUE"], &[("HOLDFAST_PAYMENT__PATIENCE_MS", "1000")])?;
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let reply = buyer.buy("OVERDUE", 4, LATER_CARD).await?;
    assert_eq!(reply.status, 202, "{reply:?}");
    let id = reply.id()?.to_owned();
    wait::until_async("the order to be given up", PATIENCE, || async {
        Ok((order_row(&stack, &id).await?.status == "EXPIRED").then_some(()))
    })
    .await?;
    wait::until_async("the units to be free again", PATIENCE, || async {
        Ok((units(&stack, "OVERDUE").await? == (10, 0)).then_some(()))
    })
    .await?;
    assert_eq!(money(&stack, &id).await?.as_deref(), Some("pending"));
    let row = settled_as(&stack, &id, "REFUNDED").await?;
    assert_eq!(row.reason.as_deref(), Some("payment_timeout"));
    let refunds = row.events.iter().filter(|event| *event == "OrderRefunded");
    assert_eq!(refunds.count(), 1, "{row:?}");
    assert_eq!(money(&stack, &id).await?.as_deref(), Some("refunded"));
    assert_eq!(units(&stack, "OVERDUE").await?, (10, 0));
    Ok(())
}

#[tokio::test]
async fn a_provider_that_hangs_is_left_alone_until_it_answers_again() -> Result<()> {
    let stack = start(
        &["HANGS", "REFUSED"],
        &[
            ("HOLDFAST_PAYMENT__TIMEOUT_MS", "300"),
            ("HOLDFAST_PAYMENT__BREAKER_FAILURES", "3"),
            ("HOLDFAST_PAYMENT__BREAKER_OPEN_MS", "2000"),
            // White space is no secret.
            ("HOLDFAST_PAYMENT__WEBHOOK_SECRET", " "),
        ],
    )?;
    let anybody = Webhook::from_bytes(vec![7; 24])?;
    let untold = tell(&stack, &anybody, &Uuid::nil().to_string(), "captured", 0).await?;
    assert_eq!((untold.status, untold.problem()), (403, "forbidden"));

    let buyer = Shop::of(&stack.proxy).guest().await?;
    assert_eq!(buyer.buy("HANGS", 1, GOOD_CARD).await?.status, 201);
    let held = json!({ "items": lines(&[("REFUSED", 1)]) });
    let held = buyer.call(Method::POST, "/v1/holds", &held).await?;
    let held = held.id()?.to_owned();
    assert_eq!(breaker(&stack).await?, 0);
    stack.payment.server().signal(Signal::SIGSTOP)?;
    let unclear = buyer.buy("HANGS", 1, GOOD_CARD).await?;
    assert_eq!(unclear.status, 202, "{unclear:?}");
    let unclear = unclear.id()?.to_owned();
    assert_eq!(breaker(&stack).await?, 1);

    // One call in two seconds is let through to try, and may be that of this order.
    let known = buyer.orders().await?.len();
    let tried = AtomicUsize::new(0);
    let refused = wait::until_async("an order to be refused", PATIENCE, || async {
        let reply = buyer.buy("REFUSED", 1, GOOD_CARD).await?;
        if reply.status == 503 {
            return Ok(Some(reply));
        }
        tried.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    })
    .await?;
    assert_eq!(refused.problem(), "unavailable");
    assert_eq!(refused.body["retry_safe"], true);
    let confirmed = confirm(&buyer, &held).await?;
    assert!(matches!(confirmed.status, 503 | 202), "{confirmed:?}");
    let tried = tried.into_inner() + usize::from(confirmed.status == 202);
    let orders = buyer.orders().await?.len();
    assert_eq!(orders, known + tried, "refused at once, nothing is written");

    stack.payment.server().signal(Signal::SIGCONT)?;
    wait::until_async("the provider to be called again", PATIENCE, || async {
        Ok((buyer.buy("HANGS", 1, GOOD_CARD).await?.status == 201).then_some(()))
    })
    .await?;
    assert_eq!(breaker(&stack).await?, 0);
    if confirmed.status == 503 {
        let confirmed = confirm(&buyer, &held).await?;
        assert_eq!(confirmed.status, 201, "the hold is there: {confirmed:?}");
    }
    wait::until_async("the unclear order to be finished", PATIENCE, || async {
        Ok(order_row(&stack, &unclear).await?.is_settled.then_some(()))
    })
    .await?;
    for order in buyer.orders().await? {
        let id = order["order_id"].as_str().context("an id")?;
        let status = order["status"].as_str().unwrap_or_default();
        settled_as(&stack, id, status).await?;
        money(&stack, id).await?;
    }
    Ok(())
}

async fn confirm(buyer: &Shopper, hold: &str) -> Result<Reply> {
    let payment = json!({ "payment": { "card": GOOD_CARD } });
    let path = format!("/v1/holds/{hold}/confirm");
    buyer.call(Method::POST, &path, &payment).await
}

/// What GET /metrics says of the breaker.
async fn breaker(stack: &Stack) -> Result<u8> {
    let url = format!("{}/metrics", stack.proxy.admin_url());
    let text = reqwest::get(url).await?.text().await?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("holdfast_payment_breaker_open "));
    Ok(line.context("the breaker's metric")?.parse()?)
}
