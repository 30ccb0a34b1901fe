//! The fuzz bodies of `keyring`: what reads `KEYREGISTRY`.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a find")]

pub mod registry;
