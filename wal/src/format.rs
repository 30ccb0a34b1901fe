//! The layout of a `.wal` file.
//!
//! ```text
//!  file:    | header, 64 bytes | record | record | … | zeros, or stale bytes of an earlier life |
//!             base::header       base::record, each at a multiple of 8
//!
//!  record:  | record header, 48 bytes                          | payload | zeros to a multiple of 8 |
//!             kind = 1 (commit), codec = 0 (not compressed)
//!             number  = number of the commit, consecutive over all logs
//!             version = version that the commit gives to all of its writes
//!             mark    = highest commit number known durable when this was written
//!
//!  payload: | entry count varint | entry | entry | … |
//!
//!  entry:   | key length varint | key | body length varint | body: base::entry |
//!
//!             one after the other, to the very end of the payload
//! ```
//! A commit with large values stands in a `.vlog` file instead, with the same payload. Its values stand right before
//! it in the same file:
//!
//! ```text
//!           | value record | value record | commit record |
//!           ^              ^              ^
//!           |              |<-- distance->|   pointer: segment 0, offset = distance,
//!           |<--------- distance -------->|            record length, value length
//! ```
//! The pointers of its entries are relative, so that a commit can be encoded and hashed before it knows its place;
//! [`crate::resolve`] makes them absolute. A segment number of 0 is that of no file, which is how a relative pointer
//! is told from one that was moved to a table.
//!
//! # Invariants
//! 1. A payload has one encoding: varints are shortest, the count is exact, nothing follows the last entry.
//! 2. A relative pointer reaches back over at least its own record, by a multiple of 8 bytes.

/// The version of this format that is written, and the newest that is read.
pub const FORMAT_VERSION: u16 = 1;

/// The kind of a commit record, here and in `.vlog` files.
pub const KIND_COMMIT: u8 = 1;

/// No entry is shorter: a key length, a body length, and the flags of the body.
pub(crate) const MIN_ENTRY_BYTES: usize = 3;

/// The segment number of relative pointers.
pub(crate) const RELATIVE_SEGMENT: u64 = 0;
