//! In-memory sorted buffer: an append-leaf B+tree over an arena, one writer, wait-free readers.
//!
//! ```
//! use base::{Entry, InternalKey, Version};
//! use memtable::{ArenaPool, Memtable};
//!
//! let pool = ArenaPool::new(128 << 20); // keep up to 128 MiB for the next memtables
//! let memtable = Memtable::new(&pool);
//! memtable.writer().insert(InternalKey::new(b"ada", Version(1)), &Entry::inline(b"1815"))?;
//! memtable.writer().insert(InternalKey::new(b"ada", Version(2)), &Entry::tombstone())?;
//! assert_eq!(memtable.get(b"ada", Version(1)), Some((Version(1), Entry::inline(b"1815"))));
//! assert!(memtable.get(b"ada", Version(9)).is_some_and(|(_, entry)| entry.is_tombstone()));
//! # Ok::<(), memtable::Full>(())
//! ```
//!
//! # Concurrency contract
//! There is one [`Writer`] at a time. Readers take no lock, wait for nobody and never start over. The caller
//! publishes a version (with release ordering or stronger) after the last insert at or below it; a reader loads
//! the published version (with acquire ordering or stronger) and then reads *at* it. Such a reader meets every
//! entry up to its version; it filters out newer ones by their version.
//!
//! # How it works
//! A leaf holds up to 36 keys in the order of their arrival, so that an insert writes one record and one slot, and
//! then a count. It is found through 16-bit fingerprints for a point read, and through eight key bytes for a seek,
//! which sorts the few slots that are not in order. A full leaf is replaced by two sorted ones. The versions of a
//! key are a list behind its one slot. Nothing that a reader may reach is ever changed, except by one atomic
//! word at a time, and nothing is freed before the whole memtable: no epochs, no reclamation.
//!
//! # Invariants
//! 1. The memory of a record or node is written in full before its place is released into the tree (`link`).
//! 2. Nodes are only extended, or replaced by nodes that hold the same keys; never emptied, never narrowed in
//!    place (`growth`).
//! 3. Separators are user keys; all versions of a key are behind one slot (`node`).
//! 4. What a node skips of its keys follows from its fences alone (`head`).
//!
//! `unsafe` is confined to `arena`, `record`, `pool` (memory) and one constructor in `link`.

mod arena;
mod batch;
mod cursor;
mod growth;
mod head;
mod link;
mod memtable;
mod node;
mod order;
mod pool;
mod record;
mod sync;
mod tree;
mod value;
mod writer;

pub use cursor::MemtableCursor;
pub use memtable::Memtable;
pub use pool::ArenaPool;
pub use writer::{Full, Writer};
