//! The fuzz bodies of `sstable`: everything that reads a table or a block.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "as in `shared`; a failed step is a find"
)]

pub mod block_seek;
pub mod table_scan;
pub mod table_seek;
