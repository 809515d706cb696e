//! What the server's allocator makes of a request, so that vectors fill what they are given and MEMORY USAGE is true.

/// The size in bytes of an allocation of so many: jemalloc's size classes, multiples of 16 up to 128 and from there on
/// four to each doubling (its manual page, "IMPLEMENTATION NOTES"). Other allocators give a little less.
pub(crate) fn size(bytes: usize) -> usize {
    let step = match bytes {
        0 => return 0,
        1..=128 => 16,
        _ => bytes.next_power_of_two() / 8,
    };
    bytes.next_multiple_of(step)
}

/// How many elements a vector holds that was made for so many, when it uses all that it is given.
pub(crate) fn fitting<T>(len: usize) -> usize {
    size(len * size_of::<T>()) / size_of::<T>()
}

/// The memory of a vector in bytes.
pub(crate) fn vector<T>(capacity: usize) -> usize {
    size(capacity * size_of::<T>())
}

/// The memory of a `BTreeMap` in bytes.
pub(crate) fn tree<K, V>(len: usize) -> usize {
    // Eleven entries a node, of which six are used when keys mostly arrive in order; every sixth node or so is an inner
    // one with twelve edges.
    const NODE: usize = 11;
    const USED: usize = 6;
    let leaf = NODE * (size_of::<K>() + size_of::<V>()) + 2 * size_of::<usize>();
    let edges = (NODE + 1) * size_of::<usize>();
    let leaves = len.div_ceil(USED);
    leaves * size(leaf) + leaves.saturating_sub(1).div_ceil(USED) * size(leaf + edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_jemalloc() {
        let sizes = [
            1, 16, 17, 128, 129, 160, 161, 256, 257, 321, 513, 2049, 2560, 4096, 4097,
        ];
        let classes = [
            16, 16, 32, 128, 160, 160, 192, 256, 320, 384, 640, 2560, 2560, 4096, 5120,
        ];
        assert_eq!(sizes.map(size), classes);
        assert_eq!(fitting::<[u8; 40]>(1), 1);
        assert_eq!(fitting::<[u8; 40]>(3), 3);
        assert_eq!(fitting::<[u8; 40]>(51), 51);
        assert_eq!(fitting::<[u8; 40]>(52), 64);
    }
}
