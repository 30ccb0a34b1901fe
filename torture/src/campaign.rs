//! What a campaign is: a supply of cases, and when there were enough.

use crate::counters::Counters;
use crate::finding::Checked;
use crate::script::Script;

/// How much of a campaign to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// The slice for every change.
    Ci,
    /// Everything that is asked for before a release.
    Full,
    /// As much as time allows.
    Timed,
}

/// A campaign has done enough when every counter has reached its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// The name of the counter.
    pub counter: &'static str,
    /// What it must reach.
    pub at_least: u64,
}

/// One case to run.
#[derive(Debug)]
pub struct Case<'a> {
    /// Everything random in the case comes from here.
    pub seed: u64,
    /// Its number, from 0. Campaigns that enumerate take the case of this number; the others need only the seed.
    pub index: u64,
    /// How much is run.
    pub size: Size,
    /// Run this script and not the one that the seed makes; for replays and for shrinking.
    pub script: Option<&'a Script>,
    /// What the case has done.
    pub counters: Counters,
    /// The script that it ran, if it ran one: what a finding is shrunk from.
    pub ran: Option<Script>,
}

impl<'a> Case<'a> {
    /// A case of its own seed.
    #[must_use]
    pub fn new(seed: u64, index: u64, size: Size, script: Option<&'a Script>) -> Self {
        Self { seed, index, size, script, counters: Counters::default(), ran: None }
    }

    /// The given script, or the one that `make` makes; remembered for shrinking.
    pub fn script(&mut self, make: impl FnOnce() -> Script) -> Script {
        let script = self.script.cloned().unwrap_or_else(make);
        self.ran = Some(script.clone());
        script
    }
}

/// A harness that looks for one family of failures.
pub trait Campaign: Sync + Send {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it does and what it demands, in a line.
    fn about(&self) -> &'static str;

    /// How many cases there are, when there is an end to them.
    fn cases(&self, _size: Size) -> Option<u64> {
        None
    }

    /// When it has done enough. Without goals it runs all its cases.
    fn goals(&self, _size: Size) -> Vec<Goal> {
        Vec::new()
    }

    /// How many cases may run at once at most; `None` for one per core.
    fn workers_max(&self) -> Option<usize> {
        None
    }

    /// Runs one case. It may panic: that is a finding too.
    ///
    /// # Errors
    /// What it found.
    fn run(&self, case: &mut Case<'_>) -> Checked;
}
