//! The proof that the campaigns find something: every seeded bug, alive in a process of its own, must be found by the campaign
//! that is there for it; and without a bug the same campaigns must find nothing.
//!
//! The bugs exist only in a build with `--cfg seeded_bugs`; see [`base::seeded`].

mod child;
mod harness;

use std::collections::BTreeSet;

use base::seeded::Bug;
use comfy_table::Table;

use self::child::{Outcome, Run};
pub use self::harness::harness;

/// How long a campaign looks for a bug at most, in minutes.
const SEARCH_MINUTES: f64 = 2.0;
/// How long a campaign runs without one, in minutes.
const CLEAN_MINUTES: f64 = 0.25;
/// The end of a finding is shown, so many characters.
const FINDING_CHARACTERS: usize = 90;

/// How to make a program that has the bugs.
pub const HOW_TO_BUILD: &str = "this program was built without the seeded bugs; run `.ci/seeded-bugs`, or build it with \
                                RUSTFLAGS='--cfg seeded_bugs'";

/// What to prove.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Only this bug.
    pub only: Option<String>,
    /// How long each campaign looks for a bug, in minutes; two by default.
    pub minutes: Option<f64>,
    /// The first seed.
    pub seed: u64,
    /// Cases at once.
    pub workers: usize,
}

/// One line of the result.
struct Row {
    bug: Option<Bug>,
    harness: &'static str,
    outcome: Outcome,
}

impl Row {
    /// A bug was found, or none where there is none.
    fn is_right(&self) -> bool {
        self.outcome.failure.is_none() && self.outcome.finding.is_some() == self.bug.is_some()
    }

    fn cells(&self) -> [String; 6] {
        let outcome = &self.outcome;
        let what = outcome.failure.as_ref().or(outcome.finding.as_ref());
        // The place comes first, what is wrong last.
        let last_line = what.and_then(|what| what.lines().last()).unwrap_or_default();
        let cut_at = last_line.char_indices().rev().nth(FINDING_CHARACTERS - 1).map_or(0, |(at, _)| at);
        [
            self.bug.map_or("(none)", Bug::name).to_owned(),
            self.harness.to_owned(),
            if self.is_right() { "yes" } else { "NO" }.to_owned(),
            last_line.get(cut_at..).unwrap_or_default().to_owned(),
            outcome.cases.to_string(),
            format!("{:.1}", outcome.elapsed.as_secs_f64()),
        ]
    }
}

/// Runs the proof, and prints it. True when every bug was found, and nothing else.
///
/// # Errors
/// A message when the program has no bugs, or none of the name that is asked for.
pub fn prove(plan: &Plan) -> Result<bool, String> {
    if !cfg!(seeded_bugs) {
        return Err(HOW_TO_BUILD.to_owned());
    }
    let wanted = |bug: &Bug| plan.only.as_ref().is_none_or(|name| bug.name() == name);
    let bugs: Vec<Bug> = Bug::ALL.iter().copied().filter(wanted).collect();
    if bugs.is_empty() {
        let names: Vec<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        return Err(format!("there is no such bug; there are {}", names.join(", ")));
    }
    let harnesses: BTreeSet<_> = bugs.iter().map(|bug| harness(*bug)).collect();
    let clean = harnesses.into_iter().map(|harness| (harness, None, CLEAN_MINUTES));
    let minutes = plan.minutes.unwrap_or(SEARCH_MINUTES);
    let alive = bugs.iter().map(|bug| (harness(*bug), Some(*bug), minutes));
    let mut rows = Vec::new();
    for (harness, bug, minutes) in clean.chain(alive) {
        let outcome = Run { harness, bug, minutes, seed: plan.seed, workers: plan.workers }.run();
        let row = Row { bug, harness, outcome };
        eprintln!("{}", row.cells().join(" | "));
        rows.push(row);
    }
    println!("{}", table(&rows));
    let caught = rows.iter().filter(|row| row.bug.is_some() && row.is_right()).count();
    println!("\n{caught}/{} caught", bugs.len());
    Ok(rows.iter().all(Row::is_right))
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["bug", "harness", "as it must be", "the end of the first finding", "cases", "seconds"]);
    for row in rows {
        table.add_row(row.cells());
    }
    table
}
