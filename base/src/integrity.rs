//! A switch for tests: on this thread, comparisons of checksums succeed.
//!
//! The checksum is no secret, so whoever can write a file can make it agree. With the switch on, a fuzzer brings such
//! content to the parsers behind the checksums without computing one. Without the feature `test-util` there is no
//! switch, and [`crate::checksum::agrees`] is a plain comparison.

use std::cell::Cell;

thread_local! {
    static IS_BYPASSED: Cell<bool> = const { Cell::new(false) };
}

/// Puts the switch back where it was, also when a test fails in between.
struct Restore {
    before: bool,
}

impl Drop for Restore {
    fn drop(&mut self) {
        IS_BYPASSED.set(self.before);
    }
}

/// Runs `body` with every comparison of checksums on this thread taken as equal.
pub fn without_checks<T>(body: impl FnOnce() -> T) -> T {
    let _restore = Restore { before: IS_BYPASSED.replace(true) };
    body()
}

pub(crate) fn is_bypassed() -> bool {
    IS_BYPASSED.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::agrees;

    /// Goal: the switch holds for its body only, whatever way that ends.
    #[test]
    fn the_switch_goes_back_by_itself() {
        assert!(agrees(1, 1) && !agrees(1, 2));
        without_checks(|| {
            assert!(agrees(1, 2));
            without_checks(|| assert!(agrees(1, 2)));
            assert!(agrees(1, 2));
        });
        assert!(!agrees(1, 2));
        let panicked = std::panic::catch_unwind(|| without_checks(|| assert!(!agrees(1, 2), "on purpose")));
        assert!(panicked.is_err() && !agrees(1, 2));
    }
}
