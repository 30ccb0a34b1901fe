//! Where readers register: slots in chunks that are only ever added, so that an index stays good and nobody locks.

use base::{UnixSeconds, Version};

use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, OnceLock, Ordering};

/// A slot with this version is free; no commit has it and nobody reads at it.
const FREE: u64 = u64::MAX;

/// The first chunk; each further one is as large as all before it.
#[cfg(not(loom))]
const FIRST_CHUNK_SLOTS: usize = 32;
/// Small under the model checker, so that its threads also meet in growing.
#[cfg(loom)]
const FIRST_CHUNK_SLOTS: usize = 1;

/// More chunks than fit in the address space.
#[cfg(not(loom))]
const MAX_CHUNKS: usize = usize::BITS as usize - 8;
/// The model checker keeps a history of every variable.
#[cfg(loom)]
const MAX_CHUNKS: usize = 3;

/// What a slot tells of one reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Reads see this version and older ones.
    pub(crate) version: Version,
    /// Expiry is judged at this time.
    pub(crate) time: UnixSeconds,
    /// Its commit will be checked against all commits above `version`.
    pub(crate) is_read_write: bool,
}

/// One reader's place; alone on its cache lines, because each belongs to another thread.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Slot {
    version: AtomicU64,
    time: AtomicU64,
    is_read_write: AtomicBool,
    holders: AtomicUsize,
}

impl Slot {
    fn new() -> Self {
        Self {
            version: AtomicU64::new(FREE),
            time: AtomicU64::new(0),
            is_read_write: AtomicBool::new(false),
            holders: AtomicUsize::new(0),
        }
    }

    fn try_claim(&self, reading: Reading) -> bool {
        if self.version.load(Ordering::Relaxed) != FREE {
            return false;
        }
        let version = reading.version.0;
        let claimed = self.version.compare_exchange(FREE, version, Ordering::Acquire, Ordering::Relaxed);
        if claimed.is_ok() {
            self.holders.store(1, Ordering::Relaxed);
            self.store(reading);
        }
        claimed.is_ok()
    }

    /// Overwrites what the slot tells; for its owner. A scan may see old and new fields mixed, which does no
    /// harm before the owner has compared itself with the cut (see [`crate::Snapshots`]).
    pub(crate) fn store(&self, reading: Reading) {
        self.time.store(reading.time.0, Ordering::Relaxed);
        self.is_read_write.store(reading.is_read_write, Ordering::Relaxed);
        self.version.store(reading.version.0, Ordering::Relaxed);
    }

    /// What the slot tells; `None` when it is free.
    pub(crate) fn load(&self) -> Option<Reading> {
        let version = self.version.load(Ordering::Acquire);
        (version != FREE).then(|| Reading {
            version: Version(version),
            time: UnixSeconds(self.time.load(Ordering::Relaxed)),
            is_read_write: self.is_read_write.load(Ordering::Relaxed),
        })
    }

    /// One more holder of the same reading; the caller is one.
    pub(crate) fn hold(&self) {
        self.holders.fetch_add(1, Ordering::Relaxed);
    }

    /// One holder less; the last one frees the slot. True when it did.
    pub(crate) fn release(&self) -> bool {
        let was_last = self.holders.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last {
            self.version.store(FREE, Ordering::Release);
        }
        was_last
    }
}

/// All slots.
#[derive(Debug)]
pub(crate) struct SlotTable {
    chunks: [OnceLock<Box<[Slot]>>; MAX_CHUNKS],
}

impl SlotTable {
    pub(crate) fn new() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// Takes a free slot, or adds slots, and stores `reading` there. Returns its index.
    pub(crate) fn claim(&self, reading: Reading) -> usize {
        loop {
            let len = self.len();
            let start = nearby::slot().checked_rem(len).unwrap_or(0);
            let mut candidates = (start..len).chain(0..start);
            if let Some(index) =
                candidates.find(|index| self.get(*index).is_some_and(|slot| slot.try_claim(reading)))
            {
                nearby::remember(index);
                return index;
            }
            self.grow(len);
        }
    }

    /// Gives one hold on the slot at `index` back.
    pub(crate) fn release(&self, index: usize) {
        if self.get(index).is_some_and(Slot::release) {
            nearby::remember(index);
        }
    }

    /// The slot at `index`.
    pub(crate) fn get(&self, index: usize) -> Option<&Slot> {
        let (chunk, offset) = place(index);
        self.chunks.get(chunk)?.get()?.get(offset)
    }

    /// What all occupied slots tell, each read once.
    pub(crate) fn readings(&self) -> impl Iterator<Item = Reading> {
        let chunks = self.chunks.iter().map_while(OnceLock::get);
        chunks.flat_map(|chunk| chunk.iter()).filter_map(Slot::load)
    }

    fn len(&self) -> usize {
        self.chunks.iter().map_while(OnceLock::get).map(|chunk| chunk.len()).sum()
    }

    /// Adds a chunk behind `len` slots, unless another thread has.
    fn grow(&self, len: usize) {
        if let Some(chunk) = self.chunks.get(place(len).0) {
            let added = (0..len.max(FIRST_CHUNK_SLOTS)).map(|_| Slot::new()).collect();
            // Losing the race means that there are new slots, which is all that was wanted.
            let _lost_race = chunk.set(added);
        }
    }
}

/// The chunk of a slot and its offset in there: `FIRST_CHUNK_SLOTS` slots, the same number again, twice that, …
fn place(index: usize) -> (usize, usize) {
    let doublings = (index / FIRST_CHUNK_SLOTS).checked_ilog2();
    match doublings {
        None => (0, index),
        Some(doublings) => (doublings as usize + 1, index - (FIRST_CHUNK_SLOTS << doublings)),
    }
}

/// Where this thread looks first: the slot it used last, whose cache lines it still has.
#[cfg(not(loom))]
mod nearby {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static THREADS: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        static SLOT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// The slot used last; for a new thread one of its own, so that threads do not begin by racing for one.
    pub(super) fn slot() -> usize {
        SLOT.get().unwrap_or_else(|| THREADS.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn remember(slot: usize) {
        SLOT.set(Some(slot));
    }
}

/// The model checker wants the same run every time, so nothing is remembered from one to the next.
#[cfg(loom)]
mod nearby {
    pub(super) fn slot() -> usize {
        0
    }

    pub(super) fn remember(_slot: usize) {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn reading(version: u64) -> Reading {
        Reading { version: Version(version), time: UnixSeconds(version), is_read_write: false }
    }

    #[test]
    fn chunks_cover_every_index_once_and_in_order() {
        let mut expected = (0, 0);
        for index in 0..1 << 12 {
            assert_eq!(place(index), expected);
            let chunk_len =
                if expected.0 == 0 { FIRST_CHUNK_SLOTS } else { FIRST_CHUNK_SLOTS << (expected.0 - 1) };
            expected =
                if expected.1 + 1 == chunk_len { (expected.0 + 1, 0) } else { (expected.0, expected.1 + 1) };
        }
    }

    #[test]
    fn growing_keeps_what_is_registered_and_freed_slots_are_used_again() {
        let table = SlotTable::new();
        let mut held: Vec<usize> = (0..500).map(|version| table.claim(reading(version))).collect();
        let len = table.len();
        assert_eq!(len, 512);
        for index in held.drain(..250) {
            table.release(index);
        }
        let mut seen: Vec<u64> = table.readings().map(|reading| reading.version.0).collect();
        seen.sort_unstable();
        assert_eq!(seen, (250..500).collect::<Vec<_>>());
        for version in 0..262 {
            table.claim(reading(version));
        }
        assert_eq!((table.len(), table.readings().count()), (len, len));
    }

    #[test]
    fn a_slot_is_free_only_after_its_last_holder() {
        let table = SlotTable::new();
        let index = table.claim(reading(7));
        table.get(index).unwrap().hold();
        table.release(index);
        assert_eq!(table.readings().collect::<Vec<_>>(), [reading(7)]);
        table.release(index);
        assert_eq!(table.readings().count(), 0);
    }
}
