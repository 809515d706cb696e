//! Cutting what a batch writes into statements. Pure.

use std::ops::Range;

/// Rows of an INSERT or of a list after IN.
pub const ROWS: usize = 256;
/// Arms of a CASE, which the server tries one after the other for each row.
pub const ARMS: usize = 32;

/// Cuts `length` rows into ranges of `largest`, then ever smaller powers of two: so there are few
/// different statements, and each connection has them prepared.
pub fn pieces(length: usize, largest: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = length - at;
        let size = largest.min(1 << rest.checked_ilog2()?);
        at += size;
        Some(at - size..at)
    })
}

/// How many of the first requests, of these weights, are written together: as many as weigh at most
/// `limit`, and at least one.
pub fn fitting(weights: impl Iterator<Item = usize>, limit: usize) -> usize {
    let mut sum = 0;
    let fit = weights.take_while(|weight| {
        sum += weight;
        sum <= limit
    });
    fit.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_few_sizes_and_none_is_left_out() {
        let cut: Vec<_> = pieces(300, 128).collect();
        assert_eq!(cut, [0..128, 128..256, 256..288, 288..296, 296..300]);
        assert_eq!(pieces(0, 128).count(), 0);
        for length in 1..600 {
            let mut next = 0;
            for piece in pieces(length, 64) {
                assert_eq!(piece.start, next);
                assert!(piece.len().is_power_of_two() && piece.len() <= 64);
                next = piece.end;
            }
            assert_eq!(next, length);
        }
    }

    #[test]
    fn a_transaction_takes_what_fits_and_never_nothing() {
        assert_eq!(fitting([3, 3, 3].into_iter(), 6), 2);
        assert_eq!(fitting([7, 1].into_iter(), 6), 1);
        assert_eq!(fitting([1, 1].into_iter(), 6), 2);
    }
}
