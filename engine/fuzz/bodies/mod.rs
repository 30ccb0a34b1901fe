//! The fuzz body of `engine`: a whole directory.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step is a find"
)]

mod edits;
pub mod open_directory;
mod template;
