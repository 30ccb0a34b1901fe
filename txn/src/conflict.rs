//! Why a transaction may not commit.

use base::Version;

/// What the transaction read is no longer true: a later commit wrote into it, or may have, because what it wrote
/// is no longer remembered. Nothing was written; run the transaction again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transaction lost to commit {lost_to}, which changed what it had read: run it again")]
pub struct Conflict {
    /// A commit that it lost to. A new attempt makes sense once this version is visible.
    pub lost_to: Version,
}
