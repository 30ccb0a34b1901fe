//! Blocks that had to be read or decompressed, kept by bytes and shared by all tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// A guess at the size of a block, which only sizes the cache's hash tables.
const ESTIMATED_BLOCK_BYTES: u64 = 4096;

/// A number for an open table that no other one in this process has: a reopened file never meets its old blocks.
pub(crate) fn next_table_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockKey {
    pub(crate) table_id: u64,
    pub(crate) offset: u64,
}

#[derive(Clone, Debug)]
struct ByteWeighter;

impl Weighter<BlockKey, Bytes> for ByteWeighter {
    fn weight(&self, _key: &BlockKey, block: &Bytes) -> u64 {
        (size_of::<BlockKey>() + size_of::<Bytes>() + block.len()) as u64
    }
}

/// A bounded, sharded cache of opened blocks; resists scans (S3-FIFO).
#[derive(Debug)]
pub struct BlockCache {
    blocks: Cache<BlockKey, Bytes, ByteWeighter>,
}

/// What a cache holds and how well it serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Lookups that found their block.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Blocks held.
    pub blocks: u64,
    /// Bytes held.
    pub used_bytes: u64,
    /// Bytes allowed.
    pub capacity_bytes: u64,
}

impl BlockCache {
    /// A cache that holds up to `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> Arc<Self> {
        let blocks = usize::try_from(bytes / ESTIMATED_BLOCK_BYTES).unwrap_or(usize::MAX >> 8);
        Arc::new(Self { blocks: Cache::with_weighter(blocks.clamp(16, 1 << 24), bytes, ByteWeighter) })
    }

    /// What it holds and how well it serves.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.blocks.hits(),
            misses: self.blocks.misses(),
            blocks: self.blocks.len() as u64,
            used_bytes: self.blocks.weight(),
            capacity_bytes: self.blocks.capacity(),
        }
    }

    pub(crate) fn get(&self, key: BlockKey) -> Option<Bytes> {
        self.blocks.get(&key)
    }

    pub(crate) fn insert(&self, key: BlockKey, block: Bytes) {
        self.blocks.insert(key, block);
    }
}
