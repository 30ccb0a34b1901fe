//! Files, directories, locks and randomness behind two traits, so that memory, faults and power cuts can stand in
//! for the operating system.
//!
//! # Durability contract
//! 1. What was written is durable after [`File::sync`] returns, length included. Before that any subset of it may
//!    survive a power cut.
//! 2. A created, renamed or removed name is durable after [`Vfs::sync_dir`] on its directory.
//! 3. A failed sync says nothing about what reached the disk, and must never be retried on the same data.
//!
//! Calls that the system interrupts, and reads and writes that it carries out in part, are repeated below these traits.

mod bytes_file;
#[cfg(any(test, feature = "test-util"))]
mod fault;
mod mem;
mod name;
mod os;
mod read_ahead;
#[cfg(any(test, feature = "test-util"))]
mod sim;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::{Error, Result};

pub use bytes_file::BytesFile;
#[cfg(any(test, feature = "test-util"))]
pub use fault::{Fault, FaultKind, FaultVfs, Filter, Operation, Operations, Times};
pub use mem::MemVfs;
pub use os::OsVfs;
pub use read_ahead::ReadAhead;
#[cfg(any(test, feature = "test-util"))]
pub use sim::{CrashProfile, Image, ImageBudget, Images, Recording, SimVfs};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading only.
    Read,
    /// For reading and writing.
    ReadWrite,
}

/// How a lock is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// One holder.
    Exclusive,
    /// Many holders, none exclusive.
    Shared,
}

/// What becomes of unsynced content when a sync fails.
#[cfg(any(test, feature = "test-util"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// It stays readable and counts as clean: no later sync makes it durable.
    Kept,
    /// It is gone: readers see what was durable.
    Reverted,
}

/// A held lock; released when dropped.
pub trait FileLock: Send + Sync + fmt::Debug {}

/// A namespace of files.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Creates a file, readable and writable by its owner only.
    ///
    /// # Errors
    /// When it exists already, or the system's.
    fn create(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Opens an existing file.
    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>>;

    /// Gives a file a new name, replacing what bears it. Atomic; durable after [`Vfs::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a name. Open handles and maps of the file stay usable.
    fn remove(&self, path: &Path) -> Result<()>;

    /// True when a file or directory of this name exists.
    fn exists(&self, path: &Path) -> Result<bool>;

    /// The names inside a directory, in no order.
    fn list(&self, directory: &Path) -> Result<Vec<String>>;

    /// Creates a directory and what is missing above it, accessible to its owner only, and makes the names durable.
    fn create_dir_all(&self, directory: &Path) -> Result<()>;

    /// Makes the names inside a directory durable.
    fn sync_dir(&self, directory: &Path) -> Result<()>;

    /// Takes a lock on a file, which an exclusive lock creates when it is missing.
    ///
    /// # Errors
    /// [`Error::Locked`] when another holder has it, at once.
    fn lock(&self, path: &Path, kind: LockKind) -> Result<Box<dyn FileLock>>;

    /// Fills `out` with random bytes (salts, identities, keys).
    fn fill_random(&self, out: &mut [u8]) -> Result<()>;

    /// Does to the names inside a directory what a failed [`Vfs::sync_dir`] does; for [`FaultVfs`]. A file system that does
    /// not tell what is durable has nothing to do.
    #[cfg(any(test, feature = "test-util"))]
    fn fail_sync_dir(&self, _directory: &Path) -> Result<()> {
        Ok(())
    }
}

/// An open file. All access is positional, so a handle has no hidden state.
pub trait File: Send + Sync + fmt::Debug {
    /// The name it was opened by, for messages.
    fn path(&self) -> &Path;

    /// Its length in bytes.
    fn len(&self) -> Result<u64>;

    /// True when its length is 0.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads up to `out.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize>;

    /// Fills `out`.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the file ends before.
    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let wanted = out.len();
        if self.read_at(offset, out)? == wanted {
            return Ok(());
        }
        Err(Error::corruption(self.path(), offset, format!("the file ends before {wanted} bytes from here")))
    }

    /// The whole content, if it lies in memory and does not change: whoever reads little at a time need not copy it.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }

    /// Writes all of `data`, extending the file when it reaches beyond its end.
    fn write_all_at(&self, offset: u64, data: &[u8]) -> Result<()>;

    /// Makes contents and length durable.
    fn sync(&self) -> Result<()>;

    /// Cuts or extends the file; what is added reads as zeros.
    fn set_len(&self, len: u64) -> Result<()>;

    /// Reserves disk space for the first `len` bytes and extends the file to at least that; what is added reads as
    /// zeros.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when the disk cannot hold it.
    fn allocate(&self, len: u64) -> Result<()>;

    /// The whole file as shared memory, without copying where the system can. The caller promises that the file is
    /// finished: nobody writes to it or cuts it while the map is in use. It is read at random: the system reads the pages that are
    /// touched, and no others unless [`File::read_ahead`] asks for them.
    fn map(&self) -> Result<Bytes>;

    /// A hint that these bytes are read soon: the system may begin to read them from the disk. Without effect on what is read, and
    /// nothing at all where a file cannot follow it.
    fn read_ahead(&self, _offset: u64, _len: u64) {}

    /// Does to the content what a failed [`File::sync`] does; for [`FaultVfs`]. A file system that does not tell what is
    /// durable can only keep it.
    #[cfg(any(test, feature = "test-util"))]
    fn fail_sync(&self, content: Unsynced) -> Result<()> {
        match content {
            Unsynced::Kept => Ok(()),
            Unsynced::Reverted => Err(Error::invalid(
                "failed sync",
                "to revert a file, its file system must know what is durable",
            )),
        }
    }
}

/// The directory of `path`; the current directory for a bare name.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// The name under which [`write_atomically`] prepares `path`.
#[must_use]
pub fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Replaces `path` by a file that holds `data`: after a crash there is the old file or the new one, whole. Durable when it
/// returns.
///
/// # Errors
/// The system's; the old file is untouched unless the last step, syncing the directory, failed.
pub fn write_atomically(vfs: &dyn Vfs, path: &Path, data: &[u8]) -> Result<()> {
    let temporary = temporary_name(path);
    if vfs.exists(&temporary)? {
        vfs.remove(&temporary)?;
    }
    let prepared = write_new(vfs, &temporary, data).and_then(|()| vfs.rename(&temporary, path));
    if let Err(error) = prepared {
        // Best effort: a left-over is removed by the next attempt, and the first error is the one that matters.
        let _left_over = vfs.remove(&temporary);
        return Err(error);
    }
    vfs.sync_dir(parent(path))
}

fn write_new(vfs: &dyn Vfs, path: &Path, data: &[u8]) -> Result<()> {
    let file = vfs.create(path)?;
    file.write_all_at(0, data)?;
    file.sync()
}
