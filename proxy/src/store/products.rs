//! The table `products`: the catalogue, and the stock that is the truth.

use sqlx::mysql::MySqlRow;
use sqlx::{MySql, QueryBuilder, Row};

use super::{Error, Freshness, Store, Transaction};
use crate::catalogue::{Entry, Product, Search, Sku};

/// Rows to a statement, well below MySQL's 65,535 parameters.
const ROWS_AT_ONCE: usize = 500;

impl Store {
    /// A product that is sold.
    pub async fn product(&self, sku: &Sku) -> Result<Option<Product>, Error> {
        let entry = self.entry(sku, Freshness::Newest).await?;
        Ok(entry.and_then(Entry::sold))
    }

    /// Those of `skus` that are sold, in the order of their SKUs, as the primary has them.
    pub async fn products(&self, skus: &[&Sku]) -> Result<Vec<Product>, Error> {
        let entries = self.entries(skus).await?;
        Ok(entries.into_iter().filter_map(Entry::sold).collect())
    }

    /// What the catalogue has under a SKU, retired or not.
    pub async fn entry(&self, sku: &Sku, freshness: Freshness) -> Result<Option<Entry>, Error> {
        self.read(freshness, |pool| async move {
            let mut query = select();
            query.push(" WHERE sku = ").push_bind(sku.as_str());
            query.build_query_as().fetch_optional(&pool).await
        })
        .await
    }

    /// The same of many SKUs, in their order, as the primary has them.
    pub async fn entries(&self, skus: &[&Sku]) -> Result<Vec<Entry>, Error> {
        let mut found = Vec::with_capacity(skus.len());
        for chunk in skus.chunks(ROWS_AT_ONCE) {
            let mut query = select();
            query.push(" WHERE sku IN ");
            query.push_tuples(chunk, |mut row, sku| {
                row.push_bind(sku.as_str());
            });
            found.extend(
                query
                    .build_query_as::<Entry>()
                    .fetch_all(&self.primary.pool().await?)
                    .await?,
            );
        }
        found.sort_by(|a, b| a.product.sku.cmp(&b.product.sku));
        Ok(found)
    }

    /// At most `limit` products that are sold, in the order of their SKUs, beginning behind
    /// `after`; with a search, only those that it finds.
    pub async fn product_page(
        &self,
        search: Option<&Search>,
        after: Option<&Sku>,
        limit: u32,
        freshness: Freshness,
    ) -> Result<Vec<Product>, Error> {
        let after = after.map_or("", Sku::as_str);
        self.read(freshness, |pool| async move {
            let mut query = select();
            match search {
                Some(search) => {
                    query.push(" NATURAL JOIN (");
                    push_found(&mut query, search, after, limit);
                    query.push(") AS found");
                }
                None => push_sold_behind(&mut query, after),
            }
            query.push(" ORDER BY sku LIMIT ").push_bind(limit);
            let entries = query.build_query_as::<Entry>().fetch_all(&pool).await?;
            Ok::<_, sqlx::Error>(entries.into_iter().map(|entry| entry.product).collect())
        })
        .await
    }

    /// At most `limit` products that are sold, in the order of their SKUs, beginning behind `after`:
    /// each with its name and its unsold units.
    pub async fn stock_page(
        &self,
        after: Option<&Sku>,
        limit: u32,
    ) -> Result<Vec<(Sku, String, i64)>, Error> {
        let mut query = QueryBuilder::<MySql>::new("SELECT sku, name, stock FROM products");
        push_sold_behind(&mut query, after.map_or("", Sku::as_str));
        query.push(" ORDER BY sku LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&self.primary.pool().await?).await?;
        let read = |row: &MySqlRow| {
            let sku: String = row.try_get("sku")?;
            let sku = sku
                .parse()
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            Ok((sku, row.try_get("name")?, row.try_get("stock")?))
        };
        rows.iter().map(read).collect()
    }

    /// The unsold units of a product; 0 when there is no such product.
    pub async fn unsold(&self, sku: &Sku) -> Result<i64, Error> {
        let stock = sqlx::query_scalar("SELECT stock FROM products WHERE sku = ?");
        let stock = stock
            .bind(sku.as_str())
            .fetch_optional(&self.primary.pool().await?)
            .await?;
        Ok(stock.unwrap_or_default())
    }

    /// Puts products into the catalogue, or new names and prices on those that are there; their
    /// stock stays, and so does that they are retired. All of them or, on an error, none.
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
                  price = VALUES(price), currency = VALUES(currency), version = version + 1, revision = revision + 1",
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

/// What the catalogue has under a SKU, which nobody else changes until the transaction ends. Where it
/// has nothing, nothing is locked: of many who lock a gap, none can insert into it.
pub async fn lock_entry(transaction: &mut Transaction, sku: &Sku) -> Result<Option<Entry>, Error> {
    let known: Option<String> = sqlx::query_scalar("SELECT sku FROM products WHERE sku = ?")
        .bind(sku.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
    if known.is_none() {
        return Ok(None);
    }
    let mut query = select();
    query.push(" WHERE sku = ").push_bind(sku.as_str());
    query.push(" FOR UPDATE");
    let entry = query.build_query_as();
    Ok(entry.fetch_optional(&mut **transaction).await?)
}

/// Puts an entry where there is none yet; the error is a duplicate where there is.
pub async fn insert_entry(transaction: &mut Transaction, entry: &Entry) -> Result<(), Error> {
    let insert = sqlx::query(
        "INSERT INTO products
             (name, description, price, currency, buyer_limit, revision, retired_at, sku)
         VALUES (?, ?, ? * 0.01, ?, ?, ?, IF(?, NOW(3), NULL), ?)",
    );
    write(transaction, insert, entry).await
}

/// Puts an entry in the place of the one that is locked. When it was retired stays.
pub async fn update_entry(transaction: &mut Transaction, entry: &Entry) -> Result<(), Error> {
    let update = sqlx::query(
        "UPDATE products SET name = ?, description = ?, price = ? * 0.01, currency = ?,
             buyer_limit = ?, revision = ?, version = version + 1, retired_at = IF(?, COALESCE(retired_at, NOW(3)), NULL)
         WHERE sku = ?",
    );
    write(transaction, update, entry).await
}

type Query<'q> = sqlx::query::Query<'q, MySql, sqlx::mysql::MySqlArguments>;

async fn write(
    transaction: &mut Transaction,
    statement: Query<'_>,
    entry: &Entry,
) -> Result<(), Error> {
    let Entry {
        product,
        revision,
        retired,
    } = entry;
    statement
        .bind(&product.name)
        .bind(&product.description)
        .bind(product.price_minor)
        .bind(&product.currency)
        .bind(product.buyer_limit)
        .bind(revision)
        .bind(retired)
        .bind(product.sku.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn select() -> QueryBuilder<MySql> {
    QueryBuilder::new(
        "SELECT sku, name, description, CAST(price * 100 AS SIGNED) AS price_minor, currency,
                buyer_limit, revision, retired_at IS NOT NULL AS retired FROM products",
    )
}

/// The SKUs that a search finds: each way of finding has an index of its own, and gives no more
/// than a page of them.
fn push_found(query: &mut QueryBuilder<MySql>, search: &Search, after: &str, limit: u32) {
    if let Some(prefix) = &search.sku_prefix {
        query.push("(SELECT sku FROM products");
        push_sold_behind(query, after);
        push_like(query, "sku", &format!("{}%", escaped(prefix.as_str())));
        query.push(" ORDER BY sku LIMIT ").push_bind(limit);
        query.push(") UNION ");
    }
    query.push("(SELECT sku FROM products");
    push_sold_behind(query, after);
    if !search.indexed.is_empty() {
        query.push(" AND MATCH (name, description) AGAINST (");
        query
            .push_bind(search.boolean_mode())
            .push(" IN BOOLEAN MODE)");
    }
    for word in &search.unindexed {
        push_like(query, "name", &format!("%{}%", escaped(word)));
    }
    query.push(" ORDER BY sku LIMIT ").push_bind(limit);
    query.push(")");
}

fn push_sold_behind(query: &mut QueryBuilder<MySql>, after: &str) {
    query.push(" WHERE retired_at IS NULL AND sku > ");
    query.push_bind(after.to_owned());
}

fn push_like(query: &mut QueryBuilder<MySql>, column: &str, pattern: &str) {
    query.push(format_args!(" AND {column} LIKE "));
    query.push_bind(pattern.to_owned()).push(" ESCAPE '!'");
}

/// Words and SKUs have letters, digits, dots, hyphens and underscores; only the last means
/// something to LIKE.
fn escaped(text: &str) -> String {
    text.replace('_', "!_")
}
