//! Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): a request that comes again
//! under its key is done once, and answered as it was the first time.
//!
//! A marker in Redis says at once what is in flight and what was answered, to every proxy. It is a
//! memory, not the guard: where Redis has forgotten, the order and its key in MySQL decide
//! (`idempotency_keys`, unique), and a hold's id is its order's.

mod decision;
mod key;

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::http::HeaderName as Name;
use hyper::{Response, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::decision::{Decision, Memory, decide, memory};
use super::{Answer, Body, Call, Kind, Problem, in_memory, order_answers};
use crate::app::App;
use crate::gateway;
use crate::gateway::idempotency::{Marker, ScopedKey, StoredAnswer};
use crate::orders::Status;
use crate::store::committer::IdempotencyKey;

const IDEMPOTENCY_KEY: HeaderName = Name::from_static("idempotency-key");
/// Says that an answer repeats an earlier one.
pub const REPLAYED: HeaderName = Name::from_static("idempotency-replayed");

/// Lets `handle` do the request, unless it was or is being done. Without a key it is always done.
pub async fn once<A>(mut call: Call, handle: impl FnOnce(Call) -> A) -> Answer
where
    A: Future<Output = Answer>,
{
    let Some(key) = read_key(&call.head.headers)? else {
        return handle(call).await;
    };
    let owner = call.identity().await?.owner;
    let request_hash = request_hash(&mut call).await?;
    let app = call.app.clone();
    let scoped = ScopedKey { owner, key: &key };
    let marker = Marker {
        request_hash,
        attempt: Uuid::now_v7(),
        answer: None,
    };
    call.idempotency_key = Some(IdempotencyKey {
        key: key.clone(),
        request_hash,
        expiry_ms: app.config.idempotency.expiry_ms,
    });
    let claimed = app
        .gateway
        .claim_request(scoped, &marker, longest_flight_ms(&app))
        .await;
    let found = match claimed {
        // What goes on without Redis goes on without the marker.
        Err(gateway::Error::Away) => return handle(call).await,
        claimed => claimed?,
    };
    match decide(found, &request_hash) {
        Decision::Proceed => {}
        Decision::Replay(answer) => return Ok(replayed(answer)),
        Decision::InFlight => return answer_in_flight(&call, owner, &key, &request_hash).await,
        Decision::Mismatch => return Err(mismatch()),
    }
    let answer = handle(call).await;
    finish(&app, scoped, &marker, answer).await
}

/// The refusal of a request under a key that stands for another one.
pub fn mismatch() -> Problem {
    Problem::new(
        Kind::Mismatch,
        "this Idempotency-Key was used for a different request",
    )
}

fn read_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let malformed = || {
        Problem::new(
            Kind::InvalidValue,
            "Idempotency-Key must be one string of 1 to 255 ASCII characters, such as \"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
        )
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed());
    }
    key::parse(value.as_bytes()).map(Some).ok_or_else(malformed)
}

/// Of method, path and body. JSON counts by what it says, not by its spaces and its members' order.
async fn request_hash(call: &mut Call) -> Result<[u8; 32], Problem> {
    let body = call.read_body().await?;
    let said = serde_json::from_slice::<Value>(&body).map(|json| json.to_string().into());
    let mut hasher = Sha256::new();
    for part in [call.head.method.as_str(), call.head.uri.path()] {
        hasher.update(part);
        hasher.update([0]);
    }
    hasher.update(said.unwrap_or(body));
    Ok(hasher.finalize().into())
}

/// After so long nobody works on a request any more, whatever became of its proxy.
fn longest_flight_ms(app: &App) -> u64 {
    app.config.http.request_timeout_ms + 2 * app.config.redis.timeout_ms
}

/// Its proxy may have died after the sale, so the database is asked before the client has to wait.
async fn answer_in_flight(call: &Call, owner: Uuid, key: &str, request_hash: &[u8; 32]) -> Answer {
    let store = &call.app.store;
    let known = store.known_request(owner, key).await?;
    let order_id = match known {
        Some(known) if known.request_hash == *request_hash => Some(known.order_id),
        _ => call.id("hold_id").ok(),
    };
    let order = match order_id {
        Some(id) => store.order(id).await?,
        None => None,
    };
    match order {
        Some(order) if order.status == Status::Confirmed && order.user_id == owner => {
            order_answers::tell_again(&order)
        }
        _ => Err(Problem::new(
            Kind::RequestInFlight,
            "the same request is being worked on; send it again in a moment for its answer",
        )),
    }
}

/// Keeps what is to be told again, before it is told the first time. Where Redis fails now, the
/// marker ends by itself.
async fn finish(app: &App, key: ScopedKey<'_>, marker: &Marker, answer: Answer) -> Answer {
    let problem = answer.as_ref().err().map(Problem::kind);
    let response = answer.unwrap_or_else(Problem::into_response);
    let finished = match memory(response.status(), problem, &app.config.idempotency) {
        Memory::Keep(lifetime) => {
            let (response, stored) = stored(response).await?;
            let kept = app
                .gateway
                .keep_answer(key, marker, stored, milliseconds(lifetime))
                .await;
            return logged(kept, response);
        }
        Memory::Forget => app.gateway.forget_request(key, marker).await,
        Memory::Leave => Ok(()),
    };
    logged(finished, response)
}

fn logged(finished: Result<(), gateway::Error>, response: Response<Body>) -> Answer {
    if let Err(error) = finished
        && !matches!(error, gateway::Error::Away)
    {
        tracing::warn!(%error, "what became of a request with an Idempotency-Key is not remembered");
    }
    Ok(response)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn stored(response: Response<Body>) -> Result<(Response<Body>, StoredAnswer), Problem> {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.map_err(Problem::internal)?.to_bytes();
    let header = |name: HeaderName| {
        let value = head.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let answer = StoredAnswer {
        status: head.status.as_u16(),
        content_type: header(CONTENT_TYPE),
        location: header(LOCATION),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    Ok((Response::from_parts(head, in_memory(bytes)), answer))
}

fn replayed(answer: StoredAnswer) -> Response<Body> {
    let mut response = Response::new(in_memory(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, answer.content_type),
        (LOCATION, answer.location),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
