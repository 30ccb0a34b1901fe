//! What scripts run on: the engine alone, or the facade, behind one trait.

mod engine;
mod facade;

use std::collections::btree_map::Entry;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base::clock::ManualClock;
use base::vfs::Vfs;

use crate::finding::Finding;
use crate::history::{Held, State, Write};

pub(crate) use self::engine::{held, held_item};
pub use ::engine::Durability;
use ::engine::Options;

/// Tiny limits, and memtables that a few commits fill: a script of some dozens of operations must see several of them, with
/// commits between the steps of a flush, which an operation that flushes does not have.
fn options() -> Options {
    Options { memtable_bytes: 1 << 10, ..Options::tiny() }
}

/// Where the database lives in the file system under test.
pub const DIRECTORY: &str = "/db";

/// Why an operation did not succeed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The storage below.
    Storage(base::Error),
    /// Background work has nothing to do before it has done what it should: the tables that are left are read as damaged.
    Idle,
    /// A refusal of the facade.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "{error}"),
            Self::Idle => write!(f, "background work is idle before it is done"),
            Self::Refused(why) => write!(f, "{why}"),
        }
    }
}

impl From<base::Error> for Failure {
    fn from(error: base::Error) -> Self {
        Self::Storage(error)
    }
}

impl From<kv::Error> for Failure {
    fn from(error: kv::Error) -> Self {
        error.storage().cloned().map_or_else(|| Self::Refused(error.to_string()), Self::Storage)
    }
}

/// An error where nothing may fail.
impl From<Failure> for Finding {
    fn from(failure: Failure) -> Self {
        Self::new(format!("unexpected error: {failure}"))
    }
}

/// Why a commit did not succeed.
#[derive(Clone, Debug)]
pub enum CommitFailure {
    /// Nothing was written.
    NotWritten(Failure),
    /// It is there after reopening, whole, or it is not.
    Unknown(Failure),
}

impl From<CommitFailure> for Finding {
    fn from(failure: CommitFailure) -> Self {
        match failure {
            CommitFailure::NotWritten(failure) => Self::from(failure).at("a commit was refused"),
            CommitFailure::Unknown(failure) => Self::from(failure).at("the outcome of a commit is unknown"),
        }
    }
}

/// An open database.
pub trait Database: Send {
    /// Commits `writes`, whose keys are distinct; the version it got.
    ///
    /// # Errors
    /// See [`CommitFailure`].
    fn commit(&self, writes: &[Write], durability: Durability) -> Result<u64, CommitFailure>;

    /// Does one piece of background work; false when there was none.
    ///
    /// # Errors
    /// That of the work.
    fn step(&self) -> Result<bool, Failure>;

    /// Writes everything in memory to tables.
    ///
    /// # Errors
    /// That of the work.
    fn flush(&self) -> Result<(), Failure>;

    /// Rewrites everything into the last level.
    ///
    /// # Errors
    /// That of the work.
    fn compact(&self) -> Result<(), Failure>;

    /// Makes every acknowledged commit durable.
    ///
    /// # Errors
    /// That of the sync.
    fn sync(&self) -> Result<(), Failure>;

    /// Closes it in good order.
    ///
    /// # Errors
    /// That of the last flush.
    fn close(self: Box<Self>) -> Result<(), Failure>;

    /// What `key` holds now.
    ///
    /// # Errors
    /// That of the read.
    fn get(&self, key: &[u8]) -> Result<Option<Held>, Failure>;

    /// Everything it holds now, read from the front, or from the back.
    ///
    /// # Errors
    /// That of the first read that failed.
    fn dump(&self, backward: bool) -> Result<State, Failure>;

    /// What is wrong inside.
    ///
    /// # Errors
    /// What kept it from looking.
    fn verify(&self) -> Result<Vec<base::Error>, Failure>;
}

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatabaseKind {
    /// `engine::Engine`, driven step by step.
    Engine,
    /// `kv::Db`, without threads of its own.
    Facade,
}

impl DatabaseKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Engine, Self::Facade];

    /// Opens it with tiny limits, and without any other option.
    ///
    /// # Errors
    /// That of the open.
    pub fn open(self, vfs: &Arc<dyn Vfs>, clock: &Arc<ManualClock>) -> Result<Box<dyn Database>, Failure> {
        let directory = Path::new(DIRECTORY);
        Ok(match self {
            Self::Engine => Box::new(engine::EngineDatabase::open(directory, vfs, clock)?),
            Self::Facade => Box::new(facade::FacadeDatabase::open(directory, vfs, clock)?),
        })
    }
}

/// Inserts into a dump; a key that comes twice is the finding.
fn insert(state: &mut State, key: Vec<u8>, held: Held) -> Result<(), Failure> {
    match state.entry(key) {
        Entry::Vacant(place) => {
            place.insert(held);
            Ok(())
        }
        Entry::Occupied(place) => {
            Err(Failure::Refused(format!("a scan returned key {} twice", place.key().escape_ascii())))
        }
    }
}
