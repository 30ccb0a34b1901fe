//! Which files there are and which blocks each has taken, so that [`FaultVfs`](super::FaultVfs) can be a disk of a given
//! size.
//!
//! Space is counted as a disk counts it: in blocks, from the first write into them (or when they are allocated) until
//! the file is cut before them, or has neither a name nor an open handle nor a map any more. A length alone takes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::vfs::name::{Name, bytes, shortest};
use crate::vfs::{Access, Vfs, parent};

/// The unit in which space is taken, in bytes.
const BLOCK_BYTES: u64 = 512;

/// A file, whatever its name is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(u64);

/// What one file has taken.
#[derive(Debug, Default)]
struct Account {
    /// For each block of the file, whether it is on the disk.
    blocks: Vec<bool>,
    /// Open handles and maps.
    handles: usize,
    has_name: bool,
}

impl Account {
    fn has(&self, block: u64) -> bool {
        usize::try_from(block).ok().and_then(|block| self.blocks.get(block)).copied().unwrap_or(false)
    }

    /// Takes blocks; how many of them were not on the disk before.
    fn take(&mut self, first: u64, end: u64) -> u64 {
        let (Ok(first), Ok(end)) = (usize::try_from(first), usize::try_from(end)) else { return 0 };
        if first < end && self.blocks.len() < end {
            self.blocks.resize(end, false);
        }
        let mut taken = 0;
        for block in self.blocks.get_mut(first..end).unwrap_or_default() {
            taken += u64::from(!std::mem::replace(block, true));
        }
        taken
    }

    /// Gives back the blocks from `end` on; how many that were.
    fn cut(&mut self, end: u64) -> u64 {
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(self.blocks.len());
        self.blocks.drain(end..).map(u64::from).sum()
    }
}

/// The accounts of the disk.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    limit_bytes: Option<u64>,
    used_blocks: u64,
    ids: BTreeMap<Name, FileId>,
    accounts: BTreeMap<FileId, Account>,
    known_directories: BTreeSet<Name>,
    next_id: u64,
    /// Files and directories of which the next sync reports what an earlier one has kept to itself.
    late_files: BTreeSet<FileId>,
    late_directories: BTreeSet<Name>,
}

impl Ledger {
    pub(super) fn set_limit(&mut self, limit_bytes: Option<u64>) {
        self.limit_bytes = limit_bytes;
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_blocks * BLOCK_BYTES
    }

    /// Counts the files that were in a directory before it was first seen.
    pub(super) fn learn(&mut self, inner: &dyn Vfs, directory: &Path) {
        if self.known_directories.contains(bytes(&shortest(directory))) {
            return;
        }
        let Ok(names) = inner.list(directory) else { return };
        self.known_directories.insert(Name::from(directory));
        for name in names {
            let path = if directory == Path::new(".") { PathBuf::from(name) } else { directory.join(name) };
            // A directory also opens as a file on some systems; it has no length that counts.
            if let Ok(file) = inner.open(&path, Access::Read)
                && inner.list(&path).is_err()
            {
                let id = self.created(&path);
                self.take(id, 0, file.len().unwrap_or(0));
            }
        }
    }

    /// What a path operation touches: the directory is learnt before it changes.
    pub(super) fn learn_parent(&mut self, inner: &dyn Vfs, path: &Path) {
        self.learn(inner, parent(path));
    }

    /// The id of the file that is there by this name now.
    pub(super) fn id(&mut self, path: &Path) -> FileId {
        match self.ids.get(bytes(&shortest(path))) {
            Some(id) => *id,
            None => self.created(path),
        }
    }

    pub(super) fn created(&mut self, path: &Path) -> FileId {
        let id = FileId(self.next_id);
        self.next_id += 1;
        let replaced = self.ids.insert(Name::from(path), id);
        self.accounts.insert(id, Account { has_name: true, ..Account::default() });
        self.without_name(replaced);
        id
    }

    pub(super) fn removed(&mut self, path: &Path) {
        let removed = self.ids.remove(bytes(&shortest(path)));
        self.without_name(removed);
    }

    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        let (from, to) = (Name::from(from), Name::from(to));
        if from == to {
            return;
        }
        let moved = self.ids.remove(&from);
        let replaced = match moved {
            Some(id) => self.ids.insert(to, id),
            None => self.ids.remove(&to),
        };
        self.without_name(replaced);
    }

    fn without_name(&mut self, id: Option<FileId>) {
        if let Some(id) = id {
            self.change(id, |account| account.has_name = false);
        }
    }

    pub(super) fn opened(&mut self, id: FileId) {
        self.change(id, |account| account.handles += 1);
    }

    pub(super) fn closed(&mut self, id: FileId) {
        self.change(id, |account| account.handles -= 1);
    }

    /// Changes an account, and closes it when nobody can reach the file any more.
    fn change(&mut self, id: FileId, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        change(account);
        if !account.has_name && account.handles == 0 {
            self.used_blocks -= account.cut(0);
            self.accounts.remove(&id);
        }
    }

    /// How many of the `len` bytes at `offset` the disk has room for, from the front.
    pub(super) fn granted(&self, id: FileId, offset: u64, len: u64) -> u64 {
        let (Some(limit), Some(account)) = (self.limit_bytes, self.accounts.get(&id)) else { return len };
        let mut free = (limit / BLOCK_BYTES).saturating_sub(self.used_blocks);
        let end = offset.saturating_add(len);
        for block in offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            if account.has(block) {
                continue;
            }
            if free == 0 {
                return (block * BLOCK_BYTES).saturating_sub(offset);
            }
            free -= 1;
        }
        len
    }

    /// Counts the blocks of these bytes as taken.
    pub(super) fn take(&mut self, id: FileId, offset: u64, len: u64) {
        if let Some(account) = self.accounts.get_mut(&id)
            && len > 0
        {
            let end = offset.saturating_add(len).div_ceil(BLOCK_BYTES);
            self.used_blocks += account.take(offset / BLOCK_BYTES, end);
        }
    }

    /// Gives back what is behind `len`.
    pub(super) fn cut(&mut self, id: FileId, len: u64) {
        if let Some(account) = self.accounts.get_mut(&id) {
            self.used_blocks -= account.cut(len.div_ceil(BLOCK_BYTES));
        }
    }

    /// The next sync of this file reports what this one does not.
    pub(super) fn report_late(&mut self, id: FileId) {
        self.late_files.insert(id);
    }

    /// Whether an earlier failure is to be reported now.
    pub(super) fn take_late_report(&mut self, id: FileId) -> bool {
        self.late_files.remove(&id)
    }

    /// The next sync of this directory reports what this one does not.
    pub(super) fn report_late_of_directory(&mut self, directory: &Path) {
        self.late_directories.insert(Name::from(directory));
    }

    /// Whether an earlier failure is to be reported now.
    pub(super) fn take_late_report_of_directory(&mut self, directory: &Path) -> bool {
        self.late_directories.remove(bytes(&shortest(directory)))
    }
}
