//! Campaigns that try to make the database lose, invent or garble data, and the parts that they share.
//!
//! A [`Campaign`] is a supply of numbered cases. A case is made from its seed alone, so that a finding is replayed by its
//! seed, and by its [`Script`] when it has one. [`driver`] runs cases on all cores, watches for hangs, counts, and makes the
//! script of a finding as short as it can.
//!
//! The parts: [`Script`]s of operations with a text form; a [`Database`] to run them on, the engine alone or the facade; a
//! [`Runner`] that runs a script and keeps a [`History`], the states that the database went through; and the oracle of every
//! crash, [`History::prefix`]: what is found must be one of those states, not older than what was acknowledged as durable.

#![forbid(unsafe_code)]

pub mod campaign;
pub mod counters;
pub mod database;
pub mod driver;
pub mod faults;
pub mod finding;
pub mod full_disk;
pub mod history;
pub mod interleave;
pub mod kill;
pub mod life;
pub mod power;
pub mod process;
pub mod race;
pub mod read_only;
pub mod report;
pub mod rot;
pub mod runner;
pub mod script;
pub mod seeded;
pub mod shrink;
mod starvation;

pub use campaign::{Campaign, Case, Goal, Size};
pub use counters::Counters;
pub use database::{Database, DatabaseKind};
pub use finding::Finding;
pub use history::History;
pub use runner::Runner;
pub use script::Script;

/// All campaigns, in the order in which they run.
#[must_use]
pub fn campaigns() -> Vec<Box<dyn Campaign>> {
    vec![
        Box::new(power::Power::default()),
        Box::new(faults::Faults),
        Box::new(rot::Rot::default()),
        Box::new(interleave::Interleave),
        Box::new(kill::Kill),
        Box::new(race::Race),
        Box::new(full_disk::FullDisk),
        Box::new(read_only::ReadOnly),
    ]
}
