//! The public type: what a memtable answers, and its numbers.

use std::fmt;
use std::sync::Arc;

use base::checksum::content_hash;
use base::{Entry, SharedEntry, Version};

use crate::arena::Arena;
use crate::cursor::MemtableCursor;
use crate::link::Ref;
use crate::pool::ArenaPool;
use crate::record::Record;
use crate::sync::{AtomicU64, Ordering};
use crate::tree::Tree;
use crate::value::share_value;
use crate::writer::Writer;

/// A sorted buffer in memory: every version of every key that was inserted.
pub struct Memtable {
    tree: Tree,
    entries: AtomicU64,
    newest: AtomicU64,
}

impl Memtable {
    /// An empty memtable that takes its memory from `pool` and gives it back when it is dropped.
    #[must_use]
    pub fn new(pool: &Arc<ArenaPool>) -> Self {
        Self {
            tree: Tree::new(Arena::new(pool)),
            entries: AtomicU64::new(0),
            newest: AtomicU64::new(Version::ZERO.0),
        }
    }

    /// The right to insert. Waits while another writer has it.
    pub fn writer(&self) -> Writer<'_> {
        Writer::new(self)
    }

    /// The newest version of `user_key` at or below `at`. Takes no lock and allocates nothing.
    #[inline]
    #[must_use]
    pub fn get(&self, user_key: &[u8], at: Version) -> Option<(Version, Entry<'_>)> {
        let record = self.tree.arena.record(self.tree.find(user_key, content_hash(user_key), at)?);
        Some((record.version(), record.entry()?))
    }

    /// As [`Memtable::get`], but the result owns or shares what it needs, and keeps the memtable alive if it
    /// shares. The key's [`base::checksum::content_hash`] is computed once for all memtables that are asked.
    #[must_use]
    pub fn get_hashed(self: &Arc<Self>, user_key: &[u8], hash: u64, at: Version) -> Option<SharedEntry> {
        let found = self.tree.find(user_key, hash, at)?;
        let record = self.tree.arena.record(found);
        let share = |_: &[u8]| share_value(self, found).unwrap_or_default();
        Some(SharedEntry::new(record.version(), record.entry()?, share))
    }

    /// A cursor over all versions of all keys. Whether it sees what is inserted after it was positioned is left
    /// open.
    #[must_use]
    pub fn cursor(self: &Arc<Self>) -> MemtableCursor {
        MemtableCursor::new(Arc::clone(self))
    }

    /// The memory handed out so far, in bytes: records, and the nodes of the tree, replaced ones too.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        usize::try_from(self.tree.arena.used_bytes()).unwrap_or(usize::MAX)
    }

    /// How many versions it holds.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// True when nothing was inserted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries() == 0
    }

    /// The highest version inserted; [`Version::ZERO`] when empty.
    #[must_use]
    pub fn newest(&self) -> Version {
        Version(self.newest.load(Ordering::Relaxed))
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The inline value of a record.
    pub(crate) fn value(&self, record: Ref<Record>) -> Option<&[u8]> {
        match self.tree.arena.record(record).entry()?.payload {
            base::Payload::Inline(value) => Some(value),
            base::Payload::Tombstone | base::Payload::Separated(_) => None,
        }
    }

    /// Writer only: notes an insert that made `added` further entries.
    pub(crate) fn note_insert(&self, version: Version, added: u64) {
        self.entries.store(self.entries() + added, Ordering::Relaxed);
        if version > self.newest() {
            self.newest.store(version.0, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Memtable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memtable")
            .field("entries", &self.entries())
            .field("byte_len", &self.byte_len())
            .field("newest", &self.newest())
            .finish_non_exhaustive()
    }
}
