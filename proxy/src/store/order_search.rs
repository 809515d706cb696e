//! Table `orders`: finding those of a buyer, of a product, of a time.

use sqlx::{MySql, MySqlPool, QueryBuilder};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::order_rows::{COLUMNS, with_lines};
use super::{Error, Freshness, Store};
use crate::catalogue::Sku;
use crate::orders::{Order, Status};

/// How much older than its order an id may be: that of a checkout hold is taken when it is held,
/// which is an hour before its order at most, and a lapsed one is bought somewhat later still.
const LONGEST_HELD: Duration = Duration::hours(2);

/// Which orders are looked for: those of which all that is given here holds.
#[derive(Debug, Default)]
pub struct OrderSearch {
    /// Whose.
    pub user_id: Option<Uuid>,
    /// How far they are.
    pub status: Option<Status>,
    /// What is in them.
    pub sku: Option<Sku>,
    /// Placed then or later.
    pub from: Option<OffsetDateTime>,
    /// Placed earlier than then.
    pub to: Option<OffsetDateTime>,
    /// Behind this order in the list.
    pub before: Option<Uuid>,
}

impl Store {
    /// The newest orders that are looked for, at most `limit`, and whether there are more. While the primary is away a
    /// replica shows what it has.
    pub async fn find_orders(
        &self,
        search: &OrderSearch,
        limit: u32,
    ) -> Result<(Vec<Order>, bool), Error> {
        let find = async |pool: MySqlPool| find(&pool, search, limit).await;
        let mut orders = self.read(Freshness::NewestThereIs, find).await?;
        let more = orders.len() > limit as usize;
        orders.truncate(limit as usize);
        Ok((orders, more))
    }
}

/// One more than asked for tells whether there are more.
async fn find(pool: &MySqlPool, search: &OrderSearch, limit: u32) -> Result<Vec<Order>, Error> {
    let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM orders o"));
    if let Some(sku) = &search.sku {
        query.push(" JOIN order_lines l ON l.order_id = o.id AND l.sku = ");
        query.push_bind(sku.as_str().to_owned());
    }
    query.push(" WHERE TRUE");
    push_conditions(&mut query, search);
    query.push(" ORDER BY o.id DESC LIMIT ");
    query.push_bind(u64::from(limit) + 1);
    let rows = query.build().fetch_all(pool).await?;
    with_lines(pool, &rows).await
}

fn push_conditions(query: &mut QueryBuilder<MySql>, search: &OrderSearch) {
    if let Some(user) = search.user_id {
        query.push(" AND o.user_id = ").push_bind(user);
    }
    if let Some(status) = search.status {
        query.push(" AND o.status = ").push_bind(status.as_str());
        if matches!(status, Status::Pending | Status::Paid | Status::Parked) {
            // These are few, and never settled: the index of the unsettled finds them.
            query.push(" AND o.settled = 0");
        }
    }
    // Ids are ordered by time, so the primary key finds a time too.
    if let Some(from) = search.from {
        query.push(" AND o.created_at >= ").push_bind(from);
        query
            .push(" AND o.id >= ")
            .push_bind(first_id(from - LONGEST_HELD));
    }
    if let Some(to) = search.to {
        query.push(" AND o.created_at < ").push_bind(to);
        query.push(" AND o.id < ").push_bind(first_id(to));
    }
    if let Some(before) = search.before {
        query.push(" AND o.id < ").push_bind(before);
    }
}

/// The least id that could have been made then: the first 48 bits are the time, ms (RFC 9562, 5.7).
fn first_id(at: OffsetDateTime) -> Uuid {
    let at_ms = u128::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    Uuid::from_u128(at_ms << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_id_of_a_time_is_not_above_any_other_of_it() {
        let now = OffsetDateTime::now_utc();
        let made = Uuid::now_v7();
        assert!(first_id(now) <= made);
        assert!(made < first_id(now + Duration::seconds(60)));
        assert_eq!(
            first_id(OffsetDateTime::UNIX_EPOCH - LONGEST_HELD).as_u128(),
            0
        );
    }
}
