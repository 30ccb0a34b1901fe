//! A leaf's slots in key order: what a cursor walks, and what a split divides.

use std::cmp::Ordering;

use crate::arena::Arena;
use crate::head::head_of;
use crate::node::{LEAF_SLOTS, Leaf, LeafState, TAIL_MAX};

/// The used slots of a leaf at one moment, in key order. Stays right when the leaf grows.
#[derive(Clone, Copy)]
pub(crate) struct LeafOrder {
    slots: [u8; LEAF_SLOTS],
    len: u8,
}

impl LeafOrder {
    /// Of the slots that `state` covers.
    pub(crate) fn new(arena: &Arena, leaf: &Leaf, state: LeafState) -> Self {
        let mut slots: [u8; LEAF_SLOTS] = std::array::from_fn(|slot| slot as u8);
        let mut tail = [0u8; TAIL_MAX];
        let tail = &mut tail[..state.count - state.sorted];
        for end in 0..tail.len() {
            let slot = (state.sorted + end) as u8;
            let mut hole = end;
            while hole > 0 && is_above(arena, leaf, tail[hole - 1], slot) {
                tail[hole] = tail[hole - 1];
                hole -= 1;
            }
            tail[hole] = slot;
        }
        // Merge from the back, where the sorted part has room.
        let (mut sorted, mut to) = (state.sorted, state.count);
        for slot in tail.iter().rev() {
            while sorted > 0 && is_above(arena, leaf, slots[sorted - 1], *slot) {
                to -= 1;
                sorted -= 1;
                slots[to] = slots[sorted];
            }
            to -= 1;
            slots[to] = *slot;
        }
        Self { slots, len: state.count as u8 }
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The slot at a position of the order.
    pub(crate) fn slot(&self, position: usize) -> Option<usize> {
        self.as_slice().get(position).map(|slot| usize::from(*slot))
    }

    fn as_slice(&self) -> &[u8] {
        &self.slots[..self.len()]
    }

    /// All slots in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.as_slice().iter().map(|slot| usize::from(*slot))
    }

    /// The first position whose key is at or above `key`; the length when there is none.
    pub(crate) fn lower_bound(&self, arena: &Arena, leaf: &Leaf, key: &[u8]) -> usize {
        let head = head_of(key, leaf.skip());
        self.as_slice().partition_point(|slot| {
            let slot = usize::from(*slot);
            leaf.head(slot).cmp(&head).then_with(|| key_of(arena, leaf, slot).cmp(key)) == Ordering::Less
        })
    }
}

/// The key behind a used slot.
pub(crate) fn key_of<'a>(arena: &'a Arena, leaf: &Leaf, slot: usize) -> &'a [u8] {
    leaf.newest(slot).map_or(&[], |record| arena.record(record).user_key())
}

fn is_above(arena: &Arena, leaf: &Leaf, a: u8, b: u8) -> bool {
    let (a, b) = (usize::from(a), usize::from(b));
    leaf.head(a).cmp(&leaf.head(b)).then_with(|| key_of(arena, leaf, a).cmp(key_of(arena, leaf, b))).is_gt()
}
