//! Asks the memory for what a cursor comes to next.
//!
//! A short scan of data that is not in the processor's caches spends most of its time waiting for lines of memory: the processor fetches
//! ahead of a reader by itself, but not at first, and not into the next page, where the next block is.

use base::Direction;
use base::prefetch::prefetch_to_read;

/// How far ahead of a walk lines are asked for, in bytes.
const DISTANCE_BYTES: usize = 1024;
/// Lines are asked for together, so many bytes of them.
const STEP_BYTES: usize = 512;
/// At the end of a block are its trailer, its tail, heads and offsets, which are needed one after the other; as long as this,
/// about, in bytes, where entries are not very short.
const END_BYTES: usize = 320;

/// How far the lines of a block have been asked for, in one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    direction: Direction,
    /// At this entry, or beyond it, more is asked for.
    due: usize,
    edge: usize,
}

impl Ahead {
    /// Nothing was asked for.
    pub(crate) fn nothing(direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self { direction, due: 0, edge: 0 },
            Direction::Backward => Self { direction, due: usize::MAX, edge: usize::MAX },
        }
    }

    /// Before a walk in `direction`.
    pub(crate) fn turn(&mut self, direction: Direction) {
        if self.direction != direction {
            *self = Self::nothing(direction);
        }
    }

    /// In the direction of the last [`Ahead::turn`], before the entry at `at` of the block `raw` is read, whose entries end at `entries_end`: asks for what comes behind it, unless
    /// that has been done. True, once, when that is all of the block, and the next one is to be thought of.
    #[inline(always)] // A part of the loop over a block, where the direction is known.
    pub(crate) fn come_to(
        &mut self,
        direction: Direction,
        raw: &[u8],
        entries_end: usize,
        at: usize,
    ) -> bool {
        let is_due = match direction {
            Direction::Forward => at >= self.due,
            Direction::Backward => at <= self.due,
        };
        is_due && self.ask(raw.get(..entries_end).unwrap_or_default(), at)
    }

    #[inline(never)]
    fn ask(&mut self, entries: &[u8], at: usize) -> bool {
        match self.direction {
            Direction::Forward => {
                let start = self.edge.max(at);
                self.edge = at.saturating_add(DISTANCE_BYTES + STEP_BYTES).min(entries.len());
                prefetch_to_read(entries.get(start..self.edge).unwrap_or_default());
                let is_all = self.edge == entries.len();
                // What is behind the last entry is never come to.
                self.due = if is_all { usize::MAX } else { self.edge - DISTANCE_BYTES };
                is_all
            }
            Direction::Backward => {
                let end = self.edge.min(at).min(entries.len());
                self.edge = at.saturating_sub(DISTANCE_BYTES + STEP_BYTES);
                prefetch_to_read(entries.get(self.edge..end).unwrap_or_default());
                // No suffix begins at 0.
                self.due = if self.edge == 0 { 0 } else { self.edge + DISTANCE_BYTES };
                self.edge == 0
            }
        }
    }
}

/// Asks for what is looked at first when a sealed block is opened, before it is: its end.
#[inline]
pub(crate) fn ask_for_end(sealed: &[u8]) {
    prefetch_to_read(sealed.last_chunk::<END_BYTES>().map_or(sealed, |end| end));
}

/// Asks for the end of a sealed block that is entered next in `direction`, and for the entries that are met first.
#[inline]
pub(crate) fn ask_for_next(sealed: &[u8], direction: Direction) {
    ask_for_end(sealed);
    let rest = sealed.get(..sealed.len().saturating_sub(END_BYTES)).unwrap_or_default();
    let met_first = match direction {
        Direction::Forward => rest.first_chunk::<STEP_BYTES>(),
        Direction::Backward => rest.last_chunk::<STEP_BYTES>(),
    };
    prefetch_to_read(met_first.map_or(rest, |chunk| chunk));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: hints are asked for once, ahead of the walk, and the next block is announced exactly once. Method: walks in steps of every
    /// length over blocks of every length, both ways; the edges are compared with where the walk is.
    #[test]
    fn a_walk_is_ahead_of_itself_and_announces_the_next_block_once() {
        for (entries_end, step) in
            [(1, 1), (30, 7), (511, 10), (1536, 2), (4000, 118), (4000, 1500), (70_000, 333)]
        {
            let raw = vec![0; entries_end + 40];
            for direction in [Direction::Forward, Direction::Backward] {
                let mut ahead = Ahead::nothing(direction);
                let mut announced = 0;
                let mut places: Vec<usize> = (1..=entries_end).step_by(step).collect();
                if direction == Direction::Backward {
                    places.reverse();
                }
                for at in places {
                    announced += usize::from(ahead.come_to(direction, &raw, entries_end, at));
                    match direction {
                        Direction::Forward => assert!(ahead.edge >= entries_end.min(at + DISTANCE_BYTES)),
                        Direction::Backward => assert!(ahead.edge <= at.saturating_sub(DISTANCE_BYTES)),
                    }
                }
                assert_eq!(announced, 1, "{entries_end} bytes by {step}, {direction:?}");
            }
        }
    }
}
