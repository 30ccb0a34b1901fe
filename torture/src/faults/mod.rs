//! A failure at file operation k, for every k: every kind of failure, once, for a while, and for ever; and a disk that is full
//! at every 512 bytes.
//!
//! Demanded: no panic but the injected one, no hang; what is acknowledged is there afterwards and what is refused is not, in
//! order and whole; reads are right or fail; an error appears only where something was injected; after a failed sync not even
//! a power cut takes what is acknowledged as durable; without the failure the database opens again and works.

mod believer;
mod injection;
mod start;

use crate::campaign::{Campaign, Case, Size};
use crate::database::{DatabaseKind, Durability};
use crate::finding::{Checked, Finding};
use crate::script::{self, Script, short, short_count};

use self::believer::Believer;
use self::injection::Injection;
use self::start::Start;

/// How long the random scripts are.
const RANDOM_LEN: usize = 50;
/// Short scripts come on both databases, empty and filled, and with both durabilities.
const VARIANTS: u64 = 8;

/// The campaign.
#[derive(Debug, Default)]
pub struct Faults;

/// A random script has tens of thousands of places for a failure, too many for one case: it comes in so many parts. Cores share
/// them, and a case that hangs is told from one that is long.
const PARTS: u64 = 60;

/// How long the short scripts are, and how many random ones there are.
fn extent(size: Size) -> (u32, u64) {
    match size {
        Size::Ci => (1, 2),
        Size::Full => (2, 20),
        Size::Timed => (2, u64::MAX / (2 * PARTS)),
    }
}

impl Campaign for Faults {
    fn name(&self) -> &'static str {
        "faults"
    }

    fn about(&self) -> &'static str {
        "a failure at file operation k, for every k, and a disk full at every 512 bytes"
    }

    fn cases(&self, size: Size) -> Option<u64> {
        let (longest, random) = extent(size);
        Some(short_count(longest) * VARIANTS + random * parts_run(size))
    }

    fn run(&self, case: &mut Case<'_>) -> Checked {
        let Chosen { start, script, part } = choose(case)?;
        let clean = attempt(&start, &script, None)?;
        for (number, injection) in Injection::all(&clean).into_iter().enumerate() {
            if part.is_some_and(|part| number as u64 % PARTS != part) {
                continue;
            }
            let place = |finding: Finding| finding.at(format!("{start}, {injection}"));
            let run = attempt(&start, &script, Some(injection)).map_err(place)?;
            case.counters.count("faults");
            case.counters.add("struck", u64::from(run.struck));
            case.counters.add("halts", u64::from(run.has_halted));
            case.counters.add("cuts", run.cuts);
        }
        let is_counted = part.is_none_or(|part| part == 0) || parts_run(case.size) == 1;
        case.counters.add("scripts", u64::from(is_counted));
        Ok(())
    }
}

/// How many parts of a random script are run. One will do, but for a release.
fn parts_run(size: Size) -> u64 {
    match size {
        Size::Full => PARTS,
        Size::Ci | Size::Timed => 1,
    }
}

/// What one run came to.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    /// File operations, by which failures are counted.
    operations: injection::Operations,
    /// The failure met an operation.
    struck: bool,
    /// Writing stopped.
    has_halted: bool,
    /// Directories after a power cut that were opened.
    cuts: u64,
}

/// Where time ends it, no kind of script must wait for another: short ones, out of order, and random ones in turn.
fn mixed(index: u64, longest: u32) -> u64 {
    let short = short_count(longest) * VARIANTS;
    // 211 has no divisor in common with their count.
    if index.is_multiple_of(2) && index / 2 < short { index / 2 * 211 % short } else { short + index }
}

/// What a case runs.
struct Chosen {
    start: Start,
    script: Script,
    /// Which of the [`PARTS`] of its failures; all for a short script.
    part: Option<u64>,
}

/// Short scripts first, then random ones.
fn choose(case: &mut Case<'_>) -> Checked<Chosen> {
    let (longest, _) = extent(case.size);
    let index = if case.size == Size::Timed { mixed(case.index, longest) } else { case.index };
    let count = short_count(longest) * VARIANTS;
    // Parts of one script follow each other; which ones are run, where not all are, differs from script to script.
    let random = index.checked_sub(count).map(|at| (at / parts_run(case.size), at));
    let variant = random.map_or(index, |(number, _)| number) % VARIANTS;
    let kind = DatabaseKind::ALL[(variant & 1) as usize];
    let start = if variant & 2 == 0 { Start::empty(kind) } else { Start::filled(kind)? };
    let durability = if variant & 4 == 0 { Durability::Sync } else { Durability::Buffered };
    // The first seed is the same for all cases of a run.
    let first_seed = case.seed.wrapping_sub(case.index);
    let script = case.script(|| match random {
        None => short(index / VARIANTS, durability),
        Some((number, _)) => {
            let seed = first_seed.wrapping_add(count).wrapping_add(number);
            script::random(&mut fastrand::Rng::with_seed(seed), RANDOM_LEN)
        }
    });
    let part = random.filter(|_| script.0.len() > longest as usize).map(|(_, at)| at % PARTS);
    Ok(Chosen { start, script, part })
}

/// Runs the script with the failure, then checks what is left without it.
fn attempt(start: &Start, script: &Script, injection: Option<Injection>) -> Checked<Run> {
    let mut believer = Believer::begin(start, injection)?;
    for operation in &script.0 {
        believer.operation(*operation).map_err(|finding| finding.at(format!("`{operation}`")))?;
    }
    believer.end()
}
