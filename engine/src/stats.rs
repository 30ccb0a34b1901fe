//! What an engine looks like from outside: levels, segments, logs, counters.

use crate::inner::Inner;
use crate::options::LEVELS;

/// One level of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelStats {
    /// How many tables.
    pub tables: usize,
    /// Length of their files, in bytes.
    pub bytes: u64,
    /// Entries, tombstones included.
    pub entries: u64,
    /// Tombstones.
    pub tombstones: u64,
}

/// One value segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentStats {
    /// The number in its name.
    pub number: u64,
    /// Its sealed length, in bytes.
    pub bytes: u64,
    /// Values that tables reference.
    pub live_values: u64,
    /// The length of their records, in bytes.
    pub live_bytes: u64,
}

/// A snapshot of the engine's state and counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Level 0 first.
    pub levels: Vec<LevelStats>,
    /// Sealed value segments.
    pub segments: Vec<SegmentStats>,
    /// Memtables, the active one included.
    pub memtables: usize,
    /// Their memory, in bytes.
    pub memtable_bytes: usize,
    /// Entries in them.
    pub memtable_entries: u64,
    /// Log files of memtables, and their length, in bytes.
    pub logs: usize,
    /// Bytes written to those logs.
    pub log_bytes: u64,
    /// The newest visible version.
    pub last_version: u64,
    /// The highest commit number known durable.
    pub durable_commit: u64,
    /// Memtables flushed since open.
    pub flushes: u64,
    /// Compactions since open.
    pub compactions: u64,
    /// Tables moved without rewriting since open.
    pub moves: u64,
    /// Bytes of tables written since open.
    pub table_bytes_written: u64,
    /// Bytes of tables read by compactions since open.
    pub compaction_bytes_read: u64,
    /// Files removed since open.
    pub files_removed: u64,
    /// Lookups in the block cache that found their block.
    pub cache_hits: u64,
    /// Lookups that did not.
    pub cache_misses: u64,
    /// Memory of cached blocks, in bytes.
    pub cache_bytes: u64,
}

impl Inner {
    pub(crate) fn stats(&self) -> Stats {
        let view = self.views.load_full();
        let mut levels = vec![LevelStats::default(); LEVELS];
        for table in view.tables.iter() {
            if let Some(level) = levels.get_mut(usize::from(table.meta.level)) {
                level.tables += 1;
                level.bytes += table.meta.file_bytes;
                level.entries += table.meta.entries;
                level.tombstones += table.meta.tombstones;
            }
        }
        let counters = &self.core.counters;
        let cache = self.core.cache.stats();
        let mut stats = Stats {
            levels,
            memtables: view.memtables.len(),
            memtable_bytes: view.memtables.iter().map(|memtable| memtable.byte_len()).sum(),
            memtable_entries: view.memtables.iter().map(|memtable| memtable.entries()).sum(),
            last_version: self.visible.load().0,
            flushes: counters.flushes.get(),
            compactions: counters.compactions.get(),
            moves: counters.moves.get(),
            table_bytes_written: counters.table_bytes_written.get(),
            compaction_bytes_read: counters.compaction_bytes_read.get(),
            files_removed: counters.files_removed.get(),
            cache_hits: cache.hits,
            cache_misses: cache.misses,
            cache_bytes: cache.used_bytes,
            ..Stats::default()
        };
        self.add_writing_stats(&mut stats);
        stats
    }

    fn add_writing_stats(&self, stats: &mut Stats) {
        if let Some(state) = self.core.state() {
            let segment = |segment: &manifest::Segment| SegmentStats {
                number: segment.meta.number,
                bytes: segment.meta.bytes,
                live_values: segment.live_values,
                live_bytes: segment.live_bytes,
            };
            stats.segments = state.segments().map(segment).collect();
        }
        if let Some(writing) = &self.writing {
            let generations = writing.journal.generations();
            stats.logs = generations.len() * 2;
            let written = generations.iter().map(|open| open.wal.position() + open.vlog.position());
            stats.log_bytes = written.sum();
            stats.durable_commit = writing.journal.durable();
        }
    }
}
