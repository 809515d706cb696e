//! `/v1/admin/orders`: what the people of the shop see of orders, and do with them.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::moment::Moment;
use super::orders::call_off;
use super::page::Limit;
use super::{Answer, Call, Kind, Problem, json};
use crate::catalogue::Sku;
use crate::orders::{Actor, Author, Order, Reason, Status, Step};
use crate::people::Email;
use crate::store::order_search::OrderSearch;

const LONGEST_NOTE: usize = 255;

/// Which of all orders are asked for: those of which all that is given holds.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SupportQuery {
    #[serde(default)]
    limit: Limit,
    /// Those of this user, or of this guest.
    user_id: Option<Uuid>,
    /// Those of the user with this e-mail address.
    email: Option<String>,
    /// Those that are so far.
    status: Option<Status>,
    /// Those with this product.
    sku: Option<Sku>,
    /// Those that were placed then or later.
    from: Option<Moment>,
    /// Those that were placed earlier than then.
    to: Option<Moment>,
    /// The list begins behind this order.
    before: Option<Uuid>,
}

/// Some of all orders.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SupportPage {
    /// The newest first.
    orders: Vec<BuyersOrder>,
    /// The `before` of the next part; null at the end.
    next: Option<Uuid>,
}

/// An order, and whose it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BuyersOrder {
    #[serde(flatten)]
    order: Order,
    /// A user's id, or an id of the guest's own.
    user_id: Uuid,
}

/// All that is known of an order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OrderFile {
    #[serde(flatten)]
    order: BuyersOrder,
    /// The user's e-mail address; null for a guest.
    email: Option<String>,
    /// The provider's name for the payment, once it has one.
    payment_id: Option<String>,
    /// What was decided of its holds, for ever: COMMITTED, ABORTED, or null while nothing is.
    outcome: Option<String>,
    /// True when nothing is left to do: its units and its money are where they belong.
    is_settled: bool,
    /// Why it is PARKED.
    error: Option<String>,
    /// What became of it, step by step.
    events: Vec<Step>,
}

/// Why the shop cancels an order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancellationForm {
    /// For the order's history, which only support sees; at most 255 characters.
    #[schemars(length(max = 255))]
    note: Option<String>,
}

/// `GET /v1/admin/orders`
pub async fn list(call: Call) -> Answer {
    let query: SupportQuery = call.asked()?;
    let named = match &query.email {
        Some(email) => Some(user_of(&call, email).await?),
        None => None,
    };
    let is_nobody = match (named, query.user_id) {
        (Some(None), _) => true,
        (Some(Some(named)), Some(user)) => named != user,
        _ => false,
    };
    if is_nobody {
        let nothing = SupportPage {
            orders: Vec::new(),
            next: None,
        };
        return json(StatusCode::OK, &nothing);
    }
    let search = OrderSearch {
        user_id: named.flatten().or(query.user_id),
        status: query.status,
        sku: query.sku,
        from: query.from.map(Moment::get),
        to: query.to.map(Moment::get),
        before: query.before,
    };
    let found = call.app.store.find_orders(&search, query.limit.get());
    let (orders, more) = found.await?;
    let next = orders.last().filter(|_| more).map(|order| order.id);
    let orders = orders.into_iter().map(BuyersOrder::from).collect();
    json(StatusCode::OK, &SupportPage { orders, next })
}

/// `GET /v1/admin/orders/{order_id}`
pub async fn get(call: Call) -> Answer {
    let order = any_order(&call).await?;
    json(StatusCode::OK, &file_of(&call, order).await?)
}

/// `POST /v1/admin/orders/{order_id}/cancel`
pub async fn cancel(mut call: Call) -> Answer {
    let CancellationForm { note } = call.json().await?;
    if note
        .as_ref()
        .is_some_and(|note| note.chars().count() > LONGEST_NOTE)
    {
        let detail = format!("note: must have at most {LONGEST_NOTE} characters");
        return Err(Problem::new(Kind::InvalidValue, detail));
    }
    let order = any_order(&call).await?;
    let canceller = if call.is_operator() {
        Author {
            note,
            ..Actor::Operator.into()
        }
    } else {
        Author {
            actor: Actor::Support,
            user_id: Some(call.identity().await?.owner),
            note,
        }
    };
    call_off(&call, &order, Reason::CancelledBySupport, canceller).await?;
    let order = any_order(&call).await?;
    json(StatusCode::OK, &file_of(&call, order).await?)
}

async fn user_of(call: &Call, email: &str) -> Result<Option<Uuid>, Problem> {
    // What is no address is nobody's.
    let Ok(email) = email.parse::<Email>() else {
        return Ok(None);
    };
    let user = call.app.store.user_by_email(&email).await?;
    Ok(user.map(|user| user.id))
}

async fn any_order(call: &Call) -> Result<Order, Problem> {
    let id = call.id("order_id")?;
    let order = call.app.store.order(id).await?;
    order.ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no order {id}")))
}

async fn file_of(call: &Call, order: Order) -> Result<OrderFile, Problem> {
    let store = &call.app.store;
    let standing = store.order_standing(order.id).await?;
    let user = store.user(order.user_id).await?;
    Ok(OrderFile {
        email: user.map(|user| user.email.as_str().to_owned()),
        payment_id: standing.payment_id,
        outcome: standing.outcome,
        is_settled: standing.is_settled,
        error: standing.error,
        events: store.order_history(order.id).await?,
        order: order.into(),
    })
}

impl From<Order> for BuyersOrder {
    fn from(order: Order) -> Self {
        Self {
            user_id: order.user_id,
            order,
        }
    }
}
