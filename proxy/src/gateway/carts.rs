//! Carts: one hash an owner, `cart:{<owner>}`, sku to quantity. Each change touches only its own
//! lines and is one atomic step, so that two tabs lose nothing of each other. What must not be done
//! twice leaves a mark beside the cart, in its slot.

use std::collections::BTreeMap;
use std::slice;

use redis::{Cmd, cmd};
use uuid::Uuid;

use super::{Error, Gateway};
use crate::carts::{MAX_LINES, MAX_QUANTITY};
use crate::catalogue::Sku;
use crate::orders::Order;

const CHANGE: &str = include_str!("cart_change.lua");
const TAKE_OUT: &str = include_str!("cart_take_out.lua");
const SET_APART: &str = include_str!("cart_set_apart.lua");
/// Another login may have merged it too, and set the next lines apart.
const MERGED: &str = "if redis.call('HGET', KEYS[1], 'merge') == ARGV[1] then \
                      return redis.call('DEL', KEYS[1]) end return 0";

/// The number of a merge, among the lines that are set apart for it; no SKU has small letters.
const MERGE: &str = "merge";
/// A cart that is added to all the time is merged so often at once, and then left as it is.
const MERGES: usize = 3;

impl Gateway {
    /// What is in a cart, by SKU.
    pub async fn cart(&self, owner: Uuid) -> Result<Vec<(Sku, i64)>, Error> {
        let lines: BTreeMap<String, i64> = self.call(cmd("HGETALL").arg(key(owner))).await?;
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
        let keys = [key(owner)];
        self.call(&change("ADD", &keys, items, ttl_ms)).await
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
        let (keys, item) = ([key(owner)], (sku.clone(), quantity));
        let left_out: usize = self.call(&change("SET", &keys, &[item], ttl_ms)).await?;
        Ok(left_out == 0)
    }

    /// Moves what is in a guest's cart into a user's, as [`Gateway::add_to_cart`] adds; what does not
    /// fit is dropped. It may be repeated after a failure half-way, and done by two logins at once:
    /// nothing is lost and nothing added twice.
    pub async fn merge_carts(&self, guest: Uuid, user: Uuid, ttl_ms: u64) -> Result<(), Error> {
        let apart = beside(guest, MERGE);
        for _ in 0..MERGES {
            let set_apart = script(SET_APART, &[key(guest), apart.clone()])
                .arg(Uuid::now_v7().to_string())
                .arg(ttl_ms)
                .to_owned();
            let mut lines: BTreeMap<String, String> = self.call(&set_apart).await?;
            let Some(number) = lines.remove(MERGE) else {
                return Ok(());
            };
            let items: Vec<(Sku, i64)> = lines
                .iter()
                .filter_map(|(sku, quantity)| Some((sku.parse().ok()?, quantity.parse().ok()?)))
                .collect();
            let keys = [key(user), beside(user, &format!("merged:{number}"))];
            self.call::<usize>(&change("ADD", &keys, &items, ttl_ms))
                .await?;
            let merged = script(MERGED, slice::from_ref(&apart))
                .arg(number)
                .to_owned();
            self.call::<i64>(&merged).await?;
        }
        Ok(())
    }

    /// Takes exactly what an order bought out of its buyer's cart: what was added meanwhile stays,
    /// and of what is there no longer nothing is taken. It is done once within `ttl_ms`, however
    /// often it is asked for.
    pub async fn take_out_of_cart(&self, order: &Order, ttl_ms: u64) -> Result<(), Error> {
        let owner = order.user_id;
        let mark = beside(owner, &format!("bought:{}", order.id));
        let mut command = script(TAKE_OUT, &[key(owner), mark]);
        command.arg(ttl_ms);
        for line in &order.lines {
            command.arg(line.sku.as_str()).arg(line.quantity);
        }
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

fn change(how: &str, keys: &[String], items: &[(Sku, i64)], ttl_ms: u64) -> Cmd {
    let mut command = script(CHANGE, keys);
    command
        .arg(how)
        .arg(ttl_ms)
        .arg(MAX_QUANTITY)
        .arg(MAX_LINES);
    for (sku, quantity) in items {
        command.arg(sku.as_str()).arg(*quantity);
    }
    command
}

fn script(text: &str, keys: &[String]) -> Cmd {
    cmd("EVAL").arg(text).arg(keys.len()).arg(keys).to_owned()
}

fn key(owner: Uuid) -> String {
    format!("cart:{{{owner}}}")
}

fn beside(owner: Uuid, what: &str) -> String {
    format!("{}:{what}", key(owner))
}
