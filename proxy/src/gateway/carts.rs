//! Carts: one hash an owner, `cart:{<owner>}`, sku to quantity. Each change touches only its own
//! lines and is one atomic step, so that two tabs lose nothing of each other.

use std::collections::BTreeMap;

use redis::{Cmd, cmd};
use uuid::Uuid;

use super::{Error, Gateway};
use crate::carts::{MAX_LINES, MAX_QUANTITY};
use crate::catalogue::Sku;

const CHANGE: &str = include_str!("cart_change.lua");
const SUBTRACT: &str = include_str!("cart_subtract.lua");

impl Gateway {
    /// What is in a cart, by SKU.
    pub async fn cart(&self, owner: Uuid) -> Result<Vec<(Sku, i64)>, Error> {
        let lines: BTreeMap<String, i64> = self.call(cmd("HGETALL").arg(key(owner))).await?;
        // A field that is no SKU is the mark of a merge.
        Ok(lines
            .into_iter()
            .filter_map(|(sku, quantity)| Some((sku.parse().ok()?, quantity)))
            .collect())
    }

    /// Adds to what is there, up to [`MAX_QUANTITY`] a line and [`MAX_LINES`] lines, and answers
    /// how many lines did not fit. The cart lives for `ttl_ms` from now.
    pub async fn add_to_cart(
        &self,
        owner: Uuid,
        items: &[(Sku, i64)],
        ttl_ms: u64,
    ) -> Result<usize, Error> {
        self.call(&change("ADD", owner, "", items, ttl_ms)).await
    }

    /// Sets the quantity of a line, and answers false when there was no room for another. The
    /// cart lives for `ttl_ms` from now.
    pub async fn set_in_cart(
        &self,
        owner: Uuid,
        sku: &Sku,
        quantity: i64,
        ttl_ms: u64,
    ) -> Result<bool, Error> {
        let left_out: usize = self
            .call(&change(
                "SET",
                owner,
                "",
                &[(sku.clone(), quantity)],
                ttl_ms,
            ))
            .await?;
        Ok(left_out == 0)
    }

    /// Moves what is in a guest's cart into a user's, as [`Gateway::add_to_cart`] adds. It may be
    /// repeated after a failure half-way: nothing is lost and nothing added twice.
    pub async fn merge_carts(&self, guest: Uuid, user: Uuid, ttl_ms: u64) -> Result<(), Error> {
        let items = self.cart(guest).await?;
        if items.is_empty() {
            return Ok(());
        }
        self.call::<i64>(&change(
            "ADD",
            user,
            &format!("merged:{guest}"),
            &items,
            ttl_ms,
        ))
        .await?;
        self.remove_from_cart(guest, &items).await
    }

    /// Takes exactly what was bought out of a cart: what was added meanwhile stays.
    pub async fn remove_from_cart(&self, owner: Uuid, bought: &[(Sku, i64)]) -> Result<(), Error> {
        let mut command = script(SUBTRACT, owner);
        push_items(&mut command, bought);
        self.call::<i64>(&command).await.map(drop)
    }

    /// Takes a line out of a cart, whatever its quantity.
    pub async fn drop_from_cart(&self, owner: Uuid, sku: &Sku) -> Result<(), Error> {
        self.call::<i64>(cmd("HDEL").arg(key(owner)).arg(sku.as_str()))
            .await
            .map(drop)
    }

    /// Takes everything out of a cart.
    pub async fn empty_cart(&self, owner: Uuid) -> Result<(), Error> {
        self.call::<i64>(cmd("DEL").arg(key(owner))).await.map(drop)
    }
}

fn change(how: &str, owner: Uuid, mark: &str, items: &[(Sku, i64)], ttl_ms: u64) -> Cmd {
    let mut command = script(CHANGE, owner);
    command
        .arg(how)
        .arg(mark)
        .arg(ttl_ms)
        .arg(MAX_QUANTITY)
        .arg(MAX_LINES);
    push_items(&mut command, items);
    command
}

fn script(text: &str, owner: Uuid) -> Cmd {
    cmd("EVAL").arg(text).arg(1).arg(key(owner)).to_owned()
}

fn push_items(command: &mut Cmd, items: &[(Sku, i64)]) {
    for (sku, quantity) in items {
        command.arg(sku.as_str()).arg(*quantity);
    }
}

fn key(owner: Uuid) -> String {
    format!("cart:{{{owner}}}")
}
