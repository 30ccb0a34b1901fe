//! Transactions that two processes make from the same numbers, so that the one who checks needs only to be told which.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use kv::Durability;

/// At most so many threads write.
pub(super) const THREADS_MAX: usize = 3;
/// How many keys there are.
const KEYS: u32 = 1_500;

/// Which transaction it is: everything about it follows from this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    /// Of the process.
    pub(super) seed: u64,
    /// How often the process has opened the database before.
    pub(super) session: u64,
    pub(super) thread: usize,
    /// Rises by one within a thread, across processes.
    pub(super) number: u64,
}

/// One transaction.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    /// What it writes; `None` deletes.
    pub(super) writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pub(super) durability: Durability,
}

/// The key under which a thread keeps the number of its last transaction.
pub(super) fn marker(thread: usize) -> Vec<u8> {
    format!("~thread {thread}").into_bytes()
}

impl Name {
    pub(super) fn transaction(self) -> Transaction {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        let mut random = fastrand::Rng::with_seed(hasher.finish());
        let (keys, large) = match random.u8(..100) {
            0..70 => (random.usize(1..8), 8),
            70..94 => (random.usize(8..60), 4),
            94..99 => (random.usize(60..300), 1),
            _ => (random.usize(300..1_000), 0),
        };
        let mut writes = BTreeMap::new();
        for _ in 0..keys {
            let key = format!("key {:05}", random.u32(..KEYS)).into_bytes();
            let is_deleted = random.u8(..4) == 0;
            writes.insert(key, (!is_deleted).then(|| value(&mut random, large)));
        }
        writes.insert(marker(self.thread), Some(self.number.to_le_bytes().to_vec()));
        let durability = if random.bool() { Durability::Sync } else { Durability::Buffered };
        Transaction { writes, durability }
    }
}

/// A value; `large` of a hundred are longer than any threshold for values that are kept apart.
fn value(random: &mut fastrand::Rng, large: u8) -> Vec<u8> {
    let len = match random.u8(..100) {
        share if share < large / 4 => random.usize(8_000..40_000),
        share if share < large => random.usize(1_024..4_000),
        share if share < 60 => random.usize(..40),
        _ => random.usize(40..300),
    };
    let mut value = vec![random.u8(..); len];
    // Half of it is noise: some of it compresses, and no two are equal.
    value.chunks_exact_mut(16).for_each(|chunk| {
        if let Some(half) = chunk.first_chunk_mut::<8>() {
            *half = random.u64(..).to_le_bytes();
        }
    });
    value
}

impl Transaction {
    /// A number that tells it from others, over all that it writes.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.writes.hash(&mut hasher);
        hasher.finish()
    }
}
