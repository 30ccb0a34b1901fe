//! Sizes and triggers of the engine: plain data, checked once at open.

use std::num::NonZeroU32;

use base::{Compression, Error, Result};
use sstable::TableAccess;

/// How many levels a tree has, L0 included.
pub const LEVELS: usize = 7;

/// Settings of the engine. Every field has a default that suits most; sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rotation: a memtable is frozen when it holds this much.
    pub memtable_bytes: usize,
    /// Rotation: a value log is sealed when it is this long.
    pub segment_bytes: u64,
    /// All memtables together; at this much commits wait for a flush. At least twice `memtable_bytes`.
    pub write_buffer_bytes: usize,
    /// Values at least this long go to the value log.
    pub value_threshold: usize,
    /// Raw size of a table block.
    pub block_bytes: usize,
    /// Tables below L0 are split at this size.
    pub table_bytes: u64,
    /// Bits per key of each table's filter; 0 builds none.
    pub filter_bits_per_key: u32,
    /// How many L0 tables start a compaction.
    pub l0_compaction_trigger: usize,
    /// From this many L0 tables on, commits are slowed down.
    pub l0_slowdown_trigger: usize,
    /// At this many L0 tables, commits wait.
    pub l0_stop_trigger: usize,
    /// Target size of the first level below L0 that is in use.
    pub base_level_bytes: u64,
    /// How much larger each level is than the one above.
    pub level_size_multiplier: u64,
    /// How many disjoint ranges a compaction is split into at most.
    pub max_subcompactions: usize,
    /// Compression of tables in the last level.
    pub bottom_compression: Compression,
    /// Compression of tables in the levels above.
    pub upper_compression: Compression,
    /// Compression of separated values.
    pub value_compression: Compression,
    /// How many of a key's newest versions are kept, besides those that open snapshots see.
    pub keep_versions: NonZeroU32,
    /// How many bytes of queued commits are written at once.
    pub group_bytes: usize,
    /// Memory of the block cache.
    pub cache_bytes: usize,
    /// How tables and sealed segments are read.
    pub access: TableAccess,
    /// Memory kept for reuse by later memtables.
    pub idle_arena_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memtable_bytes: 64 << 20,
            segment_bytes: 256 << 20,
            write_buffer_bytes: 192 << 20,
            value_threshold: 1 << 10,
            block_bytes: 4 << 10,
            table_bytes: 32 << 20,
            filter_bits_per_key: 10,
            l0_compaction_trigger: 4,
            l0_slowdown_trigger: 12,
            l0_stop_trigger: 20,
            base_level_bytes: 256 << 20,
            level_size_multiplier: 10,
            max_subcompactions: 2,
            bottom_compression: Compression::None,
            upper_compression: Compression::None,
            value_compression: Compression::None,
            keep_versions: NonZeroU32::MIN,
            group_bytes: 1 << 20,
            cache_bytes: 64 << 20,
            access: TableAccess::Mapped,
            idle_arena_bytes: 64 << 20,
        }
    }
}

impl Options {
    /// Limits so small that a few hundred operations cross every boundary; for tests.
    #[must_use]
    pub fn tiny() -> Self {
        Self {
            memtable_bytes: 4 << 10,
            segment_bytes: 16 << 10,
            write_buffer_bytes: 64 << 10,
            value_threshold: 64,
            block_bytes: 128,
            table_bytes: 4 << 10,
            filter_bits_per_key: 10,
            l0_compaction_trigger: 2,
            l0_slowdown_trigger: 8,
            l0_stop_trigger: 12,
            base_level_bytes: 8 << 10,
            level_size_multiplier: 3,
            max_subcompactions: 3,
            // Off by default, and for that reason on here.
            bottom_compression: Compression::Lz4,
            value_compression: Compression::Lz4,
            group_bytes: 4 << 10,
            cache_bytes: 64 << 10,
            idle_arena_bytes: 256 << 10,
            ..Self::default()
        }
    }

    /// How much log space is reserved at a time.
    pub(crate) fn allocation_step_bytes(&self) -> u64 {
        (self.memtable_bytes as u64 / 16).clamp(4 << 10, 4 << 20)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the first field that cannot work.
    pub fn validate(&self) -> Result<()> {
        let within = |what: &'static str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(what, format!("{value} is out of range; it must be {low} to {high}")))
        };
        within("memtable_bytes", self.memtable_bytes as u64, 1 << 10, 4 << 30)?;
        within("segment_bytes", self.segment_bytes, 1 << 10, 64 << 30)?;
        within(
            "write_buffer_bytes",
            self.write_buffer_bytes as u64,
            2 * self.memtable_bytes as u64,
            u64::MAX,
        )?;
        within("value_threshold", self.value_threshold as u64, 1, 1 << 20)?;
        within("block_bytes", self.block_bytes as u64, 64, 1 << 20)?;
        within("table_bytes", self.table_bytes, 1 << 10, 8 << 30)?;
        within("filter_bits_per_key", u64::from(self.filter_bits_per_key), 0, 64)?;
        within("l0_compaction_trigger", self.l0_compaction_trigger as u64, 1, 1_000)?;
        let slowdown = self.l0_slowdown_trigger as u64;
        within("l0_slowdown_trigger", slowdown, self.l0_compaction_trigger as u64, 10_000)?;
        within("l0_stop_trigger", self.l0_stop_trigger as u64, slowdown, 100_000)?;
        within("base_level_bytes", self.base_level_bytes, 1 << 10, 1 << 50)?;
        within("level_size_multiplier", self.level_size_multiplier, 2, 1_000)?;
        within("max_subcompactions", self.max_subcompactions as u64, 1, 64)?;
        within("group_bytes", self.group_bytes as u64, 1, 1 << 30)?;
        for (what, compression) in [
            ("bottom_compression", self.bottom_compression),
            ("upper_compression", self.upper_compression),
            ("value_compression", self.value_compression),
        ] {
            if let Compression::Zstd(level) = compression {
                within(what, u64::from(level.unsigned_abs()), 1, 22)?;
            }
        }
        Ok(())
    }
}
