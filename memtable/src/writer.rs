//! The single writer: records first, then the word that makes them visible.

use std::fmt;

use base::{Entry, InternalKey, Payload};
use parking_lot::MutexGuard;

use crate::arena::Bump;
use crate::growth::Growth;
use crate::head::{Fingerprint, head_of};
use crate::link::Ref;
use crate::memtable::Memtable;
use crate::node::{Goal, Leaf, LeafItem, LeafState};
use crate::order::key_of;
use crate::record::{Header, Links, Record};
use crate::tree::Tree;

/// The memtable takes no more: its address space of 32 GiB is used up, or a record is larger than 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memtable cannot hold this record")
    }
}

impl std::error::Error for Full {}

/// The right to insert; there is one at a time.
#[must_use]
pub struct Writer<'a> {
    memtable: &'a Memtable,
    bump: MutexGuard<'a, Bump>,
    /// Grows when a leaf stays in use and some of the keys that belonged to it do not any more.
    narrowings: u64,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(memtable: &'a Memtable) -> Self {
        Self { memtable, bump: memtable.tree().arena.bump().lock(), narrowings: 0 }
    }

    /// Inserts one version of a key.
    ///
    /// The versions of one key must come in ascending order; the same version again replaces the entry for later
    /// readers. Publish a version to readers only after the last insert at or below it.
    ///
    /// # Errors
    /// [`Full`]; then nothing has changed for readers, though some memory may be used.
    pub fn insert(&mut self, key: InternalKey<'_>, entry: &Entry<'_>) -> Result<(), Full> {
        if self.insert_at_edge(key, entry)? {
            return Ok(());
        }
        let leaf = self.tree().leaf(Goal::Holding(key.user_key)).ok_or(Full)?;
        self.insert_into(leaf, key, entry, Fingerprint::of(key.user_key))
    }

    /// Inserts at the right edge of the tree, if the inserts so far were in order there and `key` goes on with them.
    pub(crate) fn insert_at_edge(&mut self, key: InternalKey<'_>, entry: &Entry<'_>) -> Result<bool, Full> {
        let Some(edge) = self.edge_below(key.user_key) else { return Ok(false) };
        self.insert_key(edge, edge.state(), key, entry, Fingerprint::of(key.user_key), true)?;
        Ok(true)
    }

    /// The last leaf, when the inserts so far were in order there and `key` is above all keys. In such a run nothing
    /// is searched for.
    fn edge_below(&mut self, key: &[u8]) -> Option<&'a Leaf> {
        let arena = &self.tree().arena;
        let leaf = arena.node(self.bump.edge?);
        let state = leaf.state();
        let last = leaf.newest(state.count.checked_sub(1)?)?;
        let goes_on = !state.replaced && state.sorted == state.count && arena.record(last).user_key() < key;
        if !goes_on {
            self.bump.edge = None;
        }
        goes_on.then_some(leaf)
    }

    /// Notes the last leaf when `record` is its last key.
    fn note_edge(&mut self, record: Ref<Record>) {
        let tree = self.tree();
        self.bump.edge = tree.leaf(Goal::Last).filter(|leaf| {
            let leaf = tree.arena.node(*leaf);
            leaf.state().count.checked_sub(1).and_then(|last| leaf.newest(last)) == Some(record)
        });
    }

    pub(crate) fn tree(&self) -> &'a Tree {
        self.memtable.tree()
    }

    /// Changes when a leaf that stays in use is no longer the leaf of all keys that belonged to it.
    pub(crate) fn narrowings(&self) -> u64 {
        self.narrowings
    }

    /// Inserts into the leaf that the key belongs to.
    pub(crate) fn insert_into(
        &mut self,
        leaf: Ref<Leaf>,
        key: InternalKey<'_>,
        entry: &Entry<'_>,
        fingerprint: Fingerprint,
    ) -> Result<(), Full> {
        let tree = self.tree();
        let leaf = tree.arena.node(leaf);
        let state = leaf.state();
        match leaf.find(&tree.arena, key.user_key, fingerprint, state.count) {
            Some((slot, newest)) => self.insert_version(leaf, slot, newest, key, entry),
            None => {
                let in_order = state.sorted == state.count
                    && state.count.checked_sub(1).is_none_or(|last| {
                        let head = head_of(key.user_key, leaf.skip());
                        leaf.head(last) < head
                            || (leaf.head(last) == head && key_of(&tree.arena, leaf, last) < key.user_key)
                    });
                self.insert_key(leaf, state, key, entry, fingerprint, in_order)
            }
        }
    }

    /// A further version of a key, or the newest one again.
    fn insert_version(
        &mut self,
        leaf: &Leaf,
        slot: usize,
        newest: Ref<Record>,
        key: InternalKey<'_>,
        entry: &Entry<'_>,
    ) -> Result<(), Full> {
        let arena = &self.tree().arena;
        let present = arena.record(newest);
        debug_assert!(present.version() <= key.version, "versions of one key must ascend");
        let replaces = present.version() == key.version;
        let links = if replaces { Links::in_place_of(present) } else { Links::above(arena, newest) };
        let record = self.write_record(key, entry, links)?;
        leaf.set_newest(slot, record);
        self.memtable.note_insert(key.version, u64::from(!replaces));
        Ok(())
    }

    /// The first version of a key; `in_order` when the leaf is sorted and the key above all in it.
    fn insert_key(
        &mut self,
        leaf: &Leaf,
        state: LeafState,
        key: InternalKey<'_>,
        entry: &Entry<'_>,
        fingerprint: Fingerprint,
        in_order: bool,
    ) -> Result<(), Full> {
        let tree = self.tree();
        let record = self.write_record(key, entry, Links::FIRST)?;
        let item = LeafItem { head: head_of(key.user_key, leaf.skip()), fingerprint, record };
        if state.is_full() {
            let narrowed = Growth::new(tree, &mut self.bump).insert(key.user_key, item, in_order)?;
            self.narrowings += u64::from(narrowed);
        } else {
            leaf.push(state, &item, in_order);
        }
        if in_order && (state.is_full() || self.bump.edge.is_none()) {
            self.note_edge(record);
        }
        self.memtable.note_insert(key.version, 1);
        Ok(())
    }

    fn write_record(
        &mut self,
        key: InternalKey<'_>,
        entry: &Entry<'_>,
        links: Links,
    ) -> Result<Ref<Record>, Full> {
        // An inline value stands at the end of its entry's encoding, so that it need not be copied twice.
        let (front, value) = match entry.payload {
            Payload::Inline(value) => (Entry { payload: Payload::Inline(&[]), ..*entry }, value),
            Payload::Tombstone | Payload::Separated(_) => (*entry, [].as_slice()),
        };
        let mut scratch = std::mem::take(&mut self.bump.scratch);
        scratch.clear();
        front.encode(&mut scratch);
        let entry_len = scratch.len().saturating_add(value.len());
        let record = Header::new(key.version, key.user_key.len(), entry_len, links).and_then(|header| {
            let parts = [key.user_key, &scratch, value];
            self.tree().arena.place_record(&mut self.bump, header, parts)
        });
        self.bump.scratch = scratch;
        record
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
