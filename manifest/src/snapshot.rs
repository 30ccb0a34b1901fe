//! A whole state as a group of edits of bounded size, which opens every manifest file.

use base::Result;

use crate::format::{KIND_SNAPSHOT_BEGIN, KIND_SNAPSHOT_END, KIND_SNAPSHOT_PART};
use crate::state::MAX_LEVELS;
use crate::{Edit, State};

/// A part is written out before it grows beyond this, in bytes. A single table may be larger; it was an edit once, so
/// it fits in one.
const PART_BYTES: usize = 1 << 20;

const TABLE_BYTES: usize = 160;
const USE_BYTES: usize = 24;
const GENERATION_BYTES: usize = 24;
const SEGMENT_BYTES: usize = 32;
const LOG_BYTES: usize = 24;

/// Hands the records of a snapshot to `emit`, in order, with their kinds. Applied one after the other to a new state
/// they give `state`, and each is valid when its turn comes: lease before numbers, segments before the tables that
/// point into them, generations before the ages.
pub(crate) fn for_each_part(state: &State, emit: impl FnMut(u8, Edit) -> Result<()>) -> Result<()> {
    let mut parts = Parts { emit, part: Edit::default(), part_bytes: 0 };
    let begin = Edit {
        numbers_below: Some(state.numbers_below()),
        last_version: Some(state.last_version().0),
        last_commit: Some(state.last_commit()),
        ..Edit::default()
    };
    (parts.emit)(KIND_SNAPSHOT_BEGIN, begin)?;
    for generation in state.generations() {
        parts.reserve(GENERATION_BYTES)?;
        parts.part.generations_opened.push(*generation);
    }
    parts.part.last_generation = Some(state.last_generation());
    for segment in state.segments() {
        parts.reserve(SEGMENT_BYTES)?;
        parts.part.segments_added.push(segment.meta);
    }
    // From old to new in level 0: the check of a table looks at what is newer.
    for level in 0..MAX_LEVELS as u8 {
        for table in state.level(level).rev() {
            let keys = table.smallest.len() + table.largest.len();
            parts.reserve(TABLE_BYTES + keys + table.value_use.len() * USE_BYTES)?;
            parts.part.tables_added.push((**table).clone());
        }
    }
    let closed = state.closed().map(<[_]>::to_vec);
    parts.reserve(closed.as_ref().map_or(0, Vec::len) * LOG_BYTES)?;
    parts.part.closed = closed;
    (parts.emit)(KIND_SNAPSHOT_END, parts.part)
}

struct Parts<F> {
    emit: F,
    part: Edit,
    part_bytes: usize,
}

impl<F: FnMut(u8, Edit) -> Result<()>> Parts<F> {
    fn reserve(&mut self, bytes: usize) -> Result<()> {
        if self.part_bytes > 0 && self.part_bytes + bytes > PART_BYTES {
            (self.emit)(KIND_SNAPSHOT_PART, std::mem::take(&mut self.part))?;
            self.part_bytes = 0;
        }
        self.part_bytes += bytes;
        Ok(())
    }
}
