//! Where a builder's bytes go: a file, in large writes, or memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::header::FileHeader;
use base::seal::Seal;
use base::seeded::{self, Bug};
use base::vfs::{File, Vfs};
use base::{Compression, Error, Result};
use bytes::Bytes;

use crate::format::{Handle, PAGE_BYTES};

/// A file is written in pieces of at least this many bytes, except for the last.
const CHUNK_BYTES: usize = 256 << 10;

/// An append-only run of sealed units.
#[derive(Debug)]
pub(crate) struct Sink {
    seal: Seal,
    output: Option<Output>,
    /// Bytes before `pending`.
    written: u64,
    pending: Vec<u8>,
    /// The first failure: after it nothing more is written.
    failed: Option<Error>,
}

/// A file that is removed unless it was finished.
#[derive(Debug)]
struct Output {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    file: Arc<dyn File>,
    finished: bool,
}

impl Drop for Output {
    fn drop(&mut self) {
        // A second panic, while one unwinds, would be the end of the process.
        if !self.finished && !std::thread::panicking() {
            // Nobody refers to an unfinished table; what cannot be removed now is swept by the next open.
            let _left_over = self.vfs.remove(&self.path);
        }
    }
}

impl Sink {
    pub(crate) fn create(vfs: Arc<dyn Vfs>, path: &Path, header: &FileHeader) -> Result<Self> {
        let file = vfs.create(path)?;
        let output = Output { vfs, path: path.to_path_buf(), file, finished: false };
        Ok(Self { output: Some(output), ..Self::in_memory(header) })
    }

    pub(crate) fn in_memory(header: &FileHeader) -> Self {
        let pending = header.encode().to_vec();
        Self { seal: Seal::new(header), output: None, written: 0, pending, failed: None }
    }

    /// Where the next byte goes.
    pub(crate) fn offset(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Fills up with zeros to a multiple of `alignment`.
    pub(crate) fn align(&mut self, alignment: u64) {
        let gap = self.offset().next_multiple_of(alignment) - self.offset();
        self.pending.resize(self.pending.len() + gap as usize, 0);
    }

    /// Leaves the rest of the page free, if that is at most `gap_max` bytes, when a unit of `sealed_len` bytes then lies in
    /// fewer pages.
    pub(crate) fn keep_in_page(&mut self, sealed_len: usize, gap_max: u64) {
        let free = self.offset().next_multiple_of(PAGE_BYTES) - self.offset();
        // A unit of several pages crosses one border less when it starts at one.
        let in_last_page = (sealed_len as u64).saturating_sub(1) % PAGE_BYTES + 1;
        if free <= gap_max && in_last_page > free % PAGE_BYTES {
            self.align(PAGE_BYTES);
        }
    }

    /// Appends a sealed unit.
    pub(crate) fn seal(&mut self, raw: &[u8], how: Compression) -> Result<Handle> {
        self.check()?;
        let offset = self.offset();
        let sealed_len = self.seal.seal(offset, raw, how, &mut self.pending)?;
        self.write_full_chunk()?;
        // At most MAX_RAW_BYTES and a trailer.
        Ok(Handle { offset, sealed_bytes: sealed_len as u32 })
    }

    /// Appends bytes as they are.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.check()?;
        self.pending.extend_from_slice(bytes);
        self.write_full_chunk()
    }

    fn check(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn write_full_chunk(&mut self) -> Result<()> {
        if self.pending.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let Some(output) = &self.output else { return Ok(()) };
        if let Err(error) = output.file.write_all_at(self.written, &self.pending) {
            self.failed = Some(error.clone());
            return Err(error);
        }
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes what is pending and syncs the file, which now stays.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.check()?;
        self.flush()?;
        if let Some(output) = &mut self.output {
            if !seeded::is(Bug::SkipTableSync) {
                output.file.sync()?;
            }
            output.finished = true;
        }
        Ok(())
    }

    /// The bytes of a sink in memory.
    pub(crate) fn into_bytes(self) -> Result<Bytes> {
        if self.output.is_some() {
            return Err(Error::invalid("builder", "it writes a file: use finish()"));
        }
        Ok(Bytes::from(self.pending))
    }
}
