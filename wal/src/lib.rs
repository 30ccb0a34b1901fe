//! Write-ahead log: the writes of a commit as one record, atomic on recovery.
//!
//! [`Batch`] collects the writes of a commit, [`push_commit`] makes them a record, [`base::log::LogFile`] appends it
//! and [`base::record::Scanner`] finds it again; [`BatchReader`] reads the writes back. [`Reader`] does all of the
//! reading for those who have only the file. The layout is drawn in [`mod@format`].
//!
//! ```
//! use base::header::FileIdentity;
//! use base::record::{RecordBuffer, Stamp};
//! use base::vfs::MemVfs;
//! use base::Entry;
//!
//! let vfs = MemVfs::new();
//! let path = std::path::Path::new("000001.wal");
//! let log = wal::create(&vfs, path, FileIdentity { file_number: 1, ..Default::default() }, 0)?;
//!
//! let mut batch = wal::Batch::new();
//! batch.push(b"ada", &Entry::inline(b"1815"));
//! batch.push(b"bob", &Entry::tombstone());
//! let mut records = RecordBuffer::new();
//! wal::push_commit(&mut records, &batch)?;
//! log.append(&mut records, Stamp { number: 1, version: 7, mark: 0 })?;
//! log.sync()?;
//!
//! for commit in wal::Reader::open(&vfs, path)? {
//!     let commit = commit?;
//!     assert_eq!((commit.number, commit.version), (1, 7));
//!     assert_eq!(commit.batch()?.count(), 2);
//! }
//! # Ok::<(), base::Error>(())
//! ```
#![forbid(unsafe_code)]

mod batch;
pub mod format;
mod log;
mod pointer;
mod reader;

pub use batch::{Batch, BatchReader, push_commit, push_writes, write_len_max};
pub use format::{FORMAT_VERSION, KIND_COMMIT};
pub use log::{create, recycle, scanner};
pub use pointer::{relative_pointer, resolve};
pub use reader::{Commit, Reader};
