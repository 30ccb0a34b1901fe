//! What is demanded of a directory that a crash has left.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::Arc;

use base::vfs::MemVfs;

use crate::database::DatabaseKind;
use crate::finding::{Checked, Finding};
use crate::history::History;
use crate::runner::Runner;
use crate::script::{Operation, random};

/// How much is done with a database after its recovery.
const AFTERWARDS: usize = 20;

/// What a crash must leave.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) kind: DatabaseKind,
    pub(super) history: Arc<History>,
    /// How many commits must and may be there.
    pub(super) commits: RangeInclusive<usize>,
    /// How late it is.
    pub(super) now: u64,
    /// A hash of all of it.
    pub(super) demands: u64,
}

impl Expected {
    /// The same only for the same image of which the same is demanded.
    pub(super) fn fingerprint(&self, image: u128) -> u64 {
        let mut hasher = DefaultHasher::new();
        (image, self.demands).hash(&mut hasher);
        hasher.finish()
    }
}

/// Opens a database that a crash has left, and demands a prefix of its commits; the runner, and how many commits were found.
pub(super) fn open<'a>(
    disk: Arc<dyn base::vfs::Vfs>,
    expected: &Expected,
    marks: &'a dyn Fn(crate::runner::Mark),
) -> Checked<(Runner<'a>, usize)> {
    let mut runner = Runner::open(expected.kind, disk, History::default(), expected.now, marks)
        .map_err(|finding| finding.at("open after the crash"))?;
    let found = runner.database()?.dump(false)?;
    let commits = expected.history.prefix(&found, expected.now, expected.commits.clone())?;
    runner.adopt(History::starting_from(expected.history.state(commits).clone()));
    runner.check().map_err(|finding| finding.at("after the crash"))?;
    Ok((runner, commits))
}

/// Checks an image, works with it, and opens it again.
pub(super) fn check(disk: MemVfs, expected: &Expected, seed: u64) -> Checked {
    let (mut runner, _) = open(Arc::new(disk), expected, &|_| {})?;
    let afterwards = |finding: Finding| finding.at("work after the crash");
    runner.run(&random(&mut fastrand::Rng::with_seed(seed), AFTERWARDS)).map_err(afterwards)?;
    runner.check().map_err(afterwards)?;
    runner.operation(Operation::Close).map_err(afterwards)?;
    runner.check().map_err(|finding| finding.at("opened again after the crash"))
}
