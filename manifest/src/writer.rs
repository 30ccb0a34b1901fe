//! The one writer of a manifest: validates, makes durable, then applies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::header::DatabaseId;
use base::record::Stamp;
use base::seeded::{self, Bug};
use base::vfs::{Vfs, temporary_name};
use base::{Error, Halt, Result};

use crate::format::{FILE_NAME, KIND_EDIT};
use crate::log::Log;
use crate::{Edit, Invalid, State, codec, snapshot};

/// How many file numbers a new database may use before its first own lease.
pub const INITIAL_LEASE: u64 = 64;

/// Edits may take this much in any case before the file is rewritten, in bytes.
const REWRITE_BYTES_MIN: u64 = 64 << 10;
/// Beyond that, the whole file may be this many times as large as its snapshot.
const REWRITE_FACTOR: u64 = 4;

/// Why an edit did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// The edit contradicts the state; nothing was written.
    #[error("invalid manifest edit: {0}")]
    Invalid(#[from] Invalid),
    /// It is too large ([`Error::LimitExceeded`]), there is no space for it ([`Error::NoSpace`]; nothing was written,
    /// try again), or the storage failed and the manifest takes no more edits until it is reopened.
    #[error(transparent)]
    Storage(#[from] Error),
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Invalid(invalid) => Self::invalid("manifest edit", invalid.to_string()),
            CommitError::Storage(error) => error,
        }
    }
}

/// A manifest that is being written. Its owner holds the lock on the directory.
#[derive(Debug)]
pub struct Manifest {
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    /// `None` while the file is still the one that was read.
    log: Option<Log>,
    state: State,
    halt: Arc<Halt>,
    rewrite_bytes_min: u64,
    rewrite_at: u64,
}

impl Manifest {
    /// Writes the manifest of a new database, with a first lease of [`INITIAL_LEASE`] file numbers. Durable when it
    /// returns.
    ///
    /// # Errors
    /// When `directory` has a manifest already, or the system's.
    pub fn create(vfs: Arc<dyn Vfs>, directory: &Path, database_id: DatabaseId) -> Result<Self> {
        Self::create_with_lease(vfs, directory, database_id, INITIAL_LEASE)
    }

    /// As [`Manifest::create`], with a first lease of `lease` file numbers.
    ///
    /// # Errors
    /// As [`Manifest::create`].
    pub fn create_with_lease(
        vfs: Arc<dyn Vfs>,
        directory: &Path,
        database_id: DatabaseId,
        lease: u64,
    ) -> Result<Self> {
        let path = directory.join(FILE_NAME);
        if vfs.exists(&path)? {
            return Err(Error::io("create", &path, std::io::Error::from(std::io::ErrorKind::AlreadyExists)));
        }
        let mut state = State::new(database_id);
        state.absorb(Edit { numbers_below: Some(1 + lease), ..Edit::default() }, 1);
        Self::replace(vfs, directory, state)
    }

    /// Takes over the manifest in `directory`, from which `state` was read, and writes nothing yet: the first edit replaces
    /// the file by a snapshot that includes it, for a file that was replayed is never continued.
    ///
    /// # Errors
    /// When there are no edit numbers left.
    pub fn resume(vfs: Arc<dyn Vfs>, directory: &Path, mut state: State) -> Result<Self> {
        state.edit_number = number_after_read(&state)?;
        Ok(Self {
            vfs,
            directory: directory.to_path_buf(),
            log: None,
            state,
            halt: Arc::new(Halt::new()),
            rewrite_bytes_min: REWRITE_BYTES_MIN,
            rewrite_at: 0,
        })
    }

    /// Replaces the manifest in `directory` by a snapshot of `state`, which was read from it, under a new edit
    /// number. Durable when it returns: what was read from the old file may not have been.
    ///
    /// # Errors
    /// The system's. The old manifest is there, or the new one.
    pub fn reopen(vfs: Arc<dyn Vfs>, directory: &Path, mut state: State) -> Result<Self> {
        state.edit_number = number_after_read(&state)?;
        Self::replace(vfs, directory, state)
    }

    fn replace(vfs: Arc<dyn Vfs>, directory: &Path, state: State) -> Result<Self> {
        let log = prepare(&*vfs, directory, &state).map_err(|failure| failure.error)?;
        let log = install(&*vfs, directory, log).map_err(|failure| failure.error)?;
        let rewrite_at = rewrite_threshold(log.position(), REWRITE_BYTES_MIN);
        Ok(Self {
            vfs,
            directory: directory.to_path_buf(),
            log: Some(log),
            state,
            halt: Arc::new(Halt::new()),
            rewrite_bytes_min: REWRITE_BYTES_MIN,
            rewrite_at,
        })
    }

    /// Sets how large the file may grow in any case before it is rewritten, in bytes. Default 64 KiB; tests lower it.
    #[must_use]
    pub fn with_rewrite_bytes_min(mut self, bytes: u64) -> Self {
        self.rewrite_bytes_min = bytes;
        self.rewrite_at = rewrite_threshold(self.byte_len(), bytes);
        self
    }

    /// The sum of all committed edits.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// True after a failed write or sync, or a panic in one: whether the last edit is on disk is unknown, and no further one is taken.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.halt.is_tripped()
    }

    /// True while the file is the one that was read: nothing was committed since [`Manifest::resume`].
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.log.is_none()
    }

    /// The length of the file, in bytes; 0 before the first edit after [`Manifest::resume`].
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::position)
    }

    /// Validates `edit`, makes it durable, applies it. What it names must be durable before; what it unlists may be
    /// removed after.
    ///
    /// # Errors
    /// [`CommitError::Invalid`], [`Error::LimitExceeded`] and [`Error::NoSpace`] leave all as it was. After any other
    /// error it is unknown whether the edit will be there when the manifest is read again, and every later commit
    /// fails with [`Error::Halted`]. So does this one when the disk is full in the middle of the write, which happens
    /// where space cannot be reserved.
    pub fn commit(&mut self, edit: Edit) -> Result<(), CommitError> {
        self.halt.check()?;
        self.state.check(&edit)?;
        let number = self.state.next_edit_number()?;
        let payload = codec::encode(&edit)?;
        let mut in_flight = InFlight { halt: Arc::clone(&self.halt), has_ended: false };
        let written = self.write(edit, &payload, number);
        in_flight.has_ended = true;
        Ok(written?)
    }

    /// Makes the edit durable, in a new file or behind the others, and applies it.
    fn write(&mut self, edit: Edit, payload: &[u8], number: u64) -> Result<()> {
        if self.is_untouched() || self.byte_len() >= self.rewrite_at {
            match self.rewrite_with(&edit, number) {
                Ok(()) => return Ok(()),
                Err(failure) if !failure.is_harmless => return Err(self.stop(failure.error)),
                Err(failure) if self.is_untouched() => return Err(failure.error),
                // The old file goes on. The next attempt waits until it has grown as much again.
                Err(_) => self.rewrite_at = self.byte_len().saturating_mul(2),
            }
        }
        let stamp = Stamp { number, version: 0, mark: self.state.edit_number() };
        let Some(log) = &mut self.log else {
            return Err(Error::invalid("manifest edit", "there is no file to append it to"));
        };
        match append(log, payload, stamp) {
            Ok(()) => {
                self.state.absorb(edit, number);
                Ok(())
            }
            Err(failure) if failure.is_harmless => Err(failure.error),
            Err(failure) => Err(self.stop(failure.error)),
        }
    }

    /// Takes no further edit. The edit in flight may be on disk, so a disk that was full in the middle of it must not
    /// be reported as [`Error::NoSpace`], which promises that nothing was written.
    fn stop(&self, cause: Error) -> Error {
        let cause = self.halt.trip(cause);
        if cause.is_no_space() { Error::Halted { cause: Arc::new(cause) } } else { cause }
    }

    /// Replaces the file by a snapshot that includes `edit`.
    fn rewrite_with(&mut self, edit: &Edit, number: u64) -> Result<(), Failure> {
        let mut state = self.state.clone();
        state.absorb(edit.clone(), number);
        let log = prepare(&*self.vfs, &self.directory, &state)?;
        let log = install(&*self.vfs, &self.directory, log)?;
        self.rewrite_at = rewrite_threshold(log.position(), self.rewrite_bytes_min);
        self.log = Some(log);
        self.state = state;
        Ok(())
    }
}

/// The edit number to go on from: the next one may have been that of an edit which was lost with a torn record, and of a
/// ledger of it.
fn number_after_read(state: &State) -> Result<u64> {
    let number = state.edit_number.checked_add(2);
    number.ok_or_else(|| CommitError::from(Invalid::NumbersExhausted).into())
}

/// Appends an edit and makes it durable.
fn append(log: &mut Log, payload: &[u8], stamp: Stamp) -> Result<(), Failure> {
    let in_doubt = |error| Failure { error, is_harmless: false };
    let record =
        log.record(KIND_EDIT, payload, stamp).map_err(|error| Failure { error, is_harmless: true })?;
    log.reserve(&record).map_err(Failure::before_writing)?;
    log.append(&record).and_then(|()| log.sync()).map_err(in_doubt)
}

/// An edit that is being written. A panic in the middle leaves it in doubt, as a failure does: another edit behind it, under the
/// same number, would make the file unreadable.
struct InFlight {
    halt: Arc<Halt>,
    has_ended: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.has_ended {
            self.halt
                .trip(Error::invalid("manifest", "its writer panicked in the middle of an edit; reopen it"));
        }
    }
}

fn rewrite_threshold(snapshot_bytes: u64, bytes_min: u64) -> u64 {
    snapshot_bytes.saturating_mul(REWRITE_FACTOR).max(bytes_min)
}

/// An edit that was not made durable. Harmless: the file is as it was, and all that went wrong is a lack of space, or of
/// whatever it takes to create a file.
struct Failure {
    error: Error,
    is_harmless: bool,
}

impl Failure {
    fn before_writing(error: Error) -> Self {
        Self { is_harmless: error.is_no_space(), error }
    }

    fn before_rename(error: Error) -> Self {
        Self { is_harmless: error.is_no_space() || !error.is_write_failure(), error }
    }

    fn after_rename(error: Error) -> Self {
        Self { is_harmless: false, error }
    }
}

/// Writes and syncs the file that is to be the manifest, under its temporary name.
fn prepare(vfs: &dyn Vfs, directory: &Path, state: &State) -> Result<Log, Failure> {
    let temporary = temporary_name(&directory.join(FILE_NAME));
    let prepared = write_snapshot(vfs, &temporary, state);
    prepared.map_err(|error| {
        // Best effort: the next attempt removes a left-over, and the first error is the one that matters.
        let _left_over = vfs.remove(&temporary);
        Failure::before_rename(error)
    })
}

fn write_snapshot(vfs: &dyn Vfs, path: &Path, state: &State) -> Result<Log> {
    if vfs.exists(path)? {
        vfs.remove(path)?;
    }
    let mut log = Log::create(vfs, path, state.database_id())?;
    let stamp = Stamp { number: state.edit_number(), version: 0, mark: 0 };
    snapshot::for_each_part(state, |kind, part| {
        let record = log.record(kind, &codec::encode(&part)?, stamp)?;
        log.append(&record)
    })?;
    log.sync()?;
    Ok(log)
}

/// Gives the prepared file its name, durably.
fn install(vfs: &dyn Vfs, directory: &Path, log: Log) -> Result<Log, Failure> {
    let path = directory.join(FILE_NAME);
    vfs.rename(&temporary_name(&path), &path).map_err(Failure::before_rename)?;
    if !seeded::is(Bug::SkipManifestDirectorySync) {
        vfs.sync_dir(directory).map_err(Failure::after_rename)?;
    }
    log.renamed(vfs, &path).map_err(Failure::after_rename)
}
