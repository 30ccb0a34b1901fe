//! Files in memory: the in-memory mode, and the base of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::bytes_file::copy_from;
use super::name::{Name, bytes, is_separator_byte, parent_bytes, shortest};
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
    locks: Mutex<BTreeMap<Name, Holders>>,
    random: AtomicU64,
}

#[derive(Debug, Default)]
struct Names {
    files: BTreeMap<Name, Arc<Node>>,
    /// Shared by the file systems that were made from each other.
    directories: Arc<Directories>,
}

pub(super) type Directories = BTreeSet<Name>;

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
            .map(|(name, node)| (name.as_path().to_path_buf(), node.content.read().as_slice().to_vec()))
            .collect()
    }

    /// A file system that holds exactly `files`, and their directories. It draws other random bytes than the one that
    /// wrote them, as another life would.
    #[must_use]
    pub fn from_snapshot(files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let mut names = Names::default();
        let mut random = 0;
        for (path, data) in files {
            names.add_directory(parent(&path));
            random = seeded_hash(&data, seeded_hash(path.as_os_str().as_encoded_bytes(), random));
            let content = RwLock::new(Content::Growing(data));
            names.files.insert(Name::from(&*path), Arc::new(Node { content }));
        }
        let (names, random) = (Mutex::new(names), AtomicU64::new(random));
        Self { shared: Arc::new(Shared { names, locks: Mutex::default(), random }) }
    }
}

/// For [`SimVfs`](super::SimVfs) and for damaging files, which make many file systems that differ in little.
#[cfg(any(test, feature = "test-util"))]
impl MemVfs {
    /// A file system that holds `files`, not copied until they are written to. Random bytes start at `random_start`: below
    /// 2^32 they may be those of an earlier life.
    #[must_use]
    pub fn sharing(files: &BTreeMap<PathBuf, Bytes>, random_start: u64) -> Self {
        let directories = files.keys().flat_map(|path| parent(path).ancestors()).map(Name::from);
        let named = files.iter().map(|(path, data)| (Name::from(&**path), data.clone()));
        Self::from_shared(named, Arc::new(directories.collect()), random_start)
    }

    /// A file system that holds `files`, not copied until they are written to, and `directories`. Random bytes
    /// start at `random_start`.
    pub(super) fn from_shared(
        files: impl Iterator<Item = (Name, Bytes)>,
        directories: Arc<Directories>,
        random_start: u64,
    ) -> Self {
        let frozen = |data| Arc::new(Node { content: RwLock::new(Content::Frozen(data)) });
        let files = files.map(|(name, data)| (name, frozen(data))).collect();
        let names = Mutex::new(Names { files, directories });
        let random = AtomicU64::new(random_start);
        Self { shared: Arc::new(Shared { names, locks: Mutex::default(), random }) }
    }

    /// Every file, not copied.
    #[must_use]
    pub fn share(&self) -> BTreeMap<PathBuf, Bytes> {
        self.share_named().into_iter().map(|(name, data)| (name.as_path().to_path_buf(), data)).collect()
    }

    /// The same, by name.
    pub(super) fn share_named(&self) -> Vec<(Name, Bytes)> {
        let names = self.shared.names.lock();
        names.files.iter().map(|(name, node)| (name.clone(), node.content.write().freeze())).collect()
    }

    pub(super) fn directories(&self) -> Arc<Directories> {
        Arc::clone(&self.shared.names.lock().directories)
    }
}

impl Names {
    fn add_directory(&mut self, directory: &Path) {
        Arc::make_mut(&mut self.directories).extend(directory.ancestors().map(Name::from));
    }

    fn has_directory(&self, directory: &[u8]) -> bool {
        directory == b"." || directory == b"/" || self.directories.contains(directory)
    }

    /// The names inside a directory that exists.
    fn inside(&self, directory: &[u8]) -> Vec<String> {
        let mut prefix = if directory == b"." { Vec::new() } else { directory.to_vec() };
        if !prefix.is_empty() && !prefix.last().copied().is_some_and(is_separator_byte) {
            prefix.push(std::path::MAIN_SEPARATOR as u8);
        }
        let from = (Bound::Included(prefix.as_slice()), Bound::Unbounded);
        let files = self.files.range::<[u8], _>(from).map(|(name, _)| name);
        let files = files.take_while(|name| name.as_bytes().starts_with(&prefix));
        let directories = self.directories.range::<[u8], _>(from);
        let directories = directories.take_while(|name| name.as_bytes().starts_with(&prefix));
        let last = |name: &Name| {
            let last = name.as_bytes().get(prefix.len()..).unwrap_or_default();
            let is_direct = !last.is_empty() && !last.iter().copied().any(is_separator_byte);
            is_direct.then(|| String::from_utf8_lossy(last).into_owned())
        };
        files.chain(directories).filter_map(last).collect()
    }
}

fn missing(op: &'static str, path: &Path) -> Error {
    Error::io(op, path, io::Error::from(io::ErrorKind::NotFound))
}

impl Vfs for MemVfs {
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let name = Name::from(path);
        let mut names = self.shared.names.lock();
        if !names.has_directory(parent_bytes(name.as_bytes())) {
            return Err(missing("create", path));
        }
        if names.files.contains_key(&name) || names.has_directory(name.as_bytes()) {
            return Err(Error::io("create", path, io::Error::from(io::ErrorKind::AlreadyExists)));
        }
        let node = Arc::new(Node::default());
        names.files.insert(name.clone(), Arc::clone(&node));
        Ok(Arc::new(MemFile { name, node, access: Access::ReadWrite }))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>> {
        let names = self.shared.names.lock();
        let found = names.files.get_key_value(bytes(&shortest(path)));
        let (name, node) = found.ok_or_else(|| missing("open", path))?;
        Ok(Arc::new(MemFile { name: name.clone(), node: Arc::clone(node), access }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let new_name = Name::from(to);
        let mut names = self.shared.names.lock();
        if !names.has_directory(parent_bytes(new_name.as_bytes())) {
            return Err(missing("rename", to));
        }
        if names.has_directory(new_name.as_bytes()) {
            return Err(Error::io("rename", to, io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let node = names.files.remove(bytes(&shortest(from))).ok_or_else(|| missing("rename", from))?;
        names.files.insert(new_name, node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut names = self.shared.names.lock();
        names.files.remove(bytes(&shortest(path))).map(|_| ()).ok_or_else(|| missing("remove", path))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let path = shortest(path);
        let names = self.shared.names.lock();
        Ok(names.files.contains_key(bytes(&path)) || names.has_directory(bytes(&path)))
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        let shortest = shortest(directory);
        let names = self.shared.names.lock();
        if !names.has_directory(bytes(&shortest)) {
            return Err(missing("list", directory));
        }
        Ok(names.inside(bytes(&shortest)))
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        let mut names = self.shared.names.lock();
        let is_file = |path: &&Path| names.files.contains_key(bytes(&shortest(path)));
        if let Some(file) = directory.ancestors().find(is_file) {
            return Err(Error::io("create directory", file, io::Error::from(io::ErrorKind::NotADirectory)));
        }
        names.add_directory(directory);
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        let names = self.shared.names.lock();
        let exists = names.has_directory(bytes(&shortest(directory)));
        if exists { Ok(()) } else { Err(missing("sync", directory)) }
    }

    fn lock(&self, path: &Path, kind: LockKind) -> Result<Box<dyn FileLock>> {
        if !self.exists(path)? {
            if kind == LockKind::Shared {
                return Err(missing("lock", path));
            }
            match self.create(path) {
                Err(error) if !self.exists(path)? => return Err(error),
                // Created, by us or by another opener just now: the lock decides.
                _ => {}
            }
        }
        let name = Name::from(path);
        let mut locks = self.shared.locks.lock();
        let holders = locks.entry(name.clone()).or_default();
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
        Ok(Box::new(MemLock { vfs: self.clone(), name, kind }))
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
    name: Name,
    kind: LockKind,
}

impl FileLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        let mut locks = self.vfs.shared.locks.lock();
        if let Some(holders) = locks.get_mut(&self.name) {
            match self.kind {
                LockKind::Exclusive => holders.exclusive = false,
                LockKind::Shared => holders.shared -= 1,
            }
        }
    }
}

#[derive(Debug)]
struct MemFile {
    name: Name,
    node: Arc<Node>,
    access: Access,
}

impl MemFile {
    /// Changes the content, made at least `len` bytes long before.
    fn change(&self, op: &'static str, len: usize, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        if self.access == Access::Read {
            return Err(Error::io(op, self.path(), io::Error::from(io::ErrorKind::PermissionDenied)));
        }
        let mut content = self.node.content.write();
        let data = content.thaw();
        if let Some(more) = len.checked_sub(data.len()) {
            data.try_reserve(more)
                .map_err(|_| Error::io(op, self.path(), io::Error::from(io::ErrorKind::StorageFull)))?;
            data.resize(len, 0);
        }
        change(data);
        Ok(())
    }

    fn position(&self, op: &'static str, offset: u64) -> Result<usize> {
        usize::try_from(offset)
            .map_err(|_| Error::io(op, self.path(), io::Error::from(io::ErrorKind::FileTooLarge)))
    }
}

impl File for MemFile {
    fn path(&self) -> &Path {
        self.name.as_path()
    }

    fn len(&self) -> Result<u64> {
        Ok(self.node.content.read().as_slice().len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        Ok(copy_from(self.node.content.read().as_slice(), offset, out))
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let end = self.position("write", offset.saturating_add(data.len() as u64))?;
        // No bytes are no write: the length stays.
        let len = if data.is_empty() { 0 } else { end };
        self.change("write", len, |content| {
            if let Some(place) = content.get_mut(end.saturating_sub(data.len())..end) {
                place.copy_from_slice(data);
            }
        })
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let len = self.position("set the length of", len)?;
        self.change("set the length of", len, |content| content.truncate(len))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let len = self.position("allocate", len)?;
        self.change("allocate", len, |_| {})
    }

    fn map(&self) -> Result<Bytes> {
        Ok(self.node.content.write().freeze())
    }
}
