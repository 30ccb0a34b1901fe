//! A mutex for state that a panic may leave half changed: whoever gets the lock next must not take it for whole.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use base::{Error, Halt};
use parking_lot::{Mutex, MutexGuard};

/// A mutex whose holder, when it panics, stops all writing before it lets the lock go.
pub(crate) struct Guarded<T> {
    value: Mutex<T>,
    halt: Arc<Halt>,
    /// What its holders are at, for the cause of the halt.
    during: &'static str,
}

impl<T> Guarded<T> {
    pub(crate) fn new(value: T, halt: &Arc<Halt>, during: &'static str) -> Self {
        Self { value: Mutex::new(value), halt: Arc::clone(halt), during }
    }

    pub(crate) fn lock(&self) -> GuardedLock<'_, T> {
        // A lock that is taken while a panic unwinds is let go as usual: its holder is not the one that failed.
        let is_unwinding = std::thread::panicking();
        GuardedLock { value: self.value.lock(), owner: self, is_unwinding }
    }
}

impl<T: fmt::Debug> fmt::Debug for Guarded<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(out)
    }
}

/// A held lock.
pub(crate) struct GuardedLock<'a, T> {
    value: MutexGuard<'a, T>,
    owner: &'a Guarded<T>,
    is_unwinding: bool,
}

impl<T> Deref for GuardedLock<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for GuardedLock<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for GuardedLock<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.is_unwinding {
            let _first_or_not = self.owner.halt.trip(Error::Panicked { during: self.owner.during });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Goal: the halt is there before the lock is free. Method: a panic under the lock, and one beside it.
    #[test]
    fn a_panic_of_the_holder_stops_writing_and_another_one_does_not() {
        let halt = Arc::new(Halt::new());
        let guarded = Guarded::new(0, &halt, "counting");
        let beside = catch_unwind(AssertUnwindSafe(|| {
            *guarded.lock() += 1;
            panic!("beside the lock");
        }));
        assert!(beside.is_err() && !halt.is_tripped());
        let under = catch_unwind(AssertUnwindSafe(|| {
            let mut count = guarded.lock();
            *count += 1;
            panic!("under the lock");
        }));
        assert!(under.is_err());
        let cause = halt.check().unwrap_err().to_string();
        assert!(cause.contains("counting panicked"), "{cause}");
        assert_eq!(*guarded.lock(), 2, "it can be locked on");
    }

    /// A destructor that runs while somebody else's panic unwinds does its work as always.
    #[test]
    fn a_lock_inside_a_destructor_is_let_go_as_usual() {
        struct Counts<'a>(&'a Guarded<u32>);
        impl Drop for Counts<'_> {
            fn drop(&mut self) {
                *self.0.lock() += 1;
            }
        }
        let halt = Arc::new(Halt::new());
        let guarded = Guarded::new(0, &halt, "counting");
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _counts = Counts(&guarded);
            panic!("somebody else's");
        }));
        assert!(unwound.is_err() && !halt.is_tripped());
        assert_eq!(*guarded.lock(), 1);
    }
}
