//! The fuzz bodies of `manifest`: what reads `MANIFEST`.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "as in `shared`; a failed step is a find"
)]

pub mod manifest_replay;
