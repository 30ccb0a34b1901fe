//! Iteration over items, from both ends.

use std::fmt;
use std::sync::Arc;

use base::Direction;
use txn::Snapshot;

use crate::handle::Handle;
use crate::merge::Merged;
use crate::reads::Visit;
use crate::{Item, Result};

/// An iterator over the items that one snapshot sees, by key ascending; double-ended. Made by [`crate::Scan::iter`] and its short
/// forms.
///
/// It owns what it needs: it may outlive its transaction and move to another thread. What its transaction writes after it was
/// made, it does not show. It ends after its first error.
pub struct Range {
    merged: Merged,
    visit: Option<Visit>,
    reversed: bool,
    keys_only: bool,
    /// How many more items are shown; none after the end or an error.
    left: u64,
    /// What [`Range::read`] has found.
    found: Option<Item>,
    /// What the iteration reads is kept while this lives.
    snapshot: Snapshot,
    handle: Arc<Handle>,
}

/// How a range shows what it finds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) reversed: bool,
    pub(crate) keys_only: bool,
    pub(crate) limit: u64,
}

impl Range {
    pub(crate) fn new(
        handle: Arc<Handle>,
        snapshot: Snapshot,
        merged: Merged,
        visit: Option<Visit>,
        shape: Shape,
    ) -> Self {
        let Shape { reversed, keys_only, limit } = shape;
        Self { merged, visit, reversed, keys_only, left: limit, found: None, snapshot, handle }
    }

    /// The next item in a direction.
    #[inline]
    fn step(&mut self, direction: Direction) -> Option<Result<Item>> {
        if self.left == 0 {
            return None;
        }
        let item = match self.take_read(direction) {
            Some(item) => item,
            // An item that a call returns lies in memory, and so would all that are made here; the processor would wait for each.
            None => match self.read(direction) {
                Ok(()) => self.found.take()?,
                Err(error) => return Some(Err(error)),
            },
        };
        self.left -= 1;
        Some(Ok(item))
    }

    /// The rule, and the fast one: nothing is recorded, the database is open, and the item has been read.
    #[inline]
    fn take_read(&mut self, direction: Direction) -> Option<Item> {
        if self.visit.is_some() || self.handle.store().check_open().is_err() {
            return None;
        }
        self.merged.take_read(direction)
    }

    /// Finds the next item; there are no more when there is none.
    #[inline(never)]
    fn read(&mut self, direction: Direction) -> Result<()> {
        let item = self.advance(direction);
        if !matches!(item, Ok(Some(_))) {
            self.left = 0;
        }
        self.found = item?;
        Ok(())
    }

    fn advance(&mut self, direction: Direction) -> Result<Option<Item>> {
        self.handle.store().check_open()?;
        let item = self.merged.step(direction)?;
        if let Some(visit) = &self.visit {
            match &item {
                Some(item) => visit.reached(item.key(), direction == Direction::Backward),
                None => visit.ran_out(),
            }
        }
        Ok(item.map(|item| if self.keys_only { item.without_value() } else { item }))
    }

    /// Where the front of the range is.
    #[inline]
    fn onward(&self) -> Direction {
        if self.reversed { Direction::Backward } else { Direction::Forward }
    }
}

impl Iterator for Range {
    type Item = Result<Item>;

    #[inline]
    fn next(&mut self) -> Option<Result<Item>> {
        self.step(self.onward())
    }
}

impl DoubleEndedIterator for Range {
    #[inline]
    fn next_back(&mut self) -> Option<Result<Item>> {
        match self.onward() {
            Direction::Forward => self.step(Direction::Backward),
            Direction::Backward => self.step(Direction::Forward),
        }
    }
}

impl std::iter::FusedIterator for Range {}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range").field("version", &self.snapshot.version()).finish_non_exhaustive()
    }
}
