//! The two kinds of node, as the readers see them: fixed arrays of atomic words behind one counting word.
//!
//! ```text
//! leaf:  | state u32 | skip u32 | fingerprint u16 × 36 | record u32 × 36 | head u64 × 36 |            512 bytes
//! inner: | children u32 | skip u32 | head u64 × 31 | separator u32 × 31 | child u32 × 32 | pad |      512 bytes
//!
//! state: bits 0-7 used slots, bits 8-15 how many of them, from the first on, are sorted, bit 16 replaced
//! ```
//! # Invariants
//! 1. Slots below the count are written before the count that covers them is released. Of a used slot only the
//!    record (a newer version of the same key) or the child (a replacement for the same keys) changes.
//! 2. Slots are filled in order, sorted or not; `sorted` grows only while every used slot is sorted. So a state
//!    once read stays true.
//! 3. Child `i` holds the keys from separator `i − 1` on and below separator `i`. Separators are user keys:
//!    the versions of a key stand behind one slot and are never divided.
//! 4. All keys of a node share their first `skip` bytes; heads are taken behind them.

use crate::arena::Arena;
use crate::head::{Fingerprint, equal_lanes, head_of};
use crate::link::{AtomicChild, AtomicRef, Child, Ref};
use crate::record::Record;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Slots of a leaf.
pub(crate) const LEAF_SLOTS: usize = if cfg!(loom) { 4 } else { 36 };
/// Children of an inner node, at most.
pub(crate) const INNER_CHILDREN: usize = if cfg!(loom) { 3 } else { 32 };
/// Unsorted slots of a leaf, at most: a seek has to sort them.
pub(crate) const TAIL_MAX: usize = if cfg!(loom) { 2 } else { 16 };
const LANES: usize = 4;

#[cfg(not(loom))]
const _: () = assert!(size_of::<Leaf>() == 512 && size_of::<Inner>() == 512);

/// What may stand in the arena: all that changes after publication is atomic, and nothing needs a drop.
pub(crate) trait Node: Sync {}
impl Node for Leaf {}
impl Node for Inner {}

/// How far a leaf is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeafState {
    /// Used slots.
    pub(crate) count: usize,
    /// How many slots, from the first on, are in key order.
    pub(crate) sorted: usize,
    /// Another leaf has taken the place of this one.
    pub(crate) replaced: bool,
}

impl LeafState {
    fn word(self) -> u32 {
        self.count as u32 | (self.sorted as u32) << 8 | u32::from(self.replaced) << 16
    }

    fn from_word(word: u32) -> Self {
        Self {
            count: (word & 0xff) as usize,
            sorted: (word >> 8 & 0xff) as usize,
            replaced: word >> 16 & 1 != 0,
        }
    }

    /// True when a further key finds no room, or would make the unsorted tail too long.
    pub(crate) fn is_full(self) -> bool {
        self.count == LEAF_SLOTS || self.count - self.sorted == TAIL_MAX
    }
}

/// What a leaf holds of one key.
#[derive(Clone, Copy)]
pub(crate) struct LeafItem {
    pub(crate) head: u64,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) record: Ref<Record>,
}

/// A node that holds keys.
#[repr(C)]
pub(crate) struct Leaf {
    state: AtomicU32,
    skip: u32,
    fingerprints: [AtomicU64; LEAF_SLOTS / LANES],
    records: [AtomicRef<Record>; LEAF_SLOTS],
    heads: [AtomicU64; LEAF_SLOTS],
}

impl Leaf {
    /// A leaf of `items`, which are sorted, at most [`LEAF_SLOTS`], and have their heads behind `skip` bytes.
    pub(crate) fn new(skip: usize, items: &[LeafItem]) -> Self {
        let leaf = Self {
            state: AtomicU32::new(0),
            skip: skip as u32,
            fingerprints: std::array::from_fn(|_| AtomicU64::new(0)),
            records: std::array::from_fn(|_| AtomicRef::new(None)),
            heads: std::array::from_fn(|_| AtomicU64::new(0)),
        };
        for (slot, item) in items.iter().enumerate() {
            leaf.fill(slot, item);
        }
        leaf.set_state(LeafState { count: items.len(), sorted: items.len(), replaced: false });
        leaf
    }

    fn fill(&self, slot: usize, item: &LeafItem) {
        self.heads[slot].store(item.head, Ordering::Relaxed);
        self.records[slot].prepare(item.record);
        let word = &self.fingerprints[slot / LANES];
        let lane = u64::from(item.fingerprint.0) << (slot % LANES * 16);
        word.store(word.load(Ordering::Relaxed) | lane, Ordering::Relaxed);
    }

    fn set_state(&self, state: LeafState) {
        self.state.store(state.word(), Ordering::Release);
    }

    /// How far the leaf is filled; what it covers may be read.
    #[inline]
    pub(crate) fn state(&self) -> LeafState {
        LeafState::from_word(self.state.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn skip(&self) -> usize {
        self.skip as usize
    }

    #[inline]
    pub(crate) fn head(&self, slot: usize) -> u64 {
        self.heads[slot].load(Ordering::Relaxed)
    }

    pub(crate) fn fingerprint(&self, slot: usize) -> Fingerprint {
        let word = self.fingerprints[slot / LANES].load(Ordering::Relaxed);
        Fingerprint((word >> (slot % LANES * 16)) as u16)
    }

    /// The newest version of the key of a used slot.
    #[inline]
    pub(crate) fn newest(&self, slot: usize) -> Option<Ref<Record>> {
        self.records.get(slot)?.acquire()
    }

    /// The slot of `key` among the first `count`, and its newest version.
    #[inline]
    pub(crate) fn find(
        &self,
        arena: &Arena,
        key: &[u8],
        fingerprint: Fingerprint,
        count: usize,
    ) -> Option<(usize, Ref<Record>)> {
        let wanted = fingerprint.in_all_lanes();
        for (index, word) in self.fingerprints.iter().take(count.div_ceil(LANES)).enumerate() {
            let mut matches = equal_lanes(word.load(Ordering::Relaxed), wanted);
            while matches != 0 {
                let slot = index * LANES + matches.trailing_zeros() as usize / 16;
                matches &= matches - 1;
                // Lanes beyond the count may be half written: the count decides.
                if slot >= count {
                    break;
                }
                let newest = self.newest(slot)?;
                if arena.record(newest).user_key() == key {
                    return Some((slot, newest));
                }
            }
        }
        None
    }

    /// Writer only: adds a key that is not there to a leaf that is not full; `in_order` when the leaf is sorted and
    /// the key above all in it.
    pub(crate) fn push(&self, state: LeafState, item: &LeafItem, in_order: bool) {
        debug_assert!(!state.is_full() && !state.replaced);
        self.fill(state.count, item);
        let sorted = state.sorted + usize::from(in_order);
        self.set_state(LeafState { count: state.count + 1, sorted, replaced: false });
    }

    /// Writer only: makes `record` the newest version behind a slot.
    pub(crate) fn set_newest(&self, slot: usize, record: Ref<Record>) {
        self.records[slot].publish(record);
    }

    /// Writer only: notes that another leaf has taken its place.
    pub(crate) fn set_replaced(&self) {
        self.set_state(LeafState { replaced: true, ..self.state() });
    }

    /// The front part, that a look for a key touches, in bytes.
    pub(crate) const HOT_BYTES: usize = std::mem::offset_of!(Self, heads);

    /// Where the head of a slot stands, in bytes from the start.
    pub(crate) fn head_offset(slot: usize) -> usize {
        Self::HOT_BYTES + slot * size_of::<u64>()
    }
}

/// A boundary between two children.
#[derive(Clone, Copy)]
pub(crate) struct Separator {
    pub(crate) head: u64,
    pub(crate) record: Ref<Record>,
}

/// Where a descent goes.
#[derive(Clone, Copy)]
pub(crate) enum Goal<'k> {
    /// The leaf of the smallest keys.
    First,
    /// The leaf of the largest keys.
    Last,
    /// The leaf that holds a key, if it is there.
    Holding(&'k [u8]),
    /// The leaf of the largest keys below a key.
    Below(&'k [u8]),
}

/// A node that routes to others.
#[repr(C)]
pub(crate) struct Inner {
    count: AtomicU32,
    skip: u32,
    heads: [AtomicU64; INNER_CHILDREN - 1],
    separators: [AtomicRef<Record>; INNER_CHILDREN - 1],
    children: [AtomicChild; INNER_CHILDREN],
}

impl Inner {
    /// A node of at most [`INNER_CHILDREN`] children and one separator less, with their heads behind `skip` bytes.
    pub(crate) fn new(skip: usize, children: &[Child], separators: &[Separator]) -> Self {
        debug_assert_eq!(children.len(), separators.len() + 1);
        let inner = Self {
            count: AtomicU32::new(children.len() as u32),
            skip: skip as u32,
            heads: std::array::from_fn(|_| AtomicU64::new(0)),
            separators: std::array::from_fn(|_| AtomicRef::new(None)),
            children: std::array::from_fn(|_| AtomicChild::new(None)),
        };
        for (slot, separator) in separators.iter().enumerate() {
            inner.fill(slot, separator);
        }
        for (slot, child) in children.iter().enumerate() {
            inner.children[slot].prepare(*child);
        }
        inner
    }

    fn fill(&self, slot: usize, separator: &Separator) {
        self.heads[slot].store(separator.head, Ordering::Relaxed);
        self.separators[slot].prepare(separator.record);
    }

    /// How many children there are; what they cover may be read.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire) as usize
    }

    #[inline]
    pub(crate) fn skip(&self) -> usize {
        self.skip as usize
    }

    #[inline]
    pub(crate) fn child(&self, index: usize) -> Option<Child> {
        self.children.get(index)?.acquire()
    }

    /// The separator above child `slot`, one below the count.
    #[inline]
    pub(crate) fn separator(&self, slot: usize) -> Option<Ref<Record>> {
        self.separators.get(slot)?.covered()
    }

    #[inline]
    pub(crate) fn head(&self, slot: usize) -> u64 {
        self.heads[slot].load(Ordering::Relaxed)
    }

    /// Which of the first `count` children to descend into.
    #[inline]
    pub(crate) fn route(&self, arena: &Arena, goal: Goal<'_>, count: usize) -> usize {
        match goal {
            Goal::First => 0,
            Goal::Last => count - 1,
            Goal::Holding(key) => self.count_separators(arena, key, count - 1, |separator| separator <= key),
            Goal::Below(key) => self.count_separators(arena, key, count - 1, |separator| separator < key),
        }
    }

    /// How many of the first `len` separators are on the left of `key`, where `is_left` decides for those that
    /// the heads leave open.
    #[inline]
    fn count_separators(
        &self,
        arena: &Arena,
        key: &[u8],
        len: usize,
        is_left: impl Fn(&[u8]) -> bool,
    ) -> usize {
        let head = head_of(key, self.skip());
        let mut low = 0;
        let mut rest = len;
        // Without a branch on the comparison: the processor cannot guess it.
        while rest > 0 {
            let half = rest.div_ceil(2);
            let is_below = self.head(low + half - 1) < head;
            low = std::hint::select_unpredictable(is_below, low + half, low);
            rest -= half;
        }
        let mut high = low;
        while high < len && self.head(high) == head {
            high += 1;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            match self.separator(middle) {
                Some(separator) if is_left(arena.record(separator).user_key()) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// The front part, that routing touches, in bytes.
    pub(crate) const HOT_BYTES: usize = std::mem::offset_of!(Self, separators);

    /// Writer only: adds a child on the right of all, whose keys are all new; the node is not full.
    pub(crate) fn push(&self, separator: &Separator, child: Child) {
        let count = self.count();
        self.fill(count - 1, separator);
        self.children[count].prepare(child);
        self.count.store(count as u32 + 1, Ordering::Release);
    }

    /// Writer only: puts a node that holds the same keys, and leads to the same bounds, in the place of a child.
    ///
    /// Never one of narrower bounds: a reader that computed `index` before would miss what moved out of it.
    pub(crate) fn replace(&self, index: usize, child: Child) {
        self.children[index].publish(child);
    }
}
