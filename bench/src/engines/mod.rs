//! One adapter a file; peers only where their feature is on.

#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "lmdb")]
mod lmdb;
mod ours;
#[cfg(feature = "redb")]
mod redb;

use crate::engine::Opener;

/// Every engine that is built in, ours first.
pub(crate) fn all() -> Vec<Opener> {
    vec![
        ours::OPENER,
        #[cfg(feature = "fjall")]
        fjall::OPENER,
        #[cfg(feature = "lmdb")]
        lmdb::OPENER,
        #[cfg(feature = "redb")]
        redb::OPENER,
    ]
}
