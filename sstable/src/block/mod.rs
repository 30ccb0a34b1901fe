//! A block: some tens of entries in key order, searchable where they lie. Drawn in `format`.
//!
//! Every entry can be reached by number, so a step down costs no more than a step up, and a search looks at the
//! heads, which share a few cache lines, before it looks at one or two entries.

mod builder;
pub(crate) mod layout;

pub(crate) use builder::BlockBuilder;
pub(crate) use layout::{Layout, Lookup};

/// The length of what every block ends with, in bytes.
const TAIL_BYTES: usize = 16;
/// Set in the count when offsets are u32.
const WIDE: u32 = 1 << 31;

/// The first 4 bytes of `suffix` as a number that sorts as they do.
#[inline]
fn head(suffix: &[u8]) -> u32 {
    if let Some(chunk) = suffix.first_chunk() {
        return u32::from_be_bytes(*chunk);
    }
    let mut padded = [0; 4];
    for (to, from) in padded.iter_mut().zip(suffix) {
        *to = *from;
    }
    u32::from_be_bytes(padded)
}

/// How many bytes both begin with.
pub(crate) fn common_prefix_len(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}
