//! A process that opens the database whenever it is told to, and holds it until it dies.

use std::fmt;
use std::io::BufRead;
use std::path::PathBuf;

use clap::Args;
use kv::{Db, Options, ReadOnlyDb};

use crate::finding::{Checked, Finding};
use crate::process::{Child, say};

/// The command line of a runner.
#[derive(Clone, Debug, Args)]
pub struct Runner {
    /// The database.
    #[arg(long)]
    path: PathBuf,
}

/// What a runner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Open,
    OpenReadOnly,
}

impl Request {
    const ALL: [Self; 2] = [Self::Open, Self::OpenReadOnly];
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::OpenReadOnly => "open-read-only",
        })
    }
}

/// What a runner says to that; everything else that may happen is a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has the database, which held so many keys.
    Open { keys: u64 },
    /// Another one has it.
    Locked,
}

impl Answer {
    /// The next answer of `runner`.
    pub(super) fn from(runner: &mut Child) -> Checked<Self> {
        let line = runner.line()?.ok_or_else(|| Finding::new("a runner ended without an answer"))?;
        match line.split_once(' ') {
            None if line == "locked" => Ok(Self::Locked),
            Some(("open", keys)) if keys.parse::<u64>().is_ok() => {
                Ok(Self::Open { keys: keys.parse().unwrap_or(0) })
            }
            _ => Err(Finding::new(format!("a runner said {line:?}"))),
        }
    }
}

/// What a runner has got.
#[derive(Debug)]
enum Got {
    Writer(#[expect(dead_code, reason = "held until death")] Db),
    Reader(#[expect(dead_code, reason = "held until death")] ReadOnlyDb),
}

impl Runner {
    pub(crate) fn run(&self) -> Checked {
        let mut held = Vec::new();
        // The end of the input is the end of the parent.
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| Finding::new(format!("cannot hear the parent: {error}")))?;
            let request = Request::ALL.into_iter().find(|request| request.to_string() == line);
            let answer = match request {
                Some(Request::Open) => self.open(),
                Some(Request::OpenReadOnly) => self.open_read_only(),
                None => return Err(Finding::new(format!("the parent said {line:?}"))),
            };
            match answer {
                Ok((keys, got)) => {
                    held.push(got);
                    say(&format!("open {keys}"));
                }
                Err(error) if error.is_locked() => say("locked"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// A winner signs with a key of its own.
    fn open(&self) -> kv::Result<(u64, Got)> {
        let db = Options::tiny().open(&self.path)?;
        let keys = db.iter()?.count() as u64;
        db.set(format!("holder {}", std::process::id()), "held")?;
        Ok((keys, Got::Writer(db)))
    }

    fn open_read_only(&self) -> kv::Result<(u64, Got)> {
        let db = Options::tiny().open_read_only(&self.path)?;
        Ok((db.iter()?.count() as u64, Got::Reader(db)))
    }
}
