//! `kv`, with its defaults but for cache and memtable.

use std::path::Path;
use std::time::Duration;

use kv::{Db, Durability, Options};

use crate::data::touch;
use crate::engine::{Engine, Failure, Opener, Order, Settings};

pub(crate) const OPENER: Opener = Opener {
    name: "kv",
    settings: "no compression; buffered commits survive kill -9",
    open,
};

struct Ours(Db);

fn open(directory: &Path, settings: Settings) -> Result<Box<dyn Engine>, Failure> {
    let engine = engine::Options {
        cache_bytes: settings.cache_bytes,
        memtable_bytes: settings.memtable_bytes,
        write_buffer_bytes: 3 * settings.memtable_bytes,
        ..engine::Options::default()
    };
    Ok(Box::new(Ours(Options::new().with_engine_options(engine).open(directory.join("kv"))?)))
}

impl Engine for Ours {
    fn put_batch(&self, pairs: &[([u8; 16], Vec<u8>)], durable: bool) -> Result<(), Failure> {
        let durability = if durable { Durability::Sync } else { Durability::Buffered };
        let mut txn = self.0.begin_write()?;
        for (key, value) in pairs {
            txn.set(key, value)?;
        }
        txn.commit_with(durability)?;
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<u64>, Failure> {
        Ok(self.0.get(key)?.map(|value| touch(&value)))
    }

    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: u64,
        order: Order,
        keys_only: bool,
    ) -> Result<(u64, u64), Failure> {
        let mut scan = self.0.scan()?;
        if let Some(from) = from {
            scan = scan.range(from..);
        }
        if order == Order::Reverse {
            scan = scan.reverse();
        }
        if keys_only {
            scan = scan.keys_only();
        }
        let (mut count, mut sum) = (0, 0);
        for item in scan.iter()?.take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            let item = item?;
            count += 1;
            sum += touch(item.key());
            if !keys_only {
                sum += touch(&item.value()?);
            }
        }
        Ok((count, sum))
    }

    fn settle(&self) -> Result<(), Failure> {
        self.0.flush()?;
        let mut quiet = 0;
        let mut last = self.0.stats();
        while quiet < 5 {
            std::thread::sleep(Duration::from_millis(100));
            let now = self.0.stats();
            quiet = if now.table_bytes_written == last.table_bytes_written { quiet + 1 } else { 0 };
            last = now;
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(self.0.close()?)
    }
}
