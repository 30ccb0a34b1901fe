//! canopydb, with its defaults but for cache and checkpoint size.

use std::path::Path;

use canopydb::{Database, DbOptions, EnvOptions};

use crate::data::Key;
use crate::engine::{Engine, Failure, Opened, Opener, Order, Scan, Settings, Visit};

pub(crate) const OPENER: Opener = Opener {
    name: "canopydb",
    settings: "0.2: no compression below 12 KiB, no page checksums; buffered commits survive kill -9",
    open,
};

const TREE: &[u8] = b"bench";

fn open(directory: &Path, settings: Settings) -> Opened {
    let mut environment = EnvOptions::new(directory);
    environment.page_cache_size = settings.cache_bytes;
    let mut options = DbOptions::default();
    // What it keeps in memory until it writes a checkpoint is its memtable.
    options.checkpoint_target_size = settings.memtable_bytes;
    options.default_commit_sync = settings.durable;
    let database = Database::with_options(environment, options)?;
    let txn = database.begin_write()?;
    txn.get_or_create_tree(TREE)?;
    txn.commit()?;
    Ok(Box::new(Canopydb(database)))
}

struct Canopydb(Database);

impl Engine for Canopydb {
    fn put_batch(&self, pairs: &[(Key, Vec<u8>)]) -> Result<(), Failure> {
        let txn = self.0.begin_write()?;
        {
            let mut tree = txn.get_or_create_tree(TREE)?;
            for (key, value) in pairs {
                tree.insert(key, value)?;
            }
        }
        txn.commit()?;
        Ok(())
    }

    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let txn = self.0.begin_read()?;
        let tree = txn.get_tree(TREE)?.ok_or("no tree")?;
        Ok(tree.get(key)?.map(|value| visit(&value)).is_some())
    }

    fn scan(&self, scan: Scan<'_>, visit: Visit<'_>) -> Result<(), Failure> {
        let txn = self.0.begin_read()?;
        let tree = txn.get_tree(TREE)?.ok_or("no tree")?;
        let from = scan.from.unwrap_or_default();
        if scan.keys_only {
            let mut each = |key: Result<canopydb::Bytes, canopydb::Error>| -> Result<(), Failure> {
                visit(&key?, &[]);
                Ok(())
            };
            let range = tree.range_keys::<&[u8]>(from..)?;
            return match scan.order {
                Order::Forward => range.take(scan.limit).try_for_each(&mut each),
                Order::Reverse => range.rev().take(scan.limit).try_for_each(&mut each),
            };
        }
        let mut each =
            |pair: Result<(canopydb::Bytes, canopydb::Bytes), canopydb::Error>| -> Result<(), Failure> {
                let (key, value) = pair?;
                visit(&key, &value);
                Ok(())
            };
        let range = tree.range::<&[u8]>(from..)?;
        match scan.order {
            Order::Forward => range.take(scan.limit).try_for_each(&mut each),
            Order::Reverse => range.rev().take(scan.limit).try_for_each(&mut each),
        }
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(self.0.checkpoint()?)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(self.0.sync()?)
    }
}
