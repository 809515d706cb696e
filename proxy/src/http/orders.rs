//! `/v1/orders`: buy, and look at what was bought.

use std::time::Duration;

use hyper::{Response, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::idempotency::mismatch;
use super::moment::Moment;
use super::order_answers::{cannot_cancel, not_allowed, tell, tell_again};
use super::page::Limit;
use super::{Answer as HttpAnswer, Body, Call, Kind, Problem, json};
use crate::catalogue::Sku;
use crate::orders::{
    Actor, Author, Item, MAX_LINES, Order, Priced, Reason, RequestError, Status, Step, gather,
    price,
};
use crate::saga::machine::Answer;
use crate::saga::runner::{Ending, Purchase};
use crate::store::committer::IdempotencyKey;
use crate::store::order_search::OrderSearch;

/// One that is not a space, among what is no control character.
const CARD: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// How the buyer pays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Payment")]
pub struct PaymentForm {
    /// 1 to 64 characters, none of them a control character and not all of them spaces.
    #[schemars(length(min = 1, max = 64), extend("pattern" = CARD, "examples" = ["4242424242424242"]))]
    card: String,
}

/// What is bought: `items`, or all that is in the cart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [
        {
            "required": ["items"],
            "properties": { "items": { "type": "array" }, "cart": { "const": false } },
        },
        {
            "required": ["cart"],
            "properties": { "items": { "type": "null" }, "cart": { "const": true } },
        },
    ],
    "examples" = [
        {
            "items": [{ "sku": "TEA-CADDY", "quantity": 1 }],
            "payment": { "card": "4242424242424242" },
        },
        { "cart": true, "payment": { "card": "4242424242424242" } },
    ],
))]
pub struct OrderForm {
    #[schemars(length(min = 1, max = MAX_LINES))]
    items: Option<Vec<Item>>,
    /// True for all that is in the cart.
    #[serde(default)]
    cart: bool,
    payment: PaymentForm,
}

/// Which of the orders are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OrderQuery {
    #[serde(default)]
    limit: Limit,
    /// Those that are so far.
    status: Option<Status>,
    /// Those that were placed then or later.
    from: Option<Moment>,
    /// Those that were placed earlier than then.
    to: Option<Moment>,
    /// The list begins behind this order.
    before: Option<Uuid>,
}

/// Some of the orders.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OrderPage {
    /// The newest first.
    orders: Vec<Order>,
    /// The `before` of the next part; null at the end.
    next: Option<Uuid>,
}

/// What became of an order, step by step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OrderEvents {
    /// The oldest first.
    events: Vec<Step>,
}

/// `POST /v1/orders`
pub async fn place(mut call: Call) -> HttpAnswer {
    let owner = call.identity().await?.owner;
    let form: OrderForm = call.json().await?;
    let card = form.payment.checked()?.to_owned();
    let key = call.idempotency_key.clone();
    if let Some(key) = &key
        && let Some(answer) = replay(&call, owner, key).await?
    {
        return Ok(answer);
    }
    let items = match (&form.items, form.cart) {
        (Some(items), false) => items.clone(),
        (None, true) => cart_items(&call, owner).await?,
        _ => {
            return Err(Problem::new(
                Kind::InvalidBody,
                "give either 'items' or '\"cart\": true'",
            ));
        }
    };
    let order = Order {
        from_cart: form.cart,
        ..Order::new(Uuid::now_v7(), owner, priced(&call, owner, &items).await?)
    };
    let purchase = Purchase {
        order: order.clone(),
        card,
        key: key.clone(),
        is_held: false,
    };
    let ending = buy(&call, purchase).await;
    if ending.answer == Answer::Refused(Reason::KeyTaken)
        && let Some(key) = &key
        && let Some(answer) = replay(&call, owner, key).await?
    {
        return Ok(answer);
    }
    tell(&call, order, ending).await
}

/// `GET /v1/orders?status&from&to&before&limit`
pub async fn list(call: Call) -> HttpAnswer {
    let owner = call.identity().await?.owner;
    let query: OrderQuery = call.asked()?;
    let search = OrderSearch {
        user_id: Some(owner),
        status: query.status,
        from: query.from.map(Moment::get),
        to: query.to.map(Moment::get),
        before: query.before,
        sku: None,
    };
    let found = call.app.store.find_orders(&search, query.limit.get());
    let (orders, more) = found.await?;
    let next = orders.last().filter(|_| more).map(|order| order.id);
    json(StatusCode::OK, &OrderPage { orders, next })
}

/// `GET /v1/orders/{order_id}`
pub async fn get(call: Call) -> HttpAnswer {
    let order = call.app.store.order_to_show(call.id("order_id")?).await;
    json(StatusCode::OK, &own(&call, order?).await?)
}

/// `GET /v1/orders/{order_id}/events`
pub async fn events(call: Call) -> HttpAnswer {
    let order = call.app.store.order_to_show(call.id("order_id")?).await;
    let order = own(&call, order?).await?;
    let history = call.app.store.order_history(order.id).await?;
    let events = history.into_iter().map(Step::for_its_shopper).collect();
    json(StatusCode::OK, &OrderEvents { events })
}

/// `POST /v1/orders/{order_id}/cancel`
pub async fn cancel(call: Call) -> HttpAnswer {
    let order = own_order(&call).await?;
    let (reason, shopper) = (Reason::CancelledByShopper, Actor::Shopper.into());
    call_off(&call, &order, reason, shopper).await?;
    json(StatusCode::OK, &own_order(&call).await?)
}

/// Has an order cancelled, unless it came to nothing already.
pub(super) async fn call_off(
    call: &Call,
    order: &Order,
    reason: Reason,
    canceller: Author,
) -> Result<(), Problem> {
    match order.status {
        Status::Cancelled | Status::Expired | Status::Refunded => return Ok(()),
        Status::Parked => return Err(cannot_cancel(order)),
        Status::Pending | Status::Paid | Status::Confirmed => {}
    }
    let ending = call.app.sagas.cancel(order.clone(), reason, canceller);
    match wait_for(call, ending).await.answer {
        Answer::Refused(_) => Ok(()),
        Answer::TooLate => Err(cannot_cancel(order)),
        Answer::Confirmed | Answer::Pending => Err(Problem::new(
            Kind::Unavailable,
            format!(
                "it is not known yet whether order {} could be cancelled; look at GET /v1/orders/{}, or send the same again",
                order.id, order.id
            ),
        )),
    }
}

/// The order in the path, if it is the asker's own.
async fn own_order(call: &Call) -> Result<Order, Problem> {
    let order = call.app.store.order(call.id("order_id")?).await?;
    own(call, order).await
}

async fn own(call: &Call, order: Option<Order>) -> Result<Order, Problem> {
    let owner = call.identity().await?.owner;
    let id: Uuid = call.id("order_id")?;
    // Somebody else's order is as unknown as none, so that ids cannot be tried out.
    order
        .filter(|order| order.user_id == owner)
        .ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no order {id}")))
}

impl PaymentForm {
    /// The card, if it could be one.
    pub(super) fn checked(&self) -> Result<&str, Problem> {
        let card = self.card.trim();
        if card.is_empty() || card.chars().count() > 64 || card.chars().any(char::is_control) {
            return Err(Problem::new(
                Kind::InvalidValue,
                "'payment.card' must have 1 to 64 characters",
            ));
        }
        Ok(card)
    }
}

/// Looks the products up and prices the items. A buyer who may not have so much of them learns it
/// here, before anything is held.
pub(super) async fn priced(call: &Call, buyer: Uuid, items: &[Item]) -> Result<Priced, Problem> {
    let items = gather(items)?;
    let skus: Vec<&Sku> = items.iter().map(|item| &item.sku).collect();
    let products = call.app.store.products(&skus).await?;
    let priced = price(&items, &products)?;
    if products.iter().any(|product| product.buyer_limit.is_some())
        && let Some(why) = call.app.store.not_allowed(buyer, &priced.lines).await?
    {
        return Err(not_allowed(&why));
    }
    Ok(priced)
}

/// Starts the saga and waits for its end, but not past the request's deadline.
pub(super) async fn buy(call: &Call, purchase: Purchase) -> Ending {
    let ending = call.app.sagas.buy(purchase);
    wait_for(call, ending).await
}

async fn wait_for(call: &Call, ending: oneshot::Receiver<Ending>) -> Ending {
    let patience = call
        .app
        .config
        .http
        .request_timeout()
        .mul_f32(0.8)
        .max(Duration::from_millis(1));
    match tokio::time::timeout(patience, ending).await {
        Ok(Ok(ending)) => ending,
        // The saga runs on; nothing else is known here.
        _ => Ending {
            answer: Answer::Pending,
            refused_lines: Vec::new(),
            not_allowed: None,
        },
    }
}

async fn cart_items(call: &Call, owner: Uuid) -> Result<Vec<Item>, Problem> {
    let lines = call.app.gateway.cart(owner).await?;
    if lines.is_empty() {
        return Err(Problem::new(
            Kind::EmptyCart,
            "there is nothing in the cart to order",
        ));
    }
    Ok(lines
        .into_iter()
        .map(|(sku, quantity)| Item { sku, quantity })
        .collect())
}

/// The answer of an earlier request with the same key, if it led to anything that stands.
async fn replay(
    call: &Call,
    owner: Uuid,
    key: &IdempotencyKey,
) -> Result<Option<Response<Body>>, Problem> {
    let store = &call.app.store;
    let Some(known) = store.known_request(owner, &key.key).await? else {
        return Ok(None);
    };
    if known.request_hash != key.request_hash {
        return Err(mismatch());
    }
    let Some(order) = store.order(known.order_id).await? else {
        return Ok(None);
    };
    let reason = order.reason.as_deref().and_then(Reason::from_word);
    let is_final =
        reason.is_some_and(|reason| reason == Reason::PaymentDeclined || reason.is_cancellation());
    if order.is_called_off() && !is_final {
        // It came to nothing for a reason that may have passed, so it may be tried anew.
        store.forget_request(owner, &key.key, order.id).await?;
        return Ok(None);
    }
    tell_again(&order).map(Some)
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match &error {
            RequestError::UnknownProducts(skus) => {
                let skus = json!(skus);
                Problem::new(Kind::NotFound, error.to_string()).with("skus", skus)
            }
            RequestError::TooMany { .. } | RequestError::Currencies | RequestError::TooLarge => {
                Problem::new(Kind::NotOneOrder, error.to_string())
            }
            _ => Problem::new(Kind::InvalidValue, error.to_string()),
        }
    }
}
