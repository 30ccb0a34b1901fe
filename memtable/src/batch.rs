//! Inserting many at a time: the descents of a group run in lockstep, so that their cache misses overlap.
//!
//! One descent waits for memory at each node. Thirty-two descents, each a node at a time in turn, ask for the
//! next node early and find it there a round later. What a descent found may be out of date when its turn to
//! insert comes, by a split that an earlier one of the group caused; a leaf tells, and then the descent is done
//! anew. Entries are inserted in the order given.

use base::{Entry, InternalKey};

use crate::head::Fingerprint;
use crate::link::Child;
use crate::node::{Goal, Leaf};
use crate::tree::Tree;
use crate::writer::{Full, Writer};

/// Descents in flight: enough to keep the memory busy, few enough to stay in the first-level cache.
const GROUP_LEN: usize = 32;

/// An entry on its way down.
struct Descent<'k> {
    key: InternalKey<'k>,
    entry: Entry<'k>,
    fingerprint: Fingerprint,
    at: Child,
}

impl Writer<'_> {
    /// Inserts many entries, in the order given; faster than one by one. See [`Writer::insert`].
    ///
    /// # Errors
    /// [`Full`]; then the entries before the one that did not fit are in.
    pub fn insert_all<'k>(
        &mut self,
        entries: impl IntoIterator<Item = (InternalKey<'k>, Entry<'k>)>,
    ) -> Result<(), Full> {
        let mut entries = entries.into_iter().peekable();
        let mut group = Vec::new();
        while let Some((key, entry)) = entries.next() {
            // A run of ascending keys needs no descents, and a lone one no company.
            if self.insert_at_edge(key, &entry)? {
                continue;
            }
            if entries.peek().is_none() {
                return self.insert(key, &entry);
            }
            let root = self.tree().root.acquire().ok_or(Full)?;
            group.reserve(GROUP_LEN);
            let members = std::iter::once((key, entry)).chain(entries.by_ref().take(GROUP_LEN - 1));
            group.extend(members.map(|(key, entry)| Descent {
                key,
                entry,
                fingerprint: Fingerprint::of(key.user_key),
                at: root,
            }));
            descend_together(self.tree(), &mut group);
            let narrowings = self.narrowings();
            for descent in group.drain(..) {
                let leaf = match descent.at {
                    Child::Leaf(leaf)
                        if self.narrowings() == narrowings
                            && !self.tree().arena.node(leaf).state().replaced =>
                    {
                        leaf
                    }
                    _ => self.tree().leaf(Goal::Holding(descent.key.user_key)).ok_or(Full)?,
                };
                self.insert_into(leaf, descent.key, &descent.entry, descent.fingerprint)?;
            }
        }
        Ok(())
    }
}

/// Brings all descents to their leaves, a level at a time, and what inserting there touches into the cache.
fn descend_together(tree: &Tree, group: &mut [Descent<'_>]) {
    let arena = &tree.arena;
    let mut on_the_way = true;
    while on_the_way {
        on_the_way = false;
        for descent in group.iter_mut() {
            let Child::Inner(inner) = descent.at else { continue };
            on_the_way = true;
            let inner = arena.node(inner);
            let index = inner.route(arena, Goal::Holding(descent.key.user_key), inner.count());
            if let Some(child) = inner.child(index) {
                descent.at = child;
                tree.prefetch(child);
            }
        }
    }
    for descent in group.iter() {
        if let Child::Leaf(leaf) = descent.at {
            let next_slot = arena.node(leaf).state().count;
            arena.prefetch_at(leaf.place(), Leaf::head_offset(next_slot));
        }
    }
}
