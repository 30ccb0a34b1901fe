//! The log of a run: every change with its data, and the marks that the test put between them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::SimVfs;
use super::images::{Image, ImageBudget, Images, Pending};
use super::inode::InodeId;
use super::state::{CrashProfile, State};
use crate::vfs::Unsynced;
use crate::vfs::name::Name;

/// One recorded operation. Reads leave nothing behind and are not recorded.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Create { name: Name, inode: InodeId },
    Rename { from: Name, to: Name, inode: InodeId },
    Remove { name: Name, inode: InodeId },
    Write { inode: InodeId, offset: u64, data: Bytes },
    SetLen { inode: InodeId, len: u64 },
    Allocate { inode: InodeId, len: u64 },
    Sync { inode: InodeId },
    SyncDir { directory: Name },
    FailSync { inode: InodeId, content: Unsynced },
    FailSyncDir { directory: Name },
    CreateDir { directory: Name },
    Note(u64),
}

/// What happened on a [`SimVfs`] up to some moment. "After k" below means: after its first `k` entries.
///
/// Asking for rising `k` is cheap, each step continuing from the one before. A clone shares the log but has a
/// position of its own, so that threads may divide the crash points among them.
pub struct Recording {
    initial: Arc<State>,
    ops: Arc<[Op]>,
    /// Where the last questions left off, one for each profile.
    replayed: Mutex<HashMap<CrashProfile, Arc<State>>>,
}

impl Clone for Recording {
    fn clone(&self) -> Self {
        Self { initial: Arc::clone(&self.initial), ops: Arc::clone(&self.ops), replayed: Mutex::default() }
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = (0..self.len()).map(|at| self.describe(at));
        out.debug_list().entries(lines).finish()
    }
}

impl Recording {
    pub(super) fn new(initial: Arc<State>, ops: Vec<Op>) -> Self {
        Self { initial, ops: ops.into(), replayed: Mutex::default() }
    }

    /// How many entries there are: changes, syncs and marks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// True when nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Every `k` for which [`Recording::images`] may say something new: before everything, and after each entry.
    pub fn crash_points(&self) -> impl Iterator<Item = usize> + use<> {
        0..=self.len()
    }

    /// The marks that were put before a crash after `k`, in order.
    #[must_use]
    pub fn notes(&self, k: usize) -> Vec<u64> {
        let mark = |op: &Op| if let Op::Note(mark) = op { Some(*mark) } else { None };
        self.ops.iter().take(k).filter_map(mark).collect()
    }

    /// What a power cut after `k` could have left: all of it when there is little, else a choice within `budget`.
    #[must_use]
    pub fn images(&self, k: usize, profile: CrashProfile, budget: &ImageBudget) -> Images {
        let newest = k.checked_sub(1).and_then(|at| self.ops.get(at).map(|op| (at, op)));
        let new_only = match newest {
            // After these, all that is possible was possible before, or they change what is durable at once.
            Some((
                _,
                Op::Sync { .. }
                | Op::SyncDir { .. }
                | Op::FailSync { .. }
                | Op::FailSyncDir { .. }
                | Op::CreateDir { .. }
                | Op::Note(_),
            ))
            | None => None,
            Some((at, _)) => budget.only_new.then_some(at),
        };
        Images::new(Pending::new_for(self.state(k, profile), profile), budget, new_only)
    }

    /// What is there when the process dies after `k` and the system lives on: everything written.
    #[must_use]
    pub fn kill_image(&self, k: usize) -> Image {
        Pending::new(self.state(k, CrashProfile::Strict)).everything()
    }

    /// The file system on which the next process starts when this one dies after `k` and the system lives on:
    /// everything written is there, and what was not synced can still be lost later.
    #[must_use]
    pub fn resume(&self, k: usize) -> SimVfs {
        SimVfs::continuing(Arc::clone(&self.initial), self.ops.iter().take(k).cloned().collect())
    }

    /// Entry `at`, counted from 0, in words.
    #[must_use]
    pub fn describe(&self, at: usize) -> String {
        let Some(op) = self.ops.get(at) else { return format!("op {at}: none") };
        let path = |inode: InodeId| self.path_of(inode, at);
        let what = match op {
            Op::Create { name, .. } => format!("create {name}"),
            Op::Rename { from, to, .. } => format!("rename {from} to {to}"),
            Op::Remove { name, .. } => format!("remove {name}"),
            Op::Write { inode, offset, data } => {
                format!("write {} bytes at {offset} of {}", data.len(), path(*inode))
            }
            Op::SetLen { inode, len } => format!("set the length of {} to {len}", path(*inode)),
            Op::Allocate { inode, len } => format!("allocate {len} bytes for {}", path(*inode)),
            Op::Sync { inode } => format!("sync {}", path(*inode)),
            Op::SyncDir { directory } => format!("sync directory {directory}"),
            Op::FailSync { inode, content: Unsynced::Kept } => {
                format!("sync {}, which fails: content counts as clean", path(*inode))
            }
            Op::FailSync { inode, content: Unsynced::Reverted } => {
                format!("sync {}, which fails: content is reverted", path(*inode))
            }
            Op::FailSyncDir { directory } => format!("sync directory {directory}, which fails"),
            Op::CreateDir { directory } => format!("create directory {directory}"),
            Op::Note(mark) => format!("note {mark}"),
        };
        format!("op {at}: {what}")
    }

    /// The name a file had just before entry `at`.
    fn path_of(&self, wanted: InodeId, at: usize) -> String {
        let at_first =
            || self.initial.names.iter().find(|(_, inode)| **inode == wanted).map(|(name, _)| name);
        let named = self.ops.iter().take(at).rev().find_map(|op| match op {
            Op::Create { name, inode } | Op::Rename { to: name, inode, .. } if *inode == wanted => Some(name),
            _ => None,
        });
        let name = named.or_else(at_first);
        name.map_or_else(|| "a file without a name".to_owned(), Name::to_string)
    }

    /// What of a file is durable after everything.
    pub(super) fn durable_content(&self, inode: InodeId) -> Vec<u8> {
        let state = self.state(self.len(), CrashProfile::Strict);
        state.files.get(&inode).map(|file| file.durable.as_slice().to_vec()).unwrap_or_default()
    }

    /// The disk after `k`, continuing from the last question when that was earlier and of the same profile.
    fn state(&self, k: usize, profile: CrashProfile) -> Arc<State> {
        let mut replayed = self.replayed.lock();
        let earlier = replayed.remove(&profile).filter(|state| state.position <= k);
        let mut state = earlier.unwrap_or_else(|| Arc::clone(&self.initial));
        let from = state.position;
        let to = k.min(self.len());
        if from < to {
            let advancing = Arc::make_mut(&mut state);
            for op in self.ops.get(from..to).unwrap_or_default() {
                advancing.apply(op, profile);
            }
        }
        replayed.insert(profile, Arc::clone(&state));
        state
    }
}
