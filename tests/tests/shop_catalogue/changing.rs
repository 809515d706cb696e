//! Creating, changing and retiring.

use holdfast_tests::shop::GOOD_CARD;
use reqwest::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use sqlx::{Connection, MySqlConnection};

use super::*;

async fn change_if(
    method: Method,
    sku: &str,
    condition: (&str, &str),
    body: &Value,
) -> Result<Reply> {
    let request = Client::new()
        .request(method, format!("{}/v1/products/{sku}", STACK.proxy.url()))
        .bearer_auth(STACK.proxy.operator_token())
        .header(condition.0, condition.1)
        .json(body);
    send(request).await
}

#[tokio::test]
async fn a_product_is_created_changed_and_retired_by_admins_alone() -> Result<()> {
    let mut tin = form("Tin", 895);
    tin["sku"] = json!("MADE-1");
    let created = shop().call(Method::POST, "/v1/products", &tin).await?;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(
        (&created.body["revision"], &created.body["retired"]),
        (&json!(1), &json!(false))
    );
    let again = shop().call(Method::POST, "/v1/products", &tin).await?;
    assert_eq!((again.status, again.problem()), (409, "product-exists"));

    shop().set_stock("MADE-1", 7).await?;
    let amended = json!({ "price_minor": 945, "buyer_limit": 2 });
    let amended = shop()
        .call(Method::PATCH, "/v1/products/made-1", &amended)
        .await?;
    assert_eq!(amended.status, 200);
    let shown = get(&STACK.proxy, "/v1/products/MADE-1").await?;
    assert_eq!(
        shown.body,
        json!({ "sku": "MADE-1", "name": "Tin", "description": "", "price_minor": 945, "currency": "GBP",
                "buyer_limit": 2, "available": 7 })
    );
    let unchanged = shop()
        .call(Method::PATCH, "/v1/products/MADE-1", &json!({}))
        .await?;
    assert_eq!(unchanged.body, amended.body, "nothing to change");

    shop().register("made@example.com").await?;
    let customer = shop().log_in("made@example.com").await?;
    for (method, path, body) in [
        (Method::POST, "/v1/products", &tin),
        (Method::PUT, "/v1/products/MADE-1", &form("Mine", 1)),
        (
            Method::PATCH,
            "/v1/products/MADE-1",
            &json!({ "price_minor": 1 }),
        ),
        (Method::DELETE, "/v1/products/MADE-1", &json!({})),
    ] {
        let refused = customer.call(method.clone(), path, body).await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (403, "forbidden"),
            "{method}"
        );
        let nobody = Client::new().request(method, format!("{}{path}", STACK.proxy.url()));
        assert_eq!(send(nobody.json(body)).await?.status, 401);
    }
    assert_eq!(
        get(&STACK.proxy, "/v1/products/MADE-1").await?.body,
        shown.body
    );

    // The control: an admin's session may.
    let mut database = MySqlConnection::connect(&STACK.database_url()).await?;
    sqlx::query("UPDATE users SET roles = 'customer,admin' WHERE email = 'made@example.com'")
        .execute(&mut database)
        .await?;
    let admin = shop().log_in("made@example.com").await?;
    let retired = send(admin.request(Method::DELETE, "/v1/products/MADE-1")).await?;
    assert_eq!(retired.status, 204, "{retired:?}");
    Ok(())
}

#[tokio::test]
async fn of_two_who_saw_the_same_one_changes_it() -> Result<()> {
    let created = change_if(
        Method::PUT,
        "SEEN-1",
        (IF_NONE_MATCH.as_str(), "*"),
        &form("Seen", 1),
    )
    .await?;
    assert_eq!(created.status, 201);
    let taken = change_if(
        Method::PUT,
        "SEEN-1",
        (IF_NONE_MATCH.as_str(), "*"),
        &form("Mine", 1),
    )
    .await?;
    assert_eq!(
        (taken.status, taken.problem()),
        (412, "precondition-failed")
    );
    shop().set_stock("SEEN-1", 3).await?;

    let seen = get(&STACK.proxy, "/v1/products/SEEN-1").await?;
    let tag = seen.headers[ETAG].to_str()?.to_owned();
    let guest = shop().guest().await?;
    assert_eq!(guest.buy("SEEN-1", 1, GOOD_CARD).await?.status, 201);
    let (one, other) = (form("One", 1), form("Other", 1));
    let (one, other) = futures::future::try_join(
        change_if(Method::PUT, "SEEN-1", (IF_MATCH.as_str(), &tag), &one),
        change_if(Method::PUT, "SEEN-1", (IF_MATCH.as_str(), &tag), &other),
    )
    .await?;
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [200, 412],
        "a sale between is no change of the catalogue"
    );
    let changed = if one.status == 200 { one } else { other };
    let tag = changed.headers[ETAG].to_str()?.to_owned();
    let amended = json!({ "price_minor": 2 });
    let amended = change_if(Method::PATCH, "SEEN-1", (IF_MATCH.as_str(), &tag), &amended).await?;
    assert_eq!(
        amended.status, 200,
        "a change tells what the next may rest on"
    );
    let late = change_if(
        Method::DELETE,
        "SEEN-1",
        (IF_MATCH.as_str(), &tag),
        &json!({}),
    )
    .await?;
    assert_eq!(late.status, 412);
    Ok(())
}

#[tokio::test]
async fn who_creates_the_same_at_once_makes_one() -> Result<()> {
    for sku in ["ONCE-1", "ONCE-2", "ONCE-3", "ONCE-4"] {
        let create = |number: i64| async move {
            let mut form = form("Once", number);
            form["sku"] = json!(sku);
            shop().call(Method::POST, "/v1/products", &form).await
        };
        let replies = futures::future::try_join_all((1..=24).map(create)).await?;
        let count = |status| {
            let answered = replies.iter().filter(|reply| reply.status == status);
            answered.count()
        };
        assert_eq!((count(201), count(409)), (1, 23), "{replies:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_retired_is_nowhere_sold_until_it_is_brought_back() -> Result<()> {
    let other = STACK.another_proxy()?;
    put("GONE-1", &form("Gone", 500)).await?;
    put("GONE-2", &form("Stays", 500)).await?;
    for sku in ["GONE-1", "GONE-2"] {
        shop().set_stock(sku, 10).await?;
    }
    let guest = shop().guest().await?;
    let line = json!({ "sku": "GONE-1", "quantity": 1 });
    let added = guest.call(Method::POST, "/v1/cart/items", &line).await?;
    assert_eq!(added.body["lines"][0]["gone"], false);
    let bought = guest.buy("GONE-1", 1, GOOD_CARD).await?;
    assert_eq!(bought.status, 201);
    let hold = guest
        .call(Method::POST, "/v1/holds", &json!({ "items": [line] }))
        .await?;
    assert_eq!(hold.status, 201);

    for _ in 0..2 {
        let retired = shop()
            .call(Method::DELETE, "/v1/products/GONE-1", &json!({}))
            .await?;
        assert_eq!(retired.status, 204);
    }
    // Wherever it is ordered, and whatever is kept there: who decides reads the database.
    let late = (0..20).map(|number| {
        let buyer = guest.at(if number % 2 == 0 {
            &other
        } else {
            &STACK.proxy
        });
        async move { buyer.buy("GONE-1", 1, GOOD_CARD).await }
    });
    for reply in futures::future::try_join_all(late).await? {
        assert_eq!((reply.status, reply.problem()), (404, "not-found"));
    }
    assert_eq!(get(&STACK.proxy, "/v1/products/GONE-1").await?.status, 404);
    assert_eq!(all("&q=gone-", 100).await?, ["GONE-2"]);
    let paid = json!({ "items": [line], "payment": { "card": GOOD_CARD } });
    let two = json!({ "items": [line, { "sku": "GONE-2", "quantity": 1 }] });
    for (path, body) in [
        ("/v1/orders", &paid),
        ("/v1/holds", &two),
        ("/v1/cart/items", &line),
    ] {
        let refused = guest.call(Method::POST, path, body).await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (404, "not-found"),
            "{path}"
        );
    }
    let cart = guest.get("/v1/cart").await?;
    assert_eq!(cart.body["lines"][0]["gone"], true);
    let order = guest.get(&format!("/v1/orders/{}", bought.id()?)).await?;
    assert_eq!(
        order.body["lines"][0]["sku"], "GONE-1",
        "what was bought was bought"
    );
    let confirm = format!("/v1/holds/{}/confirm", hold.id()?);
    let payment = json!({ "payment": { "card": GOOD_CARD } });
    let confirmed = guest.call(Method::POST, &confirm, &payment).await?;
    assert_eq!(
        confirmed.status, 201,
        "what was held is sold: {confirmed:?}"
    );

    let back = shop()
        .call(
            Method::PATCH,
            "/v1/products/GONE-1",
            &json!({ "retired": false }),
        )
        .await?;
    assert_eq!((back.status, &back.body["name"]), (200, &json!("Gone")));
    assert_eq!(guest.buy("GONE-1", 1, GOOD_CARD).await?.status, 201);
    assert_eq!(all("&q=gone-", 100).await?, ["GONE-1", "GONE-2"]);
    Ok(())
}
