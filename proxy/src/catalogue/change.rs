//! Changes of what the catalogue says: what becomes of an entry, and the transaction that does it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::product::{
    CURRENCY, DESCRIPTION, MAX_BUYER_LIMIT, MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS,
    MAX_PRICE_MINOR, NAME,
};
use super::{Entry, InvalidProduct, Product, Sku};
use crate::store::{self, Store, products};

/// How often a transaction that lost against another is tried before the caller is told.
const ATTEMPTS: usize = 5;

/// A change that somebody asks for.
#[derive(Debug, Clone)]
pub enum Change {
    /// A product that is not there yet.
    Create(Product),
    /// The product as it is to be, whether or not it is there, and sold again if it was retired.
    Put(Product),
    /// Some of what is said of a product that is there.
    Amend(Amendment),
    /// No longer listed and sold.
    Retire,
}

/// What is to be different; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    #[schemars(length(max = MAX_NAME_CHARACTERS), extend("pattern" = NAME))]
    name: Option<String>,
    #[schemars(length(max = MAX_DESCRIPTION_CHARACTERS), extend("pattern" = DESCRIPTION))]
    description: Option<String>,
    #[schemars(range(min = 0, max = MAX_PRICE_MINOR))]
    price_minor: Option<i64>,
    #[schemars(extend("pattern" = CURRENCY))]
    currency: Option<String>,
    /// Null for no limit.
    #[serde(default, deserialize_with = "given")]
    #[schemars(range(min = 1, max = MAX_BUYER_LIMIT))]
    buyer_limit: Option<Option<i64>>,
    /// True retires it, false sells it again.
    retired: Option<bool>,
}

/// What must hold for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// There is an entry.
    Present,
    /// There is none.
    Absent,
    /// The entry has one of these revisions.
    Revision(Vec<i64>),
}

/// A change that was made, or was not needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The entry as it is now.
    pub entry: Entry,
    /// True when it was not there before.
    pub is_new: bool,
    /// False when it was so already.
    pub is_different: bool,
}

/// A change that was not made; nothing is different from before.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is one already.
    #[error(
        "there is a product {0} already; change it with PUT or PATCH, which also brings back one that is retired"
    )]
    Exists(Sku),
    /// There is none.
    #[error("there is no product {0}")]
    Unknown(Sku),
    /// It is not as the caller believes.
    #[error("product {0} is not as it was when you looked; look again and decide anew")]
    Conflict(Sku),
    /// What is said of it is out of range.
    #[error(transparent)]
    Invalid(#[from] InvalidProduct),
    /// The database gave no answer; the same change may be sent again.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What becomes of an entry. Pure.
///
/// # Errors
/// When the change or its condition does not fit to what is there.
pub fn decide(
    sku: &Sku,
    current: Option<&Entry>,
    change: &Change,
    condition: &Condition,
) -> Result<Changed, Refusal> {
    let holds = match condition {
        Condition::None => true,
        Condition::Present => current.is_some(),
        Condition::Absent => current.is_none(),
        Condition::Revision(known) => current.is_some_and(|entry| known.contains(&entry.revision)),
    };
    let (product, retired) = match (change, current) {
        (Change::Create(_), Some(_)) => return Err(Refusal::Exists(sku.clone())),
        (Change::Amend(_) | Change::Retire, None) => return Err(Refusal::Unknown(sku.clone())),
        (Change::Create(product) | Change::Put(product), _) => (product.clone(), false),
        (Change::Amend(amendment), Some(entry)) => amendment.apply(entry)?,
        (Change::Retire, Some(entry)) => (entry.product.clone(), true),
    };
    // Last, since what is out of range stays so whatever the caller saw.
    if !holds {
        return Err(Refusal::Conflict(sku.clone()));
    }
    let is_different =
        current.is_none_or(|entry| entry.product != product || entry.retired != retired);
    let revision = current.map_or(0, |entry| entry.revision) + i64::from(is_different);
    Ok(Changed {
        entry: Entry {
            product,
            revision,
            retired,
        },
        is_new: current.is_none(),
        is_different,
    })
}

/// Makes a change in the database. Whoever calls tells of it.
///
/// # Errors
/// As [`decide`], and when the database gives no answer.
pub async fn change(
    store: &Store,
    sku: &Sku,
    change: &Change,
    condition: &Condition,
) -> Result<Changed, Refusal> {
    let mut attempt = 1;
    loop {
        match try_change(store, sku, change, condition).await {
            // Somebody else created it between the look and the insert, or came in the way.
            Err(Refusal::Store(error))
                if (error.is_lock_conflict() || error.is_duplicate()) && attempt < ATTEMPTS =>
            {
                attempt += 1;
            }
            decided => return decided,
        }
    }
}

async fn try_change(
    store: &Store,
    sku: &Sku,
    change: &Change,
    condition: &Condition,
) -> Result<Changed, Refusal> {
    let mut transaction = store.begin().await?;
    let current = products::lock_entry(&mut transaction, sku).await?;
    let changed = decide(sku, current.as_ref(), change, condition)?;
    match (changed.is_new, changed.is_different) {
        (true, _) => products::insert_entry(&mut transaction, &changed.entry).await?,
        (false, true) => products::update_entry(&mut transaction, &changed.entry).await?,
        (false, false) => return Ok(changed),
    }
    transaction.commit().await.map_err(store::Error::from)?;
    Ok(changed)
}

impl Amendment {
    /// The product as it is then, and whether it is retired.
    fn apply(&self, entry: &Entry) -> Result<(Product, bool), InvalidProduct> {
        let Product {
            sku,
            name,
            description,
            price_minor,
            currency,
            buyer_limit,
        } = &entry.product;
        let product = Product::new(
            sku.clone(),
            self.name.as_ref().unwrap_or(name),
            self.description.as_ref().unwrap_or(description),
            self.price_minor.unwrap_or(*price_minor),
            self.currency.as_ref().unwrap_or(currency),
        )?;
        let product = product.limited_to(self.buyer_limit.unwrap_or(*buyer_limit))?;
        Ok((product, self.retired.unwrap_or(entry.retired)))
    }
}

/// Tells a member that is null from one that is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
