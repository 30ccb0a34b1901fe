//! The fuzz bodies of `wal`: everything that reads a write-ahead log.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a find")]

pub mod wal_replay;
