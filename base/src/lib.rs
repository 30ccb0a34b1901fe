//! Vocabulary and framing shared by every crate of the workspace; no policy.
//!
//! In reading order: [`Version`], [`InternalKey`] and [`Entry`] say what is stored; [`codec`] turns
//! numbers into bytes and back without panicking; [`header`], [`seal`] and [`record`] are how bytes
//! reach a file, always checked; [`vfs`] is the only door to the operating system's files; [`clock`]
//! the only source of time; [`Error`] what can go wrong with bytes at rest; [`Halt`] the latch that
//! stops writing after a failed write. [`seeded`] holds the bugs that prove the test harnesses; no normal build has them.
//!
//! A thing enters this crate only when two of the format crates need it.

pub mod checksum;
pub mod clock;
pub mod codec;
pub mod compress;
pub mod cursor;
pub mod entry;
mod error;
mod halt;
pub mod header;
#[cfg(any(test, feature = "test-util"))]
pub mod integrity;
mod key;
pub mod log;
pub mod prefetch;
pub mod record;
mod retention;
pub mod seal;
pub mod seeded;
mod version;
pub mod vfs;

pub use clock::UnixSeconds;
pub use compress::Compression;
pub use cursor::{Cursor, Direction, EntryRef};
pub use entry::{Entry, Payload, SharedEntry, SharedPayload, ValuePointer};
pub use error::{Error, Result};
pub use halt::Halt;
pub use key::{InternalKey, InternalKeyBuf, KeyBounds, MAX_KEY_BYTES, append_key, order_of_keys, prefix_end};
pub use retention::Retention;
pub use version::{SharedVersion, Version};
