//! Table `buyer_purchases`: what each buyer has of products that have a limit.
//!
//! Whoever records an order locks the rows of its buyers, in the order of SKU and user, before it
//! looks at them; so two orders of one buyer are never judged by the same count, whichever proxies
//! they come to.

use sqlx::{MySql, MySqlConnection, QueryBuilder, Row, Transaction};
use uuid::Uuid;

use super::allowance::{Allowance, NotAllowed, Standing, allow, asked_for};
use super::committer::{ROWS, pieces};
use super::{Error, Store};
use crate::catalogue::Sku;
use crate::orders::{Order, OrderLine};

impl Store {
    /// Why the buyer could not have these lines at this moment, before anything is held. What is
    /// said when the order is recorded counts.
    pub async fn not_allowed(
        &self,
        buyer: Uuid,
        lines: &[OrderLine],
    ) -> Result<Option<NotAllowed>, Error> {
        let mut connection = self.primary.pool().await?.acquire().await?;
        let orders = [(buyer, lines)];
        let mut standing = limits_of(&mut connection, &orders).await?;
        look(&mut connection, &orders, &mut standing, "").await?;
        Ok(allow(&standing, &orders).orders.pop().flatten())
    }
}

/// Judges orders that are about to be recorded, and counts those that are allowed.
pub(super) async fn count(
    transaction: &mut Transaction<'_, MySql>,
    orders: &[(Uuid, &[OrderLine])],
) -> Result<(Standing, Vec<Option<NotAllowed>>), Error> {
    let mut standing = limits_of(transaction, orders).await?;
    if standing.limits.is_empty() {
        return Ok((standing, vec![None; orders.len()]));
    }
    lock(transaction, orders, &standing).await?;
    look(transaction, orders, &mut standing, " FOR UPDATE").await?;
    let allowance = allow(&standing, orders);
    add(transaction, &standing, &allowance).await?;
    Ok((standing, allowance.orders))
}

/// Gives back what an order counts for, which this transaction has just called off.
pub(super) async fn give_back(
    transaction: &mut Transaction<'_, MySql>,
    order: &Order,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE order_lines l JOIN buyer_purchases b ON b.sku = l.sku AND b.user_id = ? \
         SET b.quantity = b.quantity - l.quantity WHERE l.order_id = ? AND l.is_counted = 1",
    )
    .bind(order.user_id)
    .bind(order.id)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// The limits of the products that are asked for. The catalogue's caches are not asked: a limit
/// counts from the moment it is set.
async fn limits_of(
    connection: &mut MySqlConnection,
    orders: &[(Uuid, &[OrderLine])],
) -> Result<Standing, Error> {
    let lines = orders.iter().flat_map(|(_, lines)| lines.iter());
    let mut skus: Vec<&str> = lines.map(|line| line.sku.as_str()).collect();
    skus.sort_unstable();
    skus.dedup();
    let mut standing = Standing::default();
    for piece in pieces(skus.len(), ROWS) {
        let mut select = QueryBuilder::new(
            "SELECT sku, buyer_limit FROM products WHERE buyer_limit IS NOT NULL AND sku IN (",
        );
        push_list(&mut select, skus[piece].iter().copied());
        for row in select.build().fetch_all(&mut *connection).await? {
            let limit = (row.try_get("sku")?, row.try_get("buyer_limit")?);
            standing.limits.extend([limit]);
        }
    }
    Ok(standing)
}

/// Locks the rows of all buyers of limited products, and makes those that are missing.
async fn lock(
    transaction: &mut Transaction<'_, MySql>,
    orders: &[(Uuid, &[OrderLine])],
    standing: &Standing,
) -> Result<(), Error> {
    let asked = asked_for(&standing.limits, orders);
    let rows = asked
        .iter()
        .flat_map(|(sku, buyers)| buyers.iter().map(move |buyer| (*sku, *buyer)));
    let rows: Vec<(&Sku, Uuid)> = rows.collect();
    for piece in pieces(rows.len(), ROWS) {
        let mut insert =
            QueryBuilder::new("INSERT INTO buyer_purchases (sku, user_id, quantity, buyer_limit) ");
        insert.push_values(&rows[piece], |mut row, (sku, buyer)| {
            row.push_bind(sku.as_str())
                .push_bind(*buyer)
                .push("0")
                .push_bind(standing.limits[sku.as_str()]);
        });
        insert.push(" ON DUPLICATE KEY UPDATE quantity = quantity");
        insert.build().execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Reads who has registered and what they have, `locking` or not.
async fn look(
    connection: &mut MySqlConnection,
    orders: &[(Uuid, &[OrderLine])],
    standing: &mut Standing,
    locking: &'static str,
) -> Result<(), Error> {
    for (sku, buyers) in asked_for(&standing.limits, orders) {
        let buyers: Vec<Uuid> = buyers.into_iter().collect();
        for piece in pieces(buyers.len(), ROWS) {
            let buyers = &buyers[piece];
            let mut select = QueryBuilder::new("SELECT id FROM users WHERE id IN (");
            push_list(&mut select, buyers.iter().copied());
            let users = select.build_query_scalar::<Uuid>();
            let users = users.fetch_all(&mut *connection).await?;
            standing.users.extend(users);
            let mut select =
                QueryBuilder::new("SELECT user_id, quantity FROM buyer_purchases WHERE sku = ");
            select
                .push_bind(sku.as_str().to_owned())
                .push(" AND user_id IN (");
            push_list(&mut select, buyers.iter().copied());
            let select = select.push(locking);
            for row in select.build().fetch_all(&mut *connection).await? {
                let has = (sku.to_string(), row.try_get("user_id")?);
                standing.bought.insert(has, row.try_get("quantity")?);
            }
        }
    }
    Ok(())
}

async fn add(
    transaction: &mut Transaction<'_, MySql>,
    standing: &Standing,
    allowance: &Allowance<'_>,
) -> Result<(), Error> {
    let taken: Vec<_> = allowance.taken.iter().collect();
    for piece in pieces(taken.len(), ROWS) {
        let mut insert =
            QueryBuilder::new("INSERT INTO buyer_purchases (sku, user_id, quantity, buyer_limit) ");
        insert.push_values(&taken[piece], |mut row, ((sku, buyer), quantity)| {
            row.push_bind(sku.as_str())
                .push_bind(*buyer)
                .push_bind(**quantity)
                .push_bind(standing.limits[sku.as_str()]);
        });
        insert.push(
            " ON DUPLICATE KEY UPDATE quantity = quantity + VALUES(quantity), \
             buyer_limit = VALUES(buyer_limit)",
        );
        insert.build().execute(&mut **transaction).await?;
    }
    Ok(())
}

/// The rest of `IN (`.
fn push_list<'a, T>(query: &mut QueryBuilder<MySql>, values: impl Iterator<Item = T>)
where
    T: sqlx::Encode<'a, MySql> + sqlx::Type<MySql> + 'a,
{
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value);
    }
    query.push(")");
}
