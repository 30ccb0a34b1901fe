//! Copies the values of replayed commits that were never known to be durable into a new segment.

use std::collections::BTreeMap;

use base::header::FileIdentity;
use base::{Error, Result, ValuePointer, Version};
use manifest::SegmentMeta;

use super::replay::Values;
use crate::core::Core;
use crate::directory::NumberedFile;

/// Copies values that were never known to be durable: a sync of a file that was only read back proves nothing.
pub(crate) struct CopyUnconfirmed<'a> {
    core: &'a Core,
    /// The new segment, and its number; started with the first value.
    writer: Option<(u64, vlog::SegmentWriter)>,
    /// The value logs that are copied from.
    opened: BTreeMap<u64, vlog::Segment>,
    /// How many values were copied.
    pub(crate) copied: u64,
}

impl<'a> CopyUnconfirmed<'a> {
    pub(crate) fn new(core: &'a Core) -> Self {
        Self { core, writer: None, opened: BTreeMap::new(), copied: 0 }
    }

    fn start(&mut self) -> Result<()> {
        if self.writer.is_none() {
            let number = self.core.next_file_number()?;
            let path = NumberedFile::ValueLog(number).path(&self.core.directory);
            let identity = FileIdentity { database_id: self.core.database_id, file_number: number };
            self.writer = Some((number, vlog::SegmentWriter::create(&self.core.vfs, &path, identity)?));
        }
        Ok(())
    }

    fn open_source(&mut self, number: u64) -> Result<()> {
        if !self.opened.contains_key(&number) {
            let path = NumberedFile::ValueLog(number).path(&self.core.directory);
            let identity = FileIdentity { database_id: self.core.database_id, file_number: number };
            let segment = vlog::Segment::open_positional(&*self.core.vfs, &path, identity)?;
            self.opened.insert(number, segment);
        }
        Ok(())
    }

    /// The new segment, synced; `None` when nothing had to be copied. Its directory is not synced.
    pub(crate) fn finish(self) -> Result<Option<SegmentMeta>> {
        let Some((number, writer)) = self.writer else { return Ok(None) };
        let summary = writer.finish()?;
        Ok(Some(SegmentMeta {
            number,
            bytes: summary.bytes,
            values: summary.values,
            value_record_bytes: summary.value_record_bytes,
        }))
    }
}

impl Values for CopyUnconfirmed<'_> {
    fn place(
        &mut self,
        pointer: ValuePointer,
        user_key: &[u8],
        version: Version,
        is_durable: bool,
    ) -> Result<ValuePointer> {
        if is_durable {
            return Ok(pointer);
        }
        self.start()?;
        self.open_source(pointer.segment)?;
        match (&mut self.writer, self.opened.get(&pointer.segment)) {
            (Some((_, writer)), Some(source)) => {
                self.copied += 1;
                writer.copy(source, &pointer, user_key, version)
            }
            _ => {
                let path = NumberedFile::ValueLog(pointer.segment).path(&self.core.directory);
                Err(Error::corruption(&path, 0, "the value log vanished while it was recovered"))
            }
        }
    }
}
