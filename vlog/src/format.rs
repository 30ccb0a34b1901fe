//! The layouts of a `.vlog` file and of `DISCARD`.
//!
//! ```text
//!  .vlog:   | header, 64 bytes | record | record | … | end, or zeros, or stale bytes of an earlier life |
//!             base::header       base::record, each at a multiple of 8
//!
//!  value:   | record header, 48 bytes                      | payload | zeros to a multiple of 8 |
//!             kind = 2 (value), codec = of the payload
//!             number, mark = those of its commit; 0 where the value was moved here
//!             version      = version of its commit, also where it was moved here
//!
//!  payload: | key length varint | key | value, to the end |        compressed as a whole, if at all
//!
//!  other kinds of records are not the value log's: commits, whose values stand right before them
//!
//!           |<------------------ record length ----------------->|
//!           | record header | key length | key |      value      | zeros |
//!           ^                                  |<- value length->|
//!           offset, from the start of the file                             pointer: base::ValuePointer
//! ```
//! A segment is sealed when it is finished: its file is cut to the end of the last record, padding included, and that
//! length is written down elsewhere. Behind it nothing counts.
//!
//! ```text
//!  DISCARD: | header, 64 bytes, file number 0 | one record, to the end of the file |
//!             kind = 3 (ledger), codec = 0, number = the manifest edit that it belongs to, version = mark = 0
//!
//!  payload: | segment count varint | segment | segment | … |
//!
//!  segment: | number varint | total bytes varint | dead bytes varint |        numbers ascending, dead <= total
//! ```
//! Total is the sealed length; dead is all of it but the records of living values, padding included. So the header of
//! the file, commits, and values that nobody points to are dead.
//!
//! # Invariants
//! 1. A pointer leads to one record of one file; key and version in the record are those of the entry that bears the
//!    pointer, and every read checks them.
//! 2. A value's bytes are covered by the record's payload hash, which the record header's own check covers.

/// The version of the `.vlog` format that is written, and the newest that is read.
pub const FORMAT_VERSION: u16 = 1;

/// The kind of a value record.
pub const KIND_VALUE: u8 = 2;

/// The version of the `DISCARD` format that is written, and the newest that is read.
pub const LEDGER_FORMAT_VERSION: u16 = 1;

/// The kind of the one record in `DISCARD`.
pub(crate) const KIND_LEDGER: u8 = 3;
