//! The registry of data keys: the file `KEYREGISTRY`.
//!
//! Every database has one, and today it is empty: nothing is encrypted yet. What exists is the file, its format and
//! its checks, so that the data keys of a later release find a home that every release knows how to read. A key is an
//! opaque byte string here: wrapping, unwrapping and choosing algorithms are not this crate's business.
//!
//! # Invariants
//! 1. Ids ascend and 0 is none of them: in a file header 0 means "not encrypted".
//! 2. The file is replaced whole, so it is whole or it is damage; there is no torn tail.
//! 3. Every rewrite draws a new salt.

#![forbid(unsafe_code)]

mod format;
mod registry;

pub use format::{FILE_NAME, FORMAT_VERSION, WRAPPED_BYTES_MAX};
pub use registry::{KeyRecord, Registry, create, read};
