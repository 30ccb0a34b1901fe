//! Everything that can be read of a database, errors included.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::{Clock, ManualClock};
use base::vfs::{MemVfs, Vfs};
use base::{Error, Retention, UnixSeconds};
use engine::{Engine, Environment, Options, ScanOptions, Step, TableAccess};

use crate::database::{DIRECTORY, Failure, held, held_item};
use crate::finding::{Checked, Finding, demand};
use crate::history::Held;
use crate::script::START_SECONDS;

use super::reference::all_keys;

/// More steps than any database of the campaign needs to come to rest.
const STEPS_MAX: usize = 500;

/// What a scan gave before it ended.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) items: Vec<(Vec<u8>, Held)>,
    pub(super) error: Option<Error>,
}

/// What a key held, if it could be read.
pub(super) type Got = Result<Option<Held>, Error>;

/// Everything that was read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) forward: Scanned,
    pub(super) backward: Scanned,
    pub(super) gets: Vec<(Vec<u8>, Got)>,
    pub(super) verified: Result<Vec<Error>, Error>,
}

/// A database that has opened.
pub(super) struct Opened {
    engine: Engine,
    clock: Arc<ManualClock>,
}

/// How it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    ReadWrite,
    ReadOnly,
}

pub(super) fn open(disk: &MemVfs, access: TableAccess, mode: Mode) -> Result<Opened, Error> {
    let clock = Arc::new(ManualClock::new(UnixSeconds(START_SECONDS)));
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let environment = Environment { vfs, clock: Arc::<ManualClock>::clone(&clock) };
    let options = Options { access, ..Options::tiny() };
    let open = match mode {
        Mode::ReadWrite => Engine::open,
        Mode::ReadOnly => Engine::open_read_only,
    };
    Ok(Opened { engine: open(Path::new(DIRECTORY), options, environment)?, clock })
}

/// An error of the storage stays one; anything else is a finding.
fn storage<T>(outcome: Result<T, Failure>) -> Checked<Result<T, Error>> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Storage(error)) => Ok(Err(error)),
        Err(refused) => Err(Finding::from(refused)),
    }
}

impl Opened {
    /// Reads all of it, in every way.
    pub(super) fn read(&self) -> Checked<Reading> {
        let gets = all_keys().map(|key| Ok((key.clone(), storage(self.get(&key))?)));
        Ok(Reading {
            forward: self.scan(false)?,
            backward: self.scan(true)?,
            gets: gets.collect::<Checked<_>>()?,
            verified: self.engine.verify(&mut |_, _| {}).map(|verified| verified.findings),
        })
    }

    /// What is wrong inside.
    pub(super) fn verify(&self) -> Result<Vec<Error>, Error> {
        self.engine.verify(&mut |_, _| {}).map(|verified| verified.findings)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Held>, Failure> {
        let Some(found) = self.engine.get(key, self.engine.visible().load())? else { return Ok(None) };
        if !found.entry.as_entry().is_live(self.clock.now()) {
            return Ok(None);
        }
        Ok(Some(held(&found.entry, found.value(key)?)?))
    }

    fn scan(&self, backward: bool) -> Checked<Scanned> {
        let mut scan = self.engine.scan(ScanOptions::at(self.engine.visible().load(), self.clock.now()));
        let mut scanned = Scanned::default();
        loop {
            let item = match if backward { scan.next_back() } else { scan.next() } {
                Ok(Some(item)) => item,
                Ok(None) => return Ok(scanned),
                Err(error) => return Ok(Scanned { error: Some(error), ..scanned }),
            };
            match storage(held_item(&item))? {
                Ok(held) => scanned.items.push((item.user_key().to_vec(), held)),
                Err(error) => return Ok(Scanned { error: Some(error), ..scanned }),
            }
        }
    }

    /// Does all background work, damage or not; the errors that it met.
    pub(super) fn settle(&self) -> Checked<Vec<Error>> {
        let mut errors = Vec::new();
        for _ in 0..STEPS_MAX {
            let retention = || Retention::new(self.engine.visible().load(), [], self.clock.now());
            match self.engine.step(&retention) {
                Ok(Step::Idle) => return Ok(errors),
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
        }
        let last = errors.last().map(ToString::to_string).unwrap_or_default();
        Err(Finding::new(format!("background work does not end; {} errors, the last: {last}", errors.len())))
    }

    /// Asks for everything to be rewritten, does it, and closes.
    pub(super) fn work_and_close(self) -> Checked<Vec<Error>> {
        self.engine.request_compaction()?;
        let errors = self.settle()?;
        self.engine.stop_commits();
        for _ in 0..STEPS_MAX {
            if self.engine.rotate()? {
                break;
            }
            self.settle()?;
        }
        self.settle()?;
        demand(!self.engine.has_frozen(), || "a memtable is never flushed".to_owned())?;
        self.engine.finish_close()?;
        Ok(errors)
    }
}

/// The file that an error names, when it is of a kind that damage may give.
pub(super) fn named(error: &Error) -> Option<&PathBuf> {
    match error {
        Error::Corruption { file, .. } | Error::Unsupported { file, .. } => Some(file),
        _ => None,
    }
}
