//! An embedded, transactional key-value database.
//!
//! ```
//! # fn main() -> kv::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path().join("data");
//! let db = kv::Db::open(path)?;
//!
//! // One read-write transaction: all of it or nothing, run again when another one was faster.
//! db.update(|txn| {
//!     let visits = txn.get("visits")?.map_or(0, |value| value.len());
//!     txn.set("visits", vec![b'|'; visits + 1])?;
//!     txn.set("last", "ann")
//! })?;
//!
//! // One snapshot: whatever is written meanwhile is not seen.
//! let keys = db.view(|txn| txn.iter()?.map(|item| Ok(item?.key().to_vec())).collect::<kv::Result<Vec<_>>>())?;
//! assert_eq!(keys, [&b"last"[..], b"visits"]);
//! # db.close()
//! # }
//! ```
//!
//! - [`Db`] is the database: a cheap handle, to be cloned and shared between threads.
//! - [`ReadTxn`] is a snapshot, [`WriteTxn`] a strictly serializable transaction: its reads, point reads and scanned ranges alike,
//!   are checked when it commits, and [`Error::Conflict`] says that another transaction changed them.
//! - [`Range`] iterates over [`Item`]s from both ends; [`Scan`] says over which. Values are loaded when they are asked for.
//! - [`Options`] has the settings: one memory budget, how durable a commit is, and a few more.
//! - [`WriteBatch`] loads much data without being one transaction.
//!
//! Readers and writers never wait for each other. All handles are `Send + 'static` and own what they need.
//!
//! This crate is a thin facade: `engine` stores versions and knows no transactions, `txn` decides who may commit and knows no
//! storage. Here are the handles, the way from a write set to a commit, and the threads that do the engine's background
//! work.
//!
//! Lock order: none of the locks of this crate is held while another one, or a call into the engine, is waited for, except the
//! one that makes `close` happen once.

#![forbid(unsafe_code)]

mod background;
mod batch;
mod budget;
mod commit;
mod db;
mod error;
mod handle;
mod item;
mod key;
mod maintenance;
mod merge;
mod options;
mod panics;
mod range;
mod read_only;
mod read_txn;
mod reads;
mod retry;
mod scan;
mod set_options;
mod stall;
mod store;
mod write_txn;

pub use base::clock::{Clock, ManualClock, SystemClock};
pub use base::{Compression, UnixSeconds, Version};
pub use bytes::Bytes;
pub use engine::{Durability, LevelStats, RecoveryReport, SegmentStats, Stats, Step, TableAccess, Verified};

pub use batch::WriteBatch;
pub use db::Db;
pub use error::{Error, Result};
pub use item::Item;
pub use options::Options;
pub use range::Range;
pub use read_only::ReadOnlyDb;
pub use read_txn::ReadTxn;
pub use scan::Scan;
pub use set_options::SetOptions;
pub use write_txn::WriteTxn;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
