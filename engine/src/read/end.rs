//! One end of a scan: fills pages with the versions that a snapshot sees, in one direction.
//!
//! A page is filled from a merge over a view. Between pages the end looks now and then for a newer view and goes on there
//! behind the last key that it met. A page is read ahead of what is shown, so pages begin small and grow.

use std::ops::Bound;
use std::sync::Arc;

use base::{Cursor, Direction, InternalKey, InternalKeyBuf, Result};

use super::fill::{Filling, Met, Reader, leave_key, leave_version};
use super::page::{Page, ScanItem};
use super::scan::merge_of;
use super::{MergeCursor, Source};
use crate::view::View;

/// After how many items a scan looks for a newer view; few in checked builds, so that tests cross views often.
const ITEMS_PER_VIEW: usize = if cfg!(debug_assertions) { 8 } else { 4096 };
/// How many items a page holds: of the first page, and at most. Each page has twice as many as the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadAhead {
    pub(super) first: usize,
    pub(super) most: usize,
}

impl Default for ReadAhead {
    fn default() -> Self {
        // Few in checked builds, so that tests cross pages often.
        if cfg!(debug_assertions) { Self { first: 1, most: 4 } } else { Self { first: 8, most: 256 } }
    }
}

/// One end: a merge over a view, and the page that it has filled.
pub(super) struct End {
    direction: Direction,
    view: Arc<View>,
    merge: MergeCursor<Source>,
    /// The last version that was considered, when it is not the last item of the page; what comes next is behind it.
    met: Met,
    page: Arc<Page>,
    /// The item of the page that is shown next.
    next: usize,
    /// What was shown last, when no item of this page was.
    before: Option<InternalKeyBuf>,
    /// Why there is no further page; an error is told once, behind the items that were read before it.
    ended: Option<Result<()>>,
    /// How many items the next page gets.
    wanted: usize,
    most: usize,
    /// Items read since the view was looked at.
    since_view: usize,
}

impl End {
    /// An end at the bound where `direction` starts from.
    pub(super) fn open(reader: Reader<'_>, direction: Direction, ahead: ReadAhead) -> Result<Self> {
        let view = reader.host.view();
        let mut merge = merge_of(&view, &reader.options.bounds)?;
        let bounds = &reader.options.bounds;
        match (direction, &bounds.start, &bounds.end) {
            (Direction::Forward, Bound::Unbounded, _) => merge.first()?,
            (Direction::Forward, Bound::Included(start), _) => merge.seek(InternalKey::first_of(start))?,
            (Direction::Forward, Bound::Excluded(start), _) => leave_key(&mut merge, start, direction)?,
            (Direction::Backward, _, Bound::Unbounded) => merge.last()?,
            (Direction::Backward, _, Bound::Included(end)) => merge.seek_back(InternalKey::last_of(end))?,
            (Direction::Backward, _, Bound::Excluded(end)) => leave_key(&mut merge, end, direction)?,
        }
        // Who says how many are wanted takes them all, as a rule: a short scan is one page.
        let wanted = match usize::try_from(reader.options.limit) {
            Ok(limit) if limit <= ahead.most => limit,
            Ok(_) | Err(_) => ahead.first,
        };
        Ok(Self {
            direction,
            view,
            merge,
            met: Met::default(),
            page: Arc::new(Page::new(reader.options.keys_only)),
            next: 0,
            before: None,
            ended: None,
            wanted,
            most: ahead.most,
            since_view: 0,
        })
    }

    /// The next item of the page; `None` when it is used up.
    #[inline]
    pub(super) fn take(&mut self) -> Option<ScanItem> {
        if self.next >= self.page.len() {
            return None;
        }
        let item = ScanItem::new(&self.page, self.next);
        self.next += 1;
        Some(item)
    }

    /// What was shown last.
    pub(super) fn shown(&self) -> Option<InternalKey<'_>> {
        match self.next.checked_sub(1) {
            Some(last) => self.page.key(last),
            None => self.before.as_ref().map(InternalKeyBuf::as_ref),
        }
    }

    /// Fills the next page; false when there is nothing more.
    ///
    /// # Errors
    /// Damage, or the system's, once all that was read before it has been taken.
    pub(super) fn refill(&mut self, reader: Reader<'_>, left: u64) -> Result<bool> {
        if let Some(ended) = &mut self.ended {
            return std::mem::replace(ended, Ok(())).map(|()| false);
        }
        if let Some(last) = self.next.checked_sub(1).and_then(|last| self.page.key(last)) {
            self.before.get_or_insert_default().assign(last);
        }
        self.next = 0;
        self.met.leave(&self.page);
        if let Some(page) = Arc::get_mut(&mut self.page) {
            page.clear();
        } else {
            self.page = Arc::new(Page::new(reader.options.keys_only));
        }
        let filled = self.refresh(reader).and_then(|()| self.fill(reader, left));
        match filled {
            Ok(true) => {}
            Ok(false) => self.ended = Some(Ok(())),
            Err(error) if self.page.len() == 0 => return Err(error),
            Err(error) => self.ended = Some(Err(error)),
        }
        Ok(self.page.len() > 0)
    }

    /// Moves to the present view, now and then.
    fn refresh(&mut self, reader: Reader<'_>) -> Result<()> {
        if self.since_view < ITEMS_PER_VIEW {
            return Ok(());
        }
        self.since_view = 0;
        let view = reader.host.view();
        let Some(met) = self.met.key(&self.page).filter(|_| !Arc::ptr_eq(&view, &self.view)) else {
            return Ok(());
        };
        let mut merge = merge_of(&view, &reader.options.bounds)?;
        if reader.options.all_versions {
            leave_version(&mut merge, met, self.direction)?;
        } else {
            leave_key(&mut merge, met.user_key, self.direction)?;
        }
        (self.merge, self.view) = (merge, view);
        Ok(())
    }

    /// Reads items into the empty page; false when there are no more behind them.
    fn fill(&mut self, reader: Reader<'_>, left: u64) -> Result<bool> {
        let Some(page) = Arc::get_mut(&mut self.page) else { return Ok(false) };
        let wanted = self.wanted.min(usize::try_from(left).unwrap_or(usize::MAX)).max(1);
        page.reserve(wanted);
        let more = Filling::new(reader, &self.view, page, &mut self.met, wanted)
            .run(&mut self.merge, self.direction);
        page.read_values_ahead();
        self.since_view += page.len();
        self.wanted = (self.wanted * 2).min(self.most);
        more
    }
}
