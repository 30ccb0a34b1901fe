//! Files in memory: the in-memory mode, and the base of tests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::bytes_file::copy_from;
use super::{Access, File, FileLock, LockKind, Vfs, parent};
use crate::checksum::seeded_hash;
use crate::{Error, Result};

/// A file system in memory. Clones share it. Random bytes come from a counter, so that runs repeat.
#[derive(Clone, Debug, Default)]
pub struct MemVfs {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    names: Mutex<Names>,
    locks: Mutex<HashMap<PathBuf, Holders>>,
    random: AtomicU64,
}

#[derive(Debug, Default)]
struct Names {
    files: BTreeMap<PathBuf, Arc<Node>>,
    directories: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct Node {
    content: RwLock<Content>,
}

/// A finished file is shared with its readers; writing to it again copies it first.
#[derive(Debug)]
enum Content {
    Growing(Vec<u8>),
    Frozen(Bytes),
}

impl Default for Content {
    fn default() -> Self {
        Self::Growing(Vec::new())
    }
}

impl Content {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Growing(data) => data,
            Self::Frozen(data) => data,
        }
    }

    fn thaw(&mut self) -> &mut Vec<u8> {
        if let Self::Frozen(data) = self {
            *self = Self::Growing(data.to_vec());
        }
        match self {
            Self::Growing(data) => data,
            // Just replaced above; an empty vector keeps this total without a panic.
            Self::Frozen(_) => unreachable_growing(self),
        }
    }

    fn freeze(&mut self) -> Bytes {
        if let Self::Growing(data) = self {
            *self = Self::Frozen(Bytes::from(std::mem::take(data)));
        }
        match self {
            Self::Frozen(data) => data.clone(),
            Self::Growing(_) => Bytes::new(),
        }
    }
}

fn unreachable_growing(content: &mut Content) -> &mut Vec<u8> {
    *content = Content::default();
    content.thaw()
}

impl MemVfs {
    /// An empty file system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every file with its contents, for comparing and for harming.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let names = self.shared.names.lock();
        names
            .files
            .iter()
            .map(|(path, node)| (path.clone(), node.content.read().as_slice().to_vec()))
            .collect()
    }

    /// A file system that holds exactly `files`, and their directories.
    #[must_use]
    pub fn from_snapshot(files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let vfs = Self::new();
        {
            let mut names = vfs.shared.names.lock();
            for (path, data) in files {
                names.add_directory(parent(&path));
                let content = RwLock::new(Content::Growing(data));
                names.files.insert(path, Arc::new(Node { content }));
            }
        }
        vfs
    }
}

impl Names {
    fn add_directory(&mut self, directory: &Path) {
        for ancestor in directory.ancestors() {
            self.directories.insert(ancestor.to_path_buf());
        }
    }

    fn has_directory(&self, directory: &Path) -> bool {
        directory == Path::new(".") || directory == Path::new("/") || self.directories.contains(directory)
    }
}

fn missing(op: &'static str, path: &Path) -> Error {
    Error::io(op, path, io::Error::from(io::ErrorKind::NotFound))
}

impl Vfs for MemVfs {
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let mut names = self.shared.names.lock();
        if !names.has_directory(parent(path)) {
            return Err(missing("create", path));
        }
        if names.files.contains_key(path) || names.has_directory(path) {
            return Err(Error::io("create", path, io::Error::from(io::ErrorKind::AlreadyExists)));
        }
        let node = Arc::new(Node::default());
        names.files.insert(path.to_path_buf(), Arc::clone(&node));
        Ok(Arc::new(MemFile { path: path.to_path_buf(), node, access: Access::ReadWrite }))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>> {
        let names = self.shared.names.lock();
        let node = Arc::clone(names.files.get(path).ok_or_else(|| missing("open", path))?);
        Ok(Arc::new(MemFile { path: path.to_path_buf(), node, access }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut names = self.shared.names.lock();
        if !names.has_directory(parent(to)) {
            return Err(missing("rename", to));
        }
        let node = names.files.remove(from).ok_or_else(|| missing("rename", from))?;
        names.files.insert(to.to_path_buf(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut names = self.shared.names.lock();
        names.files.remove(path).map(|_| ()).ok_or_else(|| missing("remove", path))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let names = self.shared.names.lock();
        Ok(names.files.contains_key(path) || names.has_directory(path))
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        let names = self.shared.names.lock();
        if !names.has_directory(directory) {
            return Err(missing("list", directory));
        }
        let inside = |path: &&PathBuf| path.as_path() != directory && parent(path) == directory;
        let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(names.files.keys().chain(&names.directories).filter(inside).filter_map(name).collect())
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        self.shared.names.lock().add_directory(directory);
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        let names = self.shared.names.lock();
        if names.has_directory(directory) { Ok(()) } else { Err(missing("sync", directory)) }
    }

    fn lock(&self, path: &Path, kind: LockKind) -> Result<Box<dyn FileLock>> {
        if !self.exists(path)? {
            if kind == LockKind::Shared {
                return Err(missing("lock", path));
            }
            self.create(path)?;
        }
        let mut locks = self.shared.locks.lock();
        let holders = locks.entry(path.to_path_buf()).or_default();
        let free = match kind {
            LockKind::Exclusive => !holders.exclusive && holders.shared == 0,
            LockKind::Shared => !holders.exclusive,
        };
        if !free {
            return Err(Error::Locked { path: path.to_path_buf() });
        }
        match kind {
            LockKind::Exclusive => holders.exclusive = true,
            LockKind::Shared => holders.shared += 1,
        }
        Ok(Box::new(MemLock { vfs: self.clone(), path: path.to_path_buf(), kind }))
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        for chunk in out.chunks_mut(8) {
            let count = self.shared.random.fetch_add(1, Ordering::Relaxed);
            let word = seeded_hash(b"salt", count).to_le_bytes();
            chunk.copy_from_slice(word.get(..chunk.len()).unwrap_or_default());
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Holders {
    exclusive: bool,
    shared: usize,
}

#[derive(Debug)]
struct MemLock {
    vfs: MemVfs,
    path: PathBuf,
    kind: LockKind,
}

impl FileLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        let mut locks = self.vfs.shared.locks.lock();
        if let Some(holders) = locks.get_mut(&self.path) {
            match self.kind {
                LockKind::Exclusive => holders.exclusive = false,
                LockKind::Shared => holders.shared -= 1,
            }
        }
    }
}

#[derive(Debug)]
struct MemFile {
    path: PathBuf,
    node: Arc<Node>,
    access: Access,
}

impl MemFile {
    fn change<T>(&self, op: &'static str, change: impl FnOnce(&mut Vec<u8>) -> T) -> Result<T> {
        match self.access {
            Access::ReadWrite => Ok(change(self.node.content.write().thaw())),
            Access::Read => Err(Error::io(op, &self.path, io::Error::from(io::ErrorKind::PermissionDenied))),
        }
    }

    fn position(&self, op: &'static str, offset: u64) -> Result<usize> {
        usize::try_from(offset)
            .map_err(|_| Error::io(op, &self.path, io::Error::from(io::ErrorKind::FileTooLarge)))
    }
}

impl File for MemFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64> {
        Ok(self.node.content.read().as_slice().len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        Ok(copy_from(self.node.content.read().as_slice(), offset, out))
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let from = self.position("write", offset)?;
        self.change("write", |content| {
            let end = from + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            if let Some(place) = content.get_mut(from..end) {
                place.copy_from_slice(data);
            }
        })
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let len = self.position("set the length of", len)?;
        self.change("set the length of", |content| content.resize(len, 0))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let len = self.position("allocate", len)?;
        self.change("allocate", |content| {
            if content.len() < len {
                content.resize(len, 0);
            }
        })
    }

    fn map(&self) -> Result<Bytes> {
        Ok(self.node.content.write().freeze())
    }
}
