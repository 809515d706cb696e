//! People at the shop: sessions, users, carts, the catalogue, and the operator at the stock.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use holdfast_tests::shop::{Reply, Shop, Shopper, send};
use holdfast_tests::stack::{Stack, StackOptions};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use reqwest::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
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

#[tokio::test]
async fn views_are_counted_and_what_was_viewed_is_remembered() -> Result<()> {
    let guest = shop().guest().await?;
    let mut views = Vec::new();
    for item in ["view-1", "VIEW-2", "VIEW-1"] {
        let body = json!({ "page": "/things", "item": item });
        let touched = guest
            .call(Method::POST, "/v1/sessions/current/touch", &body)
            .await?;
        assert_eq!(touched.status, 200, "{touched:?}");
        views.push(touched.body["page_views"].as_i64().context("a count")?);
    }
    assert_eq!([views[1] - views[0], views[2] - views[1]], [1, 1]);
    let viewed = guest.get("/v1/sessions/current/viewed").await?;
    assert_eq!(viewed.body, json!({ "items": ["VIEW-1", "VIEW-2"] }));
    let current = guest.get("/v1/sessions/current").await?;
    assert_eq!(current.body["roles"], json!(["guest"]));
    assert_eq!(current.body["owner"], guest.session()["owner"]);
    // A request that names no page and no item keeps the session alive and is no view.
    assert_eq!(current.body["page_views"].as_i64(), views.last().copied());

    for body in [
        json!({ "page": "x".repeat(513) }),
        json!({ "item": "no sku" }),
        json!({ "page": "a\u{0}b" }),
    ] {
        let refused = guest
            .call(Method::POST, "/v1/sessions/current/touch", &body)
            .await?;
        assert_eq!(refused.status, 400, "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_is_a_cookie_until_it_is_ended() -> Result<()> {
    let started = Client::new()
        .post(format!("{}/v1/sessions", STACK.proxy.url()))
        .send()
        .await?;
    assert_eq!(started.status(), 201);
    assert_eq!(started.headers()[CACHE_CONTROL], "no-store");
    let set_cookie = started.headers()[SET_COOKIE].to_str()?.to_owned();
    assert!(
        set_cookie.contains("; HttpOnly; SameSite=Lax"),
        "{set_cookie}"
    );
    let cookie = set_cookie.split(';').next().unwrap_or_default();

    let with_cookie = |method| {
        let request =
            Client::new().request(method, format!("{}/v1/sessions/current", STACK.proxy.url()));
        request.header(COOKIE, format!("theme=dark; {cookie}"))
    };
    assert_eq!(send(with_cookie(Method::GET)).await?.status, 200);
    let ended = with_cookie(Method::DELETE).send().await?;
    assert_eq!(ended.status(), 204);
    assert!(ended.headers()[SET_COOKIE].to_str()?.contains("Max-Age=0"));
    let gone = send(with_cookie(Method::GET)).await?;
    assert_eq!(
        (gone.status, &gone.body["type"]),
        (401, &json!("/problems/no-session"))
    );
    Ok(())
}

#[tokio::test]
async fn a_secret_cannot_be_guessed_into_a_session() -> Result<()> {
    let guest = shop().guest().await?;
    for token in [
        format!("{}.0000", guest.session_id()),
        "nonsense".into(),
        format!("{}.", guest.session_id()),
    ] {
        assert_eq!(
            get_with(&token, "/v1/sessions/current").await?.status,
            401,
            "{token}"
        );
    }
    assert_eq!(guest.get("/v1/sessions/current").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn whoever_registers_can_log_in_and_nobody_else() -> Result<()> {
    let person = json!({ "email": "Ada@Example.com", "password": "correct horse" });
    let registered = post("/v1/users", &person).await?;
    assert_eq!(registered.status(), 201);
    let registered: Value = registered.json().await?;
    assert_eq!(registered["email"], "ada@example.com");
    let again = post(
        "/v1/users",
        &json!({ "email": "ada@EXAMPLE.com", "password": "another horse" }),
    )
    .await?;
    assert_eq!(again.status(), 409);

    let mut refusals = Vec::new();
    for (email, password) in [
        ("ada@example.com", "wrong horse"),
        ("eve@example.com", "correct horse"),
        ("?", "x"),
    ] {
        let refused = post(
            "/v1/sessions",
            &json!({ "email": email, "password": password }),
        )
        .await?;
        assert_eq!(refused.status(), 401);
        refusals.push(refused.json::<Value>().await?);
    }
    assert!(
        refusals.iter().all(|refusal| *refusal == refusals[0]),
        "all are told the same"
    );

    let session: Value = post("/v1/sessions", &person).await?.json().await?;
    assert_eq!(session["owner"], registered["user_id"]);
    assert_eq!(session["roles"], json!(["customer"]));
    let current = get_with(token(&session), "/v1/sessions/current").await?;
    assert_eq!(
        (current.status, &current.body["roles"]),
        (200, &json!(["customer"]))
    );
    Ok(())
}

#[tokio::test]
async fn what_is_no_registration_is_refused() -> Result<()> {
    for body in [
        json!({ "email": "bob@example.com" }),
        json!({ "email": "bob@example.com", "password": "1234567" }),
        json!({ "email": "bob@example.com", "password": "x".repeat(129) }),
        json!({ "email": "bob", "password": "correct horse" }),
        json!({ "email": "bob\u{0}@example.com", "password": "correct horse" }),
        json!({ "email": "bob@example.com", "password": "correct horse", "roles": "admin" }),
    ] {
        let refused = post("/v1/users", &body).await?;
        assert_eq!(refused.status(), 400, "{body}");
    }
    assert_eq!(
        post("/v1/sessions", &json!({ "email": "bob@example.com" }))
            .await?
            .status(),
        400
    );
    let free = post(
        "/v1/users",
        &json!({ "email": "bob@example.com", "password": "correct horse" }),
    )
    .await?;
    assert_eq!(free.status(), 201, "nothing of the refused was kept");
    Ok(())
}

#[tokio::test]
async fn a_cart_is_priced_as_it_stands() -> Result<()> {
    let guest = shop().guest().await?;
    let empty = guest.get("/v1/cart").await?;
    assert_eq!(
        empty.body,
        json!({ "lines": [], "total_minor": 0, "currency": null })
    );
    add(&guest, "cart-1", 2).await?;
    add(&guest, "CART-2", 1).await?;
    let cart = add(&guest, "CART-1", 1).await?;
    assert_eq!(cart.body["total_minor"], 3 * 1000 + 2000);
    assert_eq!(
        cart.body["lines"][0],
        json!({ "sku": "CART-1", "quantity": 3, "available": 10, "name": "Thing 1", "price_minor": 1000,
                "amount_minor": 3000, "gone": false })
    );
    let set = guest
        .call(
            Method::PUT,
            "/v1/cart/items/CART-1",
            &json!({ "quantity": 7 }),
        )
        .await?;
    assert_eq!(set.body["total_minor"], 7 * 1000 + 2000);
    let removed = send(guest.request(Method::DELETE, "/v1/cart/items/CART-1")).await?;
    assert_eq!(removed.body["total_minor"], 2000);
    assert_eq!(
        send(guest.request(Method::DELETE, "/v1/cart"))
            .await?
            .status,
        204
    );
    assert_eq!(guest.get("/v1/cart").await?.body["lines"], json!([]));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_in_a_cart_is_refused_and_changes_nothing() -> Result<()> {
    let guest = shop().guest().await?;
    add(&guest, "BAD-1", 1).await?;
    for quantity in [
        json!(0),
        json!(-1),
        json!(1_000_001),
        json!(9_223_372_036_854_775_808_u64),
        json!("1"),
        json!(1.5),
        json!(null),
    ] {
        let body = json!({ "sku": "BAD-1", "quantity": quantity });
        let refused = guest.call(Method::POST, "/v1/cart/items", &body).await?;
        assert_eq!(refused.status, 400, "{quantity}: {refused:?}");
        let refused = guest
            .call(
                Method::PUT,
                "/v1/cart/items/BAD-1",
                &json!({ "quantity": quantity }),
            )
            .await?;
        assert_eq!(refused.status, 400, "{quantity}: {refused:?}");
    }
    assert_eq!(add(&guest, "NOT-IN-THE-CATALOGUE", 1).await?.status, 404);
    let cart = guest.get("/v1/cart").await?;
    assert_eq!(
        (
            cart.body["lines"].as_array().map(Vec::len),
            &cart.body["total_minor"]
        ),
        (Some(1), &json!(1000))
    );
    // The most that a line can have, however often it is added to.
    add(&guest, "BAD-1", 999_999).await?;
    let full = add(&guest, "BAD-1", 1_000_000).await?;
    assert_eq!(full.body["lines"][0]["quantity"], 1_000_000);
    Ok(())
}

#[tokio::test]
async fn tabs_that_add_at_once_lose_nothing() -> Result<()> {
    let guest = shop().guest().await?;
    let adding = (0..40).map(|n| {
        add(
            &guest,
            if n % 2 == 0 { "TABS-1" } else { "TABS-2" },
            1 + n / 20,
        )
    });
    for added in try_join_all(adding).await? {
        assert_eq!(added.status, 200, "{added:?}");
    }
    let cart = guest.get("/v1/cart").await?;
    let quantities: Vec<_> = cart.body["lines"]
        .as_array()
        .context("lines")?
        .iter()
        .map(|line| &line["quantity"])
        .collect();
    assert_eq!(quantities, [&json!(30), &json!(30)]);
    Ok(())
}

#[tokio::test]
async fn at_login_the_guests_cart_joins_the_users_and_the_guest_is_gone() -> Result<()> {
    let person = json!({ "email": "grace@example.com", "password": "correct horse" });
    assert_eq!(post("/v1/users", &person).await?.status(), 201);
    let before: Value = post("/v1/sessions", &person).await?.json().await?;
    post_with(
        token(&before),
        "/v1/cart/items",
        &json!({ "sku": "MERGE-1", "quantity": 2 }),
    )
    .await?;
    post_with(
        token(&before),
        "/v1/cart/items",
        &json!({ "sku": "MERGE-2", "quantity": 999_999 }),
    )
    .await?;

    let guest = shop().guest().await?;
    for (sku, quantity) in [("MERGE-1", 3), ("MERGE-2", 5), ("MERGE-3", 1)] {
        add(&guest, sku, quantity).await?;
    }
    let logged_in = guest.call(Method::POST, "/v1/sessions", &person).await?;
    assert_eq!(logged_in.status, 201, "{logged_in:?}");
    assert_ne!(token(&logged_in.body), token(guest.session()));
    let cart = get_with(token(&logged_in.body), "/v1/cart").await?;
    let quantities: Vec<_> = cart.body["lines"]
        .as_array()
        .context("lines")?
        .iter()
        .map(|line| &line["quantity"])
        .collect();
    assert_eq!(
        quantities,
        [&json!(5), &json!(1_000_000), &json!(1)],
        "added, and capped"
    );
    assert_eq!(
        guest.get("/v1/cart").await?.status,
        401,
        "the guest's session has ended"
    );
    Ok(())
}

#[tokio::test]
async fn the_catalogue_is_read_page_by_page() -> Result<()> {
    let guest = shop().guest().await?;
    let (mut skus, mut path) = (Vec::new(), "/v1/products?limit=7".to_owned());
    loop {
        let page = guest.get(&path).await?;
        let products = page.body["products"]
            .as_array()
            .context("products")?
            .clone();
        assert!(products.len() <= 7);
        skus.extend(
            products
                .iter()
                .filter_map(|product| product["sku"].as_str().map(str::to_owned)),
        );
        match page.body["next"].as_str() {
            Some(next) => path = format!("/v1/products?limit=7&after={next}"),
            None => break,
        }
    }
    assert_eq!(skus.len(), 30);
    assert!(skus.is_sorted());
    let one = guest.get("/v1/products/view-3").await?;
    assert_eq!(
        one.body,
        json!({ "sku": "VIEW-3", "name": "Thing 3", "description": "", "price_minor": 3000, "currency": "GBP", "available": 10 })
    );
    for (path, status) in [
        ("/v1/products?limit=0", 400),
        ("/v1/products?limit=101", 400),
        ("/v1/products?after=%00", 400),
        ("/v1/products/NONE", 404),
        ("/v1/products/%00", 404),
    ] {
        assert_eq!(guest.get(path).await?.status, status, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn only_the_operator_changes_stock() -> Result<()> {
    let guest = shop().guest().await?;
    let change = json!({ "adjustment_id": "mine", "delta": 5, "reason": "restocked" });
    for (method, path, body) in [
        (Method::PUT, "/v1/stock/VIEW-1", json!({ "on_hand": 99 })),
        (Method::POST, "/v1/stock/VIEW-1/adjustments", change),
    ] {
        let refused = guest.call(method.clone(), path, &body).await?;
        assert_eq!(
            (refused.status, &refused.body["type"]),
            (403, &json!("/problems/forbidden"))
        );
        let nobody = send(
            Client::new()
                .request(method, format!("{}{path}", STACK.proxy.url()))
                .json(&body),
        )
        .await?;
        assert_eq!(nobody.status, 403);
    }
    assert_eq!(in_mysql("VIEW-1").await?, (10, vec![10]));
    assert_eq!(shop().stock("VIEW-1").await?["on_hand"], 10);
    Ok(())
}

#[tokio::test]
async fn an_adjustment_is_made_once_however_often_it_is_sent() -> Result<()> {
    let replies = try_join_all((0..8).map(|_| adjust("ONCE-1", "delivery-17", 5))).await?;
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (200, &replies[0].body));
    }
    assert_eq!(replies[0].body["stock_after"], 15);
    assert_eq!(in_mysql("ONCE-1").await?, (15, vec![10, 5]));
    assert_eq!(shop().stock("ONCE-1").await?["on_hand"], 15);

    assert_eq!(adjust("ONCE-1", "delivery-17", 6).await?.status, 422);
    assert_eq!(
        adjust("ONCE-2", "delivery-17", 6).await?.status,
        200,
        "an id is one product's"
    );
    for (id, delta) in [
        ("", 1),
        ("a b", 1),
        ("x", 0),
        ("y", i64::MIN),
        ("z", i64::MAX),
        ("w", -16),
    ] {
        assert_eq!(
            adjust("ONCE-1", id, delta).await?.status,
            400,
            "{id} {delta}"
        );
    }
    assert_eq!(adjust("NONE", "a", 1).await?.status, 404);
    assert_eq!(in_mysql("ONCE-1").await?, (15, vec![10, 5]));
    assert_eq!(shop().stock("ONCE-1").await?["on_hand"], 15);
    Ok(())
}

#[tokio::test]
async fn a_count_sets_the_stock() -> Result<()> {
    shop().set_stock("COUNT-1", 4).await?;
    shop().set_stock("COUNT-1", 4).await?;
    assert_eq!(in_mysql("COUNT-1").await?, (4, vec![10, -6]));
    assert_eq!(shop().stock("COUNT-1").await?["on_hand"], 4);
    for on_hand in [
        json!(-1),
        json!(9_223_372_036_854_775_808_u64),
        json!("4"),
        json!(null),
    ] {
        let refused = shop()
            .call(
                Method::PUT,
                "/v1/stock/COUNT-1",
                &json!({ "on_hand": on_hand }),
            )
            .await?;
        assert_eq!(refused.status, 400, "{on_hand}");
    }
    Ok(())
}

#[tokio::test]
async fn what_buyers_hold_cannot_be_written_off() -> Result<()> {
    let guest = shop().guest().await?;
    let body = json!({ "items": [{ "sku": "HELD-1", "quantity": 8 }] });
    let hold = guest.call(Method::POST, "/v1/holds", &body).await?;
    assert_eq!(hold.status, 201, "{hold:?}");

    let refused = adjust("HELD-1", "broken", -3).await?;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (409, &json!("/problems/below-held"))
    );
    assert_eq!(in_mysql("HELD-1").await?, (10, vec![10]), "undone in MySQL");
    let stock = shop().stock("HELD-1").await?;
    assert_eq!(
        (&stock["on_hand"], &stock["held"]),
        (&json!(10), &json!(8)),
        "unchanged in Redis"
    );
    let told: Vec<String> =
        sqlx::query_scalar("SELECT body FROM outbox WHERE message_key = 'HELD-1' ORDER BY id")
            .fetch_all(&mut database().await?)
            .await?;
    let told: Vec<Value> = told
        .iter()
        .map(|body| serde_json::from_str(body))
        .collect::<Result<_, _>>()?;
    let balances: Vec<_> = told
        .iter()
        .map(|body| &body["balances"][0]["stock"])
        .collect();
    assert_eq!(
        balances,
        [&json!(10), &json!(7), &json!(10)],
        "and the undoing is told as well"
    );

    let id = hold.body["hold_id"].as_str().context("an id")?;
    assert_eq!(
        send(guest.request(Method::DELETE, &format!("/v1/holds/{id}")))
            .await?
            .status,
        204
    );
    assert_eq!(
        adjust("HELD-1", "broken", -3).await?.status,
        200,
        "the id is free again"
    );
    assert_eq!(in_mysql("HELD-1").await?, (7, vec![10, -3]));
    assert_eq!(shop().stock("HELD-1").await?["on_hand"], 7);
    Ok(())
}

#[tokio::test]
async fn a_bought_cart_is_empty() -> Result<()> {
    let guest = shop().guest().await?;
    add(&guest, "BUY-1", 2).await?;
    add(&guest, "BUY-2", 1).await?;
    let body = json!({ "cart": true, "payment": { "card": "4242424242424242" } });
    let order = guest.call(Method::POST, "/v1/orders", &body).await?;
    assert_eq!(
        (order.status, &order.body["total_minor"]),
        (201, &json!(4000)),
        "{order:?}"
    );
    assert_eq!(guest.get("/v1/cart").await?.body["lines"], json!([]));
    let nothing = guest.call(Method::POST, "/v1/orders", &body).await?;
    assert_eq!(
        (nothing.status, &nothing.body["type"]),
        (409, &json!("/problems/empty-cart"))
    );
    Ok(())
}

#[tokio::test]
async fn a_change_that_redis_missed_is_delivered_when_it_is_back() -> Result<()> {
    // A Redis of its own, because it is stopped for a while.
    let stack = Stack::start(StackOptions {
        kafka: false,
        ..StackOptions::default()
    })?;
    let Ok(redis) = stack.redis.server() else {
        return Ok(());
    };
    let shop = Shop::of(&stack.proxy);
    redis.signal(Signal::SIGSTOP)?;
    let body = json!({ "adjustment_id": "late", "delta": 5, "reason": "restocked" });
    let accepted = shop
        .call(Method::POST, "/v1/stock/TEA-CADDY/adjustments", &body)
        .await;
    redis.signal(Signal::SIGCONT)?;
    let accepted = accepted?;
    assert_eq!(
        (accepted.status, &accepted.body["delivered"]),
        (202, &json!(false))
    );
    wait::until_async("the change in Redis", Duration::from_secs(30), || async {
        Ok((shop.stock("TEA-CADDY").await?["on_hand"] == 45).then_some(()))
    })
    .await?;
    wait::until_async("its acknowledgement", Duration::from_secs(30), || async {
        let mut database = MySqlConnection::connect(&stack.database_url()).await?;
        let waiting = "SELECT COUNT(*) FROM inventory_logs WHERE acknowledged_at IS NULL";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut database).await?;
        Ok((waiting == 0).then_some(()))
    })
    .await?;
    let again = shop
        .call(Method::POST, "/v1/stock/TEA-CADDY/adjustments", &body)
        .await?;
    assert_eq!(
        (again.status, &again.body["stock_after"]),
        (200, &json!(45))
    );
    assert_eq!(shop.stock("TEA-CADDY").await?["on_hand"], 45);
    Ok(())
}
