//! The durable list of living files, as a log of atomic edits.
//!
//! An [`Edit`] says what changes together: tables in and out, generations opened and retired, value segments added
//! and removed. [`Manifest::commit`] validates it against the [`State`], makes it durable as one checksummed record,
//! and only then applies it; after a crash [`read`] gives the state after some prefix of the edits, which holds every
//! edit that was acknowledged.
//!
//! In reading order: [`Edit`] and [`TableMeta`] are the vocabulary; [`State`] is the sum of all edits and knows which
//! edits are [`Invalid`]; `format` draws the file; [`replay`] reads it from plain bytes; [`Manifest`] writes it.
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//! use base::header::DatabaseId;
//! use base::vfs::{MemVfs, Vfs};
//! use manifest::{Edit, Generation, Manifest};
//!
//! # fn main() -> base::Result<()> {
//! let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
//! let directory = Path::new("db");
//! vfs.create_dir_all(directory)?;
//! let mut manifest = Manifest::create(Arc::clone(&vfs), directory, DatabaseId::random(&*vfs)?)?;
//! // The files 1 and 2 exist and are durable; from here on they are part of the database.
//! let first = Generation { id: 1, wal: 1, vlog: 2 };
//! manifest.commit(Edit { generations_opened: vec![first], ..Edit::default() })?;
//!
//! let state = manifest::read(&*vfs, directory)?;
//! assert!(state.is_alive(2));
//! // The next process replaces what it has read before it writes.
//! let manifest = Manifest::reopen(vfs, directory, state)?;
//! assert_eq!(manifest.state().generation(1), Some(&first));
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//! 1. No file number is used twice, and none is used before its lease is durable ([`Edit::numbers_below`]).
//! 2. Below level 0 the tables of a level are disjoint; in level 0 tables of intersecting ages are.
//! 3. Every segment that a living table points into is listed, and holds at least what the tables claim of it.
//! 4. Versions, commit numbers, generation ids, the lease and edit numbers never go down.
//! 5. An invalid edit is refused before a byte of it is written.
//! 6. Nothing is ever appended behind a record that may be incomplete: a failed write or sync stops the writer, and a
//!    file that was replayed is replaced, never continued.

#![forbid(unsafe_code)]

mod check;
mod codec;
mod edit;
mod format;
mod invalid;
mod level;
mod log;
mod replay;
mod snapshot;
mod state;
mod table_meta;
mod writer;

pub use base::record::Tail;
pub use edit::{Edit, Generation, LogLength, SegmentMeta};
pub use format::{EDIT_BYTES_MAX, FILE_NAME, FORMAT_VERSION};
pub use invalid::Invalid;
pub use replay::{read, read_with_proof, read_with_tail, replay};
pub use state::{MAX_LEVELS, Segment, State};
pub use table_meta::{TableMeta, ValueUse};
pub use writer::{CommitError, INITIAL_LEASE, Manifest};
