//! The fuzz bodies of `manifest`: what reads `MANIFEST`.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a find")]

pub mod manifest_replay;
