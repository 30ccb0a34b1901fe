//! The registry in memory, read from its file and written back whole.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base::compress::Codec;
use base::header::{DatabaseId, FileHeader, FileIdentity, FileKind};
use base::record::{Located, RecordBuffer, Scanner, Stamp};
use base::vfs::{Access, BytesFile, File, Vfs, write_atomically};
use base::{Compression, Error, Result, UnixSeconds};

use crate::format::{
    FILE_NAME, FORMAT_VERSION, KIND_END, KIND_KEY, PAYLOAD_BYTES_MAX, RECORDS_START, WRAPPED_BYTES_MAX,
    decode_key, encode_key,
};

/// One data key, wrapped.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The id by which file headers name it; not 0.
    pub id: u32,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// What it is for; opaque here.
    pub algorithm: u32,
    /// The key, wrapped by another; opaque here, up to [`WRAPPED_BYTES_MAX`] long.
    pub wrapped: Vec<u8>,
}

impl fmt::Debug for KeyRecord {
    /// Leaves the key out, wrapped or not: it has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.id)
            .field("created_at", &self.created_at)
            .field("algorithm", &self.algorithm)
            .field("wrapped_bytes", &self.wrapped.len())
            .finish()
    }
}

/// All data keys of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// The database that they belong to.
    pub database_id: DatabaseId,
    /// The keys, in ascending order of their ids.
    pub keys: Vec<KeyRecord>,
}

/// Writes the empty registry of a new database. Durable when it returns.
///
/// # Errors
/// When `directory` has a registry already, or the system's.
pub fn create(vfs: &dyn Vfs, directory: &Path, database_id: DatabaseId) -> Result<Registry> {
    let path = directory.join(FILE_NAME);
    if vfs.exists(&path)? {
        return Err(Error::io("create", &path, std::io::Error::from(std::io::ErrorKind::AlreadyExists)));
    }
    let registry = Registry { database_id, keys: Vec::new() };
    registry.write(vfs, directory)?;
    Ok(registry)
}

/// Reads the registry of `directory`. Writes nothing.
///
/// # Errors
/// [`Error::Corruption`] when it is missing or not, byte for byte, what was written; [`Error::Unsupported`] for a
/// newer format; the system's.
pub fn read(vfs: &dyn Vfs, directory: &Path) -> Result<Registry> {
    let path = directory.join(FILE_NAME);
    let file = vfs.open(&path, Access::Read).map_err(|error| {
        if error.is_not_found() { Error::corruption(&path, 0, "the key registry is missing") } else { error }
    })?;
    read_file(&file)
}

impl Registry {
    /// Reads a registry from the bytes of its file.
    ///
    /// # Errors
    /// [`Error::Corruption`] and [`Error::Unsupported`], as [`read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        read_file(&BytesFile::shared(FILE_NAME, bytes.to_vec()))
    }

    /// Replaces the registry in `directory` by this one. Durable when it returns; after a failure the old one is
    /// there, or this one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the ids do not ascend from 1 up, [`Error::LimitExceeded`] for a key above
    /// [`WRAPPED_BYTES_MAX`]; nothing was written then. The system's.
    pub fn write(&self, vfs: &dyn Vfs, directory: &Path) -> Result<()> {
        self.check()?;
        let identity = FileIdentity { database_id: self.database_id, file_number: 0 };
        let header = FileHeader::new(vfs, FileKind::Keyring, FORMAT_VERSION, identity)?;
        let mut bytes = header.encode().to_vec();
        let mut append = |kind, number, payload: &dyn Fn(&mut Vec<u8>)| {
            let mut record = RecordBuffer::new();
            record.push(kind, Compression::None, payload)?;
            record.stamp(header.seed(), bytes.len() as u64, Stamp { number, version: 0, mark: 0 });
            bytes.extend_from_slice(record.as_bytes());
            Ok::<(), Error>(())
        };
        for (place, key) in (0u64..).zip(&self.keys) {
            append(KIND_KEY, place, &|out| encode_key(key, out))?;
        }
        append(KIND_END, self.keys.len() as u64, &|_| {})?;
        write_atomically(vfs, &directory.join(FILE_NAME), &bytes)
    }

    fn check(&self) -> Result<()> {
        let mut last = 0;
        for key in &self.keys {
            if key.id <= last {
                let why = format!("id {} does not ascend from {last}", key.id);
                return Err(Error::invalid("data key", why));
            }
            if key.wrapped.len() > WRAPPED_BYTES_MAX {
                return Err(Error::LimitExceeded {
                    what: "wrapped data key in bytes",
                    limit: WRAPPED_BYTES_MAX as u64,
                    got: key.wrapped.len() as u64,
                });
            }
            last = key.id;
        }
        Ok(())
    }
}

fn read_file(file: &Arc<dyn File>) -> Result<Registry> {
    let header = FileHeader::read(&**file, FileKind::Keyring, FORMAT_VERSION)?;
    let database_id = header.identity.database_id;
    header.expect(file.path(), FileIdentity { database_id, file_number: 0 })?;
    let mut scanner = Scanner::new(Arc::clone(file), header.seed(), RECORDS_START)?;
    let mut registry = Registry { database_id, keys: Vec::new() };
    loop {
        let at = scanner.offset();
        let damage = |what: &'static str| Error::corruption(file.path(), at, what);
        let Some(located) = scanner.next_header()? else {
            return Err(damage("the key registry is damaged, or ends before its last record"));
        };
        let Located { header, .. } = located;
        if header.codec != Codec::None || header.payload_len as usize > PAYLOAD_BYTES_MAX {
            return Err(damage("the record is compressed or too large for a key"));
        }
        if header.number != registry.keys.len() as u64 {
            return Err(damage("the record is not the next one"));
        }
        let payload = scanner.payload(&located)?;
        match header.kind {
            KIND_KEY => {
                let key = decode_key(&payload).map_err(|malformed| damage(malformed.what))?;
                if key.id <= registry.keys.last().map_or(0, |last| last.id) {
                    return Err(damage("key ids do not ascend"));
                }
                registry.keys.push(key);
            }
            KIND_END if payload.is_empty() && scanner.offset() == file.len()? => return Ok(registry),
            KIND_END => return Err(damage("something follows the end of the key registry")),
            _ => return Err(damage("the record is of an unknown kind")),
        }
    }
}
