//! `/v1/products` for who runs the shop: create, change and retire.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::conditional::changed;
use super::{Answer, Call, Kind, Problem, no_content};
use crate::catalogue::change::{self, Amendment, Change, Changed, Condition, Refusal};
use crate::catalogue::product::{
    CURRENCY, DESCRIPTION, MAX_BUYER_LIMIT, MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS,
    MAX_PRICE_MINOR, NAME,
};
use crate::catalogue::{Product, Sku};

/// A product that is to be in the catalogue.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    sku: Sku,
    #[schemars(length(max = MAX_NAME_CHARACTERS), extend("pattern" = NAME))]
    name: String,
    #[serde(default)]
    #[schemars(length(max = MAX_DESCRIPTION_CHARACTERS), extend("pattern" = DESCRIPTION))]
    description: String,
    /// The price of one unit, in minor units of the currency.
    #[schemars(range(min = 0, max = MAX_PRICE_MINOR))]
    price_minor: i64,
    /// ISO 4217, such as `GBP`.
    #[schemars(extend("pattern" = CURRENCY, "examples" = ["GBP"]))]
    currency: String,
    /// The most units that one buyer may have of it, for a drop.
    #[schemars(range(min = 1, max = MAX_BUYER_LIMIT))]
    buyer_limit: Option<i64>,
}

/// The whole of what is said of a product.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductForm {
    #[schemars(length(max = MAX_NAME_CHARACTERS), extend("pattern" = NAME))]
    name: String,
    #[serde(default)]
    #[schemars(length(max = MAX_DESCRIPTION_CHARACTERS), extend("pattern" = DESCRIPTION))]
    description: String,
    /// The price of one unit, in minor units of the currency.
    #[schemars(range(min = 0, max = MAX_PRICE_MINOR))]
    price_minor: i64,
    /// ISO 4217, such as `GBP`.
    #[schemars(extend("pattern" = CURRENCY, "examples" = ["GBP"]))]
    currency: String,
    /// The most units that one buyer may have of it, for a drop.
    #[schemars(range(min = 1, max = MAX_BUYER_LIMIT))]
    buyer_limit: Option<i64>,
}

/// `POST /v1/products`
pub async fn create(mut call: Call) -> Answer {
    let NewProduct {
        sku,
        name,
        description,
        price_minor,
        currency,
        buyer_limit,
    } = call.json().await?;
    let product = Product::new(sku.clone(), &name, &description, price_minor, &currency)
        .and_then(|product| product.limited_to(buyer_limit));
    let created = Change::Create(product.map_err(Refusal::from)?);
    answer(make(&call, &sku, &created, &Condition::None).await?)
}

/// `PUT /v1/products/{sku}`
pub async fn put(mut call: Call) -> Answer {
    let (sku, condition) = (call.sku()?, call.condition()?);
    let ProductForm {
        name,
        description,
        price_minor,
        currency,
        buyer_limit,
    } = call.json().await?;
    let product = Product::new(sku.clone(), &name, &description, price_minor, &currency)
        .and_then(|product| product.limited_to(buyer_limit));
    let put = Change::Put(product.map_err(Refusal::from)?);
    answer(make(&call, &sku, &put, &condition).await?)
}

/// `PATCH /v1/products/{sku}`
pub async fn amend(mut call: Call) -> Answer {
    let (sku, condition) = (call.sku()?, call.condition()?);
    let amendment: Amendment = call.json().await?;
    answer(make(&call, &sku, &Change::Amend(amendment), &condition).await?)
}

/// `DELETE /v1/products/{sku}`
pub async fn retire(call: Call) -> Answer {
    let (sku, condition) = (call.sku()?, call.condition()?);
    make(&call, &sku, &Change::Retire, &condition).await?;
    no_content()
}

/// Makes the change, and tells every proxy of it before the caller is told.
async fn make(
    call: &Call,
    sku: &Sku,
    change: &Change,
    condition: &Condition,
) -> Result<Changed, Problem> {
    let changed = change::change(&call.app.store, sku, change, condition).await?;
    // One that changed nothing may repeat another whose word was lost.
    let told = std::slice::from_ref(&changed.entry);
    call.app.catalogue.tell(told).await;
    Ok(changed)
}

fn answer(Changed { entry, is_new, .. }: Changed) -> Answer {
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    changed(status, &entry, entry.revision)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Exists(_) => Problem::new(Kind::ProductExists, detail),
            Refusal::Unknown(_) => Problem::new(Kind::NotFound, detail),
            Refusal::Conflict(_) => Problem::new(Kind::PreconditionFailed, detail),
            Refusal::Invalid(_) => Problem::new(Kind::InvalidValue, detail),
            Refusal::Store(error) => error.into(),
        }
    }
}
