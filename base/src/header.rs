//! The header that opens every file: what it is, whose it is, and the salt that seeds its checksums.
//!
//! ```text
//!  0  magic           8 bytes  "kvstore\0"
//!  8  kind            u16      see FileKind
//! 10  format version  u16      of this kind of file
//! 12  data key id     u32      0 = not encrypted
//! 16  database id     16 bytes random, the same in every file of a database
//! 32  file number     u64      0 for the files that have a name of their own
//! 40  salt            16 bytes random, new whenever the file is created, recycled or rewritten
//! 56  checksum        u64      xxh3-64 of bytes 0..56
//! 64
//! ```

use std::path::Path;

use crate::checksum::{agrees, content_hash, seeded_hash};
use crate::codec::Decoder;
use crate::seeded::{self, Bug};
use crate::vfs::{File, Vfs};
use crate::{Error, Result};

/// The length of the header in bytes; the first byte of content comes right after.
pub const HEADER_BYTES: usize = 64;
/// [`HEADER_BYTES`] as a file offset.
pub const CONTENT_START: u64 = HEADER_BYTES as u64;

const MAGIC: [u8; 8] = *b"kvstore\0";
const CHECKED_BYTES: usize = HEADER_BYTES - 8;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A write-ahead log, `.wal`.
    Wal,
    /// A sorted table, `.sst`.
    Table,
    /// A value log, `.vlog`.
    ValueLog,
    /// The list of living files, `MANIFEST`.
    Manifest,
    /// The registry of data keys, `KEYREGISTRY`.
    Keyring,
    /// The value log's ledger of dead bytes, `DISCARD`.
    Discard,
}

impl FileKind {
    fn tag(self) -> u16 {
        match self {
            Self::Wal => 1,
            Self::Table => 2,
            Self::ValueLog => 3,
            Self::Manifest => 4,
            Self::Keyring => 5,
            Self::Discard => 6,
        }
    }
}

/// The random identity of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DatabaseId(pub [u8; 16]);

impl DatabaseId {
    /// Draws a new identity.
    pub fn random(vfs: &dyn Vfs) -> Result<Self> {
        let mut id = [0; 16];
        vfs.fill_random(&mut id)?;
        Ok(Self(id))
    }
}

/// Which file of which database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// The database.
    pub database_id: DatabaseId,
    /// The number in the file's name; 0 for files with a name of their own.
    pub file_number: u64,
}

/// A decoded file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// What the file is.
    pub kind: FileKind,
    /// The version of that kind's format.
    pub format_version: u16,
    /// The data key that seals the file; 0 = not encrypted.
    pub key_id: u32,
    /// The database that it belongs to, and its number.
    pub identity: FileIdentity,
    /// Random bytes of this life of the file.
    pub salt: [u8; 16],
}

impl FileHeader {
    /// A header for a new file, with a fresh salt.
    pub fn new(vfs: &dyn Vfs, kind: FileKind, format_version: u16, identity: FileIdentity) -> Result<Self> {
        let mut salt = [0; 16];
        vfs.fill_random(&mut salt)?;
        Ok(Self { kind, format_version, key_id: 0, identity, salt })
    }

    /// The bytes that open the file.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.kind.tag().to_le_bytes());
        out.extend_from_slice(&self.format_version.to_le_bytes());
        out.extend_from_slice(&self.key_id.to_le_bytes());
        out.extend_from_slice(&self.identity.database_id.0);
        out.extend_from_slice(&self.identity.file_number.to_le_bytes());
        out.extend_from_slice(&self.salt);
        let check = content_hash(&out);
        out.extend_from_slice(&check.to_le_bytes());
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(&out);
        bytes
    }

    /// Reads a header back. `file` names it in errors.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the bytes are not a header of kind `kind`; [`Error::Unsupported`] when its
    /// format version is above `newest_known`; [`Error::WrongKey`] when it is sealed with a data key.
    pub fn decode(bytes: &[u8], file: &Path, kind: FileKind, newest_known: u16) -> Result<Self> {
        let damaged = |offset: usize, what: &'static str| Error::corruption(file, offset as u64, what);
        let checked =
            bytes.get(..CHECKED_BYTES).ok_or_else(|| damaged(bytes.len(), "file header is cut short"))?;
        let mut decoder = Decoder::new(bytes);
        let read = |error: crate::codec::Malformed| damaged(error.offset, error.what);
        if decoder.bytes(MAGIC.len(), "file magic").map_err(read)? != MAGIC {
            return Err(damaged(0, "not a file of this database: its magic is unknown"));
        }
        let found_kind = decoder.u16("file kind").map_err(read)?;
        let format_version = decoder.u16("format version").map_err(read)?;
        let key_id = decoder.u32("data key id").map_err(read)?;
        let database_id = DatabaseId(decoder.bytes16("database id").map_err(read)?);
        let file_number = decoder.u64("file number").map_err(read)?;
        let salt = decoder.bytes16("salt").map_err(read)?;
        let check = decoder.u64("header checksum").map_err(read)?;
        if !agrees(check, content_hash(checked)) {
            return Err(damaged(CHECKED_BYTES, "file header checksum differs"));
        }
        if found_kind != kind.tag() {
            return Err(damaged(8, "the file is of another kind than its name says"));
        }
        if format_version > newest_known {
            return Err(Error::Unsupported { file: file.to_path_buf(), found: format_version, newest_known });
        }
        if format_version == 0 {
            return Err(damaged(10, "format version 0 does not exist"));
        }
        if key_id != 0 {
            return Err(Error::WrongKey { file: file.to_path_buf(), key_id });
        }
        Ok(Self { kind, format_version, key_id, identity: FileIdentity { database_id, file_number }, salt })
    }

    /// Reads the header of an open file.
    ///
    /// # Errors
    /// Those of [`FileHeader::decode`], and the system's.
    pub fn read(file: &dyn File, kind: FileKind, newest_known: u16) -> Result<Self> {
        let mut bytes = [0; HEADER_BYTES];
        let len = usize::try_from(file.len()?.min(CONTENT_START)).unwrap_or(HEADER_BYTES);
        let present = bytes.get_mut(..len).unwrap_or_default();
        file.read_exact_at(0, present)?;
        Self::decode(present, file.path(), kind, newest_known)
    }

    /// Fails unless this is the header of `expected`.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the file belongs to another database or bears another number.
    pub fn expect(&self, file: &Path, expected: FileIdentity) -> Result<()> {
        if seeded::is(Bug::SkipHeaderIdentity) {
            return Ok(());
        }
        if self.identity.database_id != expected.database_id {
            return Err(Error::corruption(file, 16, "the file belongs to another database"));
        }
        if self.identity.file_number != expected.file_number {
            return Err(Error::corruption(
                file,
                32,
                format!(
                    "the file says that its number is {}, not {}",
                    self.identity.file_number, expected.file_number
                ),
            ));
        }
        Ok(())
    }

    /// The seed of every checksum in the file: depends on database, number and salt.
    #[must_use]
    pub fn seed(&self) -> u64 {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.identity.database_id.0);
        bytes[16..].copy_from_slice(&self.salt);
        seeded_hash(&bytes, self.identity.file_number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MemVfs;

    #[test]
    fn headers_come_back_and_every_flipped_bit_is_seen() {
        let vfs = MemVfs::new();
        let id = DatabaseId::random(&vfs).unwrap();
        let header =
            FileHeader::new(&vfs, FileKind::Table, 3, FileIdentity { database_id: id, file_number: 77 })
                .unwrap();
        let bytes = header.encode();
        let file = Path::new("000077.sst");
        assert_eq!(FileHeader::decode(&bytes, file, FileKind::Table, 3).unwrap(), header);
        assert!(FileHeader::decode(&bytes, file, FileKind::Wal, 3).unwrap_err().is_corruption());
        let newer = FileHeader::decode(&bytes, file, FileKind::Table, 2).unwrap_err();
        assert!(matches!(newer, Error::Unsupported { found: 3, newest_known: 2, .. }));
        assert!(
            header
                .expect(file, FileIdentity { database_id: id, file_number: 78 })
                .unwrap_err()
                .is_corruption()
        );
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::decode(&flipped, file, FileKind::Table, 3).unwrap_err().is_corruption());
        }
        for len in 0..HEADER_BYTES {
            assert!(FileHeader::decode(&bytes[..len], file, FileKind::Table, 3).is_err());
        }
    }
}
