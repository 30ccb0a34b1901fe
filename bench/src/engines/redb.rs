//! redb, with its defaults but for the cache.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use crate::data::Key;
use crate::engine::{Engine, Failure, Opened, Opener, Order, Scan, Settings, Visit};

pub(crate) const OPENER: Opener = Opener {
    name: "redb",
    settings: "4.6: no compression; buffered commits are Durability::None: kill -9 loses them all",
    open,
};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bench");

fn open(directory: &Path, settings: Settings) -> Opened {
    let database =
        Database::builder().set_cache_size(settings.cache_bytes).create(directory.join("bench.redb"))?;
    let txn = database.begin_write()?;
    txn.open_table(TABLE)?;
    txn.commit()?;
    let durability = if settings.durable { Durability::Immediate } else { Durability::None };
    Ok(Box::new(Redb { database, durability }))
}

struct Redb {
    database: Database,
    durability: Durability,
}

impl Engine for Redb {
    fn put_batch(&self, pairs: &[(Key, Vec<u8>)]) -> Result<(), Failure> {
        let mut txn = self.database.begin_write()?;
        txn.set_durability(self.durability)?;
        {
            let mut table = txn.open_table(TABLE)?;
            for (key, value) in pairs {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        Ok(txn.commit()?)
    }

    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.map(|value| visit(value.value())).is_some())
    }

    fn scan(&self, scan: Scan<'_>, visit: Visit<'_>) -> Result<(), Failure> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        let range = table.range::<&[u8]>(scan.from.unwrap_or_default()..)?;
        let mut each = |key: &[u8], value: &[u8]| visit(key, if scan.keys_only { &[] } else { value });
        match scan.order {
            Order::Forward => {
                for pair in range.take(scan.limit) {
                    let (key, value) = pair?;
                    each(key.value(), value.value());
                }
            }
            Order::Reverse => {
                for pair in range.rev().take(scan.limit) {
                    let (key, value) = pair?;
                    each(key.value(), value.value());
                }
            }
        }
        Ok(())
    }

    /// A durable commit makes the earlier ones durable too.
    fn flush(&self) -> Result<(), Failure> {
        Ok(self.database.begin_write()?.commit()?)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.flush()
    }
}
