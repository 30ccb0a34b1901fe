//! Iteration over items, from both ends.

use std::fmt;
use std::sync::Arc;

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
    left: u64,
    finished: bool,
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
        Self { merged, visit, reversed, keys_only, left: limit, finished: false, snapshot, handle }
    }

    fn step(&mut self, from_back: bool) -> Option<Result<Item>> {
        if self.finished || self.left == 0 {
            return None;
        }
        let item = self.advance(from_back).transpose();
        match &item {
            Some(Ok(_)) => self.left -= 1,
            Some(Err(_)) | None => self.finished = true,
        }
        item
    }

    fn advance(&mut self, from_back: bool) -> Result<Option<Item>> {
        self.handle.store().check_open()?;
        let item = if from_back { self.merged.next_back()? } else { self.merged.next()? };
        if let Some(visit) = &self.visit {
            match &item {
                Some(item) => visit.reached(item.key(), from_back),
                None => visit.ran_out(),
            }
        }
        Ok(item.map(|item| if self.keys_only { item.without_value() } else { item }))
    }
}

impl Iterator for Range {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Result<Item>> {
        self.step(self.reversed)
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Result<Item>> {
        self.step(!self.reversed)
    }
}

impl std::iter::FusedIterator for Range {}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range").field("version", &self.snapshot.version()).finish_non_exhaustive()
    }
}
