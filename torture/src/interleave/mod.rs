//! Interleavings: operations of users in every order with the steps of two background jobs, between the steps and inside them.
//!
//! Every schedule has a number, and the number of a case is that of its schedule. Demanded after each operation and each step: both
//! keys read right at the newest version and at every held one. Demanded at the end: what was begun earlier ends right, scans agree
//! from both sides, the engine finds nothing wrong inside, newer versions stand above older ones, and when all work is done no file
//! is left that belongs to nothing. A kill is an operation too: the files as they are then are opened by another engine.

mod events;
mod model;
mod schedule;
mod start;
mod users;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::campaign::{Campaign, Case, Goal, Size};
use crate::counters::Counters;
use crate::finding::{Checked, Finding};

use self::events::Placement;
use self::schedule::{COUNT, Schedule};
use self::world::World;

/// The campaign.
#[derive(Debug, Default)]
pub struct Interleave;

impl Campaign for Interleave {
    fn name(&self) -> &'static str {
        "interleave"
    }

    fn about(&self) -> &'static str {
        "operations of users in every order with the steps of two background jobs, between them and inside them"
    }

    fn cases(&self, _size: Size) -> Option<u64> {
        Some(COUNT)
    }

    fn goals(&self, size: Size) -> Vec<Goal> {
        let schedules = |at_least| vec![Goal { counter: "schedules", at_least }];
        match size {
            Size::Ci => schedules(100_000),
            Size::Full => schedules(1_000_000),
            Size::Timed => Vec::new(),
        }
    }

    fn run(&self, case: &mut Case<'_>) -> Checked {
        let schedule = Schedule::numbered(case.seed);
        case.counters.count("schedules");
        let Err(finding) = play(&schedule, &mut case.counters) else { return Ok(()) };
        let (schedule, finding) = shortest(schedule, finding);
        Err(finding.at(schedule))
    }
}

/// Runs a schedule; a panic is a finding.
fn play(schedule: &Schedule, counters: &mut Counters) -> Checked {
    catch_unwind(AssertUnwindSafe(|| World::run(schedule, counters))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Finding::new(format!("panic: {}", text.unwrap_or_default())))
    })
}

/// The schedule without what it does not need to find something, and what it finds then.
fn shortest(mut schedule: Schedule, mut finding: Finding) -> (Schedule, Finding) {
    let between = Schedule { placement: Placement::Between, ..schedule.clone() };
    if let Err(other) = play(&between, &mut Counters::default()) {
        (schedule, finding) = (between, other);
    }
    let mut at = schedule.events.len();
    while at > 0 {
        at -= 1;
        let shorter = schedule.without(at);
        if let Err(other) = play(&shorter, &mut Counters::default()) {
            (schedule, finding) = (shorter, other);
        }
    }
    (schedule, finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the campaign runs and finds nothing. Method: a sample of its schedules, as the program would run it.
    #[test]
    fn a_sample_of_schedules_finds_nothing() {
        for seed in 0..400 {
            let mut case = Case::new(seed, 0, Size::Ci, None);
            assert_eq!(Interleave.run(&mut case), Ok(()), "seed {seed}");
            assert!(case.counters.get("reads") > 0);
        }
    }
}
