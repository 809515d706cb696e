//! Sessions of people, and what others complain of in session stores: each complaint a test of its name.

mod access_tokens;
mod collision;
mod cookies;
mod expiry;
mod index_leak;
mod lost_update;
mod naive;
mod one_round_trip;
mod own_sessions;
mod resurrected;
mod roles;
mod rotation_race;
mod throttle;

use std::sync::LazyLock;

use anyhow::{Context, Result};
use holdfast_proxy::config::Config;
use holdfast_proxy::gateway::Gateway;
use holdfast_proxy::sessions::Sessions;
use holdfast_proxy::store::Store;
use holdfast_tests::data::Home;
use holdfast_tests::shop::{Reply, Shop, send};
use holdfast_tests::stack::{Stack, StackOptions, environment_of};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// The most sessions of a user.
const MOST: usize = 3;
/// Failed logins to one account, and from one address.
const ACCOUNT_ATTEMPTS: usize = 15;
const ADDRESS_ATTEMPTS: usize = 40;
/// The life of a guest who comes once, ms.
const FIRST_LIFE_MS: i64 = 1_500;

/// The proxy believes what is said about addresses, so that each test can come from one of its own.
static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

fn start() -> Result<Stack> {
    let key_file = Home::for_test("jwt")?.path("key");
    std::fs::write(&key_file, "0123456789abcdef0123456789abcdef")?;
    Stack::start(StackOptions {
        kafka: false,
        redis_user: true,
        environment: environment_of(&[
            ("HOLDFAST_HTTP__TRUSTED_PROXIES", "127.0.0.1"),
            (
                "HOLDFAST_JWT__KEY_FILE",
                key_file.to_str().context("UTF-8")?,
            ),
            ("HOLDFAST_SESSION__MAX_PER_USER", &MOST.to_string()),
            (
                "HOLDFAST_SESSION__GUEST_FIRST_MS",
                &FIRST_LIFE_MS.to_string(),
            ),
            (
                "HOLDFAST_AUTH__ACCOUNT_ATTEMPTS",
                &ACCOUNT_ATTEMPTS.to_string(),
            ),
            (
                "HOLDFAST_AUTH__ADDRESS_ATTEMPTS",
                &ADDRESS_ATTEMPTS.to_string(),
            ),
        ]),
        ..StackOptions::default()
    })
}

fn shop() -> Shop {
    Shop::of(&STACK.proxy)
}

fn redis() -> Result<redis::Connection> {
    STACK.redis.connection()
}

fn request(method: Method, path: &str) -> RequestBuilder {
    Client::new().request(method, format!("{}{path}", STACK.proxy.url()))
}

/// A request that comes from `address`.
fn request_from(address: &str, method: Method, path: &str) -> RequestBuilder {
    request(method, path).header("X-Forwarded-For", address)
}

fn credentials(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

/// `name=value` of the cookie that an answer sets.
fn cookie_of(reply: &Reply) -> Result<String> {
    let set = reply.headers.get(SET_COOKIE).context("no cookie is set")?;
    let pair = set.to_str()?.split(';').next().unwrap_or_default();
    Ok(pair.to_owned())
}

async fn with_cookie(cookie: &str, method: Method, path: &str) -> Result<Reply> {
    send(request(method, path).header(COOKIE, cookie)).await
}

fn session_key(session_id: &str) -> String {
    format!("session:{session_id}")
}

fn index_key(user_id: &str) -> String {
    format!("user-sessions:{{{user_id}}}")
}

/// The rooms of the proxy on the same servers, for steps that no request can be made to take.
fn by_library() -> Result<(Sessions, Store)> {
    let config = Config::load(Some(&STACK.proxy.config_path()))?;
    let store = Store::open(&config.mysql, &config.commit)?;
    let gateway = Gateway::open(&config.redis)?;
    Ok((Sessions::new(gateway, store.clone(), config.session), store))
}
