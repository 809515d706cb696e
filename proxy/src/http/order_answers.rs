//! What is answered about an order: how its saga ended, or how an earlier request found it.

use hyper::header::{HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::idempotency::REPLAYED;
use super::{Answer as HttpAnswer, Body, Call, Kind, Problem, json};
use crate::gateway::inventory::{Outcome, Word};
use crate::orders::{Order, Reason, Status};
use crate::saga::machine::Answer;
use crate::saga::runner::Ending;
use crate::store::allowance::NotAllowed;

/// The answer for an order whose saga has ended, or goes on without the client.
pub(super) async fn tell(call: &Call, mut order: Order, ending: Ending) -> HttpAnswer {
    match ending.answer {
        Answer::Confirmed => {
            order.status = Status::Confirmed;
            order_answer(StatusCode::CREATED, &order)
        }
        Answer::Pending => order_answer(StatusCode::ACCEPTED, &order),
        Answer::Refused(reason) => match first_reason(call, &order, reason).await {
            Reason::OutOfStock => Err(out_of_stock(&order, &ending.refused_lines)),
            Reason::SoldOut | Reason::StockRefused => {
                Err(out_of_stock(&order, &now_available(call, &order).await))
            }
            Reason::BuyerLimit if let Some(why) = &ending.not_allowed => Err(not_allowed(why)),
            reason => Err(refusal(reason, order.id)),
        },
        Answer::TooLate => Err(cannot_cancel(&order)),
    }
}

/// Why the order was called off first: a saga that finds its units gone, or its payment declined or
/// given back, may have been overtaken by a cancellation.
async fn first_reason(call: &Call, order: &Order, reason: Reason) -> Reason {
    let may_be_overtaken = matches!(
        reason,
        Reason::SoldOut | Reason::HoldExpired | Reason::PaymentDeclined | Reason::Abandoned
    );
    if !may_be_overtaken {
        return reason;
    }
    let found = call.app.store.order(order.id).await.ok().flatten();
    let first = found.and_then(|order| Reason::from_word(&order.reason?));
    first.unwrap_or(reason)
}

/// The answer for an order that a request finds done already.
pub(super) fn tell_again(order: &Order) -> HttpAnswer {
    let reason = order.reason.as_deref().and_then(Reason::from_word);
    let mut answer = match (order.status, reason) {
        (Status::Confirmed, _) => order_answer(StatusCode::CREATED, order)?,
        _ if !order.is_called_off() => {
            let detail = format!(
                "order {} is being worked on; look at GET /v1/orders/{}",
                order.id, order.id
            );
            return Err(Problem::new(Kind::RequestInFlight, detail));
        }
        (_, Some(reason)) if reason == Reason::PaymentDeclined || reason.is_cancellation() => {
            refusal(reason, order.id).into_response()
        }
        _ => {
            let detail = format!(
                "order {} was called off and its units given back, and any payment is given back; start another",
                order.id
            );
            Problem::new(Kind::HoldEnded, detail).into_response()
        }
    };
    answer
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(answer)
}

/// The refusal of a buyer who may not have so much.
pub(super) fn not_allowed(why: &NotAllowed) -> Problem {
    match why {
        NotAllowed::Guest { sku, limit } => Problem::new(
            Kind::Forbidden,
            format!(
                "{sku} is sold to registered buyers only, {limit} to each; register, log in and order again"
            ),
        )
        .with("sku", json!(sku)),
        NotAllowed::OverLimit { sku, limit, bought } => Problem::new(
            Kind::BuyerLimit,
            format!(
                "one buyer may have {limit} of {sku}, and you have {bought} already; nothing was bought or charged"
            ),
        )
        .with("sku", json!(sku))
        .with("limit", json!(limit))
        .with("bought", json!(bought)),
    }
}

/// The refusal of a cancellation that comes too late.
pub(super) fn cannot_cancel(order: &Order) -> Problem {
    let detail = format!(
        "order {} can no longer be cancelled; it stays as it is",
        order.id
    );
    Problem::new(Kind::CannotCancel, detail)
}

fn order_answer(status: StatusCode, order: &Order) -> HttpAnswer {
    let mut answer: Response<Body> = json(status, order)?;
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/orders/{}", order.id)) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

/// Names every line that is short, and what is available of it.
pub(super) fn out_of_stock(order: &Order, outcomes: &[Outcome]) -> Problem {
    let lines = order
        .lines
        .iter()
        .zip(outcomes)
        .filter(|(line, outcome)| outcome.available < line.quantity);
    let lines: Vec<Value> = lines
        .map(|(line, outcome)| {
            json!({ "sku": line.sku, "requested": line.quantity, "available": outcome.available })
        })
        .collect();
    let detail = "fewer units are available than were asked for; nothing was bought or held, and any payment is given back";
    Problem::new(Kind::OutOfStock, detail).with("lines", Value::Array(lines))
}

/// What is available of each line where Redis and MySQL may disagree: the lesser of their words.
async fn now_available(call: &Call, order: &Order) -> Vec<Outcome> {
    let holds = order.holds();
    let asked = call.app.gateway.availability(&holds).await;
    let mut outcomes = asked.unwrap_or_else(|_| vec![UNKNOWN; holds.len()]);
    for (line, outcome) in order.lines.iter().zip(&mut outcomes) {
        if let Ok(unsold) = call.app.store.unsold(&line.sku).await {
            outcome.available = outcome.available.min(unsold);
        }
    }
    outcomes
}

/// Without an answer from Redis, MySQL alone says what there is.
const UNKNOWN: Outcome = Outcome {
    word: Word::Ok,
    available: i64::MAX,
    seq: 0,
    deadline_ms: 0,
    replayed: false,
};

fn refusal(reason: Reason, order: Uuid) -> Problem {
    match reason {
        Reason::PaymentDeclined => Problem::new(
            Kind::PaymentDeclined,
            "the payment was declined; nothing was bought or charged; try another card",
        ),
        Reason::PaymentFailed => Problem::new(
            Kind::Unavailable,
            "the payment provider does not answer; nothing was bought, and any payment is given back; try again in a moment",
        ),
        Reason::KeyTaken => {
            Problem::new(Kind::RequestInFlight, "the same request is being worked on")
        }
        Reason::Overloaded => Problem::new(
            Kind::Overloaded,
            "more orders arrive than can be written; nothing was bought or charged; try again in a moment",
        ),
        Reason::HoldExpired => Problem::new(
            Kind::HoldEnded,
            format!(
                "hold {order} has ended, and its units are gone; nothing was bought or charged"
            ),
        ),
        Reason::CancelledByShopper | Reason::CancelledBySupport => Problem::new(
            Kind::OrderCancelled,
            format!("order {order} was cancelled; any payment is given back"),
        ),
        _ => Problem::new(
            Kind::Unavailable,
            "the order could not be taken; nothing was bought, and any payment is given back; try again in a moment",
        ),
    }
}
