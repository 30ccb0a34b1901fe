//! Scans: the versions that one snapshot sees, in key order, from both ends.
//!
//! A scan owns what it needs. It holds a view only for a while: now and then it looks for a newer view and goes on from
//! the key where it stands, so that a scan that lasts hours pins versions but not files.

use std::cmp::Ordering;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use base::{
    Cursor, Error, InternalKey, InternalKeyBuf, KeyBounds, Result, SharedEntry, UnixSeconds, Version,
};
use bytes::Bytes;

use super::get::value_of;
use super::{MergeCursor, Source};
use crate::view::{SegmentHandle, View};

/// After how many steps a scan looks for a newer view; few in checked builds, so that tests cross views often.
const STEPS_PER_VIEW: u32 = if cfg!(debug_assertions) { 8 } else { 4096 };
/// After how many older versions of one key a seek is cheaper than another step.
const STEPS_BEFORE_SEEK: u32 = 8;

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
}

/// One version of one key.
#[derive(Clone, Debug)]
pub struct ScanItem {
    /// The key.
    pub user_key: Vec<u8>,
    /// What it holds.
    pub entry: SharedEntry,
    /// The segment of a separated value.
    pub(crate) segment: Option<Arc<SegmentHandle>>,
}

impl ScanItem {
    /// The value; `None` for a tombstone. Shares memory where it can.
    ///
    /// # Errors
    /// Damage, or the system's.
    pub fn value(&self) -> Result<Option<Bytes>> {
        value_of(&self.entry, self.segment.as_ref(), &self.user_key)
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
    front: Option<End>,
    back: Option<End>,
    finished: bool,
}

/// One end: a merge over a view, and the last key it showed.
struct End {
    view: Arc<View>,
    merge: MergeCursor<Source>,
    shown: Option<(Vec<u8>, Version)>,
    steps: u32,
}

impl End {
    fn new(view: Arc<View>, bounds: &KeyBounds) -> Result<Self> {
        let merge = merge_of(&view, bounds)?;
        Ok(Self { view, merge, shown: None, steps: 0 })
    }
}

/// A merge over every source of `view` that may hold a key inside `bounds`.
pub(crate) fn merge_of(view: &View, bounds: &KeyBounds) -> Result<MergeCursor<Source>> {
    let mut sources = Vec::new();
    for memtable in &view.memtables {
        if !memtable.is_empty() {
            sources.push(Source::Memtable(memtable.cursor()));
        }
    }
    let inside =
        |smallest: &[u8], largest: &[u8]| bounds.admits_end(smallest) && bounds.admits_start(largest);
    for (index, level) in view.tables.levels.iter().enumerate() {
        let mut tables = level.iter().filter(|table| inside(&table.meta.smallest, &table.meta.largest));
        if index == 0 {
            for table in tables {
                sources.push(Source::Table(table.table()?.cursor()));
            }
        } else if let Some(first) = tables.next() {
            let run: Vec<_> = std::iter::once(first).chain(tables).cloned().collect();
            match run.as_slice() {
                [only] => sources.push(Source::Table(only.table()?.cursor())),
                _ => sources.push(Source::Level(super::level_cursor::LevelCursor::new(run))),
            }
        }
    }
    Ok(MergeCursor::new(sources))
}

impl Scan {
    pub(crate) fn new(host: Arc<dyn ScanHost>, options: ScanOptions) -> Self {
        Self { host, options, front: None, back: None, finished: false }
    }

    /// The next item from the front; `None` at the end, or where the back has been.
    pub(crate) fn next(&mut self) -> Result<Option<ScanItem>> {
        self.guarded(Self::step_front)
    }

    /// The next item from the back; `None` at the end, or where the front has been.
    pub(crate) fn next_back(&mut self) -> Result<Option<ScanItem>> {
        self.guarded(Self::step_back)
    }

    /// Ends the scan at the first error, so that a caller who goes on is not shown a gap.
    fn guarded(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<Option<ScanItem>>,
    ) -> Result<Option<ScanItem>> {
        if self.finished {
            return Ok(None);
        }
        let item = step(self);
        self.finished = !matches!(item, Ok(Some(_)));
        item
    }

    fn step_front(&mut self) -> Result<Option<ScanItem>> {
        if self.front.is_none() {
            self.front = Some(self.open_front()?);
        }
        let Some(end) = &mut self.front else { return Ok(None) };
        let reader = Reader { host: &*self.host, options: &self.options };
        reader.refresh(end, false)?;
        let item = reader.find_forward(end)?;
        Ok(item.filter(|item| self.is_between(item, Ordering::Less, self.back.as_ref())))
    }

    fn step_back(&mut self) -> Result<Option<ScanItem>> {
        if self.back.is_none() {
            self.back = Some(self.open_back()?);
        }
        let Some(end) = &mut self.back else { return Ok(None) };
        let reader = Reader { host: &*self.host, options: &self.options };
        reader.refresh(end, true)?;
        let item = reader.find_backward(end)?;
        Ok(item.filter(|item| self.is_between(item, Ordering::Greater, self.front.as_ref())))
    }

    /// True when `item` stands on the given side of the last key that the `other` end has reached.
    fn is_between(&self, item: &ScanItem, side: Ordering, other: Option<&End>) -> bool {
        let Some((key, version)) = other.and_then(|end| end.shown.as_ref()) else { return true };
        let order = if self.options.all_versions {
            InternalKey::new(&item.user_key, item.entry.version).cmp(&InternalKey::new(key, *version))
        } else {
            item.user_key.as_slice().cmp(key)
        };
        order == side
    }

    fn open_front(&self) -> Result<End> {
        let mut end = End::new(self.host.view(), &self.options.bounds)?;
        match &self.options.bounds.start {
            Bound::Unbounded => end.merge.first()?,
            Bound::Included(start) => end.merge.seek(InternalKey::first_of(start))?,
            Bound::Excluded(start) => seek_past(&mut end.merge, start)?,
        }
        Ok(end)
    }

    fn open_back(&self) -> Result<End> {
        let mut end = End::new(self.host.view(), &self.options.bounds)?;
        match &self.options.bounds.end {
            Bound::Unbounded => end.merge.last()?,
            Bound::Included(last) => end.merge.seek_back(InternalKey::last_of(last))?,
            Bound::Excluded(last) => seek_before(&mut end.merge, last)?,
        }
        Ok(end)
    }
}

/// What both ends read with.
struct Reader<'a> {
    host: &'a dyn ScanHost,
    options: &'a ScanOptions,
}

impl Reader<'_> {
    /// Moves a long-lived end to the present view, now and then.
    #[inline]
    fn refresh(&self, end: &mut End, backward: bool) -> Result<()> {
        end.steps += 1;
        if end.steps < STEPS_PER_VIEW {
            return Ok(());
        }
        end.steps = 0;
        let view = self.host.view();
        if Arc::ptr_eq(&view, &end.view) {
            return Ok(());
        }
        match end.shown.take() {
            Some(shown) => *end = self.reopened(view, shown, backward)?,
            None => end.steps = 0,
        }
        Ok(())
    }

    /// An end on `view` that stands behind what was shown last.
    fn reopened(&self, view: Arc<View>, (key, version): (Vec<u8>, Version), backward: bool) -> Result<End> {
        let mut fresh = End::new(view, &self.options.bounds)?;
        let at = InternalKey::new(&key, version);
        match (backward, self.options.all_versions) {
            (false, false) => seek_past(&mut fresh.merge, &key)?,
            (true, false) => seek_before(&mut fresh.merge, &key)?,
            (false, true) => {
                fresh.merge.seek(at)?;
                if fresh.merge.key() == Some(at) {
                    fresh.merge.next()?;
                }
            }
            (true, true) => {
                fresh.merge.seek_back(at)?;
                if fresh.merge.key() == Some(at) {
                    fresh.merge.prev()?;
                }
            }
        }
        fresh.shown = Some((key, version));
        Ok(fresh)
    }

    fn find_forward(&self, end: &mut End) -> Result<Option<ScanItem>> {
        let options = &self.options;
        let mut stale_steps = 0;
        let mut hopped: Option<InternalKeyBuf> = None;
        loop {
            let Some(key) = end.merge.key() else { return Ok(None) };
            if !options.bounds.admits_end(key.user_key) {
                return Ok(None);
            }
            let order = end.shown.as_ref().map_or(Ordering::Less, |shown| self.order(shown, key));
            if order == Ordering::Greater {
                return Err(self.out_of_order(key));
            }
            let is_older = order == Ordering::Equal;
            if is_older || key.version > options.version {
                stale_steps += 1;
                if stale_steps < STEPS_BEFORE_SEEK {
                    end.merge.next()?;
                    continue;
                }
                // Each hop starts behind the one before, or there would be no end to them.
                if hopped.as_ref().is_some_and(|before| key <= before.as_ref()) {
                    return Err(self.out_of_order(key));
                }
                let from = hopped.insert(key.to_buf());
                match is_older {
                    true => seek_past(&mut end.merge, &from.user_key)?,
                    false => end.merge.seek(InternalKey::new(&from.user_key, options.version))?,
                }
                continue;
            }
            stale_steps = 0;
            remember(&mut end.shown, key);
            let item = self.item(&end.merge, &end.view)?;
            end.merge.next()?;
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    fn find_backward(&self, end: &mut End) -> Result<Option<ScanItem>> {
        let options = &self.options;
        loop {
            let Some(key) = end.merge.key() else { return Ok(None) };
            if !options.bounds.admits_start(key.user_key) {
                return Ok(None);
            }
            // Also in front of the first version of a key that is left, for nothing of it is met again.
            if end.shown.as_ref().is_some_and(|shown| self.order(shown, key) != Ordering::Greater) {
                return Err(self.out_of_order(key));
            }
            if options.all_versions {
                if key.version <= options.version {
                    remember(&mut end.shown, key);
                    let item = self.item(&end.merge, &end.view)?;
                    end.merge.prev()?;
                    if item.is_some() {
                        return Ok(item);
                    }
                } else {
                    end.merge.prev()?;
                }
                continue;
            }
            let item = self.newest_visible_backward(end)?;
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    /// How what was shown last stands to `key`: `Less` when it comes before it, `Equal` when `key` is not to be shown any more.
    #[inline]
    fn order(&self, (user_key, version): &(Vec<u8>, Version), key: InternalKey<'_>) -> Ordering {
        if self.options.all_versions {
            InternalKey::new(user_key, *version).cmp(&key)
        } else {
            user_key.as_slice().cmp(key.user_key)
        }
    }

    /// Only damage that its checksum does not show can bring a key out of order; it must not lead in circles.
    #[cold]
    fn out_of_order(&self, key: InternalKey<'_>) -> Error {
        let what =
            format!("a scan met key {} out of order; `verify` tells where", key.user_key.escape_ascii());
        Error::corruption(self.host.directory(), 0, what)
    }

    /// From the oldest version of a key, goes back over all its versions and shows the newest visible one, if live.
    fn newest_visible_backward(&self, end: &mut End) -> Result<Option<ScanItem>> {
        let options = &self.options;
        let Some(key) = end.merge.key() else { return Ok(None) };
        remember(&mut end.shown, key);
        let mut item = None;
        let mut steps = 0;
        while let Some(key) = end.merge.key() {
            let same = end.shown.as_ref().is_some_and(|(shown, _)| shown.as_slice() == key.user_key);
            if !same {
                break;
            }
            if key.version > options.version {
                seek_before_shown(end)?;
                break;
            }
            steps += 1;
            if steps > STEPS_BEFORE_SEEK {
                return self.newest_visible_by_seek(end);
            }
            item = self.item(&end.merge, &end.view)?;
            end.merge.prev()?;
        }
        Ok(item)
    }

    /// The same for a key of many versions: one seek finds the newest visible, another leaves the key.
    fn newest_visible_by_seek(&self, end: &mut End) -> Result<Option<ScanItem>> {
        let Some((shown, _)) = end.shown.clone() else { return Ok(None) };
        end.merge.seek(InternalKey::new(&shown, self.options.version))?;
        let item = self.item(&end.merge, &end.view)?;
        seek_before_shown(end)?;
        Ok(item)
    }

    /// The item under `merge`, unless it is not to be shown.
    fn item(&self, merge: &MergeCursor<Source>, view: &View) -> Result<Option<ScanItem>> {
        let (Some(key), Some(entry)) = (merge.key(), merge.entry()) else { return Ok(None) };
        let options = &self.options;
        if key.version <= options.since || (!options.all_versions && !entry.is_live(options.now)) {
            return Ok(None);
        }
        let segment = match entry.pointer() {
            Some(pointer) => Some(self.host.segment(view, pointer.segment)?),
            None => None,
        };
        let shared = SharedEntry::new(key.version, entry, |_| merge.inline_value().unwrap_or_default());
        Ok(Some(ScanItem { user_key: key.user_key.to_vec(), entry: shared, segment }))
    }
}

fn remember(shown: &mut Option<(Vec<u8>, Version)>, key: InternalKey<'_>) {
    match shown {
        Some((bytes, version)) => {
            bytes.clear();
            bytes.extend_from_slice(key.user_key);
            *version = key.version;
        }
        None => *shown = Some((key.user_key.to_vec(), key.version)),
    }
}

/// Goes to the first version of the first key after `user_key`.
fn seek_past<C: Cursor>(merge: &mut MergeCursor<C>, user_key: &[u8]) -> Result<()> {
    let last = InternalKey::last_of(user_key);
    merge.seek(last)?;
    // Version 0 is used by plain tables only, but costs one comparison to skip.
    if merge.key() == Some(last) {
        merge.next()?;
    }
    Ok(())
}

/// Goes to the last version of the last key before `user_key`.
fn seek_before<C: Cursor>(merge: &mut MergeCursor<C>, user_key: &[u8]) -> Result<()> {
    let first = InternalKey::first_of(user_key);
    merge.seek_back(first)?;
    if merge.key() == Some(first) {
        merge.prev()?;
    }
    Ok(())
}

fn seek_before_shown(end: &mut End) -> Result<()> {
    let Some((shown, _)) = &end.shown else { return Ok(()) };
    let shown = shown.clone();
    seek_before(&mut end.merge, &shown)
}
