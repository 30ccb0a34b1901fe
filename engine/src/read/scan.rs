//! Scans: the versions that one snapshot sees, in key order, from both ends.
//!
//! A scan owns what it needs. It reads in pages, ahead of what it shows, and holds a view only for a while: now and then it
//! looks for a newer view and goes on from the key where it stands, so that a scan that lasts hours pins versions but not
//! files. What was read ahead counts for nothing until it is shown: the ends meet at keys that were shown.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

use base::{Direction, InternalKey, KeyBounds, Result, UnixSeconds, Version};

use super::end::{End, ReadAhead};
use super::fill::Reader;
use super::page::ScanItem;
use super::{LevelCursor, MergeCursor, Source};
use crate::options::LEVELS;
use crate::view::{SegmentHandle, View};

/// What a scan shows.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// The keys of interest.
    pub bounds: KeyBounds,
    /// The version that the scan reads at.
    pub version: Version,
    /// The time at which expiry is judged.
    pub now: UnixSeconds,
    /// Show every version, tombstones and expired ones too; newest first going forward, newest last going backward.
    pub all_versions: bool,
    /// Show only versions above this one.
    pub since: Version,
    /// Values will not be asked for.
    pub keys_only: bool,
    /// No more items than this will be asked for: it is not read much further.
    pub limit: u64,
}

impl ScanOptions {
    /// The live keys that a snapshot at `version` and `now` sees.
    #[must_use]
    pub fn at(version: Version, now: UnixSeconds) -> Self {
        let (bounds, since) = (KeyBounds::all(), Version::ZERO);
        Self { bounds, version, now, all_versions: false, since, keys_only: false, limit: u64::MAX }
    }
}

/// Where a scan gets its views from.
pub(crate) trait ScanHost: Send + Sync {
    fn view(&self) -> Arc<View>;
    fn segment(&self, view: &View, number: u64) -> Result<Arc<SegmentHandle>>;
    fn directory(&self) -> &Path;
}

/// A scan; both ends move towards each other.
pub(crate) struct Scan {
    host: Arc<dyn ScanHost>,
    options: ScanOptions,
    ahead: ReadAhead,
    /// Both boxed, because a scan is moved about before it is used.
    front: Option<Box<End>>,
    back: Option<Box<End>>,
    /// How many more items will be asked for.
    left: u64,
    finished: bool,
}

/// A merge over every source of `view` that may hold a key inside `bounds`.
pub(crate) fn merge_of(view: &View, bounds: &KeyBounds) -> Result<MergeCursor<Source>> {
    let mut sources = Vec::with_capacity(view.memtables.len() + LEVELS);
    for memtable in &view.memtables {
        if !memtable.is_empty() {
            sources.push(Source::Memtable(memtable.cursor()));
        }
    }
    for (number, level) in view.tables.levels.iter().enumerate() {
        if number == 0 {
            for table in level {
                if bounds.admits_end(&table.meta.smallest) && bounds.admits_start(&table.meta.largest) {
                    sources.push(Source::Table(table.table()?.cursor()));
                }
            }
            continue;
        }
        let first = level.partition_point(|table| !bounds.admits_start(&table.meta.largest));
        let end = level.partition_point(|table| bounds.admits_end(&table.meta.smallest));
        match level.get(first..end).unwrap_or_default() {
            [] => {}
            [only] => sources.push(Source::Table(only.table()?.cursor())),
            [..] => sources.push(Source::Level(LevelCursor::of_level(&view.tables, number, first..end))),
        }
    }
    Ok(MergeCursor::new(sources))
}

impl Scan {
    pub(crate) fn new(host: Arc<dyn ScanHost>, options: ScanOptions) -> Self {
        Self::with_read_ahead(host, options, ReadAhead::default())
    }

    /// With pages of another size.
    pub(super) fn with_read_ahead(host: Arc<dyn ScanHost>, options: ScanOptions, ahead: ReadAhead) -> Self {
        let left = options.limit;
        Self { host, options, ahead, front: None, back: None, left, finished: false }
    }

    /// The next item, if it has been read and nothing need be looked at but its page: the rule, at no cost.
    #[inline]
    pub(crate) fn take(&mut self, direction: Direction) -> Option<ScanItem> {
        // Ends that might meet are looked at by `next`; those of a finished scan are gone.
        let item = match (direction, &mut self.front, &mut self.back) {
            (Direction::Forward, Some(end), None) | (Direction::Backward, None, Some(end)) => end.take()?,
            _ => return None,
        };
        self.left = self.left.saturating_sub(1);
        Some(item)
    }

    /// The next item from the front or the back; `None` where the ends have met. Ends at the first error, so that a caller who
    /// goes on is not shown a gap.
    pub(crate) fn next(&mut self, direction: Direction) -> Result<Option<ScanItem>> {
        if self.finished {
            return Ok(None);
        }
        let item = self.read(direction);
        if !matches!(item, Ok(Some(_))) {
            self.finished = true;
            (self.front, self.back) = (None, None);
        }
        item
    }

    /// The next item from one end, read if it has to be.
    fn read(&mut self, direction: Direction) -> Result<Option<ScanItem>> {
        let reader = Reader { host: &*self.host, options: &self.options };
        let (end, other) = match direction {
            Direction::Forward => (&mut self.front, &self.back),
            Direction::Backward => (&mut self.back, &self.front),
        };
        let end = match end {
            Some(end) => end,
            None => end.insert(Box::new(End::open(reader, direction, self.ahead)?)),
        };
        let item = match end.take() {
            Some(item) => Some(item),
            None if end.refill(reader, self.left)? => end.take(),
            None => None,
        };
        self.left = self.left.saturating_sub(1);
        Ok(item.filter(|item| is_before(item, direction, &self.options, other.as_deref())))
    }
}

/// True when `item` comes, in `direction`, before what the other end has shown last.
fn is_before(item: &ScanItem, direction: Direction, options: &ScanOptions, other: Option<&End>) -> bool {
    let Some(limit) = other.and_then(End::shown) else { return true };
    let order = match options.all_versions {
        true => InternalKey::new(item.user_key(), item.version()).cmp(&limit),
        false => item.user_key().cmp(limit.user_key),
    };
    match direction {
        Direction::Forward => order == Ordering::Less,
        Direction::Backward => order == Ordering::Greater,
    }
}
