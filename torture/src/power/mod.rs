//! Power cuts: a script runs once on a disk that records; then every directory that a cut could have left is opened, for all
//! moments of the run, and some of those directories have the power cut again while they are opened.
//!
//! Demanded of every image: it opens without options; it holds a prefix of the commits, no shorter than what was durable, and
//! nothing else; all ways of reading agree; it is sound inside; it can be worked with and opened again.

mod check;
mod recorded;
mod second;

use std::collections::HashSet;

use base::vfs::{CrashProfile, ImageBudget};
use parking_lot::Mutex;

use crate::campaign::{Campaign, Case, Goal, Size};
use crate::database::DatabaseKind;
use crate::finding::Checked;
use crate::script::{Script, enumerated, enumerated_count, random};

use self::check::check;
use self::recorded::Recorded;

/// How long the enumerated scripts are.
const LONGEST: u32 = 3;
/// Operations of a random script.
const RANDOM_LEN: usize = 60;
/// One image of so many has the power cut again while it is opened.
const SECOND_EVERY: u64 = 120;
/// One moment of so many is a death of the process, followed by a cut while the next one opens the database.
const KILL_EVERY: u64 = 40;

/// The campaign.
#[derive(Debug, Default)]
pub struct Power {
    /// Images that were checked, with what was demanded of them: scripts share beginnings.
    seen: Mutex<HashSet<u64>>,
}

impl Campaign for Power {
    fn name(&self) -> &'static str {
        "power"
    }

    fn about(&self) -> &'static str {
        "power cuts at every operation, sectors and names lost in any combination, again during recovery"
    }

    fn goals(&self, size: Size) -> Vec<Goal> {
        let goals = |distinct, second| {
            vec![
                Goal { counter: "distinct", at_least: distinct },
                Goal { counter: "second crashes", at_least: second },
            ]
        };
        match size {
            Size::Ci => goals(50_000, 5_000),
            Size::Full => {
                let scripts = enumerated_count(LONGEST) * DatabaseKind::ALL.len() as u64;
                let mut full = goals(2_000_000, 200_000);
                full.push(Goal { counter: "enumerated scripts", at_least: scripts });
                full
            }
            Size::Timed => Vec::new(),
        }
    }

    fn run(&self, case: &mut Case<'_>) -> Checked {
        let (kind, script, is_enumerated) = choose(case);
        let recorded = Recorded::run(kind, &script)?;
        case.counters.add("enumerated scripts", u64::from(is_enumerated));
        // The beginnings of an enumerated script are scripts of their own.
        let first = if is_enumerated { recorded.last_operation() } else { 0 };
        for profile in [CrashProfile::Strict, CrashProfile::Ext4Like] {
            for moment in first..=recorded.recording.len() {
                self.cut(case, &recorded, moment, profile)?;
            }
        }
        for moment in first..=recorded.recording.len() {
            if !chance(case.seed, moment as u64, KILL_EVERY) {
                continue;
            }
            let expected = recorded.after_kill(moment);
            second::kill_then_cut(case, &recorded, moment, &expected)
                .map_err(|finding| finding.at(format!("{kind:?}, killed after operation {moment}")))?;
        }
        Ok(())
    }
}

impl Power {
    /// Checks the images of a cut at one moment.
    fn cut(&self, case: &mut Case<'_>, recorded: &Recorded, moment: usize, profile: CrashProfile) -> Checked {
        let expected = recorded.after_cut(moment);
        for image in recorded.recording.images(moment, profile, &budget(case, moment)) {
            case.counters.count("images");
            let fingerprint = expected.fingerprint(image.hash());
            if !self.seen.lock().insert(fingerprint) {
                continue;
            }
            case.counters.count("distinct");
            let explained = |finding: crate::Finding| {
                let kind = recorded.kind;
                finding.at(format!("{kind:?}, {profile:?}, after operation {moment}: {}", image.explain()))
            };
            let disk = image.clone().into_mem();
            let again = fingerprint.is_multiple_of(SECOND_EVERY).then(|| disk.snapshot());
            check(disk, &expected, case.seed ^ fingerprint).map_err(explained)?;
            if let Some(files) = again {
                second::cut_again(case, files, &expected).map_err(explained)?;
            }
        }
        Ok(())
    }
}

/// Enumerated and random scripts in turn, each on both databases. A full run must come through all that are enumerated.
fn choose(case: &mut Case<'_>) -> (DatabaseKind, Script, bool) {
    let kinds = DatabaseKind::ALL;
    let (kind, turn) = (kinds[(case.index % 2) as usize], case.index / 2);
    let random_every = if case.size == Size::Full { 16 } else { 2 };
    let is_random = turn % random_every == random_every - 1;
    // How many enumerated ones came before.
    let number = turn / random_every * (random_every - 1) + turn % random_every;
    let count = enumerated_count(LONGEST);
    // In an order that mixes short and long ones; 7919 has no divisor in common with their count.
    let enumerated_index = (!is_random && number < count).then_some(number * 7919 % count);
    let seed = case.seed;
    let is_enumerated = enumerated_index.is_some() && case.script.is_none();
    let script = case.script(|| match enumerated_index {
        Some(index) => enumerated(index),
        None => random(&mut fastrand::Rng::with_seed(seed), RANDOM_LEN),
    });
    (kind, script, is_enumerated)
}

/// True for one of `every` numbers, always the same ones for a seed.
fn chance(seed: u64, number: u64, every: u64) -> bool {
    fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9).wrapping_add(number)).u64(..every) == 0
}

/// How many images of a moment. There are many short scripts, and they have much in common.
fn budget(case: &Case<'_>, moment: usize) -> ImageBudget {
    let at_most = if case.ran.as_ref().is_some_and(|script| script.0.len() < RANDOM_LEN) { 6 } else { 16 };
    let seed = case.seed ^ moment as u64;
    ImageBudget {
        exhaustive_up_to: at_most as u64,
        at_most,
        random: at_most as u32 / 2,
        seed,
        only_new: false,
    }
}
