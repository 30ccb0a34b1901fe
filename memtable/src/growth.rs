//! What happens when a leaf is full: sorted copies, splits, and how they become visible at once.
//!
//! Readers may stand anywhere, so a node they can reach is never emptied or narrowed. New nodes are built aside
//! and become visible by one released word: a child that covers the same keys as the one it replaces, the root,
//! or the count of a node that gets a further child on its right edge.
//!
//! The last way is open only where the left neighbour stays as it is. A reader that counted the children before
//! goes left with its key, and what it misses there was inserted after it counted, so it is newer than what the
//! reader may see. A neighbour that is narrowed (with more bytes to skip) must not be put into its old slot:
//! such a reader would look for its key in it, and misjudge. Then the parent is copied.

use crate::Full;
use crate::arena::Bump;
use crate::head::{head_of, shared_len};
use crate::link::{Child, Ref};
use crate::node::{INNER_CHILDREN, Inner, LEAF_SLOTS, Leaf, LeafItem, LeafState, Separator};
use crate::order::{LeafOrder, key_of};
use crate::record::Record;
use crate::tree::{Fences, Step, Tree};

/// A leaf with more keys is split, one with fewer is only sorted.
const SORT_ONLY_MAX: usize = LEAF_SLOTS * 3 / 4;
/// New heads are taken only when at least so many of the eight bytes are the same in all keys: it means going to
/// each record.
const SKIP_STRIDE_BYTES: usize = 4;

/// Two nodes in the place of one.
struct Split {
    /// `None` when the old node stays as the left one.
    left: Option<Child>,
    separator: Ref<Record>,
    right: Child,
    /// The keys arrive in order: leave the left nodes full.
    in_order: bool,
}

/// Changes the tree above a full leaf.
pub(crate) struct Growth<'a> {
    tree: &'a Tree,
    bump: &'a mut Bump,
}

impl<'a> Growth<'a> {
    pub(crate) fn new(tree: &'a Tree, bump: &'a mut Bump) -> Self {
        Self { tree, bump }
    }

    /// Adds the key of `item`, which is not there, to the full leaf that the key belongs to; `in_order` when the leaf
    /// is sorted and the key above all in it. Returns true when that leaf stays in use with fewer keys to come. A
    /// failure leaves the tree as it was.
    pub(crate) fn insert(mut self, key: &[u8], item: LeafItem, in_order: bool) -> Result<bool, Full> {
        let (mut path, at, fences) = self.tree.path(key).ok_or(Full)?;
        let leaf = self.tree.arena.node(at);
        let state = leaf.state();
        let split = if in_order {
            self.split_behind(leaf, fences, item)?
        } else {
            let items = with_item(self.tree, leaf, state, key, item);
            if items.len() <= SORT_ONLY_MAX {
                let copy = self.tree.arena.place_node(self.bump, Leaf::new(leaf.skip(), &items))?;
                self.replace(path.last(), Child::Leaf(copy));
                leaf.set_replaced();
                return Ok(false);
            }
            self.split_in_half(leaf, fences, &items)?
        };
        let stays = split.left.is_none();
        self.propagate(&mut path, Child::Leaf(at), split)?;
        if !stays {
            leaf.set_replaced();
        }
        Ok(stays)
    }

    /// Makes a node visible in the place of the child that the last step of a path led to.
    fn replace(&self, parent: Option<&Step>, node: Child) {
        match parent {
            Some(step) => self.tree.arena.node(step.inner).replace(step.index, node),
            None => self.tree.root.publish(node),
        }
    }

    /// A new leaf for a key above all keys of a full and sorted leaf.
    fn split_behind(&mut self, leaf: &Leaf, fences: Fences, item: LeafItem) -> Result<Split, Full> {
        let separator = item.record;
        let right = self.leaf_of(leaf.skip(), Fences { low: Some(separator), ..fences }, &[item])?;
        let narrow = Fences { high: Some(separator), ..fences };
        let heads_tie = (1..LEAF_SLOTS).any(|slot| leaf.head(slot - 1) == leaf.head(slot));
        let left = if heads_tie && self.skip_for(leaf.skip(), narrow) > leaf.skip() {
            let items: Vec<LeafItem> = (0..LEAF_SLOTS).filter_map(|slot| item_of(leaf, slot)).collect();
            Some(self.leaf_of(leaf.skip(), narrow, &items)?)
        } else {
            None
        };
        Ok(Split { left, separator, right, in_order: true })
    }

    fn split_in_half(&mut self, leaf: &Leaf, fences: Fences, items: &[LeafItem]) -> Result<Split, Full> {
        let (low_half, high_half) = items.split_at(items.len() / 2);
        let separator = high_half.first().ok_or(Full)?.record;
        let left = self.leaf_of(leaf.skip(), Fences { high: Some(separator), ..fences }, low_half)?;
        let right = self.leaf_of(leaf.skip(), Fences { low: Some(separator), ..fences }, high_half)?;
        Ok(Split { left: Some(left), separator, right, in_order: false })
    }

    /// Takes a split up the path until a node has room for it, or the root is split.
    fn propagate(&mut self, path: &mut Vec<Step>, mut old: Child, mut split: Split) -> Result<(), Full> {
        while let Some(step) = path.pop() {
            let inner = self.tree.arena.node(step.inner);
            let count = inner.count();
            let at_edge = split.left.is_none() && step.index + 1 == count;
            if at_edge && count < INNER_CHILDREN {
                inner.push(&self.separator(inner.skip(), split.separator), split.right);
                return Ok(());
            }
            if at_edge && !self.is_worth_narrowing(inner, step.fences, split.separator) {
                let fences = Fences { low: Some(split.separator), ..step.fences };
                let right = self.inner_of(inner.skip(), fences, &[split.right], &[])?;
                split = Split { right, ..split };
            } else {
                let (children, separators) = self.with_split(inner, &step, old, &split);
                if children.len() <= INNER_CHILDREN {
                    let copy = Inner::new(inner.skip(), &children, &separators);
                    let copy = self.tree.arena.place_node(self.bump, copy)?;
                    self.replace(path.last(), Child::Inner(copy));
                    return Ok(());
                }
                let behind = split.in_order && step.index + 1 == count;
                split = self.split_inner(inner, &step, &children, &separators, behind)?;
            }
            old = Child::Inner(step.inner);
        }
        let separator = self.separator(0, split.separator);
        let root = Inner::new(0, &[split.left.unwrap_or(old), split.right], &[separator]);
        let root = self.tree.arena.place_node(self.bump, root)?;
        self.tree.root.publish(Child::Inner(root));
        Ok(())
    }

    /// The children and separators of `inner` with a split in the place of the child `old`.
    fn with_split(
        &self,
        inner: &Inner,
        step: &Step,
        old: Child,
        split: &Split,
    ) -> (Vec<Child>, Vec<Separator>) {
        let count = inner.count();
        let mut children: Vec<Child> = Vec::with_capacity(count + 1);
        children.extend((0..count).filter_map(|index| inner.child(index)));
        let mut separators: Vec<Separator> = Vec::with_capacity(count);
        separators.extend(
            (0..count - 1).filter_map(|slot| {
                Some(Separator { head: inner.head(slot), record: inner.separator(slot)? })
            }),
        );
        children[step.index] = split.left.unwrap_or(old);
        children.insert(step.index + 1, split.right);
        separators.insert(step.index, self.separator(inner.skip(), split.separator));
        (children, separators)
    }

    /// Two inner nodes of children that are one too many; only the last one goes right if it is `behind` all.
    fn split_inner(
        &mut self,
        inner: &Inner,
        step: &Step,
        children: &[Child],
        separators: &[Separator],
        behind: bool,
    ) -> Result<Split, Full> {
        let left_len = if behind { children.len() - 1 } else { children.len() / 2 };
        let (left_children, right_children) = children.split_at(left_len);
        let (left_separators, right_separators) = separators.split_at(left_len);
        let left_separators = left_separators.get(..left_len - 1).unwrap_or_default();
        let separator = separators.get(left_len - 1).ok_or(Full)?.record;
        let fences = step.fences;
        let low_half = Fences { high: Some(separator), ..fences };
        let high_half = Fences { low: Some(separator), ..fences };
        let left = self.inner_of(inner.skip(), low_half, left_children, left_separators)?;
        let right = self.inner_of(inner.skip(), high_half, right_children, right_separators)?;
        Ok(Split { left: Some(left), separator, right, in_order: behind })
    }

    fn is_worth_narrowing(&self, inner: &Inner, fences: Fences, separator: Ref<Record>) -> bool {
        let heads_tie = (1..inner.count() - 1).any(|slot| inner.head(slot - 1) == inner.head(slot));
        heads_tie && self.skip_for(inner.skip(), Fences { high: Some(separator), ..fences }) > inner.skip()
    }

    /// How much a node between these fences skips, when the heads at hand are taken behind `skip` bytes.
    fn skip_for(&self, skip: usize, fences: Fences) -> usize {
        let key = |fence: Option<Ref<Record>>| fence.map(|fence| self.key(fence));
        let shared = shared_len(key(fences.low), key(fences.high));
        if shared >= skip + SKIP_STRIDE_BYTES { shared } else { skip }
    }

    fn key(&self, record: Ref<Record>) -> &'a [u8] {
        self.tree.arena.record(record).user_key()
    }

    fn separator(&self, skip: usize, record: Ref<Record>) -> Separator {
        Separator { head: head_of(self.key(record), skip), record }
    }

    /// Writes a leaf of `items`, whose heads are taken behind `skip` bytes.
    fn leaf_of(&mut self, skip: usize, fences: Fences, items: &[LeafItem]) -> Result<Child, Full> {
        let better = self.skip_for(skip, fences);
        let leaf = if better == skip {
            Leaf::new(skip, items)
        } else {
            let headed = |item: &LeafItem| LeafItem { head: head_of(self.key(item.record), better), ..*item };
            let items: Vec<LeafItem> = items.iter().map(headed).collect();
            Leaf::new(better, &items)
        };
        self.tree.arena.place_node(self.bump, leaf).map(Child::Leaf)
    }

    /// Writes an inner node, whose heads are taken behind `skip` bytes.
    fn inner_of(
        &mut self,
        skip: usize,
        fences: Fences,
        children: &[Child],
        separators: &[Separator],
    ) -> Result<Child, Full> {
        let better = self.skip_for(skip, fences);
        let inner = if better == skip {
            Inner::new(skip, children, separators)
        } else {
            let headed = |separator: &Separator| self.separator(better, separator.record);
            let separators: Vec<Separator> = separators.iter().map(headed).collect();
            Inner::new(better, children, &separators)
        };
        self.tree.arena.place_node(self.bump, inner).map(Child::Inner)
    }
}

fn item_of(leaf: &Leaf, slot: usize) -> Option<LeafItem> {
    Some(LeafItem { head: leaf.head(slot), fingerprint: leaf.fingerprint(slot), record: leaf.newest(slot)? })
}

/// All of a leaf in key order, with a further key among it.
fn with_item(tree: &Tree, leaf: &Leaf, state: LeafState, key: &[u8], item: LeafItem) -> Vec<LeafItem> {
    let order = LeafOrder::new(&tree.arena, leaf, state);
    let mut items: Vec<LeafItem> = Vec::with_capacity(state.count + 1);
    items.extend(order.iter().filter_map(|slot| item_of(leaf, slot)));
    items.insert(order.lower_bound(&tree.arena, leaf, key), item);
    debug_assert!(order.iter().all(|slot| key_of(&tree.arena, leaf, slot) != key));
    items
}
