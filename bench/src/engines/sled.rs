//! sled, with its defaults but for the cache.

use std::path::Path;

use sled::{Batch, Config, Db};

use crate::data::Key;
use crate::engine::{Engine, Failure, Opened, Opener, Order, Scan, Settings, Visit};

pub(crate) const OPENER: Opener = Opener {
    name: "sled",
    settings: "0.34: no compression; buffered commits reach the disk each 500 ms: kill -9 loses the last of them",
    open,
};

fn open(directory: &Path, settings: Settings) -> Opened {
    let database = Config::new().path(directory).cache_capacity(settings.cache_bytes as u64).open()?;
    Ok(Box::new(Sled { database, durable: settings.durable }))
}

struct Sled {
    database: Db,
    durable: bool,
}

impl Engine for Sled {
    fn put_batch(&self, pairs: &[(Key, Vec<u8>)]) -> Result<(), Failure> {
        if let [(key, value)] = pairs {
            self.database.insert(key, value.as_slice())?;
        } else {
            let mut batch = Batch::default();
            for (key, value) in pairs {
                batch.insert(key, value.as_slice());
            }
            self.database.apply_batch(batch)?;
        }
        if self.durable {
            self.database.flush()?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        Ok(self.database.get(key)?.map(|value| visit(&value)).is_some())
    }

    fn scan(&self, scan: Scan<'_>, visit: Visit<'_>) -> Result<(), Failure> {
        let range = self.database.range::<&[u8], _>(scan.from.unwrap_or_default()..);
        let mut each = |pair: sled::Result<(sled::IVec, sled::IVec)>| -> Result<(), Failure> {
            let (key, value) = pair?;
            visit(&key, if scan.keys_only { &[] } else { &value });
            Ok(())
        };
        match scan.order {
            Order::Forward => range.take(scan.limit).try_for_each(&mut each),
            Order::Reverse => range.rev().take(scan.limit).try_for_each(&mut each),
        }
    }

    fn flush(&self) -> Result<(), Failure> {
        self.database.flush()?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.flush()
    }
}
