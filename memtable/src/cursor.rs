//! Walks a memtable in both directions, one leaf at a time.

use std::fmt;
use std::sync::Arc;

use base::{Cursor, Entry, InternalKey, Result, Version};
use bytes::Bytes;

use crate::link::Ref;
use crate::memtable::Memtable;
use crate::node::{Goal, Leaf};
use crate::order::LeafOrder;
use crate::record::{Record, newest_at, oldest, oldest_above};
use crate::tree::{Fences, Tree};
use crate::value::share_value;

/// How far ahead records are fetched, in keys.
const PREFETCH_STEPS: usize = 6;
/// How much of a record is fetched ahead, in bytes: the processor follows by itself.
const PREFETCH_BYTES: usize = 128;

/// A position in a memtable; keeps it alive.
///
/// It holds the order of one leaf as it was when the leaf was entered, which stays right whatever the writer
/// does, and goes on to the next leaf by a new descent to the fence of this one. So a reader that loaded a
/// published version before it positioned the cursor meets every entry up to that version.
pub struct MemtableCursor {
    memtable: Arc<Memtable>,
    record: Option<Ref<Record>>,
    place: Option<Place>,
}

/// A leaf, its keys in order, and which of them is meant.
struct Place {
    leaf: Ref<Leaf>,
    fences: Fences,
    order: LeafOrder,
    position: usize,
}

impl Place {
    /// The leaf of `goal`, at its first position.
    fn enter(tree: &Tree, goal: Goal<'_>) -> Option<Self> {
        let (leaf, fences) = tree.fenced_leaf(goal)?;
        let node = tree.arena.node(leaf);
        Some(Self { leaf, fences, order: LeafOrder::new(&tree.arena, node, node.state()), position: 0 })
    }

    /// The leaf of `goal`, behind its last position.
    fn enter_behind(tree: &Tree, goal: Goal<'_>) -> Option<Self> {
        let place = Self::enter(tree, goal)?;
        Some(Self { position: place.order.len(), ..place })
    }
}

impl MemtableCursor {
    pub(crate) fn new(memtable: Arc<Memtable>) -> Self {
        Self { memtable, record: None, place: None }
    }

    /// The newest version of the key at the present position of the leaf.
    fn newest_here(&self) -> Option<Ref<Record>> {
        let place = self.place.as_ref()?;
        self.newest_at_position(place.position)
    }

    /// The newest version of the key at a position of the leaf.
    fn newest_at_position(&self, position: usize) -> Option<Ref<Record>> {
        let place = self.place.as_ref()?;
        let leaf = self.memtable.tree().arena.node(place.leaf);
        leaf.newest(place.order.slot(position)?)
    }

    /// Fetches the record at a position ahead: neighbours in the order of keys are far apart in the arena.
    fn prefetch(&self, position: usize) {
        if let Some(record) = self.newest_at_position(position) {
            self.memtable.tree().arena.prefetch(record.place(), PREFETCH_BYTES);
        }
    }

    /// Enters the next leaf while the position is behind the last key of its leaf.
    fn settle_forward(&mut self) -> Option<Ref<Record>> {
        loop {
            let place = self.place.as_ref()?;
            let position = place.position;
            if position < place.order.len() {
                self.prefetch(position + PREFETCH_STEPS);
                return self.newest_here();
            }
            let fence = place.fences.high?;
            let tree = self.memtable.tree();
            self.place = Place::enter(tree, Goal::Holding(tree.arena.record(fence).user_key()));
            (0..PREFETCH_STEPS).for_each(|position| self.prefetch(position));
        }
    }

    /// Goes to the position before `position`, in an earlier leaf when there is none; to its oldest version.
    fn settle_backward(&mut self) -> Option<Ref<Record>> {
        loop {
            let place = self.place.as_mut()?;
            if let Some(before) = place.position.checked_sub(1) {
                place.position = before;
                if let Some(ahead) = before.checked_sub(PREFETCH_STEPS) {
                    self.prefetch(ahead);
                }
                return Some(oldest(&self.memtable.tree().arena, self.newest_here()?));
            }
            let fence = place.fences.low?;
            let tree = self.memtable.tree();
            let place = Place::enter_behind(tree, Goal::Below(tree.arena.record(fence).user_key()))?;
            let end = place.position;
            self.place = Some(place);
            (end.saturating_sub(PREFETCH_STEPS)..end).for_each(|position| self.prefetch(position));
        }
    }

    /// Enters the leaf of `user_key` at the first key at or above it; true when it is that key.
    fn find(&mut self, user_key: &[u8]) -> Option<bool> {
        let tree = self.memtable.tree();
        let mut place = Place::enter(tree, Goal::Holding(user_key))?;
        place.position = place.order.lower_bound(&tree.arena, tree.arena.node(place.leaf), user_key);
        self.place = Some(place);
        let newest = self.newest_here();
        Some(newest.is_some_and(|newest| tree.arena.record(newest).user_key() == user_key))
    }

    fn seek_to(&mut self, target: InternalKey<'_>) -> Option<Ref<Record>> {
        if self.find(target.user_key)? {
            let found = newest_at(&self.memtable.tree().arena, self.newest_here()?, target.version);
            if found.is_some() {
                return found;
            }
            self.place.as_mut()?.position += 1;
        }
        self.settle_forward()
    }

    fn seek_back_to(&mut self, target: InternalKey<'_>) -> Option<Ref<Record>> {
        if self.find(target.user_key)? {
            let newest = self.newest_here()?;
            let arena = &self.memtable.tree().arena;
            let found = match target.version.0.checked_sub(1) {
                Some(below) => oldest_above(arena, newest, Version(below)),
                None => Some(oldest(arena, newest)),
            };
            if found.is_some() {
                return found;
            }
        }
        self.settle_backward()
    }

    fn step_up(&mut self, from: Ref<Record>) -> Option<Ref<Record>> {
        let older = self.memtable.tree().arena.record(from).older();
        if older.is_some() {
            return older;
        }
        self.place.as_mut()?.position += 1;
        self.settle_forward()
    }

    fn step_down(&mut self, from: Ref<Record>) -> Option<Ref<Record>> {
        let arena = &self.memtable.tree().arena;
        let newer = oldest_above(arena, self.newest_here()?, arena.record(from).version());
        if newer.is_some() { newer } else { self.settle_backward() }
    }
}

impl Cursor for MemtableCursor {
    fn key(&self) -> Option<InternalKey<'_>> {
        Some(self.memtable.tree().arena.record(self.record?).internal_key())
    }

    fn entry(&self) -> Option<Entry<'_>> {
        self.memtable.tree().arena.record(self.record?).entry()
    }

    fn inline_value(&self) -> Option<Bytes> {
        share_value(&self.memtable, self.record?)
    }

    fn first(&mut self) -> Result<()> {
        self.place = Place::enter(self.memtable.tree(), Goal::First);
        self.record = self.settle_forward();
        Ok(())
    }

    fn last(&mut self) -> Result<()> {
        self.place = Place::enter_behind(self.memtable.tree(), Goal::Last);
        self.record = self.settle_backward();
        Ok(())
    }

    fn seek(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.record = self.seek_to(target);
        Ok(())
    }

    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.record = self.seek_back_to(target);
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.record = self.record.and_then(|from| self.step_up(from));
        Ok(())
    }

    fn prev(&mut self) -> Result<()> {
        self.record = self.record.and_then(|from| self.step_down(from));
        Ok(())
    }
}

impl fmt::Debug for MemtableCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemtableCursor").field("key", &self.key()).finish_non_exhaustive()
    }
}
