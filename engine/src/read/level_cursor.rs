//! A cursor over the disjoint tables of one level, which opens one table at a time.

use std::ops::Range;
use std::sync::Arc;

use base::{Cursor, Direction, Entry, InternalKey, Result, Visit};
use bytes::Bytes;
use sstable::TableCursor;

use crate::table_set::{TableHandle, TableSet};

/// A position in one level below L0, or in any run of disjoint tables in key order.
#[derive(Debug)]
pub(crate) struct LevelCursor {
    run: Run,
    index: usize,
    cursor: Option<TableCursor>,
}

/// Disjoint tables in key order.
#[derive(Debug)]
enum Run {
    /// Some that were chosen.
    Tables(Vec<Arc<TableHandle>>),
    /// A part of a level, where it stands: a level may have thousands of tables, and a short scan meets one.
    Level { set: Arc<TableSet>, level: usize, part: Range<usize> },
}

impl Run {
    fn tables(&self) -> &[Arc<TableHandle>] {
        match self {
            Self::Tables(tables) => tables,
            Self::Level { set, level, part } => set.level(*level).get(part.clone()).unwrap_or_default(),
        }
    }
}

impl LevelCursor {
    pub(crate) fn new(tables: Vec<Arc<TableHandle>>) -> Self {
        Self { run: Run::Tables(tables), index: 0, cursor: None }
    }

    /// Over the tables of `set` numbered `part` in `level`.
    pub(crate) fn of_level(set: &Arc<TableSet>, level: usize, part: Range<usize>) -> Self {
        Self { run: Run::Level { set: Arc::clone(set), level, part }, index: 0, cursor: None }
    }

    fn tables(&self) -> &[Arc<TableHandle>] {
        self.run.tables()
    }

    /// Opens table `index`; false when there is none.
    fn open(&mut self, index: usize) -> Result<bool> {
        if self.cursor.is_some() && self.index == index {
            return Ok(true);
        }
        self.cursor = None;
        let Some(table) = self.tables().get(index) else { return Ok(false) };
        self.cursor = Some(table.table()?.cursor());
        self.index = index;
        Ok(true)
    }

    fn position(&mut self, index: usize, place: impl FnOnce(&mut TableCursor) -> Result<()>) -> Result<()> {
        if self.open(index)?
            && let Some(cursor) = &mut self.cursor
            && let Err(error) = place(cursor)
        {
            self.cursor = None;
            return Err(error);
        }
        Ok(())
    }

    /// Goes on to the next table while the present one is exhausted.
    fn settle_forward(&mut self) -> Result<()> {
        while self.cursor.as_ref().is_some_and(|cursor| cursor.key().is_none()) {
            self.position(self.index + 1, Cursor::first)?;
        }
        Ok(())
    }

    /// Goes back to the previous table while the present one is exhausted.
    fn settle_backward(&mut self) -> Result<()> {
        while self.cursor.as_ref().is_some_and(|cursor| cursor.key().is_none()) {
            match self.index.checked_sub(1) {
                Some(previous) => self.position(previous, Cursor::last)?,
                None => self.cursor = None,
            }
        }
        Ok(())
    }
}

impl Cursor for LevelCursor {
    #[inline]
    fn key(&self) -> Option<InternalKey<'_>> {
        self.cursor.as_ref()?.key()
    }

    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        self.cursor.as_ref()?.entry()
    }

    fn inline_value(&self) -> Option<Bytes> {
        self.cursor.as_ref()?.inline_value()
    }

    fn first(&mut self) -> Result<()> {
        self.cursor = None;
        self.position(0, Cursor::first)?;
        self.settle_forward()
    }

    fn last(&mut self) -> Result<()> {
        self.cursor = None;
        let Some(last) = self.tables().len().checked_sub(1) else { return Ok(()) };
        self.position(last, Cursor::last)?;
        self.settle_backward()
    }

    fn expect_seek(&self, target: InternalKey<'_>) {
        // A table that is not open yet has more to read than what could be asked for.
        let index = TableSet::first_at_or_after(self.tables(), target);
        if let Some(table) = self.tables().get(index).and_then(|table| table.opened()) {
            table.expect_seek(target);
        }
    }

    fn seek(&mut self, target: InternalKey<'_>) -> Result<()> {
        let index = TableSet::first_at_or_after(self.tables(), target);
        self.position(index, |cursor| cursor.seek(target))?;
        self.settle_forward()
    }

    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()> {
        let after = self.tables().partition_point(|table| table.meta.smallest.as_slice() <= target.user_key);
        match after.checked_sub(1) {
            Some(index) => self.position(index, |cursor| cursor.seek_back(target))?,
            None => self.cursor = None,
        }
        self.settle_backward()
    }

    #[inline]
    fn next(&mut self) -> Result<()> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        cursor.next()?;
        if cursor.key().is_some() { Ok(()) } else { self.settle_forward() }
    }

    #[inline]
    fn prev(&mut self) -> Result<()> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        cursor.prev()?;
        if cursor.key().is_some() { Ok(()) } else { self.settle_backward() }
    }
    fn walk(&mut self, direction: Direction, visit: &mut impl Visit) -> Result<()> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        cursor.walk(direction, visit)?;
        match direction {
            _ if cursor.key().is_some() => Ok(()),
            Direction::Forward => self.settle_forward(),
            Direction::Backward => self.settle_backward(),
        }
    }
}
