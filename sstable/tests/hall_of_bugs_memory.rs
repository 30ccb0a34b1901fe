//! Goal: bytes that a table hands out stay what they are. Method: for each way in which another engine handed out memory that was no
//! longer its own, or not the right one, the situation that would show it here.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;

use base::header::{DatabaseId, FileIdentity};
use base::vfs::{MemVfs, Vfs};
use base::{Compression, Version};
use bytes::Bytes;
use sstable::{BlockCache, BuildOptions, Builder, ReadOptions, Table, TableAccess};

const ROWS: u32 = 200;

/// A table whose values say which table it is; all tables have their blocks at the same places.
fn build(vfs: &Arc<dyn Vfs>, number: u64) {
    let path = format!("/{number}.sst");
    let identity = FileIdentity { database_id: DatabaseId([1; 16]), file_number: number };
    let options = BuildOptions::default().block_bytes(256).compression(Compression::None);
    let mut builder = Builder::create_in(Arc::clone(vfs), path.as_ref(), identity, options).unwrap();
    for row in 0..ROWS {
        builder.insert(row.to_be_bytes(), [number as u8; 40]).unwrap();
    }
    builder.finish().unwrap();
}

/// badger #1337, #1150: a buffer of the cache was used again while somebody read it, and so a read got the block of another table.
/// Tables share a cache that holds a few of their blocks; every read gets its own table's, and keeps it after the cache has let it go,
/// the table is closed and its file is gone.
#[test]
fn hb_79_shared_memory_belongs_to_one_table() {
    for access in [TableAccess::Positional, TableAccess::Mapped] {
        let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
        let cache = BlockCache::with_capacity(4 << 10);
        let tables: Vec<Table> = (1..=6)
            .map(|number| {
                build(&vfs, number);
                let options = ReadOptions::default().access(access).cache(Arc::clone(&cache));
                Table::open_in(&*vfs, format!("/{number}.sst").as_ref(), options).unwrap()
            })
            .collect();
        let mut held = Vec::new();
        for row in (0..ROWS).map(u32::to_be_bytes) {
            for (number, table) in (1..).zip(&tables) {
                let value = table.value(row).unwrap().unwrap();
                assert_eq!(value, [number; 40][..], "{access:?}");
                held.push((number, value));
            }
        }
        if access == TableAccess::Positional {
            assert!(cache.stats().used_bytes <= 4 << 10 && cache.stats().misses > 100);
        }
        drop((tables, cache));
        for number in 1..=6 {
            vfs.remove(format!("/{number}.sst").as_ref()).unwrap();
        }
        assert!(held.iter().all(|(number, value)| value == &[*number; 40][..]), "{access:?}");
    }
}

/// badger #1097, agatedb #24: numbers were read through pointers that were not aligned. A table reads the same wherever its bytes
/// begin.
#[test]
fn hb_79_a_table_may_begin_at_any_address() {
    let mut builder = Builder::in_memory(BuildOptions::default().block_bytes(128));
    for row in 0..ROWS {
        builder.insert(row.to_be_bytes(), vec![row as u8; row as usize % 50]).unwrap();
    }
    let whole = builder.finish_bytes().unwrap();
    for shift in 0..8 {
        let moved = Bytes::from([&vec![0; shift], &whole[..]].concat()).slice(shift..);
        let table = Table::from_bytes(moved, ReadOptions::default()).unwrap();
        table.verify().unwrap();
        assert_eq!(table.iter().count(), ROWS as usize);
        for row in 0..ROWS {
            let found = table.get(&row.to_be_bytes(), Version::MAX).unwrap().unwrap();
            assert_eq!(found.as_entry().value_len(), u64::from(row % 50));
        }
    }
}
