//! Fills one page: which of the versions that a merge shows are the ones that a snapshot sees.
//!
//! Forward, the versions of a key come newest first, and the first one that is not above the snapshot's is the one to show.
//! Backward they come oldest first, and it is the last: an item is tentative until the next key is met.

use std::cmp::Ordering;

use base::{
    Cursor, Direction, EntryRef, Error, InternalKey, InternalKeyBuf, Payload, PlainRef, Result, Visit,
    order_of_keys,
};

use super::page::Page;
use super::scan::{ScanHost, ScanOptions};
use super::{MergeCursor, Source};
use crate::view::View;

/// After how many versions of one key that are not shown a seek is cheaper than another step.
const STEPS_BEFORE_SEEK: u32 = 8;

/// What an end reads with.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) host: &'a dyn ScanHost,
    pub(super) options: &'a ScanOptions,
}

/// What an end has considered last.
#[derive(Default)]
pub(super) struct Met {
    /// It is the last item of the page: the rule, and no copy of its key is made.
    is_last_item: bool,
    /// Else it is this, if anything.
    other: Option<InternalKeyBuf>,
}

impl Met {
    #[inline]
    pub(super) fn key<'a>(&'a self, page: &'a Page) -> Option<InternalKey<'a>> {
        if self.is_last_item { page.last() } else { self.other.as_ref().map(InternalKeyBuf::as_ref) }
    }

    #[inline]
    fn note(&mut self, key: InternalKey<'_>) {
        self.is_last_item = false;
        self.other.get_or_insert_default().assign(key);
    }

    /// Before the last item of the page goes.
    pub(super) fn leave(&mut self, page: &Page) {
        if let (true, Some(key)) = (self.is_last_item, page.last()) {
            self.note(key);
        }
    }
}

/// Why a walk was stopped on an entry that was not taken.
enum Stop {
    /// The page is full.
    Full,
    /// The entry is outside the bounds.
    Outside,
    /// Only damage that its checksum does not show can bring a key out of order; it must not lead in circles.
    OutOfOrder,
    /// Too many versions of one key that are not shown: seek.
    Seek,
    /// The entry's value cannot be found.
    Failed(Error),
}

/// A page that is being filled.
pub(super) struct Filling<'a> {
    reader: Reader<'a>,
    view: &'a View,
    page: &'a mut Page,
    /// How many items the page gets.
    wanted: usize,
    met: &'a mut Met,
    /// Going backward: the last item of the page is shown unless a newer version of its key follows.
    is_tentative: bool,
    /// Versions in a row of one key that were not shown.
    unshown: u32,
    stopped: Option<Stop>,
}

/// Takes entries going forward.
struct Forward<'f, 'a>(&'f mut Filling<'a>);

impl Visit for Forward<'_, '_> {
    fn entry(&mut self, found: &EntryRef<'_>) -> bool {
        self.0.take_forward(found)
    }

    #[inline(always)] // Into the loop over a block: what is constant in a plain entry is not looked at.
    fn plain(&mut self, found: &PlainRef<'_>) -> bool {
        self.0.take_forward(&found.as_entry_ref())
    }
}

/// Takes entries going backward.
struct Backward<'f, 'a>(&'f mut Filling<'a>);

impl Visit for Backward<'_, '_> {
    fn entry(&mut self, found: &EntryRef<'_>) -> bool {
        self.0.take_backward(found)
    }

    #[inline(always)] // As for `Forward`.
    fn plain(&mut self, found: &PlainRef<'_>) -> bool {
        self.0.take_backward(&found.as_entry_ref())
    }
}

impl<'a> Filling<'a> {
    /// To fill the empty `page` with `wanted` items behind what was met.
    pub(super) fn new(
        reader: Reader<'a>,
        view: &'a View,
        page: &'a mut Page,
        met: &'a mut Met,
        wanted: usize,
    ) -> Self {
        Self { reader, view, page, wanted, met, is_tentative: false, unshown: 0, stopped: None }
    }

    /// Reads until the page is full; false when there is nothing more. What was read before an error is right and stays.
    pub(super) fn run(&mut self, merge: &mut MergeCursor<Source>, direction: Direction) -> Result<bool> {
        let more = self.read(merge, direction);
        if more.is_err() {
            self.drop_tentative();
        }
        more
    }

    fn read(&mut self, merge: &mut MergeCursor<Source>, direction: Direction) -> Result<bool> {
        let mut hopped: Option<InternalKeyBuf> = None;
        loop {
            let Some(key) = merge.key() else { return Ok(false) };
            match self.stopped.take() {
                None => match direction {
                    Direction::Forward => merge.walk(direction, &mut Forward(self))?,
                    Direction::Backward => merge.walk(direction, &mut Backward(self))?,
                },
                Some(Stop::Full) => return Ok(true),
                Some(Stop::Outside) => return Ok(false),
                Some(Stop::OutOfOrder) => return Err(self.out_of_order(key)),
                Some(Stop::Failed(error)) => return Err(error),
                Some(Stop::Seek) if direction == Direction::Backward => self.seek_newest(merge)?,
                Some(Stop::Seek) => {
                    // Each hop starts behind the one before, or there would be no end to them.
                    if hopped.as_ref().is_some_and(|before| key <= before.as_ref()) {
                        return Err(self.out_of_order(key));
                    }
                    let from = hopped.insert(key.to_buf());
                    self.unshown = 0;
                    self.seek_visible(merge, from)?;
                }
            }
        }
    }

    /// Notes why the walk ends; `false`, for the walk.
    #[cold]
    fn stop(&mut self, why: Stop) -> bool {
        self.stopped = Some(why);
        false
    }

    /// How what was met last stands to `key`: `Less` when it comes before it, `Equal` when it hides it.
    fn order(&self, key: InternalKey<'_>) -> Option<Ordering> {
        let met = self.met.key(self.page)?;
        Some(match self.reader.options.all_versions {
            true => met.cmp(&key),
            false => order_of_keys(met.user_key, key.user_key),
        })
    }

    /// Takes the next entry going forward: the first version of a key that is not above the snapshot's is the one to show.
    #[inline(always)] // See `Forward`.
    fn take_forward(&mut self, found: &EntryRef<'_>) -> bool {
        let (key, options) = (found.key, self.reader.options);
        if self.page.is_full(self.wanted) {
            return self.stop(Stop::Full);
        }
        if !options.bounds.admits_end(key.user_key) {
            return self.stop(Stop::Outside);
        }
        // What was met last is not behind what was shown last.
        let order = if found.is_further { Ordering::Less } else { self.order(key).unwrap_or(Ordering::Less) };
        if order == Ordering::Greater {
            return self.stop(Stop::OutOfOrder);
        }
        if order == Ordering::Equal || key.version > options.version {
            self.unshown += 1;
            return self.unshown < STEPS_BEFORE_SEEK || self.stop(Stop::Seek);
        }
        self.unshown = 0;
        if self.is_shown(found) {
            return self.push(found);
        }
        self.met.note(key);
        true
    }

    /// Takes the next entry going backward, where the versions of a key come oldest first: the last one that is not above the
    /// snapshot's is the one to show.
    #[inline(always)] // See `Backward`.
    fn take_backward(&mut self, found: &EntryRef<'_>) -> bool {
        let (key, options) = (found.key, self.reader.options);
        let order = if found.is_further { Some(Ordering::Greater) } else { self.order(key) };
        let is_same = !options.all_versions && order == Some(Ordering::Equal);
        if !is_same {
            // The last item is settled, and the page may end.
            self.is_tentative = false;
            self.unshown = 0;
            if self.page.is_full(self.wanted) {
                return self.stop(Stop::Full);
            }
            if !options.bounds.admits_start(key.user_key) {
                return self.stop(Stop::Outside);
            }
            if order.is_some_and(|order| order != Ordering::Greater) {
                return self.stop(Stop::OutOfOrder);
            }
        }
        if options.all_versions {
            if key.version <= options.version && self.is_shown(found) {
                return self.push(found);
            }
            self.met.note(key);
            return true;
        }
        self.unshown += 1;
        if self.unshown > STEPS_BEFORE_SEEK {
            return self.stop(Stop::Seek);
        }
        if key.version > options.version {
            // What was found of the key stays; nothing of it is met again.
            if !is_same {
                self.met.note(key);
            }
            return true;
        }
        self.drop_tentative();
        if !self.is_shown(found) {
            self.met.note(key);
            return true;
        }
        self.is_tentative = self.push(found);
        self.is_tentative
    }

    /// True when a version that the snapshot sees is one of those that were asked for.
    #[inline(always)] // See `Forward`.
    fn is_shown(&self, found: &EntryRef<'_>) -> bool {
        let options = self.reader.options;
        found.key.version > options.since && (options.all_versions || found.entry.is_live(options.now))
    }

    #[inline(always)] // See `Forward`.
    fn push(&mut self, found: &EntryRef<'_>) -> bool {
        if let Payload::Separated(pointer) = &found.entry.payload
            && !self.reader.options.keys_only
            && let Err(error) = self.keep_segment(pointer.segment)
        {
            return self.stop(Stop::Failed(error));
        }
        self.page.push(found);
        self.met.is_last_item = true;
        true
    }

    /// Keeps the segment of a value as long as the page.
    fn keep_segment(&mut self, number: u64) -> Result<()> {
        if !self.page.keeps_segment(number) {
            self.page.keep_segment(number, self.reader.host.segment(self.view, number)?);
        }
        Ok(())
    }

    /// Takes back an item of which it is not known whether it is the newest version of its key.
    fn drop_tentative(&mut self) {
        if self.is_tentative {
            self.met.leave(self.page);
            self.page.pop();
            self.is_tentative = false;
        }
    }

    /// Going forward: leaves the many versions of a key that are not shown.
    fn seek_visible(&self, merge: &mut MergeCursor<Source>, from: &InternalKeyBuf) -> Result<()> {
        if self.order(from.as_ref()) == Some(Ordering::Equal) {
            return leave_key(merge, &from.user_key, Direction::Forward);
        }
        merge.seek(InternalKey::new(&from.user_key, self.reader.options.version))
    }

    /// Going backward through a key of many versions: one seek finds the newest visible, another leaves the key.
    fn seek_newest(&mut self, merge: &mut MergeCursor<Source>) -> Result<()> {
        self.drop_tentative();
        let Some(met) = self.met.key(self.page).map(InternalKey::to_buf) else { return Ok(()) };
        merge.seek(InternalKey::new(&met.user_key, self.reader.options.version))?;
        if let (Some(key), Some(entry)) = (merge.key(), merge.entry())
            && key.user_key == met.user_key
        {
            let found = &EntryRef { key, entry, block: None, is_further: false };
            if self.is_shown(found) && !self.push(found) {
                return Ok(());
            }
        }
        leave_key(merge, &met.user_key, Direction::Backward)
    }

    #[cold]
    fn out_of_order(&self, key: InternalKey<'_>) -> Error {
        let what =
            format!("a scan met key {} out of order; `verify` tells where", key.user_key.escape_ascii());
        Error::corruption(self.reader.host.directory(), 0, what)
    }
}

/// Goes past all versions of `user_key`.
pub(super) fn leave_key<C: Cursor>(
    merge: &mut MergeCursor<C>,
    user_key: &[u8],
    direction: Direction,
) -> Result<()> {
    // Version 0 is used by plain tables only, but costs one comparison to skip.
    let edge = match direction {
        Direction::Forward => InternalKey::last_of(user_key),
        Direction::Backward => InternalKey::first_of(user_key),
    };
    leave_version(merge, edge, direction)
}

/// Goes past `key`.
pub(super) fn leave_version<C: Cursor>(
    merge: &mut MergeCursor<C>,
    key: InternalKey<'_>,
    direction: Direction,
) -> Result<()> {
    match direction {
        Direction::Forward => merge.seek(key)?,
        Direction::Backward => merge.seek_back(key)?,
    }
    match direction {
        _ if merge.key() != Some(key) => Ok(()),
        Direction::Forward => merge.next(),
        Direction::Backward => merge.prev(),
    }
}
