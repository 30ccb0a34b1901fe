//! Asks the memory for bytes shortly before they are needed.
//!
//! A walk over a block waits for each line of memory that it comes to; a short scan spends most of its time so. Lines that are asked
//! for together come together. This reads a byte of each: what the processor does with loads that nobody waits for is up to
//! it, but it needs no unsafe code, and costs a few cycles when the lines are there already.

use std::hint::black_box;

/// What the memory gives at once, in bytes.
const LINE_BYTES: usize = 64;
/// How much is asked for at once, in bytes: about as many lines as a processor waits for at a time.
pub(crate) const FETCHED_BYTES: usize = 16 * LINE_BYTES;

/// Asks for these bytes.
#[inline]
pub(crate) fn fetch(bytes: &[u8]) {
    for line in bytes.chunks(LINE_BYTES) {
        black_box(line.first().copied());
    }
}

/// Asks for the end of a block, where its tail, heads and offsets are: they are all needed, one after the other.
#[inline]
pub(crate) fn fetch_tail(raw: &[u8]) {
    let at = |back: usize| raw.len().checked_sub(back).and_then(|at| raw.get(at));
    black_box([at(1), at(65), at(129), at(193)].map(|byte| byte.copied()));
}
