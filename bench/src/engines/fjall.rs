//! fjall, with its defaults but for cache and memtable; and with values kept apart.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use crate::data::Key;
use crate::engine::{Engine, Failure, Opened, Opener, Order, Scan, Settings, Visit};

pub(crate) const DEFAULT: Opener = Opener {
    name: "fjall",
    settings: "3.1: no compression in L0 and L1, lz4 below; buffered commits survive kill -9",
    open: |directory, settings| open(directory, settings, false),
};

pub(crate) const BLOB: Opener = Opener {
    name: "fjall-blob",
    settings: "3.1: as fjall; values from 1 KiB apart, lz4",
    open: |directory, settings| open(directory, settings, true),
};

fn open(directory: &Path, settings: Settings, separate: bool) -> Opened {
    let database = Database::builder(directory).cache_size(settings.cache_bytes as u64).open()?;
    let options = || {
        let options = KeyspaceCreateOptions::default().max_memtable_size(settings.memtable_bytes as u64);
        if separate { options.with_kv_separation(Some(KvSeparationOptions::default())) } else { options }
    };
    let keyspace = database.keyspace("bench", options)?;
    let mode = if settings.durable { PersistMode::SyncData } else { PersistMode::Buffer };
    Ok(Box::new(Fjall { database, keyspace, mode }))
}

struct Fjall {
    database: Database,
    keyspace: Keyspace,
    mode: PersistMode,
}

impl Engine for Fjall {
    fn put_batch(&self, pairs: &[(Key, Vec<u8>)]) -> Result<(), Failure> {
        let mut batch = self.database.batch().durability(Some(self.mode));
        for (key, value) in pairs {
            batch.insert(&self.keyspace, key.as_slice(), value.as_slice());
        }
        Ok(batch.commit()?)
    }

    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        Ok(self.keyspace.get(key)?.map(|value| visit(&value)).is_some())
    }

    fn scan(&self, scan: Scan<'_>, visit: Visit<'_>) -> Result<(), Failure> {
        let range = self.keyspace.range::<&[u8], _>(scan.from.unwrap_or_default()..);
        let mut each = |guard: fjall::Guard| -> Result<(), Failure> {
            if scan.keys_only {
                visit(&guard.key()?, &[]);
            } else {
                let (key, value) = guard.into_inner()?;
                visit(&key, &value);
            }
            Ok(())
        };
        match scan.order {
            Order::Forward => range.take(scan.limit).try_for_each(&mut each),
            Order::Reverse => range.rev().take(scan.limit).try_for_each(&mut each),
        }
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(self.keyspace.rotate_memtable_and_wait()?)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}
