//! A panic below is a defect, and is told as an error: those who wait are woken with it, threads live on, and a handle that is
//! dropped does not panic in its turn.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does `work`; a panic in it becomes an error that names what was done. The engine has stopped writing then, if it was in the
/// middle of a change.
pub(crate) fn as_error<T, E: From<base::Error>>(
    during: &'static str,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    // What the work was changing is not looked at again: the halt sees to that.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(base::Error::Panicked { during }.into()))
}
