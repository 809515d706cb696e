//! The payload of DUMP, damaged in a way that the server's own checks do not see.

use crate::module_support::dump::{Dump, MODULE_VALUE};
use crate::module_support::numbers::Numbers;

/// Flips a bit of the module's value and writes the CRC that belongs to it, so that the module must see the damage
/// itself. Values of the server's own are left alone: it does not survive the same.
pub fn damage(payload: &mut Vec<u8>, numbers: &mut Numbers) {
    let mut dump = Dump::new(payload);
    if dump.value.first() != Some(&MODULE_VALUE) || dump.value.len() < 2 {
        return;
    }
    let at = 1 + numbers.below(dump.value.len() as u64 - 1) as usize;
    dump.value[at] ^= 1 << numbers.below(8);
    *payload = dump.payload();
}
