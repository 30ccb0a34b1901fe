//! The fuzz bodies of `vlog`: everything that reads a value log or `DISCARD`.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "as in `shared`; a failed step is a find"
)]

pub mod discard_ledger;
pub mod pointer_read;
pub mod segment_scan;
