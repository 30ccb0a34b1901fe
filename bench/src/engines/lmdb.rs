//! LMDB through heed, with its defaults; it has no cache but the system's.

use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, WithTls};

use crate::data::Key;
use crate::engine::{Engine, Failure, Opened, Opener, Order, Scan, Settings, Visit};

pub(crate) const OPENER: Opener = Opener {
    name: "lmdb",
    settings: "heed 0.22: no compression, no checksums; buffered commits are MDB_NOSYNC: they survive kill -9, power \
               loss may corrupt all",
    open,
};

/// The most that fits, in bytes; LMDB wants to know.
const MAP_BYTES: usize = 64 << 30;

fn open(directory: &Path, settings: Settings) -> Opened {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_readers(64);
    let flags = if settings.durable { EnvFlags::empty() } else { EnvFlags::NO_SYNC };
    // SAFETY: the directory is a fresh one that nobody else opens, and NO_SYNC only weakens durability, which the settings state.
    let environment = unsafe { options.flags(flags).open(directory)? };
    let mut txn = environment.write_txn()?;
    let database = environment.create_database(&mut txn, None)?;
    txn.commit()?;
    Ok(Box::new(Lmdb { environment, database }))
}

struct Lmdb {
    environment: Env<WithTls>,
    database: Database<Bytes, Bytes>,
}

impl Engine for Lmdb {
    fn put_batch(&self, pairs: &[(Key, Vec<u8>)]) -> Result<(), Failure> {
        let mut txn = self.environment.write_txn()?;
        for (key, value) in pairs {
            self.database.put(&mut txn, key, value)?;
        }
        Ok(txn.commit()?)
    }

    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let txn = self.environment.read_txn()?;
        Ok(self.database.get(&txn, key)?.map(visit).is_some())
    }

    fn scan(&self, scan: Scan<'_>, visit: Visit<'_>) -> Result<(), Failure> {
        let txn = self.environment.read_txn()?;
        let bounds = (scan.from.map_or(Bound::Unbounded, Bound::Included), Bound::<&[u8]>::Unbounded);
        let mut each = |pair: heed::Result<(&[u8], &[u8])>| -> Result<(), Failure> {
            let (key, value) = pair?;
            visit(key, if scan.keys_only { &[] } else { value });
            Ok(())
        };
        match scan.order {
            Order::Forward => self.database.range(&txn, &bounds)?.take(scan.limit).try_for_each(&mut each),
            Order::Reverse => {
                self.database.rev_range(&txn, &bounds)?.take(scan.limit).try_for_each(&mut each)
            }
        }
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(self.environment.force_sync()?)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.environment.force_sync()?;
        // The next open in this process must not find it still open.
        self.environment.prepare_for_closing().wait();
        Ok(())
    }
}
