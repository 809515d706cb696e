//! What a ledger takes of the server's memory, and how it is moved to another place in it.

use crate::chunks::Renew;
use crate::{Ledger, allocator};

impl Ledger {
    /// Its memory in bytes, as the server's allocator counts it.
    #[must_use]
    pub fn memory(&self) -> usize {
        let inside = [
            allocator::size(size_of::<Self>()),
            self.holds.memory(),
            self.outcomes.memory(),
            self.names.memory(),
            self.adjustments.memory(),
            self.adjustments.weight() as usize,
        ];
        inside.iter().sum()
    }

    /// How many allocations it is made of, roughly: what freeing it costs.
    #[must_use]
    pub fn allocations(&self) -> usize {
        let adjustments = self.adjustments.chunks() + self.adjustments.len();
        1 + self.holds.chunks() + self.outcomes.chunks() + self.names.chunks() + adjustments
    }

    /// Moves the ledger to a new place on the heap, chunk by chunk, while `go_on` says so. Begins at `cursor`, which
    /// is 0 or what an earlier call returned, and returns where to continue, 0 when all was moved. Between the calls
    /// the ledger may change; then a chunk may be moved twice or not at all, which does no harm.
    pub fn defrag(&mut self, cursor: u64, mut go_on: impl FnMut() -> bool) -> u64 {
        let mut parts: Vec<&mut dyn Renew> = vec![&mut self.adjustments];
        parts.extend(self.holds.parts());
        parts.extend(self.outcomes.parts());
        parts.extend(self.names.parts());
        let count = parts.len() as u64;
        // A cursor is one more than the chunk times the number of parts and the part.
        let place = cursor.saturating_sub(1);
        let (mut chunk, first) = ((place / count) as usize, place % count);
        for (part, chunks) in (0..).zip(parts).skip(first as usize) {
            if let Some(next) = chunks.renew(chunk, &mut go_on) {
                return 1 + next as u64 * count + part;
            }
            chunk = 0;
        }
        0
    }
}
