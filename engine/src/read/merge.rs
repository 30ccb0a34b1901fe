//! Merges sorted runs into one, in both directions.
//!
//! Runs are few (memtables, L0 tables, one per level), so the smallest head is found by looking at all of them; but runs
//! are long: after a step the present run is compared only with the runner-up, and all heads are looked at again only
//! when it falls behind.

use std::cmp::Ordering;

use base::seeded::{self, Bug};
use base::{Cursor, Direction, Entry, EntryRef, InternalKey, InternalKeyBuf, PlainRef, Result, Visit};
use bytes::Bytes;

/// A merge of sorted runs. Earlier sources are newer: they win ties, and a key that stands in two of them with the same
/// version is shown once.
#[derive(Debug)]
pub(crate) struct MergeCursor<C> {
    sources: Vec<C>,
    direction: Direction,
    /// The source with the head that is shown.
    current: Option<usize>,
    /// The source with the next head in the present direction.
    runner_up: Option<usize>,
    /// The head of the runner-up, while the present source is walked.
    fence: InternalKeyBuf,
}

/// Shows a visitor what comes before the head of the runner-up.
struct BeforeRival<'a, V> {
    fence: InternalKey<'a>,
    direction: Direction,
    visit: &'a mut V,
}

impl<V> BeforeRival<'_, V> {
    #[inline(always)] // A part of the loop of the source that is walked.
    fn precedes(&self, key: InternalKey<'_>) -> bool {
        match self.direction {
            Direction::Forward => key < self.fence,
            Direction::Backward => key > self.fence,
        }
    }
}

impl<V: Visit> Visit for BeforeRival<'_, V> {
    fn entry(&mut self, found: &EntryRef<'_>) -> bool {
        self.precedes(found.key) && self.visit.entry(found)
    }

    #[inline(always)] // As `precedes`.
    fn plain(&mut self, found: &PlainRef<'_>) -> bool {
        self.precedes(found.key) && self.visit.plain(found)
    }
}

impl<C: Cursor> MergeCursor<C> {
    /// Merges `sources`, newest first; unpositioned.
    pub(crate) fn new(sources: Vec<C>) -> Self {
        Self {
            sources,
            direction: Direction::Forward,
            current: None,
            runner_up: None,
            fence: InternalKeyBuf::default(),
        }
    }

    /// Which source shows the present key; lower is newer.
    pub(crate) fn source(&self) -> Option<usize> {
        self.current
    }

    fn head(&self, index: usize) -> Option<InternalKey<'_>> {
        self.sources.get(index)?.key()
    }

    /// True when the head of `a` comes before that of `b` in the present direction; ties go to the newer source.
    fn precedes(&self, a: usize, b: usize) -> bool {
        match (self.head(a), self.head(b)) {
            (Some(left), Some(right)) => {
                let order = match self.direction {
                    Direction::Forward => left.cmp(&right),
                    Direction::Backward => right.cmp(&left),
                };
                order == Ordering::Less || (order == Ordering::Equal && a < b)
            }
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Finds the first and the second head among all sources.
    fn choose(&mut self) {
        let (mut first, mut second): (Option<usize>, Option<usize>) = (None, None);
        for index in 0..self.sources.len() {
            if self.head(index).is_none() {
                continue;
            }
            if first.is_none_or(|best| self.precedes(index, best)) {
                second = first;
                first = Some(index);
            } else if second.is_none_or(|best| self.precedes(index, best)) {
                second = Some(index);
            }
        }
        self.current = first;
        self.runner_up = second;
    }

    fn each(&mut self, direction: Direction, place: impl Fn(&mut C) -> Result<()>) -> Result<()> {
        self.direction = direction;
        self.current = None;
        for source in &mut self.sources {
            seeded::ignoring(Bug::ScanSwallowsReadErrors, place(source))?;
        }
        self.choose();
        Ok(())
    }

    /// Before all sources seek, one after the other: what each of them waits for first is asked for together.
    fn expect_seeks(&self, target: InternalKey<'_>) {
        if let [_, _, ..] = self.sources.as_slice() {
            self.sources.iter().for_each(|source| source.expect_seek(target));
        }
    }

    fn step(&mut self, direction: Direction) -> Result<()> {
        if self.direction != direction {
            return self.turn(direction);
        }
        let Some(current) = self.current else { return Ok(()) };
        if self.has_tie(current) {
            return self.step_over_ties(current);
        }
        self.advance(current)?;
        self.settle(current);
        Ok(())
    }

    /// Moves one source; an error leaves the merge unpositioned.
    #[inline]
    fn advance(&mut self, index: usize) -> Result<()> {
        let direction = self.direction;
        let Some(source) = self.sources.get_mut(index) else { return Ok(()) };
        let moved = match direction {
            Direction::Forward => source.next(),
            Direction::Backward => source.prev(),
        };
        if moved.is_err() && !seeded::is(Bug::ScanSwallowsReadErrors) {
            self.current = None;
        }
        seeded::ignoring(Bug::ScanSwallowsReadErrors, moved)
    }

    /// After `current` moved: it stays if it still precedes the runner-up.
    #[inline]
    fn settle(&mut self, current: usize) {
        let stays = match self.runner_up {
            None => self.head(current).is_some(),
            Some(other) => self.precedes(current, other),
        };
        match self.runner_up {
            _ if stays => {}
            // Nothing else has moved.
            Some(next) => self.choose_runner_up(next),
            None => self.choose(),
        }
    }

    /// Finds the first head besides that of `first`, which comes before all others.
    fn choose_runner_up(&mut self, first: usize) {
        self.current = Some(first);
        self.runner_up = None;
        for index in (0..self.sources.len()).filter(|index| *index != first) {
            if self.head(index).is_some() && self.runner_up.is_none_or(|best| self.precedes(index, best)) {
                self.runner_up = Some(index);
            }
        }
    }

    #[inline]
    fn has_tie(&self, current: usize) -> bool {
        self.runner_up.is_some_and(|other| self.head(other) == self.head(current))
    }

    fn step_over_ties(&mut self, current: usize) -> Result<()> {
        let shown = self.head(current).map(InternalKey::to_buf);
        for index in 0..self.sources.len() {
            if self.head(index) == shown.as_ref().map(InternalKeyBuf::as_ref) {
                self.advance(index)?;
            }
        }
        self.choose();
        Ok(())
    }

    /// Walks the present source up to the head of the runner-up.
    fn walk_present(&mut self, present: usize, visit: &mut impl Visit) -> Result<()> {
        let direction = self.direction;
        let rival = self.runner_up.and_then(|other| self.sources.get(other)?.key());
        let has_rival = rival.map(|head| self.fence.assign(head)).is_some();
        let Some(source) = self.sources.get_mut(present) else { return Ok(()) };
        let walked = if has_rival {
            let fence = self.fence.as_ref();
            source.walk(direction, &mut BeforeRival { fence, direction, visit })
        } else {
            source.walk(direction, visit)
        };
        if walked.is_err() && !seeded::is(Bug::ScanSwallowsReadErrors) {
            self.current = None;
            return walked;
        }
        self.settle(present);
        Ok(())
    }

    /// Changes direction: every source goes to the other side of the key that is shown.
    fn turn(&mut self, direction: Direction) -> Result<()> {
        let Some(shown) = self.key().map(InternalKey::to_buf) else {
            self.direction = direction;
            return Ok(());
        };
        self.each(direction, |source| {
            match direction {
                Direction::Forward => source.seek(shown.as_ref())?,
                Direction::Backward => source.seek_back(shown.as_ref())?,
            }
            if source.key() == Some(shown.as_ref()) {
                match direction {
                    Direction::Forward => source.next()?,
                    Direction::Backward => source.prev()?,
                }
            }
            Ok(())
        })
    }
}

impl<C: Cursor> Cursor for MergeCursor<C> {
    #[inline]
    fn key(&self) -> Option<InternalKey<'_>> {
        self.sources.get(self.current?)?.key()
    }

    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        self.sources.get(self.current?)?.entry()
    }

    fn inline_value(&self) -> Option<Bytes> {
        self.sources.get(self.current?)?.inline_value()
    }

    fn first(&mut self) -> Result<()> {
        self.each(Direction::Forward, Cursor::first)
    }

    fn last(&mut self) -> Result<()> {
        self.each(Direction::Backward, Cursor::last)
    }

    fn seek(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.expect_seeks(target);
        self.each(Direction::Forward, |source| source.seek(target))
    }

    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.expect_seeks(target);
        self.each(Direction::Backward, |source| source.seek_back(target))
    }

    #[inline]
    fn next(&mut self) -> Result<()> {
        self.step(Direction::Forward)
    }

    #[inline]
    fn prev(&mut self) -> Result<()> {
        self.step(Direction::Backward)
    }
    fn walk(&mut self, direction: Direction, visit: &mut impl Visit) -> Result<()> {
        let Some(present) = self.current else { return Ok(()) };
        if self.direction == direction && !self.has_tie(present) {
            return self.walk_present(present, visit);
        }
        let (Some(key), Some(entry)) = (self.key(), self.entry()) else { return Ok(()) };
        let found = EntryRef { key, entry, block: None, is_further: false };
        if visit.entry(&found) { self.step(direction) } else { Ok(()) }
    }
}
