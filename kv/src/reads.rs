//! What one transaction has read, shared with the iterators that it gave out, so that they need not borrow it.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use base::KeyBounds;
use parking_lot::Mutex;
use txn::ReadSet;

use crate::Result;
use crate::budget::{Budget, Reservation};

/// The read set of one transaction; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    set: ReadSet,
    /// Iterators that are still in use.
    visits: HashMap<u64, Visited>,
    last_visit: u64,
    reserved: Reservation,
}

/// How far an iterator has come, from either end.
#[derive(Debug)]
struct Visited {
    bounds: KeyBounds,
    front: Option<Vec<u8>>,
    back: Option<Vec<u8>>,
    ran_out: bool,
}

impl Visited {
    fn record_in(&self, set: &mut ReadSet) {
        if self.ran_out {
            return set.bounds(&self.bounds);
        }
        if let Some(front) = &self.front {
            set.range(self.bounds.start.as_ref().map(Vec::as_slice), Bound::Included(front));
        }
        if let Some(back) = &self.back {
            set.range(Bound::Included(back), self.bounds.end.as_ref().map(Vec::as_slice));
        }
    }
}

impl Reads {
    /// Nothing read yet.
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        let reserved = Reservation::new(budget);
        let state = State { set: ReadSet::new(), visits: HashMap::new(), last_visit: 0, reserved };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Records a point read, found or not.
    ///
    /// # Errors
    /// [`crate::Error::LimitExceeded`] when there is no memory left to remember it.
    pub(crate) fn point(&self, key: &[u8]) -> Result<()> {
        let mut state = self.state.lock();
        state.set.point(key);
        let bytes = state.set.byte_len();
        state.reserved.grow_to(bytes)
    }

    /// Begins to record an iteration inside `bounds`.
    ///
    /// # Errors
    /// [`crate::Error::LimitExceeded`] when there is no memory left for what was read before.
    pub(crate) fn visit(&self, bounds: &KeyBounds) -> Result<Visit> {
        let mut state = self.state.lock();
        let bytes = state.set.byte_len();
        state.reserved.grow_to(bytes)?;
        state.last_visit += 1;
        let id = state.last_visit;
        let visited = Visited { bounds: bounds.clone(), front: None, back: None, ran_out: false };
        state.visits.insert(id, visited);
        Ok(Visit { reads: self.clone(), id })
    }

    /// Everything that was read so far, also by iterators that are still in use.
    pub(crate) fn take(&self) -> ReadSet {
        let mut state = self.state.lock();
        let mut set = std::mem::take(&mut state.set);
        for visited in state.visits.values() {
            visited.record_in(&mut set);
        }
        set
    }
}

/// The recorder of one iteration.
#[derive(Debug)]
pub(crate) struct Visit {
    reads: Reads,
    id: u64,
}

impl Visit {
    /// The iteration has shown `key` at its front, or at its back.
    pub(crate) fn reached(&self, key: &[u8], from_back: bool) {
        let mut state = self.reads.state.lock();
        let Some(visited) = state.visits.get_mut(&self.id) else { return };
        let end = if from_back { &mut visited.back } else { &mut visited.front };
        let end = end.get_or_insert_default();
        end.clear();
        end.extend_from_slice(key);
    }

    /// The iteration has shown that there is nothing more inside its bounds.
    pub(crate) fn ran_out(&self) {
        if let Some(visited) = self.reads.state.lock().visits.get_mut(&self.id) {
            visited.ran_out = true;
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut state = self.reads.state.lock();
        if let Some(visited) = state.visits.remove(&self.id) {
            visited.record_in(&mut state.set);
        }
    }
}
