//! The life of a process: when it is over, nothing that the database still does reaches the disk.
//!
//! A [`FaultVfs`](base::vfs::FaultVfs) could do the same, but it also counts and keeps accounts, and most runs of a campaign need
//! neither. What is looked at here instead: no file number may be used twice, not even by a later process.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::vfs::{Access, File, FileLock, LockKind, Unsynced, Vfs, parent};
use base::{Error, Result};
use bytes::Bytes;
use parking_lot::Mutex;

/// A file system as one process sees it. Clones share the life.
#[derive(Clone, Debug)]
pub struct Life {
    inner: Arc<dyn Vfs>,
    is_over: Arc<AtomicBool>,
    /// The file numbers that were taken in this life and earlier ones; those that are in the directory are added when the first one
    /// is taken.
    taken: Option<Arc<Mutex<BTreeSet<u64>>>>,
}

impl Life {
    /// A process that begins on `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Vfs>) -> Self {
        Self { inner, is_over: Arc::default(), taken: Some(Arc::default()) }
    }

    /// The same without a look at file numbers, which reads the directory: `inner` sees what the process does and nothing else.
    #[must_use]
    pub fn unwatched(inner: Arc<dyn Vfs>) -> Self {
        Self { inner, is_over: Arc::default(), taken: None }
    }

    /// The next process.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { is_over: Arc::default(), ..self.clone() }
    }

    /// The process dies: every call fails from now on, and does nothing.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    fn go_on(&self, path: &Path) -> Result<&dyn Vfs> {
        check(&self.is_over, path).map(|()| &*self.inner)
    }

    fn take_number(&self, path: &Path) -> Result<()> {
        let (Some(taken), Some(number)) =
            (&self.taken, path.file_name().and_then(|name| number_of(name.to_str()?)))
        else {
            return Ok(());
        };
        let mut taken = taken.lock();
        if taken.is_empty() {
            taken.extend(self.inner.list(parent(path))?.iter().filter_map(|name| number_of(name)));
        }
        if taken.insert(number) {
            return Ok(());
        }
        Err(Error::invalid("file number", format!("{} is used a second time", path.display())))
    }

    fn file(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(LivingFile { inner, is_over: Arc::clone(&self.is_over) })
    }
}

/// The number in the name of a numbered file.
fn number_of(name: &str) -> Option<u64> {
    let (digits, extension) = name.split_once('.')?;
    let is_numbered = ["wal", "sst", "vlog"].contains(&extension);
    digits.parse().ok().filter(|_| is_numbered)
}

fn check(is_over: &AtomicBool, path: &Path) -> Result<()> {
    if !is_over.load(Ordering::SeqCst) {
        return Ok(());
    }
    Err(Error::io("use", path, io::Error::other("the process is dead")))
}

impl Vfs for Life {
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let inner = self.go_on(path)?;
        self.take_number(path)?;
        Ok(self.file(inner.create(path)?))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>> {
        Ok(self.file(self.go_on(path)?.open(path, access)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let inner = self.go_on(from)?;
        self.take_number(to)?;
        inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.go_on(path)?.remove(path)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.go_on(path)?.exists(path)
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        self.go_on(directory)?.list(directory)
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        self.go_on(directory)?.create_dir_all(directory)
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        self.go_on(directory)?.sync_dir(directory)
    }

    fn lock(&self, path: &Path, kind: LockKind) -> Result<Box<dyn FileLock>> {
        self.go_on(path)?.lock(path, kind)
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        self.inner.fill_random(out)
    }

    fn fail_sync_dir(&self, directory: &Path) -> Result<()> {
        self.inner.fail_sync_dir(directory)
    }
}

#[derive(Debug)]
struct LivingFile {
    inner: Arc<dyn File>,
    is_over: Arc<AtomicBool>,
}

impl LivingFile {
    fn go_on(&self) -> Result<&dyn File> {
        check(&self.is_over, self.inner.path()).map(|()| &*self.inner)
    }
}

impl File for LivingFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn len(&self) -> Result<u64> {
        self.go_on()?.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        self.go_on()?.read_at(offset, out)
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.go_on()?.write_all_at(offset, data)
    }

    fn sync(&self) -> Result<()> {
        self.go_on()?.sync()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.go_on()?.set_len(len)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.go_on()?.allocate(len)
    }

    fn map(&self) -> Result<Bytes> {
        self.go_on()?.map()
    }

    fn fail_sync(&self, content: Unsynced) -> Result<()> {
        self.inner.fail_sync(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::vfs::MemVfs;

    #[test]
    fn the_dead_change_nothing() {
        let disk = MemVfs::new();
        let life = Life::new(Arc::new(disk.clone()));
        let path = Path::new("file");
        let file = life.create(path).unwrap();
        file.write_all_at(0, b"before").unwrap();
        life.end();
        file.write_all_at(0, b"after").unwrap_err();
        file.set_len(0).unwrap_err();
        life.remove(path).unwrap_err();
        life.rename(path, Path::new("other")).unwrap_err();
        life.create(Path::new("other")).unwrap_err();
        assert_eq!(disk.snapshot().into_iter().collect::<Vec<_>>(), [(path.into(), b"before".to_vec())]);
    }

    #[test]
    fn no_number_is_used_twice() {
        let disk = MemVfs::new();
        disk.create(Path::new("000007.wal")).unwrap();
        let life = Life::new(Arc::new(disk.clone()));
        life.create(Path::new("000007.sst")).unwrap_err();
        life.create(Path::new("000008.sst")).unwrap();
        life.create(Path::new("MANIFEST.tmp")).unwrap();
        life.rename(Path::new("000007.wal"), Path::new("000009.wal")).unwrap();
        life.remove(Path::new("000008.sst")).unwrap();
        life.end();
        for name in ["000008.vlog", "000009.sst"] {
            life.next().create(Path::new(name)).unwrap_err();
        }
        life.next().create(Path::new("000010.sst")).unwrap();
    }
}
