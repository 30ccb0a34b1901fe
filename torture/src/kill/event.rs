//! What a worker tells the parent, one line for each event.

use std::fmt;
use std::str::FromStr;

use super::transaction::THREADS_MAX;
use crate::finding::Finding;
use crate::process::{Observation, digest_of};

use super::transaction::marker;

/// What a database showed when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) version: u64,
    pub(super) digest: u64,
    /// The version at which each thread last committed; 0 when it has not.
    pub(super) markers: [u64; THREADS_MAX],
}

impl Opened {
    pub(super) fn new(found: &Observation) -> Self {
        let markers =
            std::array::from_fn(|thread| found.state.get(&marker(thread)).map_or(0, |held| held.version));
        Self { version: found.version, digest: digest_of(&found.state), markers }
    }
}

/// Something that happened in a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It begins to open the database.
    Opening,
    /// The database is open.
    Opened(Opened),
    /// A transaction was acknowledged.
    Done { thread: usize, number: u64, version: u64, digest: u64 },
    /// A transaction was refused; nothing of it may be there.
    Refused { thread: usize, number: u64 },
    /// It begins to close the database.
    Closing,
    /// The database is closed.
    Closed,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening => write!(f, "opening"),
            Self::Opened(Opened { version, digest, markers }) => {
                write!(f, "opened {version} {digest}")?;
                markers.iter().try_for_each(|version| write!(f, " {version}"))
            }
            Self::Done { thread, number, version, digest } => {
                write!(f, "done {thread} {number} {version} {digest}")
            }
            Self::Refused { thread, number } => write!(f, "refused {thread} {number}"),
            Self::Closing => write!(f, "closing"),
            Self::Closed => write!(f, "closed"),
        }
    }
}

impl FromStr for Event {
    type Err = Finding;

    fn from_str(line: &str) -> Result<Self, Finding> {
        let unreadable = || Finding::new(format!("a worker said {line:?}"));
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let numbers: Result<Vec<u64>, _> = words.map(str::parse).collect();
        match (word, &*numbers.map_err(|_| unreadable())?) {
            ("opening", []) => Ok(Self::Opening),
            ("opened", [version, digest, markers @ ..]) => {
                let markers = markers.try_into().map_err(|_| unreadable())?;
                Ok(Self::Opened(Opened { version: *version, digest: *digest, markers }))
            }
            ("done", [thread, number, version, digest]) => Ok(Self::Done {
                thread: *thread as usize,
                number: *number,
                version: *version,
                digest: *digest,
            }),
            ("refused", [thread, number]) => Ok(Self::Refused { thread: *thread as usize, number: *number }),
            ("closing", []) => Ok(Self::Closing),
            ("closed", []) => Ok(Self::Closed),
            _ => Err(unreadable()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_reads_back() {
        let opened = Opened { version: 9, digest: u64::MAX, markers: [7, 0, 8] };
        let done = Event::Done { thread: 2, number: 1, version: 12, digest: 5 };
        let refused = Event::Refused { thread: 1, number: 3 };
        for event in [Event::Opening, Event::Opened(opened), done, refused, Event::Closing, Event::Closed] {
            assert_eq!(event.to_string().parse::<Event>().unwrap(), event);
        }
        for line in ["", "done", "done 1 2 3 x", "opened 1 2 3", "closed 1"] {
            line.parse::<Event>().unwrap_err();
        }
    }
}
