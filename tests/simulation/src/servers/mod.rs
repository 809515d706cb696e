//! What stands around a proxy, each modelled as far as the shop can notice.

pub mod carts;
mod group_commit;
pub mod kafka;
pub mod mysql;
pub mod provider;
pub mod redis;
