//! The sum of all edits: which files are alive, and what is known of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Version;
use base::header::DatabaseId;

use crate::level::Levels;
use crate::{Edit, Generation, Invalid, LogLength, SegmentMeta, TableMeta};

/// How many levels there are, level 0 included.
pub const MAX_LEVELS: usize = 7;

/// A sealed value segment, and how much of it tables still reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// What is known of the segment itself.
    pub meta: SegmentMeta,
    /// How many of its values tables reference.
    pub live_values: u64,
    /// The length of their records with padding, in bytes.
    pub live_bytes: u64,
    /// How many tables reference it.
    pub tables: u64,
}

impl Segment {
    /// All of its sealed length but the referenced records, in bytes.
    #[must_use]
    pub fn dead_bytes(&self) -> u64 {
        self.meta.bytes.saturating_sub(self.live_bytes)
    }
}

/// The sum of all edits of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    database_id: DatabaseId,
    pub(crate) edit_number: u64,
    numbers_below: u64,
    last_version: u64,
    last_commit: u64,
    last_generation: u64,
    tables: BTreeMap<u64, Arc<TableMeta>>,
    levels: Levels,
    generations: BTreeMap<u64, Generation>,
    segments: BTreeMap<u64, Segment>,
    closed: Option<Vec<LogLength>>,
}

impl State {
    /// The state before the first edit: no files, and a lease of none.
    #[must_use]
    pub fn new(database_id: DatabaseId) -> Self {
        Self {
            database_id,
            edit_number: 0,
            numbers_below: 1,
            last_version: 0,
            last_commit: 0,
            last_generation: 0,
            tables: BTreeMap::new(),
            levels: Levels::default(),
            generations: BTreeMap::new(),
            segments: BTreeMap::new(),
            closed: None,
        }
    }

    /// The database that this is the state of.
    #[must_use]
    pub fn database_id(&self) -> DatabaseId {
        self.database_id
    }

    /// The number of the last edit.
    #[must_use]
    pub fn edit_number(&self) -> u64 {
        self.edit_number
    }

    /// File numbers below this may have been used, in whatever way the last run ended.
    #[must_use]
    pub fn numbers_below(&self) -> u64 {
        self.numbers_below
    }

    /// The highest version that an edit recorded.
    #[must_use]
    pub fn last_version(&self) -> Version {
        Version(self.last_version)
    }

    /// The number of the last commit that is in tables.
    #[must_use]
    pub fn last_commit(&self) -> u64 {
        self.last_commit
    }

    /// The highest generation id ever given; 0 before the first.
    #[must_use]
    pub fn last_generation(&self) -> u64 {
        self.last_generation
    }

    /// Every table, by file number.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = &Arc<TableMeta>> {
        self.tables.values()
    }

    /// One table.
    #[must_use]
    pub fn table(&self, number: u64) -> Option<&Arc<TableMeta>> {
        self.tables.get(&number)
    }

    /// The tables of a level in the order of reading: level 0 from the newest to the oldest, the others by key.
    pub fn level(&self, level: u8) -> impl DoubleEndedIterator<Item = &Arc<TableMeta>> {
        self.levels.iter(level)
    }

    /// How many tables a level has.
    #[must_use]
    pub fn level_len(&self, level: u8) -> usize {
        self.levels.len(level)
    }

    /// The open generations from the oldest to the newest.
    pub fn generations(&self) -> impl ExactSizeIterator<Item = &Generation> + DoubleEndedIterator {
        self.generations.values()
    }

    /// One open generation.
    #[must_use]
    pub fn generation(&self, id: u64) -> Option<&Generation> {
        self.generations.get(&id)
    }

    /// The sealed value segments, by file number.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &Segment> {
        self.segments.values()
    }

    /// One sealed value segment.
    #[must_use]
    pub fn segment(&self, number: u64) -> Option<&Segment> {
        self.segments.get(&number)
    }

    /// The lengths of all logs, when the last thing that happened was a clean close.
    #[must_use]
    pub fn closed(&self) -> Option<&[LogLength]> {
        self.closed.as_deref()
    }

    /// True when `number` is that of a living table, segment or log.
    #[must_use]
    pub fn is_alive(&self, number: u64) -> bool {
        self.tables.contains_key(&number)
            || self.segments.contains_key(&number)
            || self.generations.values().any(|open| open.wal == number || open.vlog == number)
    }

    /// Validates `edit` without changing anything. Costs as much as the edit is large, not as the state is.
    ///
    /// # Errors
    /// The first rule that the edit breaks.
    pub fn check(&self, edit: &Edit) -> Result<(), Invalid> {
        crate::check::check(self, edit)
    }

    /// Validates `edit` and applies it as the next one.
    ///
    /// # Errors
    /// The first rule that the edit breaks; nothing has changed then.
    pub fn apply(&mut self, edit: &Edit) -> Result<(), Invalid> {
        self.check(edit)?;
        let number = self.next_edit_number()?;
        self.absorb(edit.clone(), number);
        Ok(())
    }

    pub(crate) fn next_edit_number(&self) -> Result<u64, Invalid> {
        self.edit_number.checked_add(1).ok_or(Invalid::NumbersExhausted)
    }

    pub(crate) fn tables_conflict(
        &self,
        table: &TableMeta,
        level: u8,
        stays: impl Fn(&TableMeta) -> bool,
    ) -> Option<&TableMeta> {
        self.levels.conflict(level, table, stays)
    }

    /// Applies an edit that was checked.
    pub(crate) fn absorb(&mut self, edit: Edit, number: u64) {
        self.edit_number = number;
        for meta in edit.segments_added {
            self.segments.insert(meta.number, Segment { meta, ..Segment::default() });
        }
        for number in edit.tables_removed {
            if let Some(table) = self.tables.remove(&number) {
                self.levels.remove(&table);
                self.account(&table, |live, change| live.saturating_sub(change));
            }
        }
        let moved = edit.tables_moved.into_iter();
        let moved = moved.filter_map(|(number, level)| Some((self.tables.get(&number)?.clone(), level)));
        // All leave before the first arrives: two tables may swap places.
        let moved: Vec<_> = moved.collect();
        for (table, _) in &moved {
            self.levels.remove(table);
        }
        for (table, level) in moved {
            self.place(TableMeta { level, ..(*table).clone() });
        }
        for table in edit.tables_added {
            self.account(&table, u64::saturating_add);
            self.place(table);
        }
        for number in edit.segments_removed {
            self.segments.remove(&number);
        }
        for id in edit.generations_retired {
            self.generations.remove(&id);
        }
        for generation in edit.generations_opened {
            self.last_generation = self.last_generation.max(generation.id);
            self.generations.insert(generation.id, generation);
        }
        self.numbers_below = edit.numbers_below.unwrap_or(self.numbers_below);
        self.last_version = edit.last_version.unwrap_or(self.last_version);
        self.last_commit = edit.last_commit.unwrap_or(self.last_commit);
        self.last_generation = edit.last_generation.unwrap_or(self.last_generation);
        self.closed = edit.closed;
    }

    fn place(&mut self, table: TableMeta) {
        let table = Arc::new(table);
        self.levels.insert(Arc::clone(&table));
        self.tables.insert(table.number, table);
    }

    fn account(&mut self, table: &TableMeta, change: impl Fn(u64, u64) -> u64) {
        for used in &table.value_use {
            if let Some(segment) = self.segments.get_mut(&used.segment) {
                segment.live_values = change(segment.live_values, used.values);
                segment.live_bytes = change(segment.live_bytes, used.record_bytes);
                segment.tables = change(segment.tables, 1);
            }
        }
    }
}
