//! `/v1/webhooks`: what other servers tell. No session: a signature says who it is.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Answer, Call, Kind, Problem, no_content};
use crate::payment::webhook::{self, Rejection};
use crate::store::payment_notices::Noted;

/// `POST /v1/webhooks/payment`
pub async fn payment(mut call: Call) -> Answer {
    if call.app.webhook_secrets.is_empty() {
        return Err(Problem::new(
            Kind::Forbidden,
            "no webhooks are taken: set payment.webhook_secret_file",
        ));
    }
    let body = call.read_body().await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_s = now.map_err(Problem::internal)?.as_secs();
    let secrets = &call.app.webhook_secrets;
    let notice = webhook::verify(&call.head.headers, &body, secrets, now_s).map_err(rejected)?;
    let lease_ms = call.app.config.recovery.lease_ms;
    let order = notice.order_id;
    let store = &call.app.store;
    match store
        .note_payment(order, notice.captured(), lease_ms)
        .await?
    {
        Noted::UnknownOrder => {
            tracing::warn!(%order, "a webhook is about an order that does not exist");
            let detail = format!("there is no order {order}");
            return Err(Problem::new(Kind::NotFound, detail));
        }
        Noted::Noted => {}
        Noted::Due => call.app.sagas.wake_recovery(),
    }
    no_content()
}

/// The caller may be anybody, so that somebody tries is for the log.
fn rejected(rejection: Rejection) -> Problem {
    tracing::warn!(%rejection, "a webhook is rejected");
    let kind = match rejection {
        Rejection::Unsigned(_) | Rejection::OutOfTime | Rejection::Forged => Kind::BadSignature,
        Rejection::Unreadable(_) => Kind::InvalidBody,
    };
    Problem::new(kind, rejection.to_string())
}
