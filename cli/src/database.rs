//! Opens databases the way the commands need them: for reading without a trace, for writing with a word on what was recovered.

use std::path::Path;

use kv::{Db, Options, ReadOnlyDb};

use crate::args::Common;
use crate::failure::{Failure, Outcome};
use crate::user_files::is_empty_directory;

/// What to do about a database that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A misspelt path should not become a new database.
    Refuse,
    /// The command is one that fills a new database.
    Create,
}

/// What a database uses unless it is told otherwise, in bytes.
const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;

/// A transaction may use a third of the memory, and holds what it writes twice.
const MEMORY_PER_TRANSACTION_BYTE: u64 = 7;

/// Options for commits of up to `transaction_bytes`: one large value should not fail for want of an argument.
fn options(transaction_bytes: u64, common: &Common) -> Outcome<Options> {
    let needed = transaction_bytes.saturating_mul(MEMORY_PER_TRANSACTION_BYTE);
    let memory = common.memory.unwrap_or(needed.max(DEFAULT_MEMORY_BYTES));
    let bytes = usize::try_from(memory)
        .map_err(|_| Failure::Usage(format!("--memory {memory} is larger than this machine can address")))?;
    Ok(Options::new().memory_budget(bytes))
}

/// Opens for reading; not one byte of the database changes.
pub(crate) fn open_to_read(path: &Path, common: &Common) -> Outcome<ReadOnlyDb> {
    refuse_missing(path)?;
    Ok(options(0, common)?.open_read_only(path)?)
}

/// Opens for reading and writing, for commits of up to `transaction_bytes`.
pub(crate) fn open_to_write(
    path: &Path,
    missing: Missing,
    transaction_bytes: u64,
    common: &Common,
) -> Outcome<Db> {
    if missing == Missing::Refuse {
        refuse_missing(path)?;
    }
    let db = options(transaction_bytes, common)?.open(path)?;
    let report = db.recovery_report();
    if report.commits_replayed > 0 {
        common.note(&format!(
            "recovered {} commits that a sudden end had left in the logs",
            report.commits_replayed
        ));
    }
    Ok(db)
}

/// A path with nothing in it is a mistake, unless a database is to be made there.
fn refuse_missing(path: &Path) -> Outcome {
    let hint = "check the path; `kv import` and `kv set --create` make new databases";
    match is_empty_directory(path) {
        Ok(true) => Err(Failure::Storage(format!("{} is empty, not a database: {hint}", path.display()))),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::Storage(format!("there is no database at {}: {hint}", path.display())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(Failure::Storage(format!("{} is a file, a database is a directory: {hint}", path.display())))
        }
        Err(error) => Err(Failure::file("open", path, &error)),
    }
}
