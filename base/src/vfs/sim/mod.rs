//! A file system that remembers what was done to it, and can tell what a power cut would have left.
//!
//! A run on [`SimVfs`] happens once. From its [`Recording`] every state of the disk that a power cut after any
//! operation could have left is built, without running again:
//!
//! ```
//! # use std::path::Path;
//! # use base::vfs::{ImageBudget, CrashProfile, SimVfs, Vfs};
//! let vfs = SimVfs::new();
//! let file = vfs.create(Path::new("log")).unwrap();
//! file.write_all_at(0, b"record").unwrap();
//! file.sync().unwrap();
//! vfs.sync_dir(Path::new(".")).unwrap();
//! vfs.note(1); // the record is acknowledged
//!
//! let recording = vfs.recording();
//! for k in recording.crash_points() {
//!     for image in recording.images(k, CrashProfile::Strict, &ImageBudget::default()) {
//!         let acknowledged = recording.notes(k).contains(&1);
//!         let kept = image.into_mem().exists(Path::new("log")).unwrap();
//!         assert!(kept || !acknowledged);
//!     }
//! }
//! ```
//!
//! The model, in short (`state.rs` has the rules): content is kept or lost in sectors of 512 bytes, each on its own, until
//! the file is synced; a length is kept or lost apart from the content; a name until its directory is synced. Creating
//! directories is durable at once, as [`Vfs::create_dir_all`] promises.

mod candidates;
mod content;
mod images;
mod inode;
mod recording;
mod state;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use self::inode::InodeId;
use self::recording::Op;
use self::state::State;
use super::name::{Name, bytes, shortest};
use super::{Access, File, FileLock, LockKind, MemVfs, Unsynced, Vfs};
use crate::Result;

pub use self::images::{Image, ImageBudget, Images};
pub use self::recording::Recording;
pub use self::state::CrashProfile;

/// A file system in memory that records every change. Clones share it.
#[derive(Clone, Debug)]
pub struct SimVfs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What a reader sees: everything written so far.
    visible: MemVfs,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    initial: Arc<State>,
    ops: Vec<Op>,
    inodes: BTreeMap<Name, InodeId>,
    next_inode: InodeId,
}

impl Log {
    fn inode(&self, path: &Path) -> InodeId {
        self.inodes.get(bytes(&shortest(path))).copied().unwrap_or_default()
    }
}

impl Default for SimVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl SimVfs {
    /// An empty file system.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_from(&MemVfs::new())
    }

    /// A file system whose first files are those of `disk`, all durable: for a crash inside the recovery from a
    /// crash. Later changes do not reach `disk`.
    #[must_use]
    pub fn starting_from(disk: &MemVfs) -> Self {
        Self::continuing(Arc::new(State::from_disk(disk)), Vec::new())
    }

    /// The file system after `ops`, what was not synced still unsynced.
    fn continuing(initial: Arc<State>, ops: Vec<Op>) -> Self {
        let mut last = State::clone(&initial);
        for op in &ops {
            last.apply(op, CrashProfile::Strict);
        }
        let next_inode = last.next_inode();
        let pending = images::Pending::new(Arc::new(last));
        let image = pending.everything();
        let inodes = image.inodes();
        let log = Log { initial, ops, inodes, next_inode };
        Self { shared: Arc::new(Shared { visible: image.into_mem(), log: Mutex::new(log) }) }
    }

    /// Puts a mark between the operations, for instance "commit 7 is acknowledged".
    pub fn note(&self, mark: u64) {
        self.shared.log.lock().ops.push(Op::Note(mark));
    }

    /// How many entries were recorded so far.
    #[must_use]
    pub fn recorded(&self) -> usize {
        self.shared.log.lock().ops.len()
    }

    /// What was recorded so far.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let log = self.shared.log.lock();
        Recording::new(Arc::clone(&log.initial), log.ops.clone())
    }

    /// What a reader sees now, as a file system of its own.
    #[must_use]
    pub fn visible(&self) -> MemVfs {
        let recording = self.recording();
        recording.kill_image(recording.len()).into_mem()
    }

    fn open_file(&self, inner: Arc<dyn File>, inode: InodeId) -> Arc<dyn File> {
        Arc::new(SimFile { vfs: self.clone(), inner, inode })
    }
}

impl Vfs for SimVfs {
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let mut log = self.shared.log.lock();
        let inner = self.shared.visible.create(path)?;
        let inode = log.next_inode;
        log.next_inode = inode.next();
        let name = Name::from(path);
        log.inodes.insert(name.clone(), inode);
        log.ops.push(Op::Create { name, inode });
        Ok(self.open_file(inner, inode))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn File>> {
        let log = self.shared.log.lock();
        let inner = self.shared.visible.open(path, access)?;
        Ok(self.open_file(inner, log.inode(path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut log = self.shared.log.lock();
        self.shared.visible.rename(from, to)?;
        let (from, to) = (Name::from(from), Name::from(to));
        if from != to
            && let Some(inode) = log.inodes.remove(&from)
        {
            log.inodes.insert(to.clone(), inode);
            log.ops.push(Op::Rename { from, to, inode });
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut log = self.shared.log.lock();
        self.shared.visible.remove(path)?;
        let name = Name::from(path);
        if let Some(inode) = log.inodes.remove(&name) {
            log.ops.push(Op::Remove { name, inode });
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.shared.visible.exists(path)
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        self.shared.visible.list(directory)
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        let mut log = self.shared.log.lock();
        self.shared.visible.create_dir_all(directory)?;
        log.ops.push(Op::CreateDir { directory: directory.into() });
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        let mut log = self.shared.log.lock();
        self.shared.visible.sync_dir(directory)?;
        log.ops.push(Op::SyncDir { directory: directory.into() });
        Ok(())
    }

    fn lock(&self, path: &Path, kind: LockKind) -> Result<Box<dyn FileLock>> {
        if kind == LockKind::Exclusive && !self.exists(path)? {
            match self.create(path) {
                Err(error) if !self.exists(path)? => return Err(error),
                // Another opener was faster: the lock decides.
                _ => {}
            }
        }
        self.shared.visible.lock(path, kind)
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        self.shared.visible.fill_random(out)
    }

    fn fail_sync_dir(&self, directory: &Path) -> Result<()> {
        self.shared.log.lock().ops.push(Op::FailSyncDir { directory: directory.into() });
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    vfs: SimVfs,
    inner: Arc<dyn File>,
    inode: InodeId,
}

impl SimFile {
    /// Does `change` and records it as `op`, as one step.
    fn change(&self, op: impl FnOnce() -> Op, change: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut log = self.vfs.shared.log.lock();
        change()?;
        log.ops.push(op());
        Ok(())
    }
}

impl File for SimFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        self.inner.read_at(offset, out)
    }

    fn write_all_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let op = || Op::Write { inode: self.inode, offset, data: Bytes::copy_from_slice(data) };
        self.change(op, || self.inner.write_all_at(offset, data))
    }

    fn sync(&self) -> Result<()> {
        self.change(|| Op::Sync { inode: self.inode }, || self.inner.sync())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.change(|| Op::SetLen { inode: self.inode, len }, || self.inner.set_len(len))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.change(|| Op::Allocate { inode: self.inode, len }, || self.inner.allocate(len))
    }

    /// What the file holds now: later writes do not show in it.
    fn map(&self) -> Result<Bytes> {
        self.inner.map()
    }

    fn fail_sync(&self, content: Unsynced) -> Result<()> {
        let mut log = self.vfs.shared.log.lock();
        if content == Unsynced::Reverted {
            let recording = Recording::new(Arc::clone(&log.initial), log.ops.clone());
            let durable = recording.durable_content(self.inode);
            self.inner.set_len(0)?;
            self.inner.write_all_at(0, &durable)?;
        }
        log.ops.push(Op::FailSync { inode: self.inode, content });
        Ok(())
    }
}
