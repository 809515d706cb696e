//! `/v1/holds`: hold at checkout, pay later. A hold's id becomes the id of its order.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::order_answers::{out_of_stock, tell, tell_again};
use super::orders::{PaymentForm, buy, priced};
use super::{Answer as HttpAnswer, Call, Kind, Problem, json, no_content};
use crate::gateway::holds::CheckoutHold;
use crate::gateway::inventory::{Line, Outcome, Word};
use crate::gateway::reservation::Taking;
use crate::orders::{Actor, Item, MAX_LINES, Order, OrderLine, Reason};
use crate::saga::machine::Answer;
use crate::saga::runner::Purchase;
use crate::store::undo::Aborted;

/// What is held, and for how long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "items": [{ "sku": "TEA-CADDY", "quantity": 1 }], "ttl_ms": 60000 }]))]
pub struct HoldForm {
    #[schemars(length(min = 1, max = MAX_LINES))]
    items: Vec<Item>,
    /// At most, and if left out, `holds.checkout_ttl_ms`.
    #[schemars(range(min = 1))]
    ttl_ms: Option<u64>,
}

/// How long a hold shall last from now.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendForm {
    /// At most `holds.checkout_ttl_ms`.
    #[schemars(range(min = 1), extend("examples" = [60000]))]
    ttl_ms: u64,
}

/// How a hold is paid for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmForm {
    payment: PaymentForm,
}

/// A hold, and how it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Hold {
    /// Becomes the id of its order.
    hold_id: Uuid,
    /// HELD, PREPARED, CONFIRMED, RELEASED or EXPIRED.
    state: String,
    /// When it ends by itself, ms since 1970; 0 where there is no deadline any more.
    expires_at_ms: i64,
    /// What is held, at the prices of when it was taken.
    items: Vec<OrderLine>,
}

/// `POST /v1/holds`
pub async fn take(mut call: Call) -> HttpAnswer {
    let owner = call.identity().await?.owner;
    let form: HoldForm = call.json().await?;
    let ttl_ms = checked_ttl(
        &call,
        form.ttl_ms.unwrap_or(call.app.config.holds.checkout_ttl_ms),
    )?;
    let hold = CheckoutHold {
        owner,
        priced: priced(&call, owner, &form.items).await?,
    };
    let id = Uuid::now_v7();
    let gateway = &call.app.gateway;
    gateway.write_hold(id, &hold, ttl_ms).await?;
    let rebuilder = &call.app.sagas.rebuilder;
    let reserved = rebuilder
        .reserve_all(id, &lines(&hold), ttl_ms, Taking::New)
        .await;
    let reservation = match reserved {
        Ok(reservation) => reservation,
        Err(error) => {
            // It may be held, and nobody will be told its id; what this misses, the deadline frees.
            let _released = gateway.release_all(id, &lines(&hold)).await;
            return Err(error.into());
        }
    };
    if reservation.word != Word::Reserved {
        gateway.forget_hold(id).await?;
        let order = Order::new(id, owner, hold.priced);
        return Err(out_of_stock(&order, &reservation.lines));
    }
    json(
        StatusCode::CREATED,
        &document(id, "HELD", deadline(&reservation.lines), hold.priced.lines),
    )
}

/// `GET /v1/holds/{hold_id}`
pub async fn get(call: Call) -> HttpAnswer {
    let (id, hold) = own_hold(&call).await?;
    let first = lines(&hold).first().copied().ok_or_else(|| unknown(id))?;
    // The lines of a hold move together, so one speaks for all.
    let state = call
        .app
        .gateway
        .hold_state(id, first)
        .await?
        .ok_or_else(|| unknown(id))?;
    json(
        StatusCode::OK,
        &document(id, &state.state, state.deadline_ms, hold.priced.lines),
    )
}

/// `PATCH /v1/holds/{hold_id}`
pub async fn extend(mut call: Call) -> HttpAnswer {
    let (id, hold) = own_hold(&call).await?;
    let form: ExtendForm = call.json().await?;
    let ttl_ms = checked_ttl(&call, form.ttl_ms)?;
    let gateway = &call.app.gateway;
    let outcomes = gateway.extend_all(id, &lines(&hold), ttl_ms).await?;
    if let Some(other) = outcomes
        .iter()
        .find(|outcome| outcome.word != Word::Extended)
    {
        return Err(match order_of(&call, id, other.word).await? {
            Some(order) if order.is_called_off() => cancelled(id),
            _ => ended(id, other.word),
        });
    }
    gateway.keep_hold(id, ttl_ms).await?;
    json(
        StatusCode::OK,
        &document(id, "HELD", deadline(&outcomes), hold.priced.lines),
    )
}

/// `DELETE /v1/holds/{hold_id}`
pub async fn release(call: Call) -> HttpAnswer {
    let (id, hold) = own_hold(&call).await?;
    if call.app.store.order(id).await?.is_some() {
        return Err(Problem::new(
            Kind::HoldEnded,
            format!("hold {id} has become order {id}"),
        ));
    }
    // A confirmation may be at the hold this very moment. MySQL decides between the two: once it is
    // called off there, its units cannot be sold any more and may be given back.
    let order = Order::new(id, hold.owner, hold.priced.clone());
    let reason = Reason::CancelledByShopper;
    let aborted = call
        .app
        .store
        .abort_order(&order, reason, &Actor::Shopper.into())
        .await?;
    if aborted == Aborted::CommittedBefore {
        return Err(ended(id, Word::Confirmed));
    }
    let outcomes = call.app.gateway.release_all(id, &lines(&hold)).await?;
    match outcomes
        .iter()
        .find(|outcome| outcome.word == Word::AlreadyConfirmed)
    {
        Some(sold) => Err(ended(id, sold.word)),
        None => no_content(),
    }
}

/// `POST /v1/holds/{hold_id}/confirm`
pub async fn confirm(mut call: Call) -> HttpAnswer {
    let (id, hold) = own_hold(&call).await?;
    let form: ConfirmForm = call.json().await?;
    let card = form.payment.checked()?.to_owned();
    // The hold's id is the order's, so a confirmation that comes again finds the order.
    if let Some(order) = call.app.store.order(id).await? {
        return tell_again(&order);
    }
    let order = Order::new(id, hold.owner, hold.priced);
    let ending = buy(
        &call,
        Purchase {
            order: order.clone(),
            card,
            key: None,
            is_held: true,
        },
    )
    .await;
    let refused = matches!(
        ending.answer,
        Answer::Refused(Reason::OutOfStock | Reason::KeyTaken | Reason::Abandoned)
    );
    // Another confirmation of the same hold, or its release, may have come first.
    if refused && let Some(order) = call.app.store.order(id).await? {
        return tell_again(&order);
    }
    if ending.answer == Answer::Refused(Reason::OutOfStock) {
        let why = ending
            .refused_lines
            .iter()
            .find(|line| line.word != Word::Ok);
        return Err(ended(id, why.map_or(Word::Expired, |line| line.word)));
    }
    tell(&call, order, ending).await
}

/// The hold in the path, if it is the asker's own.
async fn own_hold(call: &Call) -> Result<(Uuid, CheckoutHold), Problem> {
    let owner = call.identity().await?.owner;
    let id = call.id("hold_id")?;
    let hold = call.app.gateway.read_hold(id).await?;
    // Somebody else's hold is as unknown as none, so that ids cannot be tried out.
    let own = hold.filter(|hold| hold.owner == owner);
    Ok((id, own.ok_or_else(|| unknown(id))?))
}

/// The order that a hold has become which Redis has sold. Cancelled since, it is still sold there.
async fn order_of(call: &Call, id: Uuid, word: Word) -> Result<Option<Order>, Problem> {
    match word {
        Word::Confirmed | Word::AlreadyConfirmed => Ok(call.app.store.order(id).await?),
        _ => Ok(None),
    }
}

fn cancelled(id: Uuid) -> Problem {
    let detail = format!("hold {id} has ended: its order was cancelled");
    Problem::new(Kind::HoldEnded, detail)
}

fn unknown(id: Uuid) -> Problem {
    Problem::new(Kind::NotFound, format!("there is no hold {id}"))
}

fn ended(id: Uuid, word: Word) -> Problem {
    let how = match word {
        Word::Expired => "its deadline has passed",
        Word::Released => "it was released",
        Word::Confirmed | Word::AlreadyConfirmed => "it is sold",
        Word::Prepared => "it is being paid for",
        _ => "it is not known any more",
    };
    Problem::new(Kind::HoldEnded, format!("hold {id} has ended: {how}"))
}

fn checked_ttl(call: &Call, ttl_ms: u64) -> Result<u64, Problem> {
    let longest = call.app.config.holds.checkout_ttl_ms;
    if (1..=longest).contains(&ttl_ms) {
        Ok(ttl_ms)
    } else {
        Err(Problem::new(
            Kind::InvalidValue,
            format!("'ttl_ms' must be from 1 to {longest}"),
        ))
    }
}

fn lines(hold: &CheckoutHold) -> Vec<Line<'_>> {
    hold.priced
        .lines
        .iter()
        .map(|line| (&line.sku, line.quantity))
        .collect()
}

fn deadline(outcomes: &[Outcome]) -> i64 {
    outcomes
        .iter()
        .map(|outcome| outcome.deadline_ms)
        .min()
        .unwrap_or_default()
}

fn document(hold_id: Uuid, state: &str, expires_at_ms: i64, items: Vec<OrderLine>) -> Hold {
    Hold {
        hold_id,
        state: state.to_owned(),
        expires_at_ms,
        items,
    }
}
