//! The newest commit of each fingerprint: a transaction that was open during a million commits checks its reads
//! one by one here, instead of all those commits.

use std::collections::HashMap;

use base::Version;

use crate::commit_log::Commit;
use crate::fingerprint::FingerprintHashing;

/// Forgotten fingerprints that are not worth a sweep.
const SWEEP_SLACK: usize = 4096;

/// The commits up to `indexed_to`, by fingerprint. Entries of forgotten commits may linger: a transaction that they
/// would concern is refused anyhow.
#[derive(Debug, Default)]
pub(crate) struct FingerprintIndex {
    newest: HashMap<u64, Version, FingerprintHashing>,
    indexed_to: Version,
}

impl FingerprintIndex {
    pub(crate) fn indexed_to(&self) -> Version {
        self.indexed_to
    }

    /// Adds the next commit.
    pub(crate) fn insert(&mut self, commit: &Commit) {
        for fingerprint in commit.keys.fingerprints() {
            self.newest.insert(fingerprint, commit.version);
        }
        self.indexed_to = commit.version;
    }

    /// The newest commit that wrote a key with this fingerprint.
    pub(crate) fn newest(&self, fingerprint: u64) -> Option<Version> {
        self.newest.get(&fingerprint).copied()
    }

    /// True when mostly forgotten commits are left in it.
    pub(crate) fn is_sweep_due(&self, remembered_keys: u64) -> bool {
        self.newest.len() as u64 > 2 * remembered_keys + SWEEP_SLACK as u64
    }

    /// Removes the commits up to `pruned_to`.
    pub(crate) fn sweep(&mut self, pruned_to: Version) {
        self.newest.retain(|_, version| *version > pruned_to);
        self.newest.shrink_to(2 * self.newest.len());
    }
}
