//! Sorted tables: immutable files of ordered, versioned entries.
//!
//! A table is built once, in key order, and then only read: by key, by range in both directions, or with a
//! cursor. It stands alone — keys and values are enough:
//!
//! ```
//! # fn main() -> base::Result<()> {
//! let mut builder = sstable::Builder::in_memory(sstable::BuildOptions::default());
//! builder.insert(b"ada", b"1815")?;
//! builder.insert(b"grace", b"1906")?;
//! let table = sstable::Table::from_bytes(builder.finish_bytes()?, sstable::ReadOptions::default())?;
//!
//! assert_eq!(table.value(b"ada")?.as_deref(), Some(&b"1815"[..]));
//! let newest_first: Vec<_> = table.iter().rev().collect::<Result<_, _>>()?;
//! assert_eq!(newest_first[0].key(), b"grace");
//! table.verify()?;
//! # Ok(())
//! # }
//! ```
//!
//! Files are built with [`Builder::create`] and opened with [`Table::open`]. An engine adds versions
//! ([`Builder::add`], [`Table::get`]), tombstones, expiries and pointers to values kept elsewhere
//! ([`base::Entry`]); a plain key has version 0.
//!
//! # Invariants
//! 1. Entries are strictly ascending in [`base::InternalKey`] order (checked by `Builder::add` and `Table::verify`).
//! 2. No byte is given meaning before its checksum was verified: once per open for uncompressed data in a map,
//!    at every load otherwise.
//! 3. An error is returned as an error: it never looks like an absent key or like the end of the table.
//! 4. A file without a valid footer is no table, so a half-written one is never read.
//!
//! In reading order: `format` draws the file; `block` is its unit; `builder` writes; `source`, `fences`, `index`
//! and `filter` find a block; `table`, `cursor` and `iter` read; `verify` and `describe` look at all of it.

#![forbid(unsafe_code)]

mod ahead;
mod block;
mod builder;
mod cache;
mod cursor;
mod describe;
mod fences;
mod filter;
mod format;
mod index;
mod iter;
mod options;
mod properties;
mod sink;
mod source;
mod table;
mod verify;

pub use builder::{Builder, Summary};
pub use cache::{BlockCache, CacheStats};
pub use cursor::TableCursor;
pub use filter::key_hash;
pub use format::FORMAT_VERSION;
pub use iter::{Item, Range};
pub use options::{BuildOptions, ReadOptions, TableAccess};
pub use properties::{Properties, SegmentUse};
pub use table::Table;
