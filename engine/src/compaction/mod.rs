//! Compaction: keeps the levels in shape and forgets what nobody can read.
//!
//! In five steps: [`pick()`] chooses inputs (pure), [`split`](split::split()) cuts their range (pure), each part is
//! merged through the retention rules ([`Retain`], pure) into new tables, all parts are installed by one edit, and the input
//! files go when their last reader is gone.

mod job;
mod pick;
#[cfg(test)]
mod pick_tests;
mod retain;
mod split;
mod targets;

pub(crate) use job::{Job, Offer, Part};
pub(crate) use pick::{Manual, State, manual_has_work, pick};
pub(crate) use retain::{Retain, Verdict};
