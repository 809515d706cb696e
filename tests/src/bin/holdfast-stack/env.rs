//! Prints the stack's addresses as a shell takes them, for examples that can be typed as they stand.

use anyhow::Result;

use crate::place::Place;
use crate::status::{Addresses, relative};

/// Prints `export NAME='value'` lines.
pub fn run(place: Place) -> Result<()> {
    let addresses = Addresses::read(place)?;
    let variables = [
        ("API", addresses.api),
        ("ADMIN", addresses.admin),
        ("REDIS", addresses.redis),
        ("KAFKA", addresses.kafka),
        ("OPERATOR_TOKEN", addresses.operator_token),
        ("HOLDFAST_CONFIG", relative(&addresses.config)),
    ];
    for (name, value) in variables {
        println!("export {name}='{value}'");
    }
    Ok(())
}
