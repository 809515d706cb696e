//! Live holds, a page at a time.

use crate::packed::Kind;
use crate::{Hold, Ledger};

/// The most holds that one page looks at, so that no page takes long, however rare what it looks for.
const LOOKED_AT: usize = 10_000;

/// Some of the live holds, in order of age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The holds, each with its number. Those past due are among them until the sweep has come by.
    pub holds: Vec<(u64, Hold)>,
    /// Where the next page begins; 0 when this is the last. With a filter, a page may be empty and not the last.
    pub next: u64,
}

/// Which holds are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFilter {
    /// Those that run against a deadline.
    Held,
    /// Those that are prepared.
    Prepared,
}

impl StateFilter {
    fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Held => kind == Kind::Held,
            Self::Prepared => kind == Kind::Prepared,
        }
    }
}

impl Ledger {
    /// Up to `count` live holds that are younger than the one with the number `after`, which is 0 or an earlier
    /// page's `next`. Whoever walks on to the last page sees each hold that was live throughout exactly once.
    #[must_use]
    pub fn holds_page(&self, state: Option<StateFilter>, after: u64, count: usize) -> Page {
        let mut page = Page {
            holds: Vec::new(),
            next: 0,
        };
        let mut last = after;
        for (looked_at, hold) in self.holds.after(after).enumerate() {
            if page.holds.len() == count || looked_at == LOOKED_AT {
                page.next = last;
                break;
            }
            last = hold.number;
            if state.is_none_or(|state| state.takes(hold.kind())) {
                page.holds.push((hold.number, hold.hold(&self.names)));
            }
        }
        page
    }
}
