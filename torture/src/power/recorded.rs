//! One run of a script on a recording disk, and what it demands of each moment.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use base::vfs::{Recording, SimVfs, Vfs};

use crate::database::DatabaseKind;
use crate::finding::{Checked, Finding};
use crate::history::History;
use crate::runner::{Mark, Runner};
use crate::script::Script;

use super::check::Expected;

/// What happened.
pub(super) struct Recorded {
    pub(super) kind: DatabaseKind,
    pub(super) recording: Recording,
    history: Arc<History>,
    /// A fingerprint of each state of the history.
    states: Vec<u64>,
    /// Where the last operation of the script began.
    last_operation: usize,
}

/// A mark as a number for the recording, and back.
pub(super) fn encode(mark: Mark) -> u64 {
    match mark {
        Mark::Submitted(number) => (number as u64) << 2,
        Mark::Acknowledged(number) => (number as u64) << 2 | 1,
        Mark::Durable(number) => (number as u64) << 2 | 2,
        Mark::Clock(now) => now << 2 | 3,
    }
}

/// The highest number among the notes of one kind of mark.
fn highest(notes: &[u64], kind: fn(usize) -> Mark) -> Option<usize> {
    let tag = encode(kind(0));
    notes.iter().filter(|note| **note & 3 == tag).map(|note| (*note >> 2) as usize).max()
}

impl Recorded {
    pub(super) fn run(kind: DatabaseKind, script: &Script) -> Checked<Self> {
        let sim = SimVfs::new();
        let disk: Arc<dyn Vfs> = Arc::new(sim.clone());
        let marks = |mark| sim.note(encode(mark));
        let mut runner = Runner::create(kind, disk, &marks)?;
        let mut last_operation = 0;
        for (at, operation) in script.0.iter().enumerate() {
            last_operation = sim.recorded();
            let place = |finding: Finding| finding.at(format!("{kind:?}, operation {at}, `{operation}`"));
            runner.operation(*operation).map_err(place)?;
        }
        runner.check().map_err(|finding| finding.at(format!("{kind:?}, without any cut")))?;
        let history = Arc::new(runner.history().clone());
        let states = (0..=history.commits()).map(|at| fingerprint(&history, at)).collect();
        Ok(Self { kind, recording: sim.recording(), history, states, last_operation })
    }

    pub(super) fn last_operation(&self) -> usize {
        self.last_operation
    }

    fn expected(&self, least: usize, notes: &[u64]) -> Expected {
        let most = highest(notes, Mark::Submitted).unwrap_or(0).max(least);
        let now = highest(notes, |now| Mark::Clock(now as u64)).unwrap_or(0) as u64;
        let mut hasher = DefaultHasher::new();
        (self.kind, now, self.states.get(least..=most)).hash(&mut hasher);
        let demands = hasher.finish();
        Expected { kind: self.kind, history: Arc::clone(&self.history), commits: least..=most, now, demands }
    }

    /// What a power cut at `moment` must leave.
    pub(super) fn after_cut(&self, moment: usize) -> Expected {
        let notes = self.recording.notes(moment);
        self.expected(highest(&notes, Mark::Durable).unwrap_or(0), &notes)
    }

    /// What the death of the process at `moment` must leave: all that was acknowledged.
    pub(super) fn after_kill(&self, moment: usize) -> Expected {
        let notes = self.recording.notes(moment);
        self.expected(highest(&notes, Mark::Acknowledged).unwrap_or(0), &notes)
    }
}

fn fingerprint(history: &History, at: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (key, held) in history.state(at) {
        (key, &held.value, held.version, held.expires_at, held.user_meta).hash(&mut hasher);
    }
    hasher.finish()
}
