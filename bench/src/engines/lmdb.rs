//! LMDB through heed, with its defaults.

use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions};

use crate::data::touch;
use crate::engine::{Engine, Failure, Opener, Order, Settings};

pub(crate) const OPENER: Opener = Opener {
    name: "lmdb",
    settings: "no compression; buffered commits are MDB_NOSYNC, power loss may corrupt",
    open,
};

struct Lmdb {
    environment: Env,
    database: Database<Bytes, Bytes>,
}

fn open(directory: &Path, _settings: Settings) -> Result<Box<dyn Engine>, Failure> {
    let mut options = EnvOpenOptions::new();
    options.map_size(64 << 30).max_readers(64);
    // SAFETY: the directory is a fresh temporary one that nobody else opens, and NO_SYNC only weakens durability, which the
    // settings line states.
    let environment = unsafe { options.flags(EnvFlags::NO_SYNC).open(directory)? };
    let mut txn = environment.write_txn()?;
    let database = environment.create_database(&mut txn, None)?;
    txn.commit()?;
    Ok(Box::new(Lmdb { environment, database }))
}

impl Engine for Lmdb {
    fn put_batch(&self, pairs: &[([u8; 16], Vec<u8>)], durable: bool) -> Result<(), Failure> {
        let mut txn = self.environment.write_txn()?;
        for (key, value) in pairs {
            self.database.put(&mut txn, key, value)?;
        }
        txn.commit()?;
        if durable {
            self.environment.force_sync()?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<u64>, Failure> {
        let txn = self.environment.read_txn()?;
        Ok(self.database.get(&txn, key)?.map(touch))
    }

    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: u64,
        order: Order,
        keys_only: bool,
    ) -> Result<(u64, u64), Failure> {
        let txn = self.environment.read_txn()?;
        let bounds = (Bound::Included(from.unwrap_or(&[0])), Bound::<&[u8]>::Unbounded);
        let (mut count, mut sum) = (0, 0);
        let mut visit = |pair: heed::Result<(&[u8], &[u8])>| -> Result<(), Failure> {
            let (key, value) = pair?;
            count += 1;
            sum += touch(key) + if keys_only { 0 } else { touch(value) };
            Ok(())
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        match order {
            Order::Forward => self.database.range(&txn, &bounds)?.take(limit).try_for_each(&mut visit)?,
            Order::Reverse => self.database.rev_range(&txn, &bounds)?.take(limit).try_for_each(&mut visit)?,
        }
        Ok((count, sum))
    }

    fn settle(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.environment.force_sync()?;
        Ok(())
    }
}
