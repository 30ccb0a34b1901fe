//! Processes of this same program that campaigns start, so that something can happen to a whole process: death, a race, a
//! disk of its own, a tracer.

mod child;
mod fingerprint;
mod observation;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

use crate::finding::{Checked, Finding};
use crate::{full_disk, kill, race, read_only};

pub(crate) use child::{Child, next_line, this_program};
pub(crate) use fingerprint::Fingerprint;
pub(crate) use observation::{Held, Observation, State, digest_of, observe};

/// What a process that a campaign has started is to do.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Works on a database until it is killed.
    #[command(hide = true)]
    KillWorker(kill::Worker),
    /// Opens a database when it is told to.
    #[command(hide = true)]
    RaceRunner(race::Runner),
    /// Fills a small disk, again and again.
    #[command(hide = true)]
    FullDiskWorker(full_disk::Worker),
    /// Opens a database for reading, and reads everything.
    #[command(hide = true)]
    ReadOnlyReader(read_only::Reader),
}

impl Role {
    /// Does it. What goes wrong is the last line of its standard output.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let outcome = match self {
            Self::KillWorker(worker) => worker.run(),
            Self::RaceRunner(runner) => runner.run(),
            Self::FullDiskWorker(worker) => worker.run(),
            Self::ReadOnlyReader(reader) => reader.run(),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(finding) => {
                say(&format!("{FAILED} {finding}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// How a line begins that says what a child has found.
const FAILED: &str = "failed";

/// The finding that `line` tells of, if it does.
pub(crate) fn failure_of(line: &str) -> Option<Finding> {
    line.strip_prefix(FAILED).map(|why| Finding::new(format!("in a child:{why}")))
}

/// Writes a line to the parent, in one piece. A child whose parent is gone ends.
pub(crate) fn say(line: &str) {
    let line = format!("{}\n", line.replace('\n', " "));
    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
        std::process::exit(1);
    }
}

/// Ends this process when its standard input ends: when the parent is gone, however it went.
///
/// # Errors
/// When the system has no thread left.
pub(crate) fn end_with_parent() -> Checked {
    let wait = || {
        let _bytes = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    };
    let started = std::thread::Builder::new().name("parent-watch".into()).spawn(wait);
    started.map(drop).map_err(|error| Finding::new(format!("cannot start a thread: {error}")))
}

/// A directory of a case's own, removed at its end.
pub(crate) fn scratch() -> Checked<tempfile::TempDir> {
    tempfile::tempdir().map_err(|error| Finding::new(format!("cannot make a directory to work in: {error}")))
}
