//! Writes sorted, retained versions into new tables; what flush and compaction have in common.

use std::sync::Arc;

use base::header::FileIdentity;
use base::{Compression, Entry, InternalKey, Result, UnixSeconds};
use manifest::{TableMeta, ValueUse};
use sstable::{BuildOptions, Builder, Summary};

use crate::core::Core;
use crate::directory::NumberedFile;
use crate::files::LivingFile;

/// A finished table that is not part of the tree yet.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) meta: TableMeta,
    pub(crate) file: LivingFile,
}

/// Gives up tables that will not become part of the tree: their files go to the reaper.
pub(crate) fn abandon(outputs: Vec<Output>) {
    for output in outputs {
        output.file.retire();
    }
}

/// What the tables of one writer have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputShape {
    pub(crate) level: usize,
    pub(crate) table_bytes: u64,
    pub(crate) compression: Compression,
    pub(crate) oldest_generation: u64,
    pub(crate) newest_generation: u64,
    pub(crate) created_at: UnixSeconds,
}

/// Writes tables one after another; never cuts between the versions of one user key.
pub(crate) struct OutputWriter<'a> {
    core: &'a Core,
    shape: OutputShape,
    building: Option<(u64, Builder)>,
    last_user_key: Vec<u8>,
    outputs: Vec<Output>,
}

impl<'a> OutputWriter<'a> {
    pub(crate) fn new(core: &'a Core, shape: OutputShape) -> Self {
        Self { core, shape, building: None, last_user_key: Vec::new(), outputs: Vec::new() }
    }

    pub(crate) fn add(&mut self, key: InternalKey<'_>, entry: &Entry<'_>) -> Result<()> {
        let is_full =
            self.building.as_ref().is_some_and(|(_, builder)| builder.byte_len() >= self.shape.table_bytes);
        if is_full && self.last_user_key != key.user_key {
            self.finish_table()?;
        }
        if self.building.is_none() {
            self.building = Some(self.start_table()?);
        }
        if let Some((_, builder)) = &mut self.building {
            builder.add(key, entry)?;
        }
        if self.last_user_key != key.user_key {
            self.last_user_key.clear();
            self.last_user_key.extend_from_slice(key.user_key);
        }
        Ok(())
    }

    /// Finishes the last table; all files are synced, their directory is not.
    pub(crate) fn finish(mut self) -> Result<Vec<Output>> {
        self.finish_table()?;
        Ok(std::mem::take(&mut self.outputs))
    }

    fn start_table(&self) -> Result<(u64, Builder)> {
        let number = self.core.next_file_number()?;
        let path = NumberedFile::Table(number).path(&self.core.directory);
        let identity = FileIdentity { database_id: self.core.database_id, file_number: number };
        let options = BuildOptions::default()
            .block_bytes(self.core.options.block_bytes)
            .compression(self.shape.compression)
            .filter_bits_per_key(self.core.options.filter_bits_per_key);
        Ok((number, Builder::create_in(Arc::clone(&self.core.vfs), &path, identity, options)?))
    }

    fn finish_table(&mut self) -> Result<()> {
        let Some((number, builder)) = self.building.take() else { return Ok(()) };
        let summary = builder.finish()?;
        let path = NumberedFile::Table(number).path(&self.core.directory);
        let file = LivingFile::new(path, &self.core.reaper);
        let meta = self.meta(number, summary);
        self.core.counters.table_bytes_written.add(meta.file_bytes);
        self.outputs.push(Output { meta, file });
        Ok(())
    }

    fn meta(&self, number: u64, summary: Summary) -> TableMeta {
        let properties = summary.properties;
        let value_use = |(segment, used): (&u64, &sstable::SegmentUse)| ValueUse {
            segment: *segment,
            values: used.values,
            record_bytes: used.record_bytes,
        };
        TableMeta {
            number,
            level: self.shape.level as u8,
            smallest: summary.smallest,
            largest: summary.largest,
            file_bytes: summary.file_bytes,
            entries: properties.entries,
            tombstones: properties.tombstones,
            raw_bytes: properties.raw_key_bytes + properties.raw_value_bytes,
            min_version: properties.min_version.0,
            max_version: properties.max_version.0,
            min_expiry: properties.min_expiry.map(|at| at.0),
            max_expiry: properties.max_expiry.map(|at| at.0),
            oldest_generation: self.shape.oldest_generation,
            newest_generation: self.shape.newest_generation,
            created_at: self.shape.created_at.0,
            value_use: properties.separated_values.iter().map(value_use).collect(),
        }
    }
}

impl Drop for OutputWriter<'_> {
    /// A writer that did not finish leaves nothing behind.
    fn drop(&mut self) {
        abandon(std::mem::take(&mut self.outputs));
    }
}
