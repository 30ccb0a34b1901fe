//! fjall 3, with its defaults but for cache and memtable.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::data::touch;
use crate::engine::{Engine, Failure, Opener, Order, Settings};

pub(crate) const OPENER: Opener =
    Opener { name: "fjall", settings: "lz4 from L2 on; buffered commits survive kill -9", open };

struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

fn open(directory: &Path, settings: Settings) -> Result<Box<dyn Engine>, Failure> {
    let database =
        Database::builder(directory.join("fjall")).cache_size(settings.cache_bytes as u64).open()?;
    let options = move || KeyspaceCreateOptions::default().max_memtable_size(settings.memtable_bytes as u64);
    let keyspace = database.keyspace("bench", options)?;
    Ok(Box::new(Fjall { database, keyspace }))
}

impl Engine for Fjall {
    fn put_batch(&self, pairs: &[([u8; 16], Vec<u8>)], durable: bool) -> Result<(), Failure> {
        let mut batch = self.database.batch();
        for (key, value) in pairs {
            batch.insert(&self.keyspace, key.as_slice(), value.as_slice());
        }
        batch.commit()?;
        self.database.persist(if durable { PersistMode::SyncData } else { PersistMode::Buffer })?;
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<u64>, Failure> {
        Ok(self.keyspace.get(key)?.map(|value| touch(&value)))
    }

    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: u64,
        order: Order,
        keys_only: bool,
    ) -> Result<(u64, u64), Failure> {
        let range = self.keyspace.range::<&[u8], _>(from.unwrap_or_default()..);
        let (mut count, mut sum) = (0, 0);
        let mut visit = |guard: fjall::Guard| -> Result<(), Failure> {
            if keys_only {
                sum += touch(&guard.key()?);
            } else {
                let (key, value) = guard.into_inner()?;
                sum += touch(&key) + touch(&value);
            }
            count += 1;
            Ok(())
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        match order {
            Order::Forward => range.take(limit).try_for_each(&mut visit)?,
            Order::Reverse => range.rev().take(limit).try_for_each(&mut visit)?,
        }
        Ok((count, sum))
    }

    fn settle(&self) -> Result<(), Failure> {
        self.keyspace.rotate_memtable_and_wait()?;
        std::thread::sleep(std::time::Duration::from_millis(1_000));
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.database.persist(PersistMode::SyncAll)?;
        Ok(())
    }
}
