//! The operating system's files; the only module that touches `std::fs`.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{Access, File, FileLock, LockKind, Vfs, parent};
use crate::{Error, Result};

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsVfs;

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

impl Vfs for OsVfs {
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let file = owner_only(OpenOptions::new().read(true).write(true).create_new(true))
            .open(path)
            .map_err(|error| Error::io("create", path, error))?;
        Ok(Arc::new(OsFile { path: path.to_path_buf(), file }))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(access == Access::ReadWrite)
            .open(path)
            .map_err(|error| Error::io("open", path, error))?;
        Ok(Arc::new(OsFile { path: path.to_path_buf(), file }))
    }

    #[expect(clippy::disallowed_methods, reason = "this module is where files are touched")]
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|error| Error::io("rename", from, error))
    }

    #[expect(clippy::disallowed_methods, reason = "this module is where files are touched")]
    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|error| Error::io("remove", path, error))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        path.try_exists().map_err(|error| Error::io("look up", path, error))
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        let failed = |error| Error::io("list", directory, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        let mut missing: Vec<&Path> = Vec::new();
        for ancestor in directory.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            if self.exists(ancestor)? {
                break;
            }
            missing.push(ancestor);
        }
        for path in missing.into_iter().rev() {
            match create_directory(path) {
                Ok(()) => self.sync_dir(parent(path))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("create directory", path, error)),
            }
        }
        if directory.is_dir() {
            return Ok(());
        }
        Err(Error::io("create directory", directory, io::Error::from(io::ErrorKind::NotADirectory)))
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        // Elsewhere a directory cannot be opened as a file, and names are durable with their file system's journal.
        if cfg!(unix) {
            let failed = |error| Error::io("sync directory", directory, error);
            let handle = OpenOptions::new().read(true).open(directory).map_err(failed)?;
            handle.sync_all().map_err(failed)?;
        }
        Ok(())
    }

    fn lock(&self, path: &Path, kind: LockKind) -> Result<Box<dyn FileLock>> {
        let mut options = OpenOptions::new();
        options.read(true);
        if kind == LockKind::Exclusive {
            options.write(true).create(true).truncate(false);
        }
        let file = owner_only(&mut options).open(path).map_err(|error| Error::io("open", path, error))?;
        let taken = match kind {
            LockKind::Exclusive => file.try_lock(),
            LockKind::Shared => file.try_lock_shared(),
        };
        match taken {
            Ok(()) => Ok(Box::new(OsLock { file })),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.to_path_buf() }),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", path, error)),
        }
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        getrandom::fill(out).map_err(|error| {
            Error::io("draw random bytes from", Path::new("the system"), io::Error::other(error.to_string()))
        })
    }
}

/// The system releases the lock when the last copy of the handle is closed, at the death of the process at the latest.
#[derive(Debug)]
struct OsLock {
    file: fs::File,
}

impl FileLock for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        // Not left to the closing of the handle: a process that another thread starts at this moment has a copy of it until
        // it runs its program. Should it fail, closing does the same a little later.
        let _closed_next = self.file.unlock();
    }
}

#[derive(Debug)]
struct OsFile {
    path: PathBuf,
    file: fs::File,
}

impl OsFile {
    fn failed(&self, op: &'static str, error: io::Error) -> Error {
        Error::io(op, &self.path, error)
    }
}

#[cfg(unix)]
fn pread(file: &fs::File, offset: u64, out: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, out, offset)
}

#[cfg(unix)]
fn pwrite_all(file: &fs::File, offset: u64, data: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, offset)
}

#[cfg(windows)]
fn pread(file: &fs::File, offset: u64, out: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, out, offset)
}

#[cfg(windows)]
fn pwrite_all(file: &fs::File, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, data, offset)?;
        if written == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero));
        }
        data = data.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

/// Reserves blocks on disk, where the system can; where it cannot, only the length changes.
fn reserve(file: &fs::File, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::{Errno, retry_on_intr};
        // Of nothing the system call would say that it is invalid.
        if len == 0 {
            return Ok(());
        }
        match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, len)) {
            Ok(()) => return Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if file.metadata()?.len() < len { file.set_len(len) } else { Ok(()) }
}

impl File for OsFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(|error| self.failed("measure", error))
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        // Beyond what the system can count, no file has anything.
        if i64::try_from(offset.saturating_add(out.len() as u64)).is_err() {
            return Ok(0);
        }
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match pread(&self.file, offset + done as u64, rest) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("read", error)),
            }
        }
        Ok(done)
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        pwrite_all(&self.file, offset, data).map_err(|error| self.failed("write", error))
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| self.failed("sync", error))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(|error| self.failed("set the length of", error))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        reserve(&self.file, len).map_err(|error| self.failed("allocate", error))
    }

    fn map(&self) -> Result<Bytes> {
        if self.len()? == 0 {
            return Ok(Bytes::new());
        }
        // SAFETY: the caller of `File::map` promises that the file is finished. It is ours (the directory is locked,
        // files are created for their owner only) and no code path writes to, cuts or reuses a file that was
        // mapped: tables and sealed segments are only ever removed, which leaves the map intact. Exercised by
        // `base/tests/vfs_contract.rs`, `map_outlives_removal`.
        let map = unsafe { memmap2::Mmap::map(&self.file) }.map_err(|error| self.failed("map", error))?;
        Ok(Bytes::from_owner(map))
    }
}
