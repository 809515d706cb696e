//! The stock ledger of one SKU: how many units there are, who holds them, and what became of each hold.
//!
//! Everything here is a pure function of state, input and a time that is passed in. A command is
//! *decided* against a ledger ([`Ledger::decide`]), which changes nothing and yields [`Effect`]s; an
//! effect is *applied* ([`Ledger::apply`]), which looks at no clock. The primary does both, a replica and
//! an AOF replay only the second, so all of them end with equal ledgers.
//!
//! The meaning of every command and outcome is in section 2 of the design, and in `docs/commands.md`.

mod adjustments;
mod allocator;
mod apply;
mod chunks;
mod codec;
mod command;
mod decide;
mod effect;
mod footprint;
mod hold;
mod holds;
mod id;
mod ledger;
mod names;
mod outcome;
mod outcomes;
mod packed;
mod page;
mod policy;
mod record;
mod retention;
mod returns;
mod text;
mod totals;

pub use adjustments::Adjustment;
pub use apply::Inconsistent;
pub use codec::{DecodeError, Decoder, ENCODING_VERSION};
pub use command::{Command, Misuse, Until};
pub use effect::Effect;
pub use hold::{Hold, State};
pub use id::{Id, MAX_ID_BYTES};
pub use ledger::{Ledger, Standing, Summary};
pub use outcome::{Decision, Ending, Outcome, Word};
pub use page::{Page, StateFilter};
pub use policy::{MAX_HOLD_MS, Policy};
pub use record::Record;
pub use retention::Retention;
pub use text::TextError;
pub use totals::Totals;

/// The largest count of units, 2^53 - 1: every JSON reader can hold it exactly.
pub const MAX_UNITS: u64 = (1 << 53) - 1;

/// The last version that a ledger can have, 2^53 - 1: beyond it nothing is applied and nothing is believed, so that
/// whatever a ledger has come to can be written down and read again.
pub(crate) const MAX_SEQ: u64 = (1 << 53) - 1;

/// The last time that is believed, in Unix milliseconds: some 285,000 years from now.
pub(crate) const MAX_TIME_MS: u64 = (1 << 53) - 1;
