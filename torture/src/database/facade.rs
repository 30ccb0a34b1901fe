//! The facade, with no threads: background work is done where a commit waits for it, and by `step`.

use std::path::Path;
use std::sync::Arc;

use base::UnixSeconds;
use base::clock::ManualClock;
use base::vfs::Vfs;
use kv::{Db, Durability, Item, Options, SetOptions, Step};

use super::{CommitFailure, Database, Failure, insert};
use crate::history::{Held, State, Write};

#[derive(Debug)]
pub(super) struct FacadeDatabase(Db);

impl FacadeDatabase {
    pub(super) fn open(
        directory: &Path,
        vfs: &Arc<dyn Vfs>,
        clock: &Arc<ManualClock>,
    ) -> Result<Self, Failure> {
        let options = Options::tiny().with_engine_options(super::options());
        let options = options.with_vfs(Arc::clone(vfs)).with_clock(Arc::<ManualClock>::clone(clock));
        Ok(Self(options.open(directory)?))
    }
}

fn held(item: &Item) -> Result<Held, Failure> {
    Ok(Held {
        value: item.value()?.to_vec(),
        version: item.version().0,
        expires_at: item.expires_at().map_or(0, |at| at.0),
        user_meta: item.user_meta(),
    })
}

fn commit(db: &Db, writes: &[Write], durability: Durability) -> kv::Result<u64> {
    let mut txn = db.begin_write()?;
    for write in writes {
        let Some(value) = &write.value else {
            txn.delete(&write.key)?;
            continue;
        };
        let how = SetOptions::new().user_meta(write.user_meta);
        let how = if write.expires_at == 0 { how } else { how.expires_at(UnixSeconds(write.expires_at)) };
        txn.set_with(&write.key, value, &how)?;
    }
    Ok(txn.commit_with(durability)?.0)
}

impl Database for FacadeDatabase {
    fn commit(&self, writes: &[Write], durability: Durability) -> Result<u64, CommitFailure> {
        commit(&self.0, writes, durability).map_err(|error| match error {
            kv::Error::Unknown(cause) => CommitFailure::Unknown(cause.into()),
            other => CommitFailure::NotWritten(other.into()),
        })
    }

    fn step(&self) -> Result<bool, Failure> {
        Ok(self.0.step()? != Step::Idle)
    }

    fn flush(&self) -> Result<(), Failure> {
        Ok(self.0.flush()?)
    }

    fn compact(&self) -> Result<(), Failure> {
        Ok(self.0.compact()?)
    }

    fn sync(&self) -> Result<(), Failure> {
        Ok(self.0.sync()?)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(self.0.close()?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Held>, Failure> {
        self.0.item(key)?.map(|item| held(&item)).transpose()
    }

    fn dump(&self, backward: bool) -> Result<State, Failure> {
        let mut state = State::new();
        let mut items = self.0.iter()?;
        while let Some(item) = if backward { items.next_back() } else { items.next() } {
            let item = item?;
            insert(&mut state, item.key().to_vec(), held(&item)?)?;
        }
        Ok(state)
    }

    fn verify(&self) -> Result<Vec<base::Error>, Failure> {
        Ok(self.0.verify()?.findings)
    }
}
