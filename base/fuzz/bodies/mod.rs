//! The fuzz bodies of `base`: everything that reads framing, seals, headers and numbers.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "as in `shared`; a failed step is a find"
)]

pub mod codec;
pub mod decompress;
pub mod file_header;
pub mod record_scan;
pub mod seal;
