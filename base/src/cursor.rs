//! The contract of a position in a sorted run of versioned entries.

use bytes::Bytes;

use crate::{Entry, InternalKey, Result};

/// The way through a sorted run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To larger keys.
    Forward,
    /// To smaller keys.
    Backward,
}

/// One entry of a run, as [`Cursor::walk`] shows it.
#[derive(Clone, Copy, Debug)]
pub struct EntryRef<'a> {
    /// Its key.
    pub key: InternalKey<'a>,
    /// What it holds.
    pub entry: Entry<'a>,
    /// The shared bytes that an inline value lies in; `None` where the run cannot share them.
    pub block: Option<&'a Bytes>,
    /// True when the run has found that the user key comes, in the direction of the walk, behind that of the entry shown right
    /// before by the same call. False says nothing.
    pub is_further: bool,
}

/// What most entries are, an inline value without metadata.
#[derive(Clone, Copy, Debug)]
pub struct PlainRef<'a> {
    /// As [`EntryRef::key`].
    pub key: InternalKey<'a>,
    /// The value.
    pub value: &'a [u8],
    /// As [`EntryRef::block`].
    pub block: Option<&'a Bytes>,
    /// As [`EntryRef::is_further`].
    pub is_further: bool,
}

impl<'a> PlainRef<'a> {
    /// The same as any entry is shown.
    #[inline(always)] // Where the result is looked at field by field, it is never made.
    #[must_use]
    pub fn as_entry_ref(&self) -> EntryRef<'a> {
        let PlainRef { key, value, block, is_further } = *self;
        EntryRef { key, entry: Entry::inline(value), block, is_further }
    }
}

/// Whom a walk shows entries to; any function that takes an [`EntryRef`] is one.
pub trait Visit {
    /// Looks at an entry; `false` ends the walk there.
    fn entry(&mut self, found: &EntryRef<'_>) -> bool;

    /// The same for a plain entry. A run that knows its entries to be plain calls this, which a visitor may have inlined into the
    /// loop of the run; the entry is not put together then.
    #[inline]
    fn plain(&mut self, found: &PlainRef<'_>) -> bool {
        self.entry(&found.as_entry_ref())
    }
}

impl<F: FnMut(&EntryRef<'_>) -> bool> Visit for F {
    #[inline]
    fn entry(&mut self, found: &EntryRef<'_>) -> bool {
        self(found)
    }
}

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

    /// A hint that [`Cursor::seek`] or [`Cursor::seek_back`] with this target comes next, and something else before it: what it reads first may be asked for.
    fn expect_seek(&self, _target: InternalKey<'_>) {}

    /// Goes to the last key at or before `target`.
    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()>;

    /// One step up.
    fn next(&mut self) -> Result<()>;

    /// One step down.
    fn prev(&mut self) -> Result<()>;

    /// Shows `visit` the entry here and those that follow in `direction`, until it refuses one by `false`: there the cursor stands
    /// then. It may stop before, where that is convenient, as at the end of a block, on an entry that it has not shown; but it
    /// shows at least one if there is one. At the end of the run it is left unpositioned.
    ///
    /// The same as steps, and faster: what is the same for a whole block is done once for it.
    ///
    /// # Errors
    /// Those of a step; what was shown before is right.
    fn walk(&mut self, direction: Direction, visit: &mut impl Visit) -> Result<()> {
        while let (Some(key), Some(entry)) = (self.key(), self.entry()) {
            if !visit.entry(&EntryRef { key, entry, block: None, is_further: false }) {
                break;
            }
            match direction {
                Direction::Forward => self.next()?,
                Direction::Backward => self.prev()?,
            }
        }
        Ok(())
    }
}
