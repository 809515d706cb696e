//! The sessions of the replay's customers, each started when it is first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;
use tokio::sync::OnceCell;

use super::shop::{Answer, Shop, Unknown, in_words};

/// Tokens by customer; two invoices of one customer share a session.
#[derive(Default)]
pub(super) struct Sessions {
    cells: Mutex<HashMap<String, Arc<OnceCell<String>>>>,
}

impl Sessions {
    /// The token of the customer's session.
    pub async fn of(&self, shop: &Shop, customer: &str) -> Result<String, Unknown> {
        let cell = Arc::clone(self.cells().entry(customer.to_owned()).or_default());
        cell.get_or_try_init(|| start(shop)).await.cloned()
    }

    /// Another token for a customer whose session has ended.
    pub async fn renew(&self, shop: &Shop, customer: &str, ended: &str) -> Result<String, Unknown> {
        {
            let mut cells = self.cells();
            // Another invoice of the customer may have renewed it already.
            let known = cells.get(customer).and_then(|cell| cell.get());
            if known.is_some_and(|token| token == ended) {
                cells.remove(customer);
            }
        }
        self.of(shop, customer).await
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<String, Arc<OnceCell<String>>>> {
        self.cells
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

async fn start(shop: &Shop) -> Result<String, Unknown> {
    match shop.insist(shop.post("/v1/sessions", &json!({}))).await? {
        Answer::Done(session) => match session["token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err(Unknown("the shop's session has no token".into())),
        },
        Answer::No { problem, .. } => Err(Unknown(format!("no session: {}", in_words(&problem)))),
    }
}
