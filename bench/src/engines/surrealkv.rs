//! surrealkv, with its defaults but for cache and memtable; and with values kept apart.

use std::path::Path;

use surrealkv::{CompactRangeOptions, Durability, Error, LSMIterator, Mode, Tree, TreeBuilder};
use tokio::runtime::{Builder, Runtime};

use crate::data::Key;
use crate::engine::{Engine, Failure, Opened, Opener, Order, Scan, Settings, Visit};

pub(crate) const DEFAULT: Opener = Opener {
    name: "surrealkv",
    settings: "1.2: no compression; commits are futures, awaited with tokio's block_on; conflicts of blind \
               writes are tried again; buffered commits survive kill -9",
    open: |directory, settings| open(directory, settings, false),
};

pub(crate) const VALUE_LOG: Opener = Opener {
    name: "surrealkv-vlog",
    settings: "1.2: as surrealkv; values from 1 KiB apart, uncompressed",
    open: |directory, settings| open(directory, settings, true),
};

fn open(directory: &Path, settings: Settings, separate: bool) -> Opened {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let entered = runtime.enter();
    let tree = TreeBuilder::new()
        .with_path(directory.to_path_buf())
        .with_max_memtable_size(settings.memtable_bytes)
        .with_block_cache_capacity(settings.cache_bytes as u64)
        .with_enable_vlog(separate)
        .build()?;
    let durability = if settings.durable { Durability::Immediate } else { Durability::Eventual };
    drop(entered);
    Ok(Box::new(Surrealkv { tree, durability, runtime }))
}

struct Surrealkv {
    tree: Tree,
    durability: Durability,
    runtime: Runtime,
}

impl Engine for Surrealkv {
    /// Blind writes of the same key conflict here; an application would try again, and so does this.
    fn put_batch(&self, pairs: &[(Key, Vec<u8>)]) -> Result<(), Failure> {
        loop {
            let mut txn = self.tree.begin_with_mode(Mode::WriteOnly)?.with_durability(self.durability);
            for (key, value) in pairs {
                txn.set(key, value.as_slice())?;
            }
            match self.runtime.block_on(txn.commit()) {
                Err(Error::TransactionWriteConflict | Error::TransactionRetry) => {}
                done => return Ok(done?),
            }
        }
    }

    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let txn = self.tree.begin_with_mode(Mode::ReadOnly)?;
        Ok(txn.get(key)?.map(|value| visit(&value)).is_some())
    }

    fn scan(&self, scan: Scan<'_>, visit: Visit<'_>) -> Result<(), Failure> {
        let txn = self.tree.begin_with_mode(Mode::ReadOnly)?;
        let mut cursor = txn.scan(scan.from.unwrap_or_default()..)?;
        let is_forward = scan.order == Order::Forward;
        let mut is_valid = if is_forward { cursor.seek_first()? } else { cursor.seek_last()? };
        for _ in 0..scan.limit {
            if !is_valid {
                break;
            }
            if scan.keys_only {
                visit(cursor.key().user_key(), &[]);
            } else {
                visit(cursor.key().user_key(), &cursor.value_ref()?);
            }
            is_valid = if is_forward { cursor.next()? } else { cursor.prev()? };
        }
        Ok(())
    }

    /// It has no flush of its own; a compaction down to the first level is one, and moves nothing else.
    fn flush(&self) -> Result<(), Failure> {
        let options =
            CompactRangeOptions { flush_memtable: true, target_level: Some(0), rewrite_bottommost: false };
        Ok(self.tree.compact_range(None, None, &options)?)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(self.runtime.block_on(self.tree.close())?)
    }
}
