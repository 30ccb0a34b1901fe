//! Flush: the oldest frozen generation becomes tables in L0, and its value log a sealed segment.
//!
//! Effects in order: cut and sync the value log; write and sync the tables; sync the directory; one edit that retires the
//! generation, adds its tables and its segment; only then are memtable and logs let go.

use std::num::NonZeroU32;
use std::sync::Arc;

use base::seeded::{self, Bug};
use base::{Compression, Cursor, Entry, Payload, Result, Retention, UnixSeconds};
use manifest::{Edit, SegmentMeta};

use crate::compaction::{Retain, Verdict};
use crate::core::Core;
use crate::directory::NumberedFile;
use crate::files::LivingFile;
use crate::generation::Generation;
use crate::inner::Inner;
use crate::output::{Output, OutputShape, OutputWriter, abandon};

/// A flush whose tables are written and synced.
#[derive(Debug)]
pub(crate) struct Flushed {
    pub(crate) generation: Arc<Generation>,
    pub(crate) outputs: Vec<Output>,
}

/// Writes the tables of a frozen generation.
pub(crate) fn write_tables(
    core: &Core,
    generation: &Arc<Generation>,
    retention: &Retention,
    now: UnixSeconds,
) -> Result<Flushed> {
    generation.vlog.cut()?;
    // Acknowledged values are in this file and nowhere else: whatever the reason, a failed sync leaves them in doubt.
    generation.vlog.sync().map_err(|error| core.halt.trip(error))?;
    let shape = OutputShape {
        level: 0,
        table_bytes: u64::MAX,
        compression: core.options.upper_compression,
        oldest_generation: generation.id,
        newest_generation: generation.id,
        created_at: now,
    };
    let mut writer = OutputWriter::new(core, shape);
    let mut cursor = generation.memtable.cursor();
    cursor.first()?;
    copy_retained(&mut cursor, retention, core.options.keep_versions, |_| true, &mut writer)?;
    let outputs = writer.finish()?;
    if !seeded::is(Bug::SkipDirectorySync)
        && let Err(error) = core.vfs.sync_dir(&core.directory)
    {
        abandon(outputs);
        return Err(error);
    }
    Ok(Flushed { generation: Arc::clone(generation), outputs })
}

/// Copies what the retention rules keep, from the cursor's position to its end.
pub(crate) fn copy_retained<C: Cursor>(
    cursor: &mut C,
    retention: &Retention,
    keep_versions: NonZeroU32,
    may_hold_older: impl Fn(&[u8]) -> bool,
    writer: &mut OutputWriter<'_>,
) -> Result<()> {
    let mut retain = Retain::new(retention, keep_versions);
    while let (Some(key), Some(entry)) = (cursor.key(), cursor.entry()) {
        match retain.judge(key.user_key, key.version, &entry, || may_hold_older(key.user_key)) {
            Verdict::Keep => writer.add(key, &entry)?,
            Verdict::KeepAsTombstone => {
                let tombstone = Entry { payload: Payload::Tombstone, expires_at: None, ..entry };
                writer.add(key, &tombstone)?;
            }
            Verdict::Drop => {}
        }
        cursor.next()?;
    }
    Ok(())
}

/// Makes a written flush part of the tree.
pub(crate) fn install(inner: &Inner, flushed: Flushed) -> Result<()> {
    let Flushed { generation, outputs } = flushed;
    let core = &inner.core;
    let keeps_values = outputs.iter().any(|output| !output.meta.value_use.is_empty());
    let segment = SegmentMeta {
        number: generation.vlog_number,
        bytes: generation.vlog.position(),
        values: generation.value_count(),
        value_record_bytes: generation.value_record_bytes(),
    };
    let mut structure = core.structure()?.lock();
    let state = structure.manifest.state();
    let mut edit = Edit {
        tables_added: outputs.iter().map(|output| output.meta.clone()).collect(),
        generations_retired: vec![generation.id],
        segments_added: if keeps_values { vec![segment] } else { Vec::new() },
        last_version: Some(generation.newest().0.max(state.last_version().0)),
        last_commit: Some(generation.last_commit().max(state.last_commit())),
        ..Edit::default()
    };
    if seeded::is(Bug::FlushedTooFar) {
        edit.last_commit = Some(inner.writing()?.journal.last_given().0);
    }
    if seeded::is(Bug::RetireTooManyGenerations) {
        edit.generations_retired = state.generations().map(|generation| generation.id).collect();
    }
    if let Err(error) = core.commit_edit(&mut structure, edit) {
        // A refused edit leaves the outputs unused; one of unknown fate may list them after a reopen.
        if !core.halt.is_tripped() {
            abandon(outputs);
        }
        return Err(error);
    }
    let tables: Vec<_> = outputs.into_iter().map(|output| core.adopt(output)).collect();
    let sealed = keeps_values.then(|| core.segment_handle(&segment));
    inner.views.change(|view| {
        view.memtables.retain(|memtable| !Arc::ptr_eq(memtable, &generation.memtable));
        view.tables = Arc::new(view.tables.with_changes(&[], &tables));
        match sealed {
            Some(handle) => {
                let mut segments = view.segments.as_ref().clone();
                segments.insert(segment.number, handle);
                view.segments = Arc::new(segments);
            }
            None => Inner::drop_segments(view, &[segment.number]),
        }
    });
    drop(structure);
    generation.set_retired();
    // Dropped at once, so the reaper gets it.
    LivingFile::new(NumberedFile::Wal(generation.wal_number).path(&core.directory), &core.reaper).retire();
    core.counters.flushes.add(1);
    tracing::info!(generation = generation.id, tables = tables.len(), "flushed a memtable");
    Ok(())
}

/// The compression that tables of `level` get.
pub(crate) fn compression_of(core: &Core, level: usize, is_bottom: bool) -> Compression {
    if level > 0 && is_bottom { core.options.bottom_compression } else { core.options.upper_compression }
}
