//! The tree as readers go through it: from the root down, never up, never waiting, never starting over.

use base::Version;

use crate::arena::{Arena, Bump};
use crate::head::Fingerprint;
use crate::link::{AtomicChild, Child, Ref};
use crate::node::{Goal, Inner, Leaf};
use crate::record::{Record, newest_at};

/// The arena and the root in it.
pub(crate) struct Tree {
    pub(crate) arena: Arena,
    pub(crate) root: AtomicChild,
}

/// The fences of a node: its keys are at or above `low` and below `high`; `None` is the end of the key space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fences {
    pub(crate) low: Option<Ref<Record>>,
    pub(crate) high: Option<Ref<Record>>,
}

impl Fences {
    const ALL: Self = Self { low: None, high: None };

    /// The fences of a child: as the separators beside it, and at the edges as those of its parent.
    fn of_child(self, inner: &Inner, index: usize, count: usize) -> Self {
        Self {
            low: if index == 0 { self.low } else { inner.separator(index - 1) },
            high: if index + 1 == count { self.high } else { inner.separator(index) },
        }
    }
}

/// One inner node on the way down.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) inner: Ref<Inner>,
    pub(crate) index: usize,
    pub(crate) fences: Fences,
}

impl Tree {
    /// A tree of one empty leaf.
    pub(crate) fn new(arena: Arena) -> Self {
        let root = {
            let bump: &mut Bump = &mut arena.bump().lock();
            // The first chunk has room for the first leaf.
            arena.place_node(bump, Leaf::new(0, &[])).map(Child::Leaf)
        };
        Self { root: AtomicChild::new(root.ok()), arena }
    }

    /// The leaf of `goal`.
    #[inline]
    pub(crate) fn leaf(&self, goal: Goal<'_>) -> Option<Ref<Leaf>> {
        self.descend(goal, |_, _, _| {})
    }

    /// The leaf of `goal` and its fences.
    pub(crate) fn fenced_leaf(&self, goal: Goal<'_>) -> Option<(Ref<Leaf>, Fences)> {
        let mut fences = Fences::ALL;
        let leaf = self.descend(goal, |inner, index, count| {
            fences = fences.of_child(self.arena.node(inner), index, count);
        })?;
        Some((leaf, fences))
    }

    /// Writer only: the leaf of `key`, its fences, and the way to it, from the root on.
    pub(crate) fn path(&self, key: &[u8]) -> Option<(Vec<Step>, Ref<Leaf>, Fences)> {
        let mut fences = Fences::ALL;
        let mut steps = Vec::with_capacity(8);
        let leaf = self.descend(Goal::Holding(key), |inner, index, count| {
            steps.push(Step { inner, index, fences });
            fences = fences.of_child(self.arena.node(inner), index, count);
        })?;
        Some((steps, leaf, fences))
    }

    #[inline]
    fn descend(&self, goal: Goal<'_>, mut visit: impl FnMut(Ref<Inner>, usize, usize)) -> Option<Ref<Leaf>> {
        let mut child = self.root.acquire()?;
        loop {
            match child {
                Child::Leaf(leaf) => return Some(leaf),
                Child::Inner(inner) => {
                    let node = self.arena.node(inner);
                    let count = node.count();
                    let index = node.route(&self.arena, goal, count);
                    visit(inner, index, count);
                    child = node.child(index)?;
                    self.prefetch(child);
                }
            }
        }
    }

    /// Fetches ahead what a descent will touch of a node: the search in it has a chain of dependent loads.
    #[inline]
    pub(crate) fn prefetch(&self, child: Child) {
        let hot_bytes = match child {
            Child::Inner(_) => Inner::HOT_BYTES,
            Child::Leaf(_) => Leaf::HOT_BYTES,
        };
        self.arena.prefetch(child.place(), hot_bytes);
    }

    /// The newest version of `user_key`, whose content hash is given, at or below `at`.
    #[inline]
    pub(crate) fn find(&self, user_key: &[u8], hash: u64, at: Version) -> Option<Ref<Record>> {
        let fingerprint = Fingerprint::of_hash(hash);
        let leaf = self.arena.node(self.leaf(Goal::Holding(user_key))?);
        let (_, newest) = leaf.find(&self.arena, user_key, fingerprint, leaf.state().count)?;
        newest_at(&self.arena, newest, at)
    }
}
