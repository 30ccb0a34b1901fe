//! `kv`, with its defaults but for cache and memtable; and the same with lz4.

use std::path::Path;

use kv::{Compression, Db, Durability, Options};

use crate::data::Key;
use crate::engine::{Engine, Failure, Opened, Opener, Order, Scan, Settings, Visit};

pub(crate) const DEFAULT: Opener = Opener {
    name: "kv",
    settings: "no compression; values apart from 1 KiB; up to three memtables; buffered commits survive kill -9",
    open: |directory, settings| open(directory, settings, engine::Options::default()),
};

pub(crate) const COMPRESSED: Opener = Opener {
    name: "kv-lz4",
    settings: "kv with lz4 in the last level and in the value log",
    open: |directory, settings| {
        let (bottom_compression, value_compression) = (Compression::Lz4, Compression::Lz4);
        open(
            directory,
            settings,
            engine::Options { bottom_compression, value_compression, ..Default::default() },
        )
    },
};

fn open(directory: &Path, settings: Settings, options: engine::Options) -> Opened {
    let engine = engine::Options {
        cache_bytes: settings.cache_bytes,
        memtable_bytes: settings.memtable_bytes,
        write_buffer_bytes: 3 * settings.memtable_bytes,
        ..options
    };
    let durability = if settings.durable { Durability::Sync } else { Durability::Buffered };
    let options = Options::new().with_engine_options(engine).durability(durability);
    Ok(Box::new(Ours(options.open(directory)?)))
}

struct Ours(Db);

impl Engine for Ours {
    fn put_batch(&self, pairs: &[(Key, Vec<u8>)]) -> Result<(), Failure> {
        let mut txn = self.0.begin_write()?;
        for (key, value) in pairs {
            txn.set(key, value)?;
        }
        txn.commit()?;
        Ok(())
    }

    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        Ok(self.0.get(key)?.map(|value| visit(&value)).is_some())
    }

    fn scan(&self, scan: Scan<'_>, visit: Visit<'_>) -> Result<(), Failure> {
        let mut items = self.0.scan()?;
        if let Some(from) = scan.from {
            items = items.range(from..);
        }
        if scan.order == Order::Reverse {
            items = items.reverse();
        }
        if scan.keys_only {
            items = items.keys_only();
        }
        for item in items.limit(scan.limit as u64).iter()? {
            let item = item?;
            match item.value_ref() {
                _ if scan.keys_only => visit(item.key(), &[]),
                Some(value) => visit(item.key(), value),
                None => visit(item.key(), &item.value()?),
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(self.0.flush()?)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(self.0.close()?)
    }
}
