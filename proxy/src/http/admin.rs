//! The admin port: is the process alive, can it serve, and what has it counted?

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Body, Kind, Problem, in_memory};
use crate::app::App;
use crate::config::WithoutRedis;
use crate::store::{self, Store};
use crate::telemetry::metrics;

/// How long MySQL may take to answer /readyz.
const PATIENCE: Duration = Duration::from_millis(500);

/// Answers one request on the admin port.
pub async fn answer(app: Arc<App>, request: Request<Incoming>) -> Response<Body> {
    dispatch(&app, &request)
        .await
        .unwrap_or_else(Problem::into_response)
}

async fn dispatch(app: &App, request: &Request<Incoming>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let problem = Problem::new(Kind::MethodNotAllowed, "the admin port takes GET");
        return Err(problem.header(ALLOW, HeaderValue::from_static("GET")));
    }
    match request.uri().path() {
        "/livez" => super::json(StatusCode::OK, &json!({ "status": "ok" })),
        "/readyz" => ready(app).await,
        "/metrics" => metrics(app),
        _ => Err(Problem::new(
            Kind::NotFound,
            "the admin port has /livez, /readyz and /metrics",
        )),
    }
}

/// Ready when MySQL and Redis answer or have once, or Redis is not needed to sell: all proxies share them, so while one is
/// away a balancer that takes them out for it would only take the rest of the shop away as well.
/// Kafka is not asked: events wait.
async fn ready(app: &App) -> Answer {
    let (redis, mysql) = tokio::join!(app.gateway.is_ready(), is_ready(&app.store));
    let does_without = redis.is_ok()
        || app.gateway.has_answered()
        || app.config.orders.without_redis == WithoutRedis::Database;
    let is_ready = app.store.has_been_ready() && does_without && !app.draining.is_cancelled();
    let (status, word) = match is_ready {
        true if app.gateway.sells() && redis.is_ok() && mysql.is_ok() => (StatusCode::OK, "ready"),
        true => (StatusCode::OK, "degraded"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let document = json!({
        "status": word,
        "redis": describe(redis),
        "mysql": describe(mysql),
        "draining": app.draining.is_cancelled(),
    });
    super::json(status, &document)
}

/// Who asks waits less than a second, whatever a database that hangs takes.
async fn is_ready(store: &Store) -> Result<(), store::Error> {
    let asked = tokio::time::timeout(PATIENCE, store.is_ready()).await;
    asked.unwrap_or(Err(store::Error::Unanswered))
}

fn metrics(app: &App) -> Answer {
    let text = app.metrics.text().map_err(Problem::internal)?;
    let mut response = Response::new(in_memory(text));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static(metrics::CONTENT_TYPE),
    );
    Ok(response)
}

fn describe(checked: Result<(), impl std::fmt::Display>) -> Value {
    checked.map_or_else(|error| json!(error.to_string()), |()| json!("ok"))
}
