//! In-memory sorted buffer: an append-leaf B+tree over an arena, one writer, wait-free readers.

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
