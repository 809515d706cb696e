//! What a balancer sends again, and what never: before servers of the test's own, which count what reaches them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use reqwest::Method;

use super::clients::curl;
use super::*;

/// What arrived, by its case; shared by both servers, so that it does not matter which is asked first.
type Arrivals = Arc<Mutex<HashMap<String, Vec<u32>>>>;

/// The word by which a case asks for a refusal.
const REFUSE: &str = "refuse";

/// Hangs up on the first to ask in a case, and answers those who come after: as a proxy that is killed while it works,
/// and another one. Gives where it listens.
fn listen(arrivals: &Arrivals, number: u32) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let arrivals = arrivals.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrivals = arrivals.clone();
            thread::spawn(move || answer(stream, &arrivals, number));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, arrivals: &Arrivals, number: u32) -> Result<()> {
    let (mut case, mut length) = (String::new(), 0);
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim().to_ascii_lowercase().split_once(": ") {
            Some(("x-case", value)) => case = value.to_owned(),
            Some(("content-length", value)) => length = value.parse()?,
            Some(_) => {}
            None if line.trim().is_empty() => break,
            None => {}
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let is_first = {
        let mut arrivals = arrivals.lock().expect("the arrivals");
        let of_case = arrivals.entry(case.clone()).or_default();
        of_case.push(number);
        of_case.len() == 1
    };
    let status = match case.contains(REFUSE) {
        true => "503 Service Unavailable\r\nRetry-After: 1",
        false => "200 OK",
    };
    if case.is_empty() || !is_first || case.contains(REFUSE) {
        write!(
            stream,
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )?;
    }
    Ok(())
}

/// Starts the balancer before two such servers. What it makes of failures later is not asked here.
fn start(kind: Kind, arrivals: &Arrivals) -> Result<Balancer> {
    let behind = |number| {
        anyhow::Ok(Behind {
            api: listen(arrivals, number)?,
            admin: listen(&Arrivals::default(), 0)?,
        })
    };
    Balancer::start_with(kind, [behind(1)?, behind(2)?], |configuration| {
        configuration.replace("max_fails=1", "max_fails=0")
    })
}

const KEY: &str = "Idempotency-Key";

/// Each with the header that it has.
const SENT_AGAIN: &[(&str, &str, &str)] = &[
    ("GET", "/v1/products", ""),
    ("HEAD", "/v1/products", ""),
    ("GET", "/v1/stock/LAMP", ""),
    ("GET", "/v1/stock/LAMP/stream", ""),
    ("DELETE", "/v1/cart", ""),
    ("PUT", "/v1/cart/items/LAMP", ""),
    ("POST", "/v1/orders", KEY),
    ("POST", "/v1/orders/1/cancel", KEY),
    ("POST", "/v1/holds", KEY),
    ("POST", "/v1/holds/1/confirm", KEY),
    ("POST", "/v1/sessions/current/touch", ""),
    ("POST", "/v1/webhooks/payment", ""),
    ("POST", "/v1/stock/LAMP/adjustments", ""),
];

const SENT_ONCE: &[(&str, &str, &str)] = &[
    ("POST", "/v1/orders", ""),
    ("POST", "/v1/orders/1/cancel", ""),
    ("POST", "/v1/holds", ""),
    ("POST", "/v1/holds/1/confirm", ""),
    ("POST", "/v1/cart/items", ""),
    ("POST", "/v1/sessions", ""),
    ("POST", "/v1/users", ""),
    // Nobody looks at the key there.
    ("POST", "/v1/cart/items", KEY),
    ("POST", "/v1/admin/orders/1/cancel", KEY),
    ("PATCH", "/v1/holds/1", ""),
    ("PATCH", "/v1/products/LAMP", KEY),
    ("PUT", "/v1/stock/LAMP", ""),
    ("PUT", "/v1/users/me/password", ""),
    ("PUT", "/v1/products/LAMP", "If-Match"),
    ("PUT", "/v1/products/LAMP", "If-None-Match"),
    ("DELETE", "/v1/products/LAMP", "If-Match"),
];

async fn what_is_sent_again(kind: Kind) -> Result<()> {
    let arrivals = Arrivals::default();
    let balancer = start(kind, &arrivals)?;
    // On a connection that it has kept, HAProxy says nothing of a request that was lost, and hangs up.
    let client = balancer.client()?.pool_max_idle_per_host(0).build()?;
    let ask = async |case: &str, (method, path, header): (&str, &str, &str)| {
        let url = format!("{}{path}", balancer.url());
        let mut request = client
            .request(Method::from_bytes(method.as_bytes())?, url)
            .header("X-Case", case);
        if !header.is_empty() {
            request = request.header(header, "\"a-key\"");
        }
        if !matches!(method, "GET" | "HEAD") {
            request = request.body("{}");
        }
        let reply = holdfast_tests::shop::send(request).await?;
        let reached = arrivals.lock().expect("the arrivals").remove(case);
        anyhow::Ok((reply, reached.unwrap_or_default()))
    };
    for (number, asked) in SENT_AGAIN.iter().enumerate() {
        let (reply, reached) = ask(&format!("again-{number}"), *asked).await?;
        assert_eq!(reply.status, 200, "{kind:?} {asked:?} {reached:?}");
        let by_both = matches!(reached[..], [1, 2] | [2, 1]);
        assert!(by_both, "{kind:?} {asked:?}: {reached:?}");
    }
    for (number, asked) in SENT_ONCE.iter().enumerate() {
        let (reply, reached) = ask(&format!("once-{number}"), *asked).await?;
        assert_eq!(reply.status, 502, "{kind:?} {asked:?} {reached:?}");
        assert_eq!(reply.body["retry_safe"], false, "{kind:?} {asked:?}");
        assert_eq!(reached.len(), 1, "{kind:?} {asked:?}");
    }
    // On HTTP/2 a client that is told REFUSED_STREAM sends it again by itself, as curl does.
    let url = format!("{}/v1/orders", balancer.url());
    let two = ["--http2", "-H", "X-Case: by-http2", "-d", "{}", &url];
    assert_eq!(curl(&balancer, &two, "%{http_code}")?, "502", "{kind:?}");
    let reached = arrivals.lock().expect("the arrivals").remove("by-http2");
    assert_eq!(reached.map(|by| by.len()), Some(1), "{kind:?}");
    // What a proxy answers is passed on, even to those who could be sent elsewhere.
    let (reply, reached) = ask(REFUSE, ("GET", "/v1/products", "")).await?;
    assert_eq!((reply.status, reached.len()), (503, 1), "{kind:?}");
    assert_eq!(reply.headers["retry-after"], "1");
    Ok(())
}

#[tokio::test]
async fn haproxy_sends_again_what_is_safe_and_nothing_else() -> Result<()> {
    what_is_sent_again(Kind::Haproxy).await
}

#[tokio::test]
async fn nginx_sends_again_what_is_safe_and_nothing_else() -> Result<()> {
    what_is_sent_again(Kind::Nginx).await
}
