//! Typed places in the arena, and the atomic words in which nodes and records hold them.
//!
//! A [`Ref`] is made only by the arena, after the thing at its place was written; from there it travels through
//! the atomic words of this module. So whoever holds one may look at the place: that is the invariant the
//! unsafe code of `arena` rests on. A `Ref` is never used with another memtable's arena.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;

use crate::node::{Inner, Leaf};
use crate::sync::{AtomicU32, Ordering};

/// Nodes start at multiples of this many units, so that the lowest bits of their places are free for a tag.
pub(crate) const NODE_ALIGN_UNITS: u32 = 8;
const LEAF_TAG: u32 = 1;

/// The place of a `T` in the arena: its distance from the start in 8-byte units.
pub(crate) struct Ref<T> {
    place: NonZeroU32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Ref<T> {
    /// Names a place.
    ///
    /// # Safety
    /// A `T` was written at `place`, and stays there as long as the arena.
    pub(crate) unsafe fn new(place: NonZeroU32) -> Self {
        Self { place, kind: PhantomData }
    }

    pub(crate) fn place(self) -> u32 {
        self.place.get()
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ref<T> {}

impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.place)
    }
}

fn word_of<T>(link: Option<Ref<T>>) -> u32 {
    link.map_or(0, Ref::place)
}

/// An optional [`Ref`] that one thread sets and others read.
pub(crate) struct AtomicRef<T> {
    word: AtomicU32,
    kind: PhantomData<fn() -> T>,
}

impl<T> AtomicRef<T> {
    pub(crate) fn new(link: Option<Ref<T>>) -> Self {
        Self { word: AtomicU32::new(word_of(link)), kind: PhantomData }
    }

    fn load(&self, order: Ordering) -> Option<Ref<T>> {
        let place = NonZeroU32::new(self.word.load(order))?;
        Some(Ref { place, kind: PhantomData })
    }

    /// What is linked, with all that was written before it was published.
    pub(crate) fn acquire(&self) -> Option<Ref<T>> {
        self.load(Ordering::Acquire)
    }

    /// What is linked, where another acquired word has already published this one.
    pub(crate) fn covered(&self) -> Option<Ref<T>> {
        self.load(Ordering::Relaxed)
    }

    /// Links `target`, to be published by a later word.
    pub(crate) fn prepare(&self, target: Ref<T>) {
        self.word.store(target.place(), Ordering::Relaxed);
    }

    /// Links `target` and publishes it.
    pub(crate) fn publish(&self, target: Ref<T>) {
        self.word.store(target.place(), Ordering::Release);
    }
}

/// A node of the tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Child {
    Inner(Ref<Inner>),
    Leaf(Ref<Leaf>),
}

impl Child {
    fn word(self) -> u32 {
        match self {
            Self::Inner(inner) => inner.place(),
            Self::Leaf(leaf) => leaf.place() | LEAF_TAG,
        }
    }

    fn from_word(word: u32) -> Option<Self> {
        let place = NonZeroU32::new(word & !LEAF_TAG)?;
        Some(if word & LEAF_TAG == 0 {
            Self::Inner(Ref { place, kind: PhantomData })
        } else {
            Self::Leaf(Ref { place, kind: PhantomData })
        })
    }

    /// The place, for a prefetch.
    pub(crate) fn place(self) -> u32 {
        self.word() & !LEAF_TAG
    }
}

/// An optional [`Child`] that one thread sets and others read.
pub(crate) struct AtomicChild(AtomicU32);

impl AtomicChild {
    pub(crate) fn new(child: Option<Child>) -> Self {
        Self(AtomicU32::new(child.map_or(0, Child::word)))
    }

    /// The node, with all that was written before it was published.
    pub(crate) fn acquire(&self) -> Option<Child> {
        Child::from_word(self.0.load(Ordering::Acquire))
    }

    /// Sets the node, to be published by a later word.
    pub(crate) fn prepare(&self, child: Child) {
        self.0.store(child.word(), Ordering::Relaxed);
    }

    /// Sets the node and publishes it.
    pub(crate) fn publish(&self, child: Child) {
        self.0.store(child.word(), Ordering::Release);
    }
}
