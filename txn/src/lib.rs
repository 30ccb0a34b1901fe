//! Snapshots, read sets and conflicts: who may commit and what may be forgotten.
//!
//! Optimistic transactions in four parts, each usable and tested alone:
//!
//! - [`Snapshots`] registers who reads at which version and answers what nobody can read any more
//!   ([`base::Retention`]). Neither side takes a lock.
//! - [`ReadSet`] is what a transaction has looked at: single keys, found or not, and the ranges it really visited.
//! - [`WriteSet`] is what it wants to write, sorted, visible to itself.
//! - [`RecentCommits`] is what others have written meanwhile. A transaction may commit when none of that is in its
//!   read set; then what it read is still true at its commit, so that the order of commits is a serial order.
//!
//! ```text
//! begin   snapshot = snapshots.begin_read_write(now)
//! read    reads.point(key) · reads.range(start, end)
//! write   writes.set(key, pending) · writes.delete(key)
//! commit  keys = writes.written_keys()
//!         checked = recent.check_before(&reads, snapshot.version())?       no lock of the caller's
//!         lock { version = next; recent.admit(&reads, &checked, version, &keys)?; next += 1; queue }
//! after   if recent.is_prune_due() { recent.prune(snapshots.oldest_read_write()) }
//! ```
//!
//! No I/O, no threads, no clock: versions and times are given.

#![forbid(unsafe_code)]

mod byte_arena;
mod commit_log;
mod conflict;
mod fingerprint;
mod fingerprint_index;
mod key_order;
mod key_ranges;
mod read_set;
mod recent_commits;
mod slots;
mod snapshots;
mod sync;
mod write_set;
mod written_keys;

pub use conflict::Conflict;
pub use read_set::ReadSet;
pub use recent_commits::{Checked, RecentCommits};
pub use snapshots::{BeginError, Snapshot, Snapshots};
pub use write_set::{Pending, PendingRange, WriteSet};
pub use written_keys::WrittenKeys;

#[cfg(loom)]
pub use sync::SharedVersion;
