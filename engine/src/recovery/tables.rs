//! The tables of replayed commits, written in parts at the same time as far as there are helpers: it is most of the work of a recovery.

use std::ops::RangeInclusive;

use base::{Cursor, Error, Result, Retention, Version};

use super::sorted::{SortedPart, SortedWrites};
use crate::core::Core;
use crate::flush::copy_retained;
use crate::helpers::{Helpers, Work};
use crate::output::{Output, OutputShape, OutputWriter};

/// A part has at least one write for so many bytes of a memtable: it takes a file and a sync, which a few writes are not worth.
const PART_OF_MEMTABLE_BYTES: usize = 4 << 10;

/// Writes tables for `writes`, the last of which has the version `last`, out of these generations. All files are synced, their
/// directory is not.
///
/// # Errors
/// The system's. Tables that were written by then are left behind.
pub(crate) fn write_tables(
    core: &Core,
    writes: &SortedWrites<'_>,
    generations: RangeInclusive<u64>,
    last: Version,
    helpers: &dyn Helpers,
) -> Result<Vec<Output>> {
    let now = core.clock.now();
    let shape = OutputShape {
        level: 0,
        table_bytes: core.options.table_bytes.max(core.options.memtable_bytes as u64),
        compression: core.options.upper_compression,
        oldest_generation: *generations.start(),
        newest_generation: *generations.end(),
        created_at: now,
    };
    // Nobody reads yet: only the newest of each key is of use.
    let retention = &Retention::new(last, [], now);
    let worthwhile = writes.len() / (core.options.memtable_bytes / PART_OF_MEMTABLE_BYTES).max(1);
    let parts = writes.parts(helpers.count().min(worthwhile).max(1));
    let mut written: Vec<Result<Vec<Output>>> = Vec::new();
    let unwritten = || Err(Error::invalid("recovery", "nobody has written a part of the tables"));
    written.resize_with(parts.len(), unwritten);
    let work = parts.into_iter().zip(&mut written).map(|(part, written)| -> Work<'_> {
        Box::new(move || *written = write_part(core, part, shape, retention))
    });
    helpers.run(work.collect());
    let mut outputs = Vec::new();
    for part in written {
        outputs.extend(part?);
    }
    Ok(outputs)
}

fn write_part(
    core: &Core,
    mut part: SortedPart<'_>,
    shape: OutputShape,
    retention: &Retention,
) -> Result<Vec<Output>> {
    let mut writer = OutputWriter::new(core, shape);
    part.first()?;
    copy_retained(&mut part, retention, core.options.keep_versions, |_| true, &mut writer)?;
    writer.finish()
}
