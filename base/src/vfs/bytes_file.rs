//! Plain bytes as a read-only file, so that every reader also works on a buffer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::File;
use crate::{Error, Result};

/// A read-only file that is a buffer.
#[derive(Debug)]
pub struct BytesFile {
    path: PathBuf,
    bytes: Bytes,
}

impl BytesFile {
    /// Wraps `bytes`; `path` names them in errors.
    #[must_use]
    pub fn shared(path: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Arc<dyn File> {
        Arc::new(Self { path: path.into(), bytes: bytes.into() })
    }

    fn read_only<T>(&self, op: &'static str) -> Result<T> {
        Err(Error::io(op, &self.path, io::Error::from(io::ErrorKind::ReadOnlyFilesystem)))
    }
}

impl File for BytesFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        Ok(copy_from(&self.bytes, offset, out))
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(&self.bytes)
    }

    fn write_all_at(&self, _offset: u64, _data: &[u8]) -> Result<()> {
        self.read_only("write")
    }

    fn sync(&self) -> Result<()> {
        self.read_only("sync")
    }

    fn set_len(&self, _len: u64) -> Result<()> {
        self.read_only("set the length of")
    }

    fn allocate(&self, _len: u64) -> Result<()> {
        self.read_only("allocate")
    }

    fn map(&self) -> Result<Bytes> {
        Ok(self.bytes.clone())
    }
}

/// Copies what `data` has at `offset` into `out`; how much that was.
pub(super) fn copy_from(data: &[u8], offset: u64, out: &mut [u8]) -> usize {
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
    let available = data.get(from..).unwrap_or_default();
    let len = available.len().min(out.len());
    if let (Some(to), Some(source)) = (out.get_mut(..len), available.get(..len)) {
        to.copy_from_slice(source);
    }
    len
}
