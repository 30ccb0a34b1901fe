//! redb 4, with its defaults but for the cache.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use crate::data::touch;
use crate::engine::{Engine, Failure, Opener, Order, Settings};

pub(crate) const OPENER: Opener =
    Opener { name: "redb", settings: "no compression; buffered commits are lost at kill -9", open };

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bench");

struct Redb(Database);

fn open(directory: &Path, settings: Settings) -> Result<Box<dyn Engine>, Failure> {
    let database =
        Database::builder().set_cache_size(settings.cache_bytes).create(directory.join("bench.redb"))?;
    let txn = database.begin_write()?;
    txn.open_table(TABLE)?;
    txn.commit()?;
    Ok(Box::new(Redb(database)))
}

impl Engine for Redb {
    fn put_batch(&self, pairs: &[([u8; 16], Vec<u8>)], durable: bool) -> Result<(), Failure> {
        let mut txn = self.0.begin_write()?;
        txn.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
        {
            let mut table = txn.open_table(TABLE)?;
            for (key, value) in pairs {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        txn.commit()?;
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<u64>, Failure> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.map(|value| touch(value.value())))
    }

    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: u64,
        order: Order,
        keys_only: bool,
    ) -> Result<(u64, u64), Failure> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let range = table.range::<&[u8]>(from.unwrap_or_default()..)?;
        let (mut count, mut sum) = (0, 0);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut visit = |key: &[u8], value: &[u8]| {
            count += 1;
            sum += touch(key) + if keys_only { 0 } else { touch(value) };
        };
        match order {
            Order::Forward => {
                for pair in range.take(limit) {
                    let (key, value) = pair?;
                    visit(key.value(), value.value());
                }
            }
            Order::Reverse => {
                for pair in range.rev().take(limit) {
                    let (key, value) = pair?;
                    visit(key.value(), value.value());
                }
            }
        }
        Ok((count, sum))
    }

    fn settle(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}
