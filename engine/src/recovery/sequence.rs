//! Finds the commits that count: one sequence by number over all logs, which ends for good at the first commit that is
//! missing or damaged.
//!
//! A mark says up to which number everything was durable. A sequence that ends below the highest mark is damage, never a
//! torn tail. Above the mark a commit counts only when its values are whole too: they were never known to be durable.

use base::seeded::{self, Bug};
use base::{Error, Result};
use bytes::Bytes;

use super::survey::{CommitRecord, LogSurvey};

/// The commits that count, in order.
#[derive(Debug)]
pub(crate) struct Sequence {
    /// Index of the log, index of the commit in it, and the verified payload.
    pub(crate) commits: Vec<(usize, usize, Bytes)>,
    /// The highest number known durable.
    pub(crate) mark: u64,
    /// The number of the last commit that counts.
    pub(crate) last: u64,
    /// The highest number and version that were ever given out, as far as it shows.
    pub(crate) highest_number: u64,
    pub(crate) highest_version: u64,
    /// Bytes behind the last commit that counts.
    pub(crate) torn_bytes: u64,
}

/// Merges the logs into one sequence, from the first commit after `flushed`.
///
/// # Errors
/// [`Error::Corruption`] when a commit that was durable is missing or damaged, or the system's.
pub(crate) fn sequence(logs: &[LogSurvey], flushed: u64) -> Result<Sequence> {
    let mut order: Vec<(u64, usize, usize)> = Vec::new();
    for (log_index, log) in logs.iter().enumerate() {
        let numbered =
            log.commits.iter().enumerate().map(|(index, commit)| (commit.number(), log_index, index));
        order.extend(numbered.filter(|(number, ..)| *number > flushed));
    }
    order.sort_unstable();
    let highest = |of: fn(&LogSurvey) -> u64| logs.iter().map(of).max().unwrap_or(0);
    let mut found = Sequence {
        commits: Vec::with_capacity(order.len()),
        mark: highest(|log| log.highest_mark).max(flushed),
        last: flushed,
        highest_number: highest(|log| log.highest_number).max(flushed),
        highest_version: highest(|log| log.highest_version),
        torn_bytes: 0,
    };
    let mut ended_by = None;
    let mut last_version = 0;
    for (number, log_index, index) in order {
        let Some((log, commit)) = logs.get(log_index).and_then(|log| Some((log, log.commits.get(index)?)))
        else {
            continue;
        };
        if number != found.last + 1 && !seeded::is(Bug::RecoveryJumpsHoles) {
            break;
        }
        if commit.located.header.version <= last_version {
            let what = "versions of commits do not rise";
            return Err(Error::corruption(&log.path, commit.located.offset, what));
        }
        match read_commit(log, commit, number > found.mark) {
            Ok(payload) => found.commits.push((log_index, index, payload)),
            Err(error) if error.is_corruption() => {
                ended_by = Some(error);
                break;
            }
            Err(error) => return Err(error),
        }
        found.last = number;
        last_version = commit.located.header.version;
    }
    if found.last < found.mark && !seeded::is(Bug::TornTailHidesDurableCommits) {
        return Err(ended_by.unwrap_or_else(|| missing(logs, found.last + 1, found.mark)));
    }
    if seeded::is(Bug::RecoveryTrustsTheCache) {
        found.mark = found.last;
    }
    found.torn_bytes = torn_bytes(logs, found.last);
    Ok(found)
}

/// The verified payload of a commit; above the mark its values are verified as well.
fn read_commit(log: &LogSurvey, commit: &CommitRecord, check_values: bool) -> Result<Bytes> {
    if check_values {
        for value in log.values.get(commit.values.clone()).unwrap_or_default() {
            log.payload(value)?;
        }
    }
    log.payload(&commit.located)
}

/// The error for a durable commit that no log holds: names the log that ends where it should go on.
fn missing(logs: &[LogSurvey], number: u64, mark: u64) -> Error {
    let ends_before = |log: &&LogSurvey| log.commits.last().is_none_or(|commit| commit.number() < number);
    let suspect =
        logs.iter().filter(ends_before).max_by_key(|log| log.commits.last().map(CommitRecord::number));
    let what = format!("commit {number} is missing, although everything up to {mark} was durable");
    match suspect.or(logs.first()) {
        Some(log) => Error::corruption(&log.path, log.end, what),
        None => Error::corruption(std::path::Path::new("MANIFEST"), 0, what),
    }
}

fn torn_bytes(logs: &[LogSurvey], last: u64) -> u64 {
    let torn = |log: &LogSurvey| {
        let counted = log.commits.iter().rev().find(|commit| commit.number() <= last);
        let end = counted.map_or(base::header::CONTENT_START, CommitRecord::end);
        log.seen_len.saturating_sub(end)
    };
    logs.iter().map(torn).sum()
}
