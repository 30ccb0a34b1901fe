//! Asking the processor for memory before it is needed.

/// The length of a cache line, in bytes.
pub const CACHE_LINE_BYTES: usize = 64;
/// The length of the pages by which processors look up addresses, in bytes; a guess where it is another one.
const PAGE_BYTES: usize = 4096;
/// The lines of so many bytes are asked for one by one: of a page, and of what stands around a value of that length.
const WHOLE_BYTES_MAX: usize = PAGE_BYTES + 512;

/// Asks for the cache line that holds `address`; a hint, without effect on anything but the cache, whatever the address.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub fn prefetch_line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch of any address, valid or not, has no effect but on the cache. Exercised by every test that reads a
    // memtable or a mapped value.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

/// Here the hint is not known.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
pub fn prefetch_line(_address: *const u8) {}

/// As [`prefetch_line`], but no farther than to the second-level cache. What is longer than a few lines belongs there: the
/// first level can wait for a dozen or two lines at a time, and what is read meanwhile would have to queue behind them.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub fn prefetch_line_to_second_level(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: as for `prefetch_line`.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
}

/// Here the hint is not known.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
pub fn prefetch_line_to_second_level(_address: *const u8) {}

/// Asks for `bytes`, which are about to be read from the first to the last one: for all their lines, or where they are more than
/// a page, for those of the first one and for the beginning of each other one. The processor by itself fetches ahead of a
/// reader, but not across pages.
#[inline]
pub fn prefetch_to_read(bytes: &[u8]) {
    let (first, rest) = bytes.split_at_checked(WHOLE_BYTES_MAX).unwrap_or((bytes, &[]));
    for line in first.chunks(CACHE_LINE_BYTES) {
        prefetch_line_to_second_level(line.as_ptr());
    }
    let page_end = rest.as_ptr().align_offset(PAGE_BYTES);
    for page in rest.get(page_end..).unwrap_or_default().chunks(PAGE_BYTES) {
        prefetch_line_to_second_level(page.as_ptr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a hint is one, whatever it is given. Method: no bytes, some, more than a page in every alignment, and no address at all.
    #[test]
    fn hints_change_nothing() {
        let bytes: Vec<u8> = (0..5 * PAGE_BYTES).map(|at| at as u8).collect();
        let before = bytes.clone();
        for start in 0..PAGE_BYTES {
            prefetch_to_read(&bytes[start..]);
            prefetch_to_read(&bytes[start..start + start % 200]);
        }
        for address in [std::ptr::null(), std::ptr::dangling(), bytes.as_ptr().wrapping_add(1 << 40)] {
            prefetch_line(address);
            prefetch_line_to_second_level(address);
        }
        assert_eq!(bytes, before);
    }
}
