//! What shoppers and the people of the shop see of orders, and what they may do with them.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::shop::{DECLINED_CARD, GOOD_CARD, Reply, Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};

/// Each test has products and users of its own, ten units each at 10.00. A sold order can be
/// cancelled by its shopper for no time at all.
static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

const PATIENCE: Duration = Duration::from_secs(20);

fn start() -> Result<Stack> {
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&["LAMP", "MUG", "VASE", "BOWL", "CLOCK"])?),
        environment: environment_of(&[("HOLDFAST_ORDERS__CANCEL_WINDOW_MS", "0")]),
        ..StackOptions::default()
    })
}

async fn user(email: &str) -> Result<Shopper> {
    let shop = Shop::of(&STACK.proxy);
    shop.register(email).await?;
    shop.log_in(email).await
}

async fn with_role(email: &str, role: &str) -> Result<Shopper> {
    let shop = Shop::of(&STACK.proxy);
    shop.register(email).await?;
    STACK.proxy.run(&["users", "grant", email, role])?;
    shop.log_in(email).await
}

async fn sold(buyer: &Shopper, sku: &str) -> Result<String> {
    let reply = buyer.buy(sku, 1, GOOD_CARD).await?;
    ensure!(reply.status == 201, "{reply:?}");
    Ok(reply.id()?.to_owned())
}

fn ids(page: &Reply) -> Vec<&str> {
    let orders = page.body["orders"].as_array().into_iter().flatten();
    orders
        .filter_map(|order| order["order_id"].as_str())
        .collect()
}

/// Status, reason and author of each step.
fn steps(events: &Value) -> Vec<(&str, &str, &str)> {
    let events = events.as_array().into_iter().flatten();
    let step = |event| {
        (
            text(event, "status"),
            text(event, "reason"),
            text(event, "by"),
        )
    };
    events.map(step).collect()
}

fn text<'a>(event: &'a Value, member: &str) -> &'a str {
    event[member].as_str().unwrap_or_default()
}

#[tokio::test]
async fn shoppers_page_through_their_orders_and_pick_among_them() -> Result<()> {
    let buyer = user("pages@example.com").await?;
    let mut placed = Vec::new();
    for _ in 0..3 {
        placed.push(sold(&buyer, "LAMP").await?);
    }
    let declined = buyer.buy("LAMP", 1, DECLINED_CARD).await?;
    assert_eq!(declined.status, 402);
    let all = buyer.get("/v1/orders").await?;
    assert_eq!(ids(&all).len(), 4);
    let confirmed = buyer.get("/v1/orders?status=CONFIRMED").await?;
    let newest_first: Vec<&str> = placed.iter().rev().map(String::as_str).collect();
    assert_eq!(ids(&confirmed), newest_first);
    // A last page that is exactly full has no next one.
    let full = buyer.get("/v1/orders?status=CONFIRMED&limit=3").await?;
    assert_eq!((ids(&full).len(), &full.body["next"]), (3, &Value::Null));
    let first = buyer.get("/v1/orders?status=CONFIRMED&limit=2").await?;
    assert_eq!(first.body["next"], placed[1]);
    let rest = format!("/v1/orders?status=CONFIRMED&limit=2&before={}", placed[1]);
    assert_eq!(ids(&buyer.get(&rest).await?), [placed[0].as_str()]);

    let second = all.body["orders"][2]["created_at"]
        .as_str()
        .context("a time")?;
    let since = buyer.get(&format!("/v1/orders?from={second}")).await?;
    assert_eq!(ids(&since), ids(&all)[..3]);
    let until = buyer.get(&format!("/v1/orders?to={second}")).await?;
    assert_eq!(ids(&until), ids(&all)[3..]);
    for wrong in ["status=SOLD", "from=yesterday", "before=1", "limit=0"] {
        let refused = buyer.get(&format!("/v1/orders?{wrong}")).await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (400, "invalid-value"),
            "{wrong}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_order_tells_what_became_of_it_to_its_own_shopper_only() -> Result<()> {
    let (buyer, stranger) = (
        user("tells@example.com").await?,
        user("stranger@example.com").await?,
    );
    let id = sold(&buyer, "MUG").await?;
    let path = format!("/v1/orders/{id}/events");
    let told = buyer.get(&path).await?;
    assert_eq!(told.status, 200);
    assert_eq!(
        steps(&told.body["events"]),
        [("PENDING", "", "shopper"), ("CONFIRMED", "", "system")]
    );
    assert_eq!(stranger.get(&path).await?.problem(), "not-found");
    let declined = buyer.buy("MUG", 1, DECLINED_CARD).await?;
    assert_eq!(declined.status, 402);
    let newest = buyer.orders().await?.remove(0);
    let path = format!(
        "/v1/orders/{}/events",
        newest["order_id"].as_str().context("an id")?
    );
    assert_eq!(
        steps(&buyer.get(&path).await?.body["events"]),
        [
            ("PENDING", "", "shopper"),
            ("CANCELLED", "payment_declined", "provider")
        ]
    );
    Ok(())
}

#[tokio::test]
async fn support_finds_orders_and_changes_none() -> Result<()> {
    let (support, buyer) = (
        with_role("support@example.com", "support").await?,
        user("found@example.com").await?,
    );
    let (vase, bowl) = (sold(&buyer, "VASE").await?, sold(&buyer, "BOWL").await?);
    let user_id = buyer.session()["owner"].as_str().context("an owner")?;
    for (query, found) in [
        ("email=FOUND@example.com".to_owned(), vec![&bowl, &vase]),
        (format!("user_id={user_id}"), vec![&bowl, &vase]),
        (format!("user_id={user_id}&sku=vase"), vec![&vase]),
        ("sku=BOWL&status=CONFIRMED".to_owned(), vec![&bowl]),
        ("sku=BOWL&status=PARKED".to_owned(), vec![]),
        ("email=nobody@example.com".to_owned(), vec![]),
        ("email=no-address".to_owned(), vec![]),
        ("email=support@example.com&sku=VASE".to_owned(), vec![]),
        (
            format!("email=support@example.com&user_id={user_id}"),
            vec![],
        ),
        ("sku=VASE&to=2020-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        let page = support.get(&format!("/v1/admin/orders?{query}")).await?;
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(ids(&page), found, "{query}");
    }
    let path = format!("/v1/admin/orders/{vase}");
    let file = support.get(&path).await?;
    assert_eq!(file.status, 200, "{file:?}");
    let shown = (
        &file.body["user_id"],
        &file.body["email"],
        &file.body["outcome"],
    );
    assert_eq!(
        shown,
        (
            &json!(user_id),
            &json!("found@example.com"),
            &json!("COMMITTED")
        )
    );
    assert!(file.body["payment_id"].is_string());
    assert_eq!(steps(&file.body["events"]).len(), 2);
    let cancelled = support
        .call(Method::POST, &format!("{path}/cancel"), &json!({}))
        .await?;
    assert_eq!((cancelled.status, cancelled.problem()), (403, "forbidden"));
    for path in ["/v1/admin/orders", &path] {
        assert_eq!(buyer.get(path).await?.problem(), "forbidden");
    }
    Ok(())
}

#[tokio::test]
async fn an_admin_cancels_what_its_shopper_cannot_and_the_history_says_who() -> Result<()> {
    let (admin, buyer) = (
        with_role("boss@example.com", "admin").await?,
        user("late@example.com").await?,
    );
    let id = sold(&buyer, "CLOCK").await?;
    let own = buyer
        .call(Method::POST, &format!("/v1/orders/{id}/cancel"), &json!({}))
        .await?;
    assert_eq!(own.problem(), "cannot-cancel", "the window is closed");
    let path = format!("/v1/admin/orders/{id}/cancel");
    let long = json!({ "note": "x".repeat(256) });
    assert_eq!(
        admin.call(Method::POST, &path, &long).await?.problem(),
        "invalid-value"
    );
    let note = "the clock fell off the shelf";
    let cancelled = admin
        .call(Method::POST, &path, &json!({ "note": note }))
        .await?;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let refunded = wait::until_async("the refund", PATIENCE, || async {
        let file = admin.get(&format!("/v1/admin/orders/{id}")).await?;
        Ok((file.body["status"] == "REFUNDED").then_some(file))
    })
    .await?;
    let reason = "cancelled_by_support";
    let wanted = [
        ("PENDING", "", "shopper"),
        ("CONFIRMED", "", "system"),
        ("CANCELLED", reason, "support"),
        ("REFUNDED", reason, "system"),
    ];
    assert_eq!(steps(&refunded.body["events"]), wanted);
    let step = &refunded.body["events"][2];
    assert_eq!(
        (&step["note"], &step["user_id"]),
        (&json!(note), &admin.session()["owner"])
    );
    // Its shopper sees that, and neither the note nor who wrote it.
    let events = buyer.get(&format!("/v1/orders/{id}/events")).await?;
    assert_eq!(steps(&events.body["events"]), wanted);
    let step = &events.body["events"][2];
    assert!(
        step["note"].is_null() && step["user_id"].is_null(),
        "{step}"
    );
    // Asked again it changes nothing.
    let again = admin.call(Method::POST, &path, &json!({})).await?;
    assert_eq!((again.status, steps(&again.body["events"]).len()), (200, 4));
    let stock = Shop::of(&STACK.proxy).stock("CLOCK").await?;
    assert_eq!(stock["available"], 10, "its unit is for sale again");
    Ok(())
}
