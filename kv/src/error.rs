//! What can go wrong, told apart by what the caller can do about it.

use std::borrow::Cow;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another transaction changed what this one had read. Nothing was written; run it again.
    #[error("another transaction changed what this one had read: run it again")]
    Conflict,
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// A key that cannot be stored.
    #[error("invalid key: {why}")]
    InvalidKey {
        /// What is wrong, and what is allowed.
        why: Cow<'static, str>,
    },
    /// A setting that cannot work.
    #[error("invalid option {name}: {why}")]
    InvalidOption {
        /// The setting.
        name: &'static str,
        /// What is wrong, and what is allowed.
        why: Cow<'static, str>,
    },
    /// A size is above what is allowed, or above what the memory budget has left.
    #[error("{what} is {got}, the limit is {limit}")]
    LimitExceeded {
        /// What was too large.
        what: &'static str,
        /// The limit, in the unit of `what`.
        limit: u64,
        /// The amount given.
        got: u64,
    },
    /// Writing the commit failed: after the database is opened again, the commit is there whole, or not at all.
    #[error("the outcome of the commit is unknown until the database is opened again: {0}")]
    Unknown(base::Error),
    /// The storage below failed: damage, a full disk, a lock, or the operating system.
    #[error(transparent)]
    Storage(base::Error),
}

impl From<base::Error> for Error {
    fn from(cause: base::Error) -> Self {
        match cause {
            base::Error::LimitExceeded { what, limit, got } => Self::LimitExceeded { what, limit, got },
            cause => Self::Storage(cause),
        }
    }
}

impl Error {
    pub(crate) fn option(name: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidOption { name, why: why.into() }
    }

    /// The failure of the storage below, if that is what it is.
    #[must_use]
    pub fn storage(&self) -> Option<&base::Error> {
        match self {
            Self::Storage(cause) | Self::Unknown(cause) => Some(cause),
            Self::Conflict
            | Self::Closed
            | Self::InvalidKey { .. }
            | Self::InvalidOption { .. }
            | Self::LimitExceeded { .. } => None,
        }
    }

    /// True when another transaction was faster.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict)
    }

    /// True when the same call may succeed later, without anything else being changed: after a conflict, or when the
    /// memory that transactions share is used up.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict | Self::LimitExceeded { what: crate::budget::MEMORY, .. })
    }

    /// True when the handle is done with: the database was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// True for damage.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        self.storage().is_some_and(base::Error::is_corruption)
    }

    /// True when the disk is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        self.storage().is_some_and(base::Error::is_no_space)
    }

    /// True when another process, or another handle in this one, has the database open.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self.storage(), Some(base::Error::Locked { .. }))
    }

    /// True when an earlier failed write stopped all writing: reads go on, writes need the database to be opened
    /// again.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        matches!(self.storage(), Some(base::Error::Halted { .. }))
    }
}
