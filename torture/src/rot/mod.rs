//! Rot: every bit, length, sector and file of three small databases is damaged, one damage at a time; then everything is read.
//!
//! The databases hold every kind of file; one was closed in good order, two were killed with commits in their logs. Demanded of
//! each damage: it is detected when the database is opened, which then changes nothing, and only damage of what opening must
//! read may be; or it is detected by the reads that it hits and by `verify`, while all other reads are right; or it is
//! harmless: every read is right, and `verify` has nothing to say. In the logs of a killed database, behind the last commit
//! that is known to be durable, it may also look like a write that was never finished: then what is found is a shorter
//! prefix of the commits that holds all durable ones. Never a wrong value, a missing one, a panic, a hang.
//!
//! One loss is counted apart, as `shortened logs`: a log that is cut, or replaced by an older version of itself, so that no
//! bit of its last commits is left anywhere. It is bounded by the marks that are left.

mod catalogue;
mod damage;
mod evidence;
mod judge;
mod reading;
mod reference;
mod units;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::campaign::{Campaign, Case, Goal, Size};
use crate::driver::catching;
use crate::finding::{Checked, Finding};

use self::catalogue::Catalogue;
use self::judge::Judge;
use self::reference::{Reference, references};

/// Damages of one case.
const DAMAGES: u64 = 500;
/// One damage of so many is also opened for reading only.
const READ_ONLY_EVERY: u64 = 16;
/// One damage of so many is also worked with and opened again.
const WORK_EVERY: u64 = 16;
/// In a row, cases take damages of all families. A prime, and no divisor of any likely number of cases.
const CASE_STEP: u64 = 7919;

/// The campaign.
#[derive(Debug, Default)]
pub struct Rot {
    prepared: OnceLock<Checked<Prepared>>,
}

#[derive(Debug)]
struct Prepared {
    references: [Reference; 3],
    catalogue: Catalogue,
}

impl Rot {
    fn prepared(&self) -> Checked<&Prepared> {
        let prepare = || {
            let references = references()?;
            let catalogue = Catalogue::new(&references);
            Ok(Prepared { references, catalogue })
        };
        self.prepared.get_or_init(prepare).as_ref().map_err(Finding::clone)
    }
}

impl Prepared {
    fn cases(&self) -> u64 {
        self.catalogue.count().div_ceil(DAMAGES)
    }

    /// Does the damage of this number, if it is taken, and counts what came of it.
    fn damage(&self, case: &mut Case<'_>, number: u64) -> Checked {
        let Some((family, in_family)) = self.catalogue.find(number) else { return Ok(()) };
        // Where time ends it, every round takes another sample.
        let round = case.index / self.cases();
        if !family.takes(in_family, case.size, case.seed.wrapping_sub(case.index) ^ round << 32) {
            return Ok(());
        }
        let Some(reference) = self.references.get(family.reference) else { return Ok(()) };
        let seed = case.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        case.counters.count(family.counter());
        let damage = family.damage(reference, in_family, seed);
        let Some(damaged) = damage.apply(reference, seed)? else {
            case.counters.count("no changes");
            return Ok(());
        };
        let judge = Judge { reference, damage, damaged: &damaged, access: family.access };
        let explained =
            |finding: Finding| finding.at(format!("{}, {:?}", damage.describe(reference), family.access));
        // Chosen by a hash, so that neither follows the bits of a byte.
        let choice = fastrand::Rng::with_seed(seed).u64(..);
        let outcome = catching(|| judge.read_write(choice.is_multiple_of(WORK_EVERY))).map_err(explained)?;
        case.counters.count(outcome.counter());
        if (choice >> 32).is_multiple_of(READ_ONLY_EVERY) {
            let read_only = || judge.read_only().map_err(|finding| finding.at("opened for reading only"));
            catching(read_only).map_err(explained)?;
            case.counters.count("read only");
        }
        Ok(())
    }
}

impl Campaign for Rot {
    fn name(&self) -> &'static str {
        "rot"
    }

    fn about(&self) -> &'static str {
        "every bit flipped, every length, sectors lost and misplaced, files lost, swapped and rolled back"
    }

    fn cases(&self, size: Size) -> Option<u64> {
        (size != Size::Timed).then(|| self.prepared().map_or(1, Prepared::cases))
    }

    fn goals(&self, size: Size) -> Vec<Goal> {
        let Ok(prepared) = self.prepared() else { return Vec::new() };
        if size == Size::Timed {
            return Vec::new();
        }
        let mut goals = BTreeMap::<_, u64>::new();
        for family in prepared.catalogue.families() {
            *goals.entry(family.counter()).or_default() += family.taken(size);
        }
        goals.into_iter().map(|(counter, at_least)| Goal { counter, at_least }).collect()
    }

    fn run(&self, case: &mut Case<'_>) -> Checked {
        let prepared = self.prepared()?;
        let first = (case.index % prepared.cases() * CASE_STEP) % prepared.cases() * DAMAGES;
        (first..first + DAMAGES).try_for_each(|number| prepared.damage(case, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cases_are_all_damages() {
        let prepared = Rot::default();
        let prepared = prepared.prepared().unwrap();
        let cases = prepared.cases();
        let places: std::collections::BTreeSet<_> = (0..cases).map(|case| case * CASE_STEP % cases).collect();
        assert_eq!(places.len() as u64, cases);
        assert!(prepared.catalogue.find(prepared.catalogue.count()).is_none());
    }
}
