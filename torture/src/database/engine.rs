//! The engine alone, all its background work done in the calling thread.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use base::clock::{Clock, ManualClock};
use base::vfs::Vfs;
use base::{Entry, Retention, SharedEntry, UnixSeconds};
use bytes::Bytes;
use engine::{CommitError, Durability, Engine, Environment, Pressure, ScanItem, ScanOptions, Step};

use super::{CommitFailure, Database, Failure, insert};
use crate::history::{Held, State, Write};

/// Tiny databases need a few hundred steps at most.
const STEPS_MAX: usize = 20_000;

#[derive(Debug)]
pub(super) struct EngineDatabase {
    engine: Engine,
    clock: Arc<ManualClock>,
}

impl EngineDatabase {
    pub(super) fn open(
        directory: &Path,
        vfs: &Arc<dyn Vfs>,
        clock: &Arc<ManualClock>,
    ) -> Result<Self, Failure> {
        let environment = Environment { vfs: Arc::clone(vfs), clock: Arc::<ManualClock>::clone(clock) };
        let engine = Engine::open(directory, super::options(), environment)?;
        Ok(Self { engine, clock: Arc::clone(clock) })
    }

    fn do_step(&self) -> Result<Step, Failure> {
        let retention = || Retention::new(self.engine.visible().load(), [], self.clock.now());
        Ok(self.engine.step(&retention)?)
    }

    /// Steps until `is_done`, which background work must bring about.
    fn work_until(&self, is_done: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
        for _ in 0..STEPS_MAX {
            if is_done()? {
                return Ok(());
            }
            if self.do_step()? == Step::Idle && !is_done()? {
                return Err(Failure::Idle);
            }
        }
        Err(Failure::Refused("background work does not end".to_owned()))
    }
}

fn entry(write: &Write) -> Entry<'_> {
    let entry = write.value.as_deref().map_or(Entry::tombstone(), Entry::inline);
    let expires_at = (write.expires_at > 0).then_some(UnixSeconds(write.expires_at));
    Entry { expires_at, user_meta: write.user_meta, ..entry }
}

pub(crate) fn held(entry: &SharedEntry, value: Option<Bytes>) -> Result<Held, Failure> {
    let expires_at = entry.expires_at.map_or(0, |at| at.0);
    Ok(Held { value: live(value)?, version: entry.version.0, expires_at, user_meta: entry.user_meta })
}

/// The same of an item of a scan.
pub(crate) fn held_item(item: &ScanItem) -> Result<Held, Failure> {
    let expires_at = item.expires_at().map_or(0, |at| at.0);
    let (version, user_meta) = (item.version().0, item.user_meta());
    Ok(Held { value: live(item.value()?)?, version, expires_at, user_meta })
}

fn live(value: Option<Bytes>) -> Result<Vec<u8>, Failure> {
    let value = value.ok_or_else(|| Failure::Refused("a live entry has no value".to_owned()))?;
    Ok(value.to_vec())
}

impl Database for EngineDatabase {
    fn commit(&self, writes: &[Write], durability: Durability) -> Result<u64, CommitFailure> {
        let may_go_on = || Ok(self.engine.pressure() != Pressure::Stop);
        self.work_until(may_go_on).map_err(CommitFailure::NotWritten)?;
        let entries = writes.iter().map(|write| (write.key.as_slice(), entry(write)));
        let prepared =
            self.engine.prepare(entries).map_err(|error| CommitFailure::NotWritten(error.into()))?;
        match self.engine.commit(prepared, durability, |_| Ok::<(), Infallible>(())) {
            Ok(version) => Ok(version.0),
            Err(CommitError::Refused(never)) => match never {},
            Err(CommitError::NotWritten(error)) => Err(CommitFailure::NotWritten(error.into())),
            Err(CommitError::Unknown(error)) => Err(CommitFailure::Unknown(error.into())),
        }
    }

    fn step(&self) -> Result<bool, Failure> {
        Ok(self.do_step()? != Step::Idle)
    }

    fn flush(&self) -> Result<(), Failure> {
        self.work_until(|| Ok(self.engine.rotate()?))?;
        self.work_until(|| Ok(!self.engine.has_frozen()))
    }

    fn compact(&self) -> Result<(), Failure> {
        self.flush()?;
        self.engine.request_compaction()?;
        self.work_until(|| Ok(!self.engine.is_compacting()))
    }

    fn sync(&self) -> Result<(), Failure> {
        Ok(self.engine.sync()?)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.engine.stop_commits();
        self.flush()?;
        Ok(self.engine.finish_close()?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Held>, Failure> {
        let Some(found) = self.engine.get(key, self.engine.visible().load())? else { return Ok(None) };
        let entry = found.entry.as_entry();
        if !entry.is_live(self.clock.now()) {
            return Ok(None);
        }
        Ok(Some(held(&found.entry, found.value(key)?)?))
    }

    fn dump(&self, backward: bool) -> Result<State, Failure> {
        let mut scan = self.engine.scan(ScanOptions::at(self.engine.visible().load(), self.clock.now()));
        let mut state = State::new();
        while let Some(item) = if backward { scan.next_back()? } else { scan.next()? } {
            insert(&mut state, item.user_key().to_vec(), held_item(&item)?)?;
        }
        Ok(state)
    }

    fn verify(&self) -> Result<Vec<base::Error>, Failure> {
        Ok(self.engine.verify(&mut |_, _| {})?.findings)
    }
}
