//! One sorted run of a merge.

use base::{Cursor, Direction, Entry, InternalKey, Result, Visit};
use bytes::Bytes;
use memtable::MemtableCursor;
use sstable::TableCursor;

use super::level_cursor::LevelCursor;

/// A cursor over one memtable, one table, or one level of disjoint tables.
#[derive(Debug)]
pub(crate) enum Source {
    Memtable(MemtableCursor),
    Table(TableCursor),
    Level(LevelCursor),
}

/// Passes a call on to the cursor inside.
macro_rules! each {
    ($self:expr, $cursor:ident => $call:expr) => {
        match $self {
            Source::Memtable($cursor) => $call,
            Source::Table($cursor) => $call,
            Source::Level($cursor) => $call,
        }
    };
}

impl Cursor for Source {
    #[inline]
    fn key(&self) -> Option<InternalKey<'_>> {
        each!(self, cursor => cursor.key())
    }

    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        each!(self, cursor => cursor.entry())
    }

    fn inline_value(&self) -> Option<Bytes> {
        each!(self, cursor => cursor.inline_value())
    }

    fn first(&mut self) -> Result<()> {
        each!(self, cursor => cursor.first())
    }

    fn last(&mut self) -> Result<()> {
        each!(self, cursor => cursor.last())
    }

    fn expect_seek(&self, target: InternalKey<'_>) {
        each!(self, cursor => cursor.expect_seek(target));
    }

    fn seek(&mut self, target: InternalKey<'_>) -> Result<()> {
        each!(self, cursor => cursor.seek(target))
    }

    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()> {
        each!(self, cursor => cursor.seek_back(target))
    }

    #[inline]
    fn next(&mut self) -> Result<()> {
        each!(self, cursor => cursor.next())
    }

    #[inline]
    fn prev(&mut self) -> Result<()> {
        each!(self, cursor => cursor.prev())
    }
    fn walk(&mut self, direction: Direction, visit: &mut impl Visit) -> Result<()> {
        each!(self, cursor => cursor.walk(direction, visit))
    }
}
