//! When whoever reads a mapped file in order has the system read ahead of it.
//!
//! Maps are read at random, and the system is told so: a touched page is read from the disk, and no more than that. Its own guess,
//! to read what stands around it as well, costs megabytes of disk and of page cache for each cold read of a few hundred bytes. So
//! those who do read in order must say so.

use std::ops::Range;

use super::File;
use crate::Direction;

/// A reader that went from neighbour to neighbour so often goes on: a short scan asks for nothing.
const STEPS_MIN: u32 = 8;
/// How much is asked for at first, and at most, in bytes; each time twice as much.
const WINDOW_BYTES_MIN: u64 = 64 << 10;
const WINDOW_BYTES_MAX: u64 = 1 << 20;

/// Follows a reader through a file, in either direction.
#[derive(Clone, Debug, Default)]
pub struct ReadAhead {
    direction: Option<Direction>,
    steps: u32,
    window_bytes: u64,
    /// Asked for up to here, in the direction of the reader.
    edge: u64,
}

impl ReadAhead {
    /// The reader went somewhere else.
    #[inline]
    pub fn restart(&mut self) {
        self.steps = 0;
    }

    /// The reader comes to the bytes of `here`, the neighbours in `direction` of those that it has read before. Asks for what
    /// follows them when it is time to.
    #[inline]
    pub fn come_to(&mut self, file: &dyn File, file_bytes: u64, here: Range<u64>, direction: Direction) {
        self.steps = self.steps.saturating_add(1);
        if self.steps >= STEPS_MIN
            && let Some(asked) = self.next(file_bytes, here, direction)
        {
            file.read_ahead(asked.start, asked.end - asked.start);
        }
    }

    /// What to ask for now.
    fn next(&mut self, file_bytes: u64, here: Range<u64>, direction: Direction) -> Option<Range<u64>> {
        if self.steps == STEPS_MIN || self.direction != Some(direction) {
            let edge = match direction {
                Direction::Forward => here.end,
                Direction::Backward => here.start,
            };
            *self = Self { direction: Some(direction), steps: self.steps, window_bytes: 0, edge };
        }
        let left = match direction {
            Direction::Forward => self.edge.saturating_sub(here.end),
            Direction::Backward => here.start.saturating_sub(self.edge),
        };
        if left > self.window_bytes / 2 {
            return None;
        }
        self.window_bytes = (self.window_bytes * 2).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
        let asked = match direction {
            Direction::Forward => {
                let start = self.edge.max(here.end);
                start..start.saturating_add(self.window_bytes).min(file_bytes)
            }
            Direction::Backward => {
                let end = self.edge.min(here.start);
                end.saturating_sub(self.window_bytes)..end
            }
        };
        self.edge = match direction {
            Direction::Forward => asked.end,
            Direction::Backward => asked.start,
        };
        (asked.start < asked.end).then_some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE_BYTES: u64 = 40 << 20;
    const BLOCK_BYTES: u64 = 4096;

    /// What a reader of neighbouring blocks asks for, with the number of the block at which it does.
    fn asked(direction: Direction, blocks: u64) -> Vec<(u64, Range<u64>)> {
        let mut ahead = ReadAhead::default();
        let place = |number: u64| match direction {
            Direction::Forward => number * BLOCK_BYTES,
            Direction::Backward => FILE_BYTES - (number + 1) * BLOCK_BYTES,
        };
        let mut all = Vec::new();
        for number in 0..blocks {
            ahead.steps += 1;
            let here = place(number)..place(number) + BLOCK_BYTES;
            if ahead.steps >= STEPS_MIN
                && let Some(range) = ahead.next(FILE_BYTES, here, direction)
            {
                all.push((number, range));
            }
        }
        all
    }

    #[test]
    fn a_short_read_asks_for_nothing() {
        for direction in [Direction::Forward, Direction::Backward] {
            assert_eq!(asked(direction, u64::from(STEPS_MIN) - 1), []);
        }
    }

    /// Goal: what a long read asks for follows on itself without gap or overlap, always ahead of the reader, up to the end of the file.
    #[test]
    fn a_long_read_is_always_ahead_and_asks_once() {
        let blocks = FILE_BYTES / BLOCK_BYTES;
        for direction in [Direction::Forward, Direction::Backward] {
            let all = asked(direction, blocks);
            assert!(all.len() < 60, "{}", all.len());
            for ((_, before), (number, range)) in all.iter().zip(all.iter().skip(1)) {
                let (joint, edge, reader) = match direction {
                    Direction::Forward => ((before.end, range.start), before.end, (number + 1) * BLOCK_BYTES),
                    Direction::Backward => {
                        ((before.start, range.end), FILE_BYTES - before.start, (number + 1) * BLOCK_BYTES)
                    }
                };
                assert_eq!(joint.0, joint.1);
                assert!(edge >= reader, "the reader has overtaken what was asked for");
                assert!(range.end - range.start <= WINDOW_BYTES_MAX);
            }
            let end = all.last().map(|(_, range)| range.clone()).unwrap_or_default();
            assert!(if direction == Direction::Forward { end.end == FILE_BYTES } else { end.start == 0 });
        }
    }

    #[test]
    fn who_turns_or_jumps_begins_anew() {
        let mut ahead = ReadAhead { steps: STEPS_MIN, ..ReadAhead::default() };
        assert_eq!(ahead.next(FILE_BYTES, 0..4096, Direction::Forward), Some(4096..4096 + WINDOW_BYTES_MIN));
        ahead.steps += 1;
        let back = ahead.next(FILE_BYTES, 1 << 20..(1 << 20) + 4096, Direction::Backward);
        assert_eq!(back, Some((1 << 20) - WINDOW_BYTES_MIN..1 << 20));
        ahead.restart();
        assert_eq!(ahead.steps, 0);
    }
}
