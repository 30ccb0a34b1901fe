//! The operating system's files; the only module that touches `std::fs`.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{Access, File, FileLock, LockKind, Vfs, parent};
use crate::seeded::{self, Bug};
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
            _ if seeded::is(Bug::OpenWithoutLock) => Ok(()),
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
fn pwrite(file: &fs::File, offset: u64, data: &[u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, data, offset)
}

#[cfg(windows)]
fn pread(file: &fs::File, offset: u64, out: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, out, offset)
}

#[cfg(windows)]
fn pwrite(file: &fs::File, offset: u64, data: &[u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, data, offset)
}

/// Reads until `out` is full or the file has ended. The system may read less than was asked for, or be interrupted.
fn read_fully(
    offset: u64,
    out: &mut [u8],
    mut read: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match read(offset + done as u64, rest) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// At most so much is given to one call, in bytes. Of longer ones Linux makes large pages in its cache, and takes large blocks of free
/// memory for them: in a virtual machine these are the ones that the host has taken back, and each has to be fetched again.
const WRITE_BYTES_MAX: usize = 512 << 10;

/// Writes all of `data`. The system may write less than was asked for, or be interrupted.
fn write_fully(
    offset: u64,
    data: &[u8],
    mut write: impl FnMut(u64, &[u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
        let piece = rest.get(..WRITE_BYTES_MAX).unwrap_or(rest);
        match write(offset + done as u64, piece) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
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
        read_fully(offset, out, |at, rest| pread(&self.file, at, rest))
            .map_err(|error| self.failed("read", error))
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        write_fully(offset, data, |at, rest| pwrite(&self.file, at, rest))
            .map_err(|error| self.failed("write", error))
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
        // Only a hint, and where it fails reads are slower.
        #[cfg(unix)]
        let _hint = map.advise(memmap2::Advice::Random);
        Ok(Bytes::from_owner(map))
    }

    fn read_ahead(&self, offset: u64, len: u64) {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Advice, fadvise};
            // Only a hint, and where it fails reads are slower.
            let _hint = fadvise(&self.file, offset, std::num::NonZeroU64::new(len), Advice::WillNeed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a system call answers: an error, or how many bytes it takes at most.
    type Answers = [Result<usize, io::ErrorKind>];

    fn reading(out: &mut [u8], answers: &Answers) -> io::Result<usize> {
        let content = b"0123456789";
        let mut answers = answers.iter();
        read_fully(2, out, |at, rest| {
            let most = (*answers.next().unwrap()).map_err(io::Error::from)?;
            let from = content.get(usize::try_from(at).unwrap()..).unwrap_or_default();
            let count = most.min(from.len()).min(rest.len());
            rest[..count].copy_from_slice(&from[..count]);
            Ok(count)
        })
    }

    /// Goal: a read ends at the end of the file, at an error, or with all that was asked for, however the system cuts it
    /// up. Method: a system that answers by script.
    #[test]
    fn a_read_goes_on_after_short_and_interrupted_calls() {
        let interrupted = Err(io::ErrorKind::Interrupted);
        let mut out = [0; 6];
        assert_eq!(reading(&mut out, &[interrupted, Ok(1), interrupted, interrupted, Ok(9)]).unwrap(), 6);
        assert_eq!(&out, b"234567");
        let mut out = [0; 20];
        assert_eq!(reading(&mut out, &[Ok(3), interrupted, Ok(20), Ok(20)]).unwrap(), 8);
        let failed = reading(&mut out, &[Ok(3), Err(io::ErrorKind::PermissionDenied)]).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(reading(&mut [], &[]).unwrap(), 0);
    }

    /// The same for a write, which must not end without an error before all is written.
    #[test]
    fn a_write_goes_on_after_short_and_interrupted_calls() {
        let writing = |answers: &Answers| {
            let (mut written, mut answers) = (Vec::new(), answers.iter());
            let outcome = write_fully(2, b"abcdef", |at, rest| {
                let count = (*answers.next().unwrap()).map_err(io::Error::from)?.min(rest.len());
                assert_eq!(at, 2 + written.len() as u64);
                written.extend_from_slice(&rest[..count]);
                Ok(count)
            });
            (outcome.map_err(|error| error.kind()), written)
        };
        let interrupted = Err(io::ErrorKind::Interrupted);
        assert_eq!(writing(&[interrupted, Ok(1), interrupted, Ok(4), Ok(4)]), (Ok(()), b"abcdef".to_vec()));
        assert_eq!(writing(&[Ok(2), Ok(0)]), (Err(io::ErrorKind::WriteZero), b"ab".to_vec()));
        let full = Err(io::ErrorKind::StorageFull);
        assert_eq!(writing(&[Ok(5), full]), (Err(io::ErrorKind::StorageFull), b"abcde".to_vec()));
    }

    /// Goal: a long write comes in pieces that follow each other. Method: a length of several pieces and a bit.
    #[test]
    fn a_long_write_is_cut_into_pieces() {
        let data: Vec<u8> = (0..3 * WRITE_BYTES_MAX + 5).map(|at| (at % 251) as u8).collect();
        let (mut written, mut lengths) = (Vec::new(), Vec::new());
        write_fully(7, &data, |at, piece| {
            assert_eq!(at, 7 + written.len() as u64);
            written.extend_from_slice(piece);
            lengths.push(piece.len());
            Ok(piece.len())
        })
        .unwrap();
        assert_eq!(lengths, [WRITE_BYTES_MAX, WRITE_BYTES_MAX, WRITE_BYTES_MAX, 5]);
        assert!(written == data);
    }
}
