//! The layout of a table file, version 1: drawing, constants, and the footer's encoding.
//!
//! ```text
//! 0          header          64 bytes, base::header, kind Table
//! 64         units           data blocks, index partitions and filter partitions, in the order in which they became
//!                            full; each sealed (base::seal); a filter partition starts at a multiple of 64, and an
//!                            uncompressed data block may be moved to the next multiple of 4096 so that it lies in one
//!                            page; the gaps are zeros that nobody reads
//!            sections        each sealed, found by the footer
//! len - 192  footer          not sealed, has a checksum of its own
//!
//! Block (raw): data block, index partition, or top index
//!   entries    n × | suffix length varint | version − min version varint | key suffix | payload, to the next entry |
//!   offsets    (n + 1) × u16, or u32 when wide: where entry i starts; the last is the end of the entries
//!   heads      n × u32: the first 4 bytes of each suffix as a big-endian number, zeros behind a short one
//!   prefix     what all keys of the block begin with
//!   min version u64 | prefix length u32 | count u32 (bit 31: wide)                     the last 16 bytes
//! Payload of a data block: base::entry. Of an index partition: block handle. Of the top index: partition handle and
//! then, as a varint, the ordinal of its first data block.
//! Handle: | offset varint | sealed length varint |
//! Key of an index entry: a separator. It is above every key of the blocks before, and not above the first key of
//! its own block. Where a block begins with a new user key it is a prefix of that key with the highest version; where
//! a user key goes on from one block to the next it is the exact first key.
//!
//! Filter partition (raw): lines of 64 bytes, see `filter`; made of up to a fixed number of user keys, in key order.
//!
//! Sections
//!   1 top index         required, absent from an empty table; a block
//!   2 filter directory  optional; | probes u8 | count varint | count × (handle, last user key with varint length) |
//!   3 properties        required; see `properties`
//!   4 hash index        reserved
//!   5 dictionary        reserved
//!
//! Footer
//!   0  10 × | id u16 | flags u16 (bit 0: required) | sealed length u32 | offset u64 |   unused slots are zeros
//! 160  section count  u32
//! 164  zero           u32
//! 168  file length    u64
//! 176  magic          8 bytes "tablend\0"
//! 184  checksum       u64, xxh3-64 of bytes 0..184, seeded with the file's seed and the footer's offset
//! 192
//! ```
//! A section that a reader does not know is skipped, unless it is marked required: then the file is `Unsupported`.

use std::path::Path;

use base::checksum::{agrees, place_seed, seeded_hash};
use base::codec::{Decoder, Malformed, put_varint};
use base::header::{CONTENT_START, FileHeader};
use base::{Error, Result};

/// The newest format version that this release writes and reads.
pub const FORMAT_VERSION: u16 = 1;

/// The length of the footer, in bytes.
pub(crate) const FOOTER_BYTES: usize = 192;
/// Filter partitions start at multiples of this, in bytes, so that a filter line is a cache line of the map.
pub(crate) const FILTER_ALIGNMENT: u64 = 64;

/// The page of most systems, in bytes: a block that lies in one is reached with one page fault, or one entry of the
/// processor's page table.
pub(crate) const PAGE_BYTES: u64 = 4096;

const SECTION_SLOTS: usize = 10;
const CHECKED_BYTES: usize = FOOTER_BYTES - 8;
const MAGIC: [u8; 8] = *b"tablend\0";
const FLAG_REQUIRED: u16 = 1;

/// Where a sealed unit lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) offset: u64,
    pub(crate) sealed_bytes: u32,
}

impl Handle {
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        put_varint(out, self.offset);
        put_varint(out, u64::from(self.sealed_bytes));
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> std::result::Result<Self, Malformed> {
        Ok(Self {
            offset: decoder.varint("handle offset")?,
            sealed_bytes: decoder.varint32("handle length")?,
        })
    }

    /// True when the unit lies between the header and the footer of a file of `file_bytes`.
    pub(crate) fn is_inside(self, file_bytes: u64) -> bool {
        let end = self.offset.checked_add(u64::from(self.sealed_bytes) + FOOTER_BYTES as u64);
        self.offset >= CONTENT_START && end.is_some_and(|end| end <= file_bytes)
    }
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionId {
    TopIndex,
    FilterDirectory,
    Properties,
}

impl SectionId {
    fn tag(self) -> u16 {
        match self {
            Self::TopIndex => 1,
            Self::FilterDirectory => 2,
            Self::Properties => 3,
        }
    }

    fn from_tag(tag: u16) -> Option<Self> {
        match tag {
            1 => Some(Self::TopIndex),
            2 => Some(Self::FilterDirectory),
            3 => Some(Self::Properties),
            _ => None,
        }
    }

    fn is_required(self) -> bool {
        match self {
            Self::TopIndex | Self::Properties => true,
            Self::FilterDirectory => false,
        }
    }
}

/// The end of the file: where the sections are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The sections that this release knows.
    pub(crate) sections: Vec<(SectionId, Handle)>,
}

impl Footer {
    pub(crate) fn section(&self, wanted: SectionId) -> Option<Handle> {
        self.sections.iter().find(|(id, _)| *id == wanted).map(|(_, handle)| *handle)
    }

    /// The footer's bytes when it is to stand at `offset`.
    pub(crate) fn encode(&self, header: &FileHeader, offset: u64) -> Vec<u8> {
        debug_assert!(self.sections.len() <= SECTION_SLOTS);
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        for (id, handle) in self.sections.iter().take(SECTION_SLOTS) {
            out.extend_from_slice(&id.tag().to_le_bytes());
            let flags = if id.is_required() { FLAG_REQUIRED } else { 0 };
            out.extend_from_slice(&flags.to_le_bytes());
            out.extend_from_slice(&handle.sealed_bytes.to_le_bytes());
            out.extend_from_slice(&handle.offset.to_le_bytes());
        }
        out.resize(SECTION_SLOTS * 16, 0);
        out.extend_from_slice(&(self.sections.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(offset + FOOTER_BYTES as u64).to_le_bytes());
        out.extend_from_slice(&MAGIC);
        let check = seeded_hash(&out, place_seed(header.seed(), offset));
        out.extend_from_slice(&check.to_le_bytes());
        out
    }

    /// Reads the footer that stands at `offset`, at the end of `file`.
    ///
    /// # Errors
    /// [`Error::Corruption`], and [`Error::Unsupported`] when a required section is of a later release.
    pub(crate) fn decode(bytes: &[u8], header: &FileHeader, file: &Path, offset: u64) -> Result<Self> {
        let damaged = |what: &'static str| Error::corruption(file, offset, what);
        let read = |error: Malformed| Error::corruption(file, offset + error.offset as u64, error.what);
        let checked = bytes.get(..CHECKED_BYTES).ok_or_else(|| damaged("footer is cut short"))?;
        let mut end = Decoder::new(bytes.get(CHECKED_BYTES - 16..).unwrap_or_default());
        let file_bytes = end.u64("file length").map_err(read)?;
        if end.bytes(MAGIC.len(), "footer magic").map_err(read)? != MAGIC {
            return Err(damaged("there is no footer: the file was cut or never finished"));
        }
        let check = end.u64("footer checksum").map_err(read)?;
        if !agrees(check, seeded_hash(checked, place_seed(header.seed(), offset))) {
            return Err(damaged("footer checksum differs"));
        }
        if offset.checked_add(FOOTER_BYTES as u64) != Some(file_bytes) {
            return Err(damaged("the file is not as long as its footer says"));
        }
        let mut decoder = Decoder::new(checked.get(SECTION_SLOTS * 16..).unwrap_or_default());
        let count = decoder.u32("section count").map_err(read)? as usize;
        if count > SECTION_SLOTS {
            return Err(damaged("more sections than the footer has room for"));
        }
        let mut decoder = Decoder::new(checked);
        let mut footer = Self::default();
        for _ in 0..count {
            let id = decoder.u16("section id").map_err(read)?;
            let flags = decoder.u16("section flags").map_err(read)?;
            let sealed_bytes = decoder.u32("section length").map_err(read)?;
            let handle = Handle { offset: decoder.u64("section offset").map_err(read)?, sealed_bytes };
            if !handle.is_inside(file_bytes) {
                return Err(damaged("a section lies outside the file"));
            }
            match SectionId::from_tag(id) {
                Some(id) => footer.sections.push((id, handle)),
                None if flags & FLAG_REQUIRED == 0 => {}
                None => {
                    return Err(Error::Unsupported {
                        file: file.to_path_buf(),
                        // Only a later release can have written a required section that this one does not know.
                        found: FORMAT_VERSION + 1,
                        newest_known: FORMAT_VERSION,
                    });
                }
            }
        }
        Ok(footer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::header::{FileIdentity, FileKind};

    fn header() -> FileHeader {
        FileHeader {
            kind: FileKind::Table,
            format_version: FORMAT_VERSION,
            key_id: 0,
            identity: FileIdentity::default(),
            salt: [7; 16],
        }
    }

    fn reseal(bytes: &mut [u8], offset: u64) {
        let check = seeded_hash(&bytes[..CHECKED_BYTES], place_seed(header().seed(), offset));
        bytes[CHECKED_BYTES..].copy_from_slice(&check.to_le_bytes());
    }

    /// Goal: later releases may add sections. Method: forge slots with unknown ids, with and without the flag.
    #[test]
    fn unknown_sections_are_skipped_unless_required() {
        let known = Handle { offset: 64, sealed_bytes: 20 };
        let footer = Footer { sections: vec![(SectionId::Properties, known)] };
        let file = Path::new("t.sst");
        let mut bytes = footer.encode(&header(), 1000);
        assert_eq!(bytes.len(), FOOTER_BYTES);
        assert_eq!(Footer::decode(&bytes, &header(), file, 1000).unwrap(), footer);

        bytes[16..32].copy_from_slice(&[9, 0, 0, 0, 20, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0]);
        bytes[160] = 2;
        reseal(&mut bytes, 1000);
        assert_eq!(Footer::decode(&bytes, &header(), file, 1000).unwrap(), footer);

        bytes[18] = 1;
        reseal(&mut bytes, 1000);
        let refused = Footer::decode(&bytes, &header(), file, 1000).unwrap_err();
        assert!(matches!(refused, Error::Unsupported { .. }));

        bytes[18] = 0;
        bytes[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
        reseal(&mut bytes, 1000);
        assert!(Footer::decode(&bytes, &header(), file, 1000).unwrap_err().is_corruption());
    }
}
