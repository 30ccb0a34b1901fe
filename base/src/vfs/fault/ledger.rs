//! Which files there are and how long each is, so that [`FaultVfs`](super::FaultVfs) can be a disk of a given size.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::vfs::{Access, Vfs, parent};

/// A file, whatever its name is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId(u64);

/// The accounts of the disk.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    limit_bytes: Option<u64>,
    used_bytes: u64,
    ids: HashMap<PathBuf, FileId>,
    /// Lengths of the files that have a name.
    lengths: HashMap<FileId, u64>,
    known_directories: BTreeSet<PathBuf>,
    next_id: u64,
    lost_files: HashSet<FileId>,
    lost_directories: BTreeSet<PathBuf>,
}

impl Ledger {
    pub(super) fn set_limit(&mut self, limit_bytes: Option<u64>) {
        self.limit_bytes = limit_bytes;
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Counts the files that were in a directory before it was first seen.
    pub(super) fn learn(&mut self, inner: &dyn Vfs, directory: &Path) {
        if self.known_directories.contains(directory) {
            return;
        }
        let Ok(names) = inner.list(directory) else { return };
        self.known_directories.insert(directory.to_path_buf());
        for name in names {
            let path = if directory == Path::new(".") { PathBuf::from(name) } else { directory.join(name) };
            // A directory also opens as a file on some systems; it has no length that counts.
            let is_file = inner.list(&path).is_err();
            if let Ok(file) = inner.open(&path, Access::Read)
                && is_file
            {
                let id = self.created(&path);
                self.set_length(id, file.len().unwrap_or(0));
            }
        }
    }

    /// The id of the file that is there by this name now.
    pub(super) fn id(&mut self, path: &Path) -> FileId {
        match self.ids.get(path) {
            Some(id) => *id,
            None => self.created(path),
        }
    }

    pub(super) fn created(&mut self, path: &Path) -> FileId {
        self.removed(path);
        let id = FileId(self.next_id);
        self.next_id += 1;
        self.ids.insert(path.to_path_buf(), id);
        self.lengths.insert(id, 0);
        id
    }

    pub(super) fn removed(&mut self, path: &Path) {
        if let Some(id) = self.ids.remove(path) {
            self.used_bytes -= self.lengths.remove(&id).unwrap_or(0);
        }
    }

    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        if from == to {
            return;
        }
        self.removed(to);
        if let Some(id) = self.ids.remove(from) {
            self.ids.insert(to.to_path_buf(), id);
        }
    }

    /// The length a file may have when `wanted_len` is asked for. What a file has already is never taken back.
    pub(super) fn granted_len(&self, id: FileId, wanted_len: u64) -> u64 {
        match (self.limit_bytes, self.lengths.get(&id)) {
            (Some(limit), Some(len)) => wanted_len.min(len + limit.saturating_sub(self.used_bytes)),
            // No limit, or a file without a name, whose space counts as given back.
            _ => wanted_len,
        }
    }

    pub(super) fn set_length(&mut self, id: FileId, len: u64) {
        if let Some(known) = self.lengths.get_mut(&id) {
            self.used_bytes = self.used_bytes - *known + len;
            *known = len;
        }
    }

    pub(super) fn grow_to(&mut self, id: FileId, len: u64) {
        if self.lengths.get(&id).is_some_and(|known| *known < len) {
            self.set_length(id, len);
        }
    }

    /// From now on a sync of this file does nothing.
    pub(super) fn lose_syncs_of(&mut self, id: FileId) {
        self.lost_files.insert(id);
    }

    pub(super) fn loses_syncs_of(&self, id: FileId) -> bool {
        self.lost_files.contains(&id)
    }

    /// From now on a sync of this directory does nothing.
    pub(super) fn lose_syncs_of_directory(&mut self, directory: &Path) {
        self.lost_directories.insert(directory.to_path_buf());
    }

    pub(super) fn loses_syncs_of_directory(&self, directory: &Path) -> bool {
        self.lost_directories.contains(directory)
    }

    /// What a path operation touches: the directory is learnt before it changes.
    pub(super) fn learn_parent(&mut self, inner: &dyn Vfs, path: &Path) {
        self.learn(inner, parent(path));
    }
}
