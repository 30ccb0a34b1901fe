//! Which of the possible disks to look at, when there are too many for all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::images::{ImageBudget, Slot, Unit};
use super::inode::InodeId;
use crate::checksum::seeded_hash;

/// For each slot, how far it got: 0 lost all that is pending, n kept the n-th change.
pub(super) type Choice = Vec<usize>;

/// The files that [`Candidate::Files`] tells apart.
const SEPARATE_FILES: usize = 8;

/// A rule for choosing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Candidate {
    /// One of all combinations, by number.
    Nth(u64),
    /// Everything of some kinds: a bit for each of creations, renames, removals, lengths, sectors.
    Kinds(u32),
    /// Everything, but of the contents only the first sector of each file, or all but the first.
    Header { kept: bool },
    /// All names; of the files those whose bit is set.
    Files(u32),
    /// All names; the files from this one on, or those before it.
    Split { at: InodeId, newer: bool },
    /// Everything up to and including an operation.
    Prefix { op: usize },
    /// Everything before an operation, and some sectors of it: the first ones, or all but the first ones.
    Torn { op: usize, sectors: usize, front: bool },
    /// Everything, but one slot at less.
    Missing { slot: usize, at: usize },
    /// Nothing, or only names and lengths, but one slot at more.
    Kept { slot: usize, at: usize, names: bool },
    /// Anything; every other one with all names and lengths.
    Random(u64),
}

const CREATES: u32 = 1;
const RENAMES: u32 = 2;
const REMOVES: u32 = 4;
const LENGTHS: u32 = 8;
const SECTORS: u32 = 16;
const ALL_KINDS: u32 = CREATES | RENAMES | REMOVES | LENGTHS | SECTORS;

fn kind(unit: &Unit) -> u32 {
    match unit {
        Unit::Create => CREATES,
        Unit::Rename => RENAMES,
        Unit::Remove => REMOVES,
        // In order, so that one bit stands for all; it goes with the creations.
        Unit::NamesInOrder => CREATES,
        Unit::Length(_) => LENGTHS,
        Unit::Sector(..) => SECTORS,
    }
}

fn is_name(unit: &Unit) -> bool {
    kind(unit) & (CREATES | RENAMES | REMOVES) != 0
}

/// The candidates within `budget`, the most telling first.
pub(super) fn enumerate(slots: &[Slot], budget: &ImageBudget) -> Vec<Candidate> {
    let combinations =
        slots.iter().try_fold(1_u64, |product, slot| product.checked_mul(slot.versions.len() as u64 + 1));
    if let Some(all) = combinations.filter(|all| *all <= budget.exhaustive_up_to) {
        return (0..all).map(Candidate::Nth).collect();
    }
    let mut telling = by_kind_and_file(slots);
    let mut others = one_by_one(slots);
    others.extend(by_order(slots));
    let mut drawn: Vec<Candidate> = (0..u64::from(budget.random)).map(Candidate::Random).collect();
    if telling.len() + others.len() + drawn.len() > budget.at_most {
        // Of each sort something: a quarter drawn, a half with a rule for all, the rest for one thing at a time.
        drawn.truncate(budget.at_most / 4);
        shuffle(telling.get_mut(1..).unwrap_or_default(), budget.seed);
        telling.truncate(budget.at_most.div_ceil(2));
        shuffle(&mut others, budget.seed);
        others.truncate(budget.at_most - telling.len() - drawn.len());
    }
    telling.append(&mut others);
    telling.append(&mut drawn);
    telling
}

fn by_kind_and_file(slots: &[Slot]) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = (0..=ALL_KINDS).rev().map(Candidate::Kinds).collect();
    candidates.extend([Candidate::Header { kept: true }, Candidate::Header { kept: false }]);
    let files = files(slots);
    candidates.extend((0..1 << files.len().min(SEPARATE_FILES)).map(Candidate::Files));
    for newer in [true, false] {
        candidates.extend(files.iter().map(|at| Candidate::Split { at: *at, newer }));
    }
    candidates
}

fn one_by_one(slots: &[Slot]) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (slot, pending) in slots.iter().enumerate() {
        candidates.extend((0..pending.versions.len()).map(|at| Candidate::Missing { slot, at }));
        for names in [true, false] {
            candidates.extend((1..=pending.versions.len()).map(|at| Candidate::Kept { slot, at, names }));
        }
    }
    candidates
}

fn by_order(slots: &[Slot]) -> Vec<Candidate> {
    let mut sectors_of_op: BTreeMap<usize, usize> = BTreeMap::new();
    for slot in slots {
        for version in &slot.versions {
            *sectors_of_op.entry(version.op).or_default() +=
                usize::from(matches!(slot.unit, Unit::Sector(..)));
        }
    }
    let mut candidates: Vec<Candidate> =
        sectors_of_op.keys().map(|op| Candidate::Prefix { op: *op }).collect();
    for (op, count) in sectors_of_op {
        for front in [true, false] {
            candidates.extend((0..count).map(|sectors| Candidate::Torn { op, sectors, front }));
        }
    }
    candidates
}

/// The files with something pending, oldest first.
fn files(slots: &[Slot]) -> Vec<InodeId> {
    let inodes: BTreeSet<InodeId> = slots.iter().filter_map(|slot| slot.unit.inode()).collect();
    inodes.into_iter().collect()
}

fn shuffle(candidates: &mut [Candidate], seed: u64) {
    for at in (1..candidates.len()).rev() {
        let other = random(seed, at as u64) % (at as u64 + 1);
        candidates.swap(at, usize::try_from(other).unwrap_or(0));
    }
}

fn random(seed: u64, number: u64) -> u64 {
    seeded_hash(&number.to_le_bytes(), seed)
}

impl Candidate {
    /// What is chosen for each slot.
    pub(super) fn choose(self, slots: &[Slot], seed: u64) -> Choice {
        match self {
            Self::Nth(number) => nth(number, slots),
            Self::Kinds(kinds) => keep(slots, |slot| kind(&slot.unit) & kinds != 0),
            Self::Header { kept } => keep(slots, |slot| match slot.unit {
                Unit::Sector(_, index) => (index == 0) == kept,
                _ => true,
            }),
            Self::Files(mask) => {
                let files = files(slots);
                // The newest ones are told apart; what is older is kept.
                let older = files.len().saturating_sub(SEPARATE_FILES);
                keep(slots, |slot| {
                    let place = slot.unit.inode().and_then(|inode| files.binary_search(&inode).ok());
                    place.and_then(|place| place.checked_sub(older)).is_none_or(|bit| mask & (1 << bit) != 0)
                })
            }
            Self::Split { at, newer } => {
                keep(slots, |slot| slot.unit.inode().is_none_or(|inode| (inode >= at) == newer))
            }
            Self::Prefix { op } => slots.iter().map(|slot| slot.before(op + 1)).collect(),
            Self::Torn { op, sectors, front } => torn(slots, op, sectors, front),
            Self::Missing { slot, at } => {
                let mut choice = keep(slots, |_| true);
                choice.get_mut(slot).into_iter().for_each(|place| *place = at);
                choice
            }
            Self::Kept { slot, at, names } => {
                let mut choice =
                    keep(slots, |slot| names && (is_name(&slot.unit) || kind(&slot.unit) == LENGTHS));
                choice.get_mut(slot).into_iter().for_each(|place| *place = at);
                choice
            }
            Self::Random(number) => {
                let numbered = slots.iter().zip(0_u64..);
                let choose = |(slot, at): (&Slot, u64)| {
                    let all = slot.versions.len();
                    if number % 2 == 0 && !matches!(slot.unit, Unit::Sector(..)) {
                        return all;
                    }
                    let drawn = random(random(seed, number), at) % (all as u64 + 1);
                    usize::try_from(drawn).unwrap_or(all)
                };
                numbered.map(choose).collect()
            }
        }
    }
}

fn keep(slots: &[Slot], kept: impl Fn(&Slot) -> bool) -> Choice {
    slots.iter().map(|slot| if kept(slot) { slot.versions.len() } else { 0 }).collect()
}

fn nth(mut number: u64, slots: &[Slot]) -> Choice {
    let digit = |slot: &Slot| {
        let base = slot.versions.len() as u64 + 1;
        let digit = number % base;
        number /= base;
        usize::try_from(digit).unwrap_or(0)
    };
    slots.iter().map(digit).collect()
}

fn torn(slots: &[Slot], op: usize, sectors: usize, front: bool) -> Choice {
    let mut met = 0;
    let choose = |slot: &Slot| {
        let (without, with) = (slot.before(op), slot.before(op + 1));
        if without == with || !matches!(slot.unit, Unit::Sector(..)) {
            return with;
        }
        met += 1;
        if (met <= sectors) == front { with } else { without }
    };
    slots.iter().map(choose).collect()
}
