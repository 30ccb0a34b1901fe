//! A table in words, for people who look into a file.

use std::fmt::Write;

use base::{Error, Result};

use crate::index::LastPartition;

impl crate::Table {
    /// Writes the layout of the table for a human: header, properties, sections, and one line per data block.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `out` refuses text; those of reading an index partition.
    pub fn describe(&self, out: &mut impl Write) -> Result<()> {
        let refused = |_| Error::invalid("output", "it refused the text of a description");
        self.describe_whole(out).map_err(refused)?;
        let parts = self.parts.as_ref();
        let mut last = LastPartition::default();
        for ordinal in 0..parts.index.block_count() {
            if let Some(unit) = parts.index.block(&parts.source, ordinal, &mut last)? {
                let handle = unit.handle;
                writeln!(out, "  block {ordinal}: {} bytes at {}", handle.sealed_bytes, handle.offset)
                    .map_err(refused)?;
            }
        }
        Ok(())
    }

    fn describe_whole(&self, out: &mut impl Write) -> std::fmt::Result {
        let parts = self.parts.as_ref();
        let properties = self.properties();
        writeln!(out, "table {}, {} bytes", self.path().display(), self.file_bytes())?;
        let header = &parts.header;
        writeln!(
            out,
            "  format version {}, file number {}",
            header.format_version, header.identity.file_number
        )?;
        writeln!(out, "  keys \"{}\"", self.smallest().escape_ascii())?;
        writeln!(out, "    to \"{}\"", self.largest().escape_ascii())?;
        writeln!(
            out,
            "  {} entries of {} keys: {} tombstones, {} expiring, {} that hide older ones",
            properties.entries,
            properties.user_keys,
            properties.tombstones,
            properties.expiring,
            properties.hides_older
        )?;
        writeln!(out, "  versions {} to {}", properties.min_version, properties.max_version)?;
        if let (Some(first), Some(last)) = (properties.min_expiry, properties.max_expiry) {
            writeln!(out, "  expiring {} to {} (seconds since 1970)", first.0, last.0)?;
        }
        for (segment, used) in &properties.separated_values {
            writeln!(out, "  segment {segment}: {} values, {} bytes", used.values, used.record_bytes)?;
        }
        writeln!(
            out,
            "  data {} bytes in {} blocks, {} raw, compression {:?}",
            properties.data_bytes, properties.block_count, properties.raw_block_bytes, properties.compression
        )?;
        writeln!(
            out,
            "  index {} bytes in {} partitions, filter {} bytes",
            properties.index_bytes, properties.index_partitions, properties.filter_bytes
        )?;
        for (id, handle) in &parts.footer.sections {
            writeln!(out, "  section {id:?}: {} bytes at {}", handle.sealed_bytes, handle.offset)?;
        }
        Ok(())
    }
}
