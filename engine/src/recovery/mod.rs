//! Recovery: from the logs of unflushed generations to a state that is durable before anybody sees it.
//!
//! [`check_strays`] asks the files that the manifest does not list whether it is whole. [`survey`] lists every record of every log, [`sequence`] finds the commits that count, [`replay`] brings them into a
//! memtable, and [`SortedWrites`] into the order of tables, which [`write_tables`] writes. Nothing here changes a file that was there;
//! `open` makes the result durable.

mod replay;
mod sequence;
mod sorted;
mod strays;
mod survey;
mod tables;
mod unconfirmed;

use std::time::Duration;

use base::Version;

pub(crate) use replay::{InPlace, replay};
pub(crate) use sequence::{Sequence, sequence};
pub(crate) use sorted::SortedWrites;
pub(crate) use strays::check_strays;
pub(crate) use survey::{LogSurvey, survey};
pub(crate) use tables::write_tables;
pub(crate) use unconfirmed::CopyUnconfirmed;

/// What opening found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The database was created by this open.
    pub created: bool,
    /// It had been closed properly: there was nothing to replay.
    pub clean: bool,
    /// Generations whose logs were read.
    pub generations: usize,
    /// Commits that were replayed from logs.
    pub commits_replayed: u64,
    /// The newest version after recovery.
    pub last_version: Version,
    /// Bytes of logs behind the last commit that counts: an unfinished write, never acknowledged as durable.
    pub torn_bytes: u64,
    /// Values that were copied because they were not known to be durable.
    pub values_copied: u64,
    /// Tables written for the replayed commits.
    pub tables_written: usize,
    /// Files removed that did not belong to the database: left-overs of unfinished work.
    pub files_swept: usize,
    /// How long opening took.
    pub duration: Duration,
}
