//! The latch that stops all writing after the first failed write or sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::seeded::{self, Bug};
use crate::{Error, Result};

/// First failure wins and stays: later writes are refused with its cause, reads go on.
///
/// After a failed sync the system may have dropped the dirty pages and call them clean, so a second sync
/// that succeeds proves nothing; only a reopen, which reads what is really there, can go on.
#[derive(Debug, Default)]
pub struct Halt {
    tripped: AtomicBool,
    cause: Mutex<Option<Arc<Error>>>,
}

impl Halt {
    /// Not tripped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trips the latch with `cause`, unless it is tripped already, and returns the error for the caller.
    pub fn trip(&self, cause: Error) -> Error {
        let mut first = self.cause.lock();
        if first.is_none() {
            *first = Some(Arc::new(cause.clone()));
            self.tripped.store(true, Ordering::SeqCst);
        }
        cause
    }

    /// Does `work`. Should it panic, writing stops, for whatever it was changing is left half done.
    pub fn trip_on_panic<T>(&self, during: &'static str, work: impl FnOnce() -> T) -> T {
        let unfinished = Unfinished { halt: self, during };
        let done = work();
        std::mem::forget(unfinished);
        done
    }

    /// Fails with the first cause once the latch is tripped.
    pub fn check(&self) -> Result<()> {
        if !self.is_tripped() || seeded::is(Bug::GoOnAfterHalt) {
            return Ok(());
        }
        match self.cause.lock().clone() {
            Some(cause) => Err(Error::Halted { cause }),
            None => Ok(()),
        }
    }

    /// True once tripped.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        self.tripped.load(Ordering::SeqCst)
    }
}

/// Work that has not returned; dropped only when it never will.
struct Unfinished<'a> {
    halt: &'a Halt,
    during: &'static str,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let _first_or_not = self.halt.trip(Error::Panicked { during: self.during });
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Goal: work that panics trips the latch, and no other does. Method: one of each.
    #[test]
    fn only_work_that_panics_trips_the_latch() {
        let halt = Halt::new();
        assert_eq!(halt.trip_on_panic("adding", || 1 + 1), 2);
        halt.check().unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| halt.trip_on_panic("adding", || panic!("defect"))));
        assert!(panicked.is_err());
        let Err(Error::Halted { cause }) = halt.check() else { panic!("not tripped") };
        assert!(matches!(*cause, Error::Panicked { during: "adding" }), "{cause}");
    }
}
