//! The table `products`: the catalogue, and the stock that is the truth.

use sqlx::{MySql, QueryBuilder};

use super::{Error, Store, Transaction};
use crate::catalogue::{Product, Sku};

/// Rows to a statement, well below MySQL's 65,535 parameters.
const ROWS_AT_ONCE: usize = 500;

impl Store {
    /// One product.
    pub async fn product(&self, sku: &Sku) -> Result<Option<Product>, Error> {
        let mut query = select();
        query.push(" WHERE sku = ").push_bind(sku.as_str());
        Ok(query.build_query_as().fetch_optional(&self.pool).await?)
    }

    /// Those of `skus` that exist, in the order of their SKUs.
    pub async fn products(&self, skus: &[&Sku]) -> Result<Vec<Product>, Error> {
        let mut found = Vec::with_capacity(skus.len());
        for chunk in skus.chunks(ROWS_AT_ONCE) {
            let mut query = select();
            query.push(" WHERE sku IN ");
            query.push_tuples(chunk, |mut row, sku| {
                row.push_bind(sku.as_str());
            });
            found.extend(
                query
                    .build_query_as::<Product>()
                    .fetch_all(&self.pool)
                    .await?,
            );
        }
        found.sort_by(|a, b| a.sku.cmp(&b.sku));
        Ok(found)
    }

    /// At most `limit` products in the order of their SKUs, beginning behind `after`.
    pub async fn product_page(
        &self,
        after: Option<&Sku>,
        limit: u32,
    ) -> Result<Vec<Product>, Error> {
        let mut query = select();
        query
            .push(" WHERE sku > ")
            .push_bind(after.map_or("", Sku::as_str));
        query.push(" ORDER BY sku LIMIT ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(&self.pool).await?)
    }

    /// The unsold units of a product; 0 when there is no such product.
    pub async fn unsold(&self, sku: &Sku) -> Result<i64, Error> {
        let stock = sqlx::query_scalar("SELECT stock FROM products WHERE sku = ?");
        let stock = stock.bind(sku.as_str()).fetch_optional(&self.pool).await?;
        Ok(stock.unwrap_or_default())
    }

    /// Puts products into the catalogue, or new names and prices on those that are there; their
    /// stock stays. All of them or, on an error, none.
    pub async fn upsert_products(&self, products: &[Product]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        for chunk in products.chunks(ROWS_AT_ONCE) {
            let mut query = QueryBuilder::<MySql>::new(
                "INSERT INTO products (sku, name, description, price, currency) ",
            );
            query.push_values(chunk, |mut row, product| {
                row.push_bind(product.sku.as_str())
                    .push_bind(&product.name)
                    .push_bind(&product.description);
                // Minor units to DECIMAL without a float in between: 1234 * 0.01 is 12.34 exactly.
                row.push_bind(product.price_minor)
                    .push_unseparated(" * 0.01");
                row.push_bind(&product.currency);
            });
            query.push(
                " ON DUPLICATE KEY UPDATE name = VALUES(name), description = VALUES(description),
                  price = VALUES(price), currency = VALUES(currency), version = version + 1",
            );
            query.build().execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// The unsold units of a product, which nobody else changes until the transaction ends.
pub async fn lock_stock(transaction: &mut Transaction, sku: &Sku) -> Result<Option<i64>, Error> {
    let stock = sqlx::query_scalar("SELECT stock FROM products WHERE sku = ? FOR UPDATE")
        .bind(sku.as_str());
    Ok(stock.fetch_optional(&mut **transaction).await?)
}

/// Adds `delta` to the stock of a product that is locked, and answers nothing: the caller has
/// checked that the sum is not negative, and the table does so again.
pub async fn add_stock(transaction: &mut Transaction, sku: &Sku, delta: i64) -> Result<(), Error> {
    let update =
        sqlx::query("UPDATE products SET stock = stock + ?, version = version + 1 WHERE sku = ?");
    update
        .bind(delta)
        .bind(sku.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn select() -> QueryBuilder<MySql> {
    QueryBuilder::new(
        "SELECT sku, name, description, CAST(price * 100 AS SIGNED) AS price_minor, currency, buyer_limit FROM products",
    )
}
