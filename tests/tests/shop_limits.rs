//! How much may be sent, and how often: each limit at its exact boundary.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::ports;
use holdfast_tests::shop::{GOOD_CARD, Reply, Shop, lines, send};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use reqwest::{Client, Method};
use serde_json::json;

static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

fn start() -> Result<Stack> {
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&["LAMP"])?),
        kafka: false,
        ..StackOptions::default()
    })
}

/// Sends bytes over a connection of their own, and reads until the server closes it.
fn exchange(bytes: &[u8]) -> Result<String> {
    let url = STACK.proxy.url();
    let port = url.rsplit(':').next().context("no port")?.parse()?;
    let mut stream = TcpStream::connect(ports::local(port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The status of a request with these headers besides `host: a` and `connection: close`.
fn status_with(headers: &str) -> Result<String> {
    let request =
        format!("GET /v1/products HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    let answer = exchange(request.as_bytes())?;
    let status = answer.split(' ').nth(1).context("no status")?;
    Ok(status.to_owned())
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    let value = reply
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_not_a_byte_longer() -> Result<()> {
    let client = Client::new();
    for (length, status, problem) in [(1 << 20, 201, ""), ((1 << 20) + 1, 413, "body-too-large")] {
        let request = client
            .post(format!("{}/v1/sessions", STACK.proxy.url()))
            .header("content-type", "application/json")
            .body(format!("{{{}}}", " ".repeat(length - 2)));
        let reply = send(request).await?;
        assert_eq!(
            (reply.status, reply.problem()),
            (status, problem),
            "{length}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_path_and_query_may_be_as_long_as_the_limit() -> Result<()> {
    let client = Client::new();
    // Members that a route does not know are ignored.
    let path = "/v1/products?unknown=";
    for (length, status, problem) in [(8_192, 200, ""), (8_193, 414, "uri-too-long")] {
        let url = format!(
            "{}{path}{}",
            STACK.proxy.url(),
            "a".repeat(length - path.len())
        );
        let reply = send(client.get(url)).await?;
        assert_eq!(
            (reply.status, reply.problem()),
            (status, problem),
            "{length}"
        );
    }
    Ok(())
}

#[test]
fn headers_may_be_as_long_and_as_many_as_the_limits() -> Result<()> {
    let others = "host: a\r\nconnection: close\r\nx: \r\n".len();
    let padding = "b".repeat(16_384 - others);
    assert_eq!(status_with(&format!("x: {padding}\r\n"))?, "200");
    assert_eq!(status_with(&format!("x: {padding}b\r\n"))?, "431");
    let many = |count| {
        (0..count)
            .map(|n| format!("x-{n}: 1\r\n"))
            .collect::<String>()
    };
    assert_eq!(status_with(&many(98))?, "200");
    assert_eq!(status_with(&many(99))?, "431");
    Ok(())
}

/// A client that sends its headers byte by byte does not keep its connection.
#[test]
fn who_never_finishes_the_headers_is_cut_off() -> Result<()> {
    let began = std::time::Instant::now();
    let answer = exchange(b"GET /v1/products HTTP/1.1\r\nhost: a\r\nx-slow: ")?;
    ensure!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    ensure!(
        began.elapsed() > Duration::from_secs(1),
        "it was not even waited for"
    );
    Ok(())
}

#[tokio::test]
async fn lines_and_quantities_have_limits() -> Result<()> {
    let buyer = Shop::of(&STACK.proxy).guest().await?;
    let order = async |items| {
        let body = json!({ "items": items, "payment": { "card": GOOD_CARD } });
        buyer.call(Method::POST, "/v1/orders", &body).await
    };
    let many = |count: usize| -> serde_json::Value {
        (0..count)
            .map(|n| json!({ "sku": format!("NONE-{n}"), "quantity": 1 }))
            .collect()
    };
    // None of them exists, which is looked at after their number.
    let thousand = order(many(1_000)).await?;
    assert_eq!((thousand.status, thousand.problem()), (404, "not-found"));
    let more = order(many(1_001)).await?;
    assert_eq!((more.status, more.problem()), (400, "invalid-value"));
    let million = order(lines(&[("LAMP", 1_000_000)])).await?;
    assert_eq!((million.status, million.problem()), (409, "out-of-stock"));
    for beyond in [1_000_001, 0, -1] {
        let refused = order(lines(&[("LAMP", beyond)])).await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (400, "invalid-value"),
            "{beyond}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_address_has_a_rate_before_anything_is_done() -> Result<()> {
    let limited = STACK.another_proxy_with(&[
        ("HOLDFAST_LIMITS__ADDRESS_REQUESTS", "1"),
        ("HOLDFAST_LIMITS__ADDRESS_PERIOD_S", "3600"),
        ("HOLDFAST_LIMITS__ADDRESS_BURST", "4"),
        ("HOLDFAST_HTTP__TRUSTED_PROXIES", "127.0.0.1/32"),
    ])?;
    let client = Client::new();
    let ask = async |address: &str, path: &str| {
        let request = client.get(format!("{}{path}", limited.url()));
        send(request.header("X-Forwarded-For", address)).await
    };
    for remaining in (0..5).rev() {
        let path = if remaining == 2 {
            "/no/such/route"
        } else {
            "/v1/products"
        };
        let reply = ask("203.0.113.7", path).await?;
        assert_ne!(reply.status, 429);
        assert_eq!(
            header(&reply, "ratelimit-policy"),
            "\"address\";q=5;w=18000"
        );
        let left = format!("\"address\";r={remaining};t={}", (5 - remaining) * 3_600);
        assert_eq!(header(&reply, "ratelimit"), left);
    }
    let refused = ask("203.0.113.7", "/v1/products").await?;
    assert_eq!(
        (refused.status, refused.problem()),
        (429, "too-many-requests")
    );
    assert_eq!(refused.body["retry_safe"], true);
    assert_eq!(refused.headers.get_all("retry-after").iter().count(), 1);
    let seconds: u64 = header(&refused, "retry-after").parse()?;
    assert!((3_000..=3_600).contains(&seconds), "{seconds}");
    assert_eq!(ask("203.0.113.8", "/v1/products").await?.status, 200);
    // Of IPv6 a client has a /64, and whatever is in it counts together.
    for host in 1..=5 {
        assert_eq!(
            ask(&format!("2001:db8::{host}"), "/v1/products")
                .await?
                .status,
            200
        );
    }
    assert_eq!(ask("2001:db8::6", "/v1/products").await?.status, 429);
    assert_eq!(ask("2001:db8:0:1::1", "/v1/products").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_user_has_a_rate_over_all_sessions() -> Result<()> {
    let limited = STACK.another_proxy_with(&[
        ("HOLDFAST_LIMITS__USER_REQUESTS", "1"),
        ("HOLDFAST_LIMITS__USER_PERIOD_S", "3600"),
        ("HOLDFAST_LIMITS__USER_BURST", "5"),
        ("HOLDFAST_LIMITS__SESSION_REQUESTS", "0"),
    ])?;
    let shop = Shop::of(&STACK.proxy);
    for email in ["one@example.com", "two@example.com"] {
        shop.register(email).await?;
    }
    let (phone, laptop) = (
        shop.log_in("one@example.com").await?.at(&limited),
        shop.log_in("one@example.com").await?.at(&limited),
    );
    for _ in 0..3 {
        for device in [&phone, &laptop] {
            assert_eq!(device.get("/v1/cart").await?.status, 200);
        }
    }
    for device in [&phone, &laptop] {
        let refused = device.get("/v1/cart").await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (429, "too-many-requests")
        );
        assert!(header(&refused, "ratelimit").starts_with("\"user\";r=0;t="));
    }
    let other = shop.log_in("two@example.com").await?.at(&limited);
    let guest = shop.guest().await?.at(&limited);
    for _ in 0..6 {
        assert_eq!(other.get("/v1/cart").await?.status, 200);
    }
    for _ in 0..10 {
        assert_eq!(
            guest.get("/v1/cart").await?.status,
            200,
            "guests have their session's rate"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_session_is_told_what_is_left_of_its_rate() -> Result<()> {
    let guest = Shop::of(&STACK.proxy).guest().await?;
    let reply = guest.get("/v1/cart").await?;
    assert_eq!(
        header(&reply, "ratelimit-policy"),
        "\"session\";q=1001;w=11"
    );
    let left = header(&reply, "ratelimit");
    assert!(left.starts_with("\"session\";r=1000;t="), "{left}");
    Ok(())
}
