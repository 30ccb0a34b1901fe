//! The contract of a position in a sorted run of versioned entries.

use bytes::Bytes;

use crate::{Entry, InternalKey, Result};

/// A position in a sorted run.
///
/// `key` and `entry` are `None` before the first positioning call, past either end, and after an error:
/// there is no separate "valid" flag to forget. After an error the cursor stays unpositioned until it is
/// positioned anew.
///
/// # Contract
/// 1. Keys are strictly ascending in [`InternalKey`] order; `prev` visits exactly the keys of `next`, reversed.
/// 2. `next` past the last key, and `prev` before the first, leave the cursor unpositioned; a further step
///    from there does nothing.
/// 3. The direction may change at any step.
pub trait Cursor {
    /// The key here.
    fn key(&self) -> Option<InternalKey<'_>>;

    /// The entry here.
    fn entry(&self) -> Option<Entry<'_>>;

    /// An owned, shared copy of the inline value here; without copying where the run can share its memory.
    /// `None` when there is no inline value here.
    fn inline_value(&self) -> Option<Bytes>;

    /// Goes to the smallest key.
    fn first(&mut self) -> Result<()>;

    /// Goes to the largest key.
    fn last(&mut self) -> Result<()>;

    /// Goes to the first key at or after `target`.
    fn seek(&mut self, target: InternalKey<'_>) -> Result<()>;

    /// Goes to the last key at or before `target`.
    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()>;

    /// One step up.
    fn next(&mut self) -> Result<()>;

    /// One step down.
    fn prev(&mut self) -> Result<()>;
}
