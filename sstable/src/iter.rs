//! Standard iterators over a table, from either end.

use std::ops::Bound;

use base::{
    Cursor, InternalKey, KeyBounds, Payload, Result, SharedEntry, SharedPayload, UnixSeconds, Version,
};
use bytes::Bytes;

use crate::{Table, TableCursor};

/// One version of a key, owning or sharing its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    key: Vec<u8>,
    entry: SharedEntry,
}

impl Item {
    fn here(cursor: &TableCursor) -> Option<Self> {
        let key = cursor.key()?;
        let value = cursor.inline_value();
        let entry = SharedEntry::new(key.version, cursor.entry()?, |_| value.unwrap_or_default());
        Some(Self { key: key.user_key.to_vec(), entry })
    }

    /// The user key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The value, when there is one and it is in the table.
    #[must_use]
    pub fn value(&self) -> Option<&Bytes> {
        match &self.entry.payload {
            SharedPayload::Inline(value) => Some(value),
            SharedPayload::Tombstone | SharedPayload::Separated(_) => None,
        }
    }

    /// The commit that wrote it; [`Version::ZERO`] for a plain key.
    #[must_use]
    pub fn version(&self) -> Version {
        self.entry.version
    }

    /// What this version holds: value, pointer or deletion.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        self.entry.as_entry().payload
    }

    /// The user's own byte.
    #[must_use]
    pub fn user_meta(&self) -> u8 {
        self.entry.user_meta
    }

    /// When it expires; `None` = never.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixSeconds> {
        self.entry.expires_at
    }

    /// All of it but the key.
    #[must_use]
    pub fn entry(&self) -> &SharedEntry {
        &self.entry
    }

    /// The key and all the rest.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, SharedEntry) {
        (self.key, self.entry)
    }
}

/// Every version of the keys in a range, from either end. After the first error it ends.
#[derive(Debug)]
pub struct Range {
    bounds: KeyBounds,
    front: End,
    back: End,
    is_done: bool,
}

/// One end: a cursor on what it gave last.
#[derive(Debug)]
struct End {
    cursor: TableCursor,
    has_started: bool,
}

impl End {
    fn new(table: &Table) -> Self {
        Self { cursor: table.cursor(), has_started: false }
    }
}

impl Range {
    pub(crate) fn new(table: &Table, bounds: KeyBounds) -> Self {
        Self { bounds, front: End::new(table), back: End::new(table), is_done: false }
    }

    fn step_front(&mut self) -> Result<Option<Item>> {
        let cursor = &mut self.front.cursor;
        if self.front.has_started {
            cursor.next()?;
        } else {
            self.front.has_started = true;
            match &self.bounds.start {
                Bound::Unbounded => cursor.first()?,
                Bound::Included(start) => cursor.seek(InternalKey::first_of(start))?,
                Bound::Excluded(start) => {
                    cursor.seek(InternalKey::last_of(start))?;
                    if cursor.key().is_some_and(|key| key.user_key == start.as_slice()) {
                        cursor.next()?;
                    }
                }
            }
        }
        let is_inside = |key: InternalKey<'_>| {
            let taken = self.back.cursor.key().filter(|_| self.back.has_started);
            self.bounds.admits_end(key.user_key) && taken.is_none_or(|taken| key < taken)
        };
        Ok(if cursor.key().is_some_and(is_inside) { Item::here(cursor) } else { None })
    }

    fn step_back(&mut self) -> Result<Option<Item>> {
        let cursor = &mut self.back.cursor;
        if self.back.has_started {
            cursor.prev()?;
        } else {
            self.back.has_started = true;
            match &self.bounds.end {
                Bound::Unbounded => cursor.last()?,
                Bound::Included(end) => cursor.seek_back(InternalKey::last_of(end))?,
                Bound::Excluded(end) => {
                    cursor.seek_back(InternalKey::first_of(end))?;
                    if cursor.key().is_some_and(|key| key.user_key == end.as_slice()) {
                        cursor.prev()?;
                    }
                }
            }
        }
        let is_inside = |key: InternalKey<'_>| {
            let taken = self.front.cursor.key().filter(|_| self.front.has_started);
            self.bounds.admits_start(key.user_key) && taken.is_none_or(|taken| key > taken)
        };
        Ok(if cursor.key().is_some_and(is_inside) { Item::here(cursor) } else { None })
    }

    fn give(&mut self, step: impl FnOnce(&mut Self) -> Result<Option<Item>>) -> Option<Result<Item>> {
        if self.is_done {
            return None;
        }
        let item = step(self).transpose();
        // Once the ends have met, or one of them failed, neither can go on.
        self.is_done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl Iterator for Range {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.give(Self::step_front)
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.give(Self::step_back)
    }
}

impl std::iter::FusedIterator for Range {}

impl IntoIterator for &Table {
    type Item = Result<Item>;
    type IntoIter = Range;

    fn into_iter(self) -> Range {
        self.iter()
    }
}
