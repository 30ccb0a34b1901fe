//! Chunks of memory, and the pool that keeps them between memtables: a fresh page costs as much as an insert.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;

use parking_lot::Mutex;

/// The usual chunk, in bytes.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// The first chunk of a memtable, in bytes; small, so that small memtables are cheap.
pub(crate) const FIRST_CHUNK_BYTES: usize = 64 << 10;
/// Chunks start at a cache line.
const CHUNK_ALIGN: usize = 64;

/// An owned piece of memory, not initialised: what was not written may not be read.
#[derive(Debug)]
pub(crate) struct Chunk {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a chunk owns its memory alone and nothing in it depends on the thread. Exercised by every test that
// drops a memtable on another thread (`tests/concurrent.rs`).
unsafe impl Send for Chunk {}

impl Chunk {
    /// Allocates `bytes`, which is not 0; aborts like any collection when the system has no memory.
    fn allocate(bytes: usize) -> Self {
        // Records are at most 1 GiB, so the layout is always valid; a bad one counts as out of memory.
        let layout = Layout::from_size_align(bytes.max(CHUNK_ALIGN), CHUNK_ALIGN)
            .unwrap_or_else(|_| handle_alloc_error(Layout::new::<u8>()));
        // SAFETY: the layout's size is not 0. Exercised by every test.
        let start = unsafe { alloc(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, layout }
    }

    /// The first byte; valid for [`Chunk::bytes`] bytes while the chunk lives.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The length in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: `start` came from `alloc` with this layout and is freed once. Exercised by every test.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// Keeps the memory of dropped memtables for the next ones.
///
/// What a memtable finds in reused memory is never read: each byte is written before its place is published.
#[derive(Debug)]
pub struct ArenaPool {
    max_idle_bytes: usize,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    first: Vec<Chunk>,
    usual: Vec<Chunk>,
    bytes: usize,
}

impl Idle {
    /// The chunks of this size; `None` for sizes that are not worth keeping.
    fn of_size(&mut self, bytes: usize) -> Option<&mut Vec<Chunk>> {
        match bytes {
            FIRST_CHUNK_BYTES => Some(&mut self.first),
            CHUNK_BYTES => Some(&mut self.usual),
            _ => None,
        }
    }
}

impl ArenaPool {
    /// A pool that keeps up to `max_idle_bytes` of unused memory. 0 keeps none.
    #[must_use]
    pub fn new(max_idle_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_idle_bytes, idle: Mutex::default() })
    }

    /// How much unused memory is kept now, in bytes.
    #[must_use]
    pub fn idle_bytes(&self) -> usize {
        self.idle.lock().bytes
    }

    /// A chunk of `bytes`, reused where possible.
    pub(crate) fn take(&self, bytes: usize) -> Chunk {
        let reused = {
            let mut idle = self.idle.lock();
            let reused = idle.of_size(bytes).and_then(Vec::pop);
            idle.bytes -= reused.as_ref().map_or(0, Chunk::bytes);
            reused
        };
        reused.unwrap_or_else(|| Chunk::allocate(bytes))
    }

    /// Takes `chunks` back; frees those that are above the limit or of a rare size.
    pub(crate) fn give_back(&self, chunks: Vec<Chunk>) {
        let mut surplus = Vec::new();
        let mut idle = self.idle.lock();
        for chunk in chunks {
            let bytes = chunk.bytes();
            let fits = idle.bytes.saturating_add(bytes) <= self.max_idle_bytes;
            match idle.of_size(bytes) {
                Some(shelf) if fits => {
                    shelf.push(chunk);
                    idle.bytes += bytes;
                }
                _ => surplus.push(chunk),
            }
        }
        // The system frees without the lock.
        drop(idle);
        drop(surplus);
    }
}
