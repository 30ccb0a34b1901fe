//! The memory that transactions may use together: refused, not waited for, when it is used up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Error, Result};

/// What the limit is called in errors.
pub(crate) const MEMORY: &str = "memory of transactions in bytes";
/// Reservations grow by at least this much, so that a small write seldom touches the shared counter.
const STEP_BYTES: usize = 16 << 10;

/// A limit shared by all transactions of one database, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(used) => Err(Error::LimitExceeded {
                what: MEMORY,
                limit: self.limit as u64,
                got: (used as u64).saturating_add(bytes as u64),
            }),
        }
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Reservation {
    /// Nothing yet.
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Holds at least `bytes` from now on.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when the budget has not that much left; what it held before, it still holds.
    #[inline]
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let Some(missing) = bytes.checked_sub(self.bytes).filter(|missing| *missing > 0) else {
            return Ok(());
        };
        let generous = missing.max(STEP_BYTES);
        // Near the limit the exact amount may still fit.
        let taken = match self.budget.take(generous) {
            Ok(()) => generous,
            Err(_) => self.budget.take(missing).map(|()| missing)?,
        };
        self.bytes += taken;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the limit holds to the byte and everything comes back. Method: fill it, overdraw it, drop, fill again.
    #[test]
    fn the_limit_is_exact_and_drop_gives_back() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (Reservation::new(&budget), Reservation::new(&budget));
        one.grow_to(60).unwrap();
        other.grow_to(40).unwrap();
        let refused = other.grow_to(41).unwrap_err();
        assert!(matches!(refused, Error::LimitExceeded { limit: 100, got: 101, .. }), "{refused}");
        drop(one);
        other.grow_to(100).unwrap();
        drop(other);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
