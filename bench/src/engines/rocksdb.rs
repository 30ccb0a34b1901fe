//! RocksDB, with its defaults but for cache, memtable and a bloom filter as the others have; and with values kept apart.

use std::path::Path;

use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, Options, WriteBatch, WriteOptions};

use crate::data::Key;
use crate::engine::{Engine, Failure, Opened, Opener, Order, Scan, Settings, Visit};

pub(crate) const DEFAULT: Opener = Opener {
    name: "rocksdb",
    settings: "crate 0.25 (11.8): snappy, bloom filters of 10 bits; buffered commits survive kill -9",
    open: |directory, settings| open(directory, settings, false),
};

pub(crate) const BLOB: Opener = Opener {
    name: "rocksdb-blob",
    settings: "crate 0.25 (11.8): as rocksdb; values from 1 KiB apart, uncompressed, collected, not in the block \
               cache",
    open: |directory, settings| open(directory, settings, true),
};

fn open(directory: &Path, settings: Settings, separate: bool) -> Opened {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(settings.cache_bytes));
    blocks.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(settings.memtable_bytes);
    options.set_compression_type(DBCompressionType::Snappy);
    if separate {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(1024);
        options.set_enable_blob_gc(true);
    }
    let mut write = WriteOptions::default();
    write.set_sync(settings.durable);
    Ok(Box::new(RocksDb { database: DB::open(&options, directory)?, write }))
}

struct RocksDb {
    database: DB,
    write: WriteOptions,
}

impl Engine for RocksDb {
    fn put_batch(&self, pairs: &[(Key, Vec<u8>)]) -> Result<(), Failure> {
        let mut batch = WriteBatch::default();
        for (key, value) in pairs {
            batch.put(key, value);
        }
        Ok(self.database.write_opt(batch, &self.write)?)
    }

    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        Ok(self.database.get_pinned(key)?.map(|value| visit(&value)).is_some())
    }

    fn scan(&self, scan: Scan<'_>, visit: Visit<'_>) -> Result<(), Failure> {
        // The raw cursor lends keys and values; the iterator would copy both.
        let mut cursor = self.database.raw_iterator();
        match (scan.order, scan.from) {
            (Order::Forward, Some(from)) => cursor.seek(from),
            (Order::Forward, None) => cursor.seek_to_first(),
            (Order::Reverse, _) => cursor.seek_to_last(),
        }
        for _ in 0..scan.limit {
            let Some(key) = cursor.key() else { break };
            if scan.from.is_some_and(|from| key < from) {
                break;
            }
            visit(key, if scan.keys_only { &[] } else { cursor.value().unwrap_or_default() });
            if scan.order == Order::Forward { cursor.next() } else { cursor.prev() }
        }
        Ok(cursor.status()?)
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(self.database.flush()?)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(self.database.flush_wal(true)?)
    }
}
