//! The simulated disk after the first operations of a recording: what is durable, and what is pending.
//!
//! Rules of [`CrashProfile::Strict`], the contract of [`Vfs`](crate::vfs::Vfs):
//! - Syncing a file makes its content and length durable, and not its name.
//! - Syncing a directory makes the names inside it durable: created, renamed and removed ones. Until then each
//!   such change is kept or lost on its own. A rename is atomic; one whose old name is not there, because its
//!   creation was lost, does nothing. One between two directories is durable when both are synced.
//! - After a failed sync of a file its content so far is pending for ever, each sector until it is written again, and a
//!   later sync makes the rest durable; or it is reverted to what was durable. After a failed sync of a directory the same
//!   holds for each name, until it changes again.
//! - Until the file is synced each sector is what it was at the last sync or after any write since. Lengths keep their
//!   order among themselves. What a length adds without content reads as zeros, garbage, or as a removed file.
//!
//! [`CrashProfile::Ext4Like`] differs: changes of names are kept in their order, in all directories together; syncing a
//! file makes its creation durable, and what came before; what a length adds without content reads as zeros.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::inode::{Inode, InodeId};
use super::recording::Op;
use crate::vfs::mem::Directories;
use crate::vfs::name::Name;
use crate::vfs::{MemVfs, Unsynced, parent};

/// What the file system promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CrashProfile {
    /// No more than the contract of [`Vfs`](crate::vfs::Vfs): what every file system keeps.
    Strict,
    /// Names in order, and creation with the sync of the file: what common journaling file systems keep.
    Ext4Like,
}

/// The names that there are.
pub(super) type Names = BTreeMap<Name, InodeId>;

/// A change of names that is not durable yet.
#[derive(Clone, Debug)]
pub(super) struct NameChange {
    pub(super) op: usize,
    pub(super) kind: NameChangeKind,
    pub(super) inode: InodeId,
    /// The directories still to be synced.
    waits_for: Vec<Name>,
    /// A sync that failed has called it clean: no later one will write it, though it may be on disk.
    is_lost: bool,
}

#[derive(Clone, Debug)]
pub(super) enum NameChangeKind {
    Create(Name),
    Rename(Name, Name),
    Remove(Name),
}

impl NameChangeKind {
    /// The name after the change, or the one removed.
    pub(super) fn name(&self) -> &Name {
        match self {
            Self::Create(name) | Self::Rename(_, name) | Self::Remove(name) => name,
        }
    }

    /// True when both change the same name.
    fn meets(&self, other: &Self) -> bool {
        fn names(kind: &NameChangeKind) -> [&Name; 2] {
            match kind {
                NameChangeKind::Create(name) | NameChangeKind::Remove(name) => [name, name],
                NameChangeKind::Rename(from, to) => [from, to],
            }
        }
        names(self).iter().any(|name| names(other).contains(name))
    }
}

impl NameChange {
    fn new(op: usize, kind: NameChangeKind, inode: InodeId) -> Self {
        let directory = |name: &Name| Name::from(parent(name.as_path()));
        let waits_for = match &kind {
            NameChangeKind::Create(name) | NameChangeKind::Remove(name) => vec![directory(name)],
            NameChangeKind::Rename(from, to) if directory(from) != directory(to) => {
                vec![directory(from), directory(to)]
            }
            NameChangeKind::Rename(_, to) => vec![directory(to)],
        };
        Self { op, kind, inode, waits_for, is_lost: false }
    }

    fn waits_for(&self, directory: &Name) -> bool {
        self.waits_for.iter().any(|waiting| waiting == directory)
    }

    /// Carries the change out, unless what it changes is not there.
    pub(super) fn apply(&self, names: &mut Names) {
        match &self.kind {
            NameChangeKind::Create(name) => {
                names.insert(name.clone(), self.inode);
            }
            NameChangeKind::Rename(from, to) => {
                if names.get(from) == Some(&self.inode) {
                    names.remove(from);
                    names.insert(to.clone(), self.inode);
                }
            }
            NameChangeKind::Remove(name) => {
                if names.get(name) == Some(&self.inode) {
                    names.remove(name);
                }
            }
        }
    }
}

/// The disk. Cheap to clone: files are shared until they change.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Operations so far.
    pub(super) position: usize,
    pub(super) files: BTreeMap<InodeId, Arc<Inode>>,
    /// The durable names.
    pub(super) names: Names,
    pub(super) pending_names: Vec<NameChange>,
    pub(super) directories: Arc<Directories>,
    /// The file that was durably removed last: a later one may find its content in its blocks.
    pub(super) stale: Option<Arc<Inode>>,
    next_inode: InodeId,
}

impl State {
    /// A disk on which everything is durable.
    pub(super) fn from_disk(disk: &MemVfs) -> Self {
        let mut state = Self { directories: disk.directories(), ..Self::default() };
        for (name, data) in disk.share_named() {
            state.files.insert(state.next_inode, Arc::new(Inode::from_disk(&data)));
            state.names.insert(name, state.next_inode);
            state.next_inode = state.next_inode.next();
        }
        state
    }

    /// The number of the next file to be created.
    pub(super) fn next_inode(&self) -> InodeId {
        self.next_inode
    }

    /// Carries out the next operation of the recording.
    pub(super) fn apply(&mut self, op: &Op, profile: CrashProfile) {
        let at = self.position;
        self.position += 1;
        match op {
            Op::Create { name, inode } => {
                self.files.insert(*inode, Arc::default());
                self.next_inode = self.next_inode.max(inode.next());
                self.change_name(at, NameChangeKind::Create(name.clone()), *inode);
            }
            Op::Rename { from, to, inode } => {
                self.change_name(at, NameChangeKind::Rename(from.clone(), to.clone()), *inode);
            }
            Op::Remove { name, inode } => {
                self.change_name(at, NameChangeKind::Remove(name.clone()), *inode);
            }
            Op::Write { inode, offset, data } => {
                self.change_file(*inode, |file| file.write(at, *offset, data))
            }
            Op::SetLen { inode, len } => self.change_file(*inode, |file| file.set_len(at, *len)),
            Op::Allocate { inode, len } => self.change_file(*inode, |file| file.allocate(at, *len)),
            Op::Sync { inode } => {
                self.change_file(*inode, Inode::sync);
                if profile == CrashProfile::Ext4Like {
                    self.settle_creation(*inode);
                }
            }
            Op::SyncDir { directory } => self.sync_directory(directory, profile),
            Op::FailSync { inode, content: Unsynced::Kept } => self.change_file(*inode, Inode::lose),
            Op::FailSync { inode, content: Unsynced::Reverted } => self.change_file(*inode, Inode::revert),
            Op::FailSyncDir { directory } => {
                let waiting = self.pending_names.iter_mut().filter(|change| change.waits_for(directory));
                waiting.for_each(|change| change.is_lost = true);
            }
            Op::CreateDir { directory } => {
                let directories = Arc::make_mut(&mut self.directories);
                directories.extend(directory.as_path().ancestors().map(Name::from));
            }
            Op::Note(_) => {}
        }
    }

    fn change_name(&mut self, op: usize, kind: NameChangeKind, inode: InodeId) {
        self.pending_names.push(NameChange::new(op, kind, inode));
    }

    /// A file whose last name is durably gone can still be written to, but nobody will ever see it.
    fn change_file(&mut self, inode: InodeId, change: impl FnOnce(&mut Inode)) {
        if let Some(file) = self.files.get_mut(&inode) {
            change(Arc::make_mut(file));
        }
    }

    fn sync_directory(&mut self, directory: &Name, profile: CrashProfile) {
        match profile {
            CrashProfile::Strict => {
                for change in self.pending_names.iter_mut().filter(|change| !change.is_lost) {
                    change.waits_for.retain(|waiting| waiting != directory);
                }
                let settled: Vec<NameChange> =
                    self.pending_names.extract_if(.., |change| change.waits_for.is_empty()).collect();
                self.settle(settled);
            }
            CrashProfile::Ext4Like => {
                // Names keep their order, so that a later sync makes good what a failed one has left undone.
                let concerns = |change: &NameChange| change.waits_for(directory);
                self.settle_through(self.pending_names.iter().rposition(concerns));
            }
        }
    }

    /// Makes the creation of a file durable, and what came before it.
    fn settle_creation(&mut self, inode: InodeId) {
        let creates =
            |change: &NameChange| change.inode == inode && matches!(change.kind, NameChangeKind::Create(_));
        self.settle_through(self.pending_names.iter().rposition(creates));
    }

    fn settle_through(&mut self, last: Option<usize>) {
        if let Some(last) = last {
            let settled = self.pending_names.drain(..=last).collect();
            self.settle(settled);
        }
    }

    fn settle(&mut self, settled: Vec<NameChange>) {
        if settled.is_empty() {
            return;
        }
        for change in settled {
            change.apply(&mut self.names);
            // What was lost of the same names before is overwritten.
            self.pending_names.retain(|pending| {
                let is_over = pending.is_lost && pending.op < change.op && pending.kind.meets(&change.kind);
                !is_over
            });
        }
        let mut reachable: BTreeSet<InodeId> = self.names.values().copied().collect();
        reachable.extend(self.pending_names.iter().map(|change| change.inode));
        let removed = self.files.extract_if(.., |inode, _| !reachable.contains(inode)).map(|(_, file)| file);
        if let Some(stale) = removed.filter(|file| !file.visible.is_empty()).last() {
            self.stale = Some(stale);
        }
    }
}
