//! What is done to a database: operations in a row, with a text form by which a finding is told and replayed.

mod generate;
mod text;

use engine::Durability;

pub use generate::{ALPHABET, enumerated, enumerated_count, filling, random, short, short_count};

/// The first second of every script's clock.
pub const START_SECONDS: u64 = 1_000;

/// How many keys the operations choose from.
pub const KEYS: u8 = 24;

/// One thing that is done to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Writes a value of `len` bytes under the key.
    Put {
        /// Which key.
        key: u8,
        /// How long the value is, in bytes.
        len: u16,
        /// In how many seconds it expires; 0 for never.
        seconds: u16,
        /// What the commit promises.
        durability: Durability,
    },
    /// Deletes the key.
    Delete {
        /// Which key.
        key: u8,
        /// What the commit promises.
        durability: Durability,
    },
    /// One commit: a small value, a large one, and a deletion, under three keys from this one on.
    Batch {
        /// The first key.
        key: u8,
        /// What the commit promises.
        durability: Durability,
    },
    /// So many pieces of background work.
    Step(u8),
    /// Everything in memory goes to tables.
    Flush,
    /// Everything goes to the last level.
    Compact,
    /// Every commit becomes durable.
    Sync,
    /// The process dies, and the next one opens the database.
    Kill,
    /// The database is closed in good order, and opened.
    Close,
    /// Time passes, in seconds.
    Wait(u16),
}

/// Operations in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Script(pub Vec<Operation>);

/// The name of a key.
#[must_use]
pub fn key_name(key: u8) -> Vec<u8> {
    format!("key{key:02}").into_bytes()
}
