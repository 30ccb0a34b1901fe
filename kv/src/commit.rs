//! From a set of writes to a commit: what can be done before the commit has a number is done first.

use base::{Entry, Version};
use engine::{CommitError, Durability};
use txn::{Conflict, ReadSet, WrittenKeys};

use crate::budget::Reservation;
use crate::key::{check_key, check_value};
use crate::store::Store;
use crate::{Error, Result};

/// What a commit is based on: it may only happen while this is still true.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis<'a> {
    pub(crate) reads: &'a ReadSet,
    pub(crate) version: Version,
}

impl Store {
    /// Commits `writes`, whose keys are `keys`. In order: encode; wait until background work has caught up; check against the
    /// commits known now; under the numbering lock check against the rest, and take the next version.
    ///
    /// # Errors
    /// [`Error::Unknown`] when writing failed; [`Error::Closed`] or [`Error::Storage`] when nothing was written.
    pub(crate) fn commit<'a>(
        &self,
        writes: impl Iterator<Item = (&'a [u8], Entry<'a>)> + Clone,
        keys: WrittenKeys,
        basis: &Basis<'_>,
        durability: Durability,
    ) -> Result<Result<Version, Conflict>> {
        self.check_open()?;
        let prepared = self.engine().prepare(writes)?;
        self.wait_for_room()?;
        let checked = match self.recent().check_before(basis.reads, basis.version) {
            Ok(checked) => checked,
            Err(conflict) => return Ok(Err(conflict)),
        };
        let admit = |version: Version| self.recent().admit(basis.reads, &checked, version, &keys);
        let version = match self.engine().commit(prepared, durability, admit) {
            Ok(version) => version,
            Err(CommitError::Refused(conflict)) => return Ok(Err(conflict)),
            Err(CommitError::NotWritten(error)) => return Err(self.explain(error)),
            Err(CommitError::Unknown(error)) => return Err(Error::Unknown(error)),
        };
        self.after_commit();
        Ok(Ok(version))
    }

    /// Commits one write that depends on nothing that was read.
    pub(crate) fn commit_one(&self, key: &[u8], entry: Entry<'_>) -> Result<Version> {
        check_key(key)?;
        if let base::Payload::Inline(value) = entry.payload {
            check_value(value)?;
        }
        let mut reserved = Reservation::new(self.budget());
        reserved.grow_to(key.len() + entry.value_len() as usize)?;
        let keys = WrittenKeys::one(key);
        self.commit_blind(std::iter::once((key, entry)), keys, self.settings().durability)
    }

    /// Commits writes that depend on nothing that was read: they never conflict.
    pub(crate) fn commit_blind<'a>(
        &self,
        writes: impl Iterator<Item = (&'a [u8], Entry<'a>)> + Clone,
        keys: WrittenKeys,
        durability: Durability,
    ) -> Result<Version> {
        let basis = Basis { reads: &ReadSet::new(), version: Version::ZERO };
        self.commit(writes, keys, &basis, durability)?.map_err(|_| Error::Conflict)
    }

    fn after_commit(&self) {
        self.background().announce_first_commit();
        if self.engine().has_frozen() {
            self.background().announce_flush();
        }
        if self.recent().is_prune_due() {
            self.recent().prune(self.snapshots().oldest_read_write());
        }
    }
}
