//! Putting goods into the catalogue and their stock into the house.

use std::collections::HashMap;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::catalogue::cache::Catalogue;
use crate::catalogue::stock_change::{self, Adjustment, AdjustmentId, Reason, Refusal};
use crate::catalogue::{Product, Sku};
use crate::gateway::Gateway;
use crate::retail::account::{Account, Fate, Outcome};
use crate::retail::goods::Goods;
use crate::store::{self, Store};

/// Products whose stock is changed at once; each takes one connection of the pool.
const AT_ONCE: usize = 16;

/// Where goods go, and under which id their stock is added once.
pub(super) struct Loading {
    pub store: Store,
    pub gateway: Gateway,
    pub catalogue: Catalogue,
    pub adjustment_id: AdjustmentId,
}

/// What a load changed.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Products that were not in the catalogue.
    pub new: usize,
    /// Products with another name, description, price or currency than before.
    pub changed: usize,
    /// Products that were there as the file has them.
    pub unchanged: usize,
    /// Those of the new and changed that running proxies show later, because Redis was not told.
    pub untold: usize,
    /// Products whose stock was added.
    pub stocked: usize,
    /// Units added.
    pub units: i64,
    /// Products whose stock an earlier run of the same file added.
    pub stocked_before: usize,
    /// Products whose stock stands in MySQL but not yet in Redis.
    pub waiting_for_redis: usize,
    /// Products whose stock was refused, and why.
    pub refused: HashMap<Sku, String>,
}

impl Loading {
    /// Loads the products, then their stock.
    ///
    /// # Errors
    /// When the database is away; what was loaded stays, and a repetition adds what is missing.
    pub async fn load(&self, goods: &[Goods]) -> Result<Loaded, store::Error> {
        let mut loaded = Loaded::default();
        self.load_products(goods, &mut loaded).await?;
        let stocks: Vec<&Goods> = goods.iter().filter(|goods| goods.stock > 0).collect();
        let skus: Vec<&Sku> = stocks.iter().map(|goods| &goods.product.sku).collect();
        let stocked_before = self
            .store
            .skus_adjusted_under(&self.adjustment_id, &skus)
            .await?;
        let mut adjusted = stream::iter(stocks)
            .map(|goods| self.load_stock(goods))
            .buffer_unordered(AT_ONCE);
        while let Some((goods, outcome)) = adjusted.try_next().await? {
            match outcome {
                Ok(delivered) => {
                    loaded.waiting_for_redis += usize::from(!delivered);
                    if stocked_before.contains(&goods.product.sku) {
                        loaded.stocked_before += 1;
                    } else {
                        loaded.stocked += 1;
                        loaded.units += goods.stock;
                    }
                }
                Err(why) => drop(loaded.refused.insert(goods.product.sku.clone(), why)),
            }
        }
        Ok(loaded)
    }

    /// Writes only what differs, so that a repetition changes no version.
    async fn load_products(
        &self,
        goods: &[Goods],
        loaded: &mut Loaded,
    ) -> Result<(), store::Error> {
        let skus: Vec<&Sku> = goods.iter().map(|goods| &goods.product.sku).collect();
        let known = self.store.entries(&skus).await?;
        let known: HashMap<&Sku, &Product> = known
            .iter()
            .map(|entry| (&entry.product.sku, &entry.product))
            .collect();
        let mut different = Vec::new();
        for Goods { product, .. } in goods {
            match known.get(&product.sku) {
                Some(known) if is_same(known, product) => loaded.unchanged += 1,
                Some(_) => {
                    loaded.changed += 1;
                    different.push(product.clone());
                }
                None => {
                    loaded.new += 1;
                    different.push(product.clone());
                }
            }
        }
        self.store.upsert_products(&different).await?;
        let skus: Vec<&Sku> = different.iter().map(|product| &product.sku).collect();
        let written = self.store.entries(&skus).await?;
        loaded.untold = self.catalogue.tell(&written).await;
        Ok(())
    }

    /// Whether Redis has the stock too, or why it was refused; an error is the database's.
    async fn load_stock<'a>(
        &self,
        goods: &'a Goods,
    ) -> Result<(&'a Goods, Result<bool, String>), store::Error> {
        let adjustment = Adjustment {
            sku: goods.product.sku.clone(),
            delta: goods.stock,
            adjustment_id: self.adjustment_id.clone(),
            reason: Reason::Stocked,
        };
        match stock_change::adjust(&self.store, &self.gateway, &adjustment).await {
            Ok(adjusted) => Ok((goods, Ok(adjusted.delivered))),
            Err(Refusal::Store(error)) => Err(error),
            Err(refusal) => Ok((goods, Err(refusal.to_string()))),
        }
    }
}

/// A file says nothing of buyers' limits, and leaves them as they are.
fn is_same(known: &Product, product: &Product) -> bool {
    let product = Product {
        buyer_limit: known.buyer_limit,
        ..product.clone()
    };
    *known == product
}

impl Loaded {
    /// Settles the rows of all goods.
    pub fn settle(&self, goods: &[Goods], account: &mut Account) {
        for Goods {
            product,
            stock,
            rows,
        } in goods
        {
            let (outcome, reason) = match self.refused.get(&product.sku) {
                Some(why) => (Outcome::Failed, why.clone()),
                None => (Outcome::Imported, String::new()),
            };
            // The stock is the product's, not a row's: the first of its rows stands for it.
            let mut units = *stock;
            for row in rows {
                let amount_minor = units.saturating_mul(product.price_minor);
                account.settle(
                    *row,
                    Fate {
                        outcome,
                        reason: reason.clone(),
                        units,
                        amount_minor,
                    },
                );
                units = 0;
            }
        }
    }
}
