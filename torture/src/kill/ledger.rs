//! What must be in the database, kept outside of it: everything acknowledged, and of what was under way at the moment of a
//! kill whatever the next open shows.

use std::collections::BTreeMap;

use super::event::{Event, Opened};
use super::transaction::{Name, THREADS_MAX};
use crate::finding::{Checked, Finding, demand};
use crate::process::{Held, Observation, State, digest_of};

/// How many differences a finding names.
const DIFFERENCES_MAX: usize = 5;

/// One writing thread, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
struct Thread {
    /// Its last transaction that is in the database, and the version of it.
    last_number: u64,
    last_version: u64,
    /// The transaction that may be under way.
    under_way: Option<u64>,
}

/// The database as it must be.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: State,
    version: u64,
    threads: [Thread; THREADS_MAX],
    /// Since the last open: acknowledged, by version.
    commits: BTreeMap<u64, Name>,
    seed: u64,
    session: Option<u64>,
    /// True when any process has reported that the database is open.
    was_opened: bool,
    /// What a kill has met.
    pub(super) phase: Phase,
    pub(super) counts: Counts,
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Starting,
    Opening,
    Working,
    Closing,
    Closed,
}

/// How much was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) acknowledged: u64,
    /// Neither acknowledged nor refused, and found.
    pub(super) unacknowledged_kept: u64,
    /// Cut off in the middle of a write, and gone but for their versions.
    pub(super) torn: u64,
    pub(super) refused: u64,
    pub(super) reopened: u64,
}

impl Ledger {
    /// A new process begins, whose transactions have this seed.
    pub(super) fn start_process(&mut self, seed: u64) {
        self.seed = seed;
        self.session = None;
        self.phase = Phase::Starting;
    }

    /// True when there must be a database.
    pub(super) fn was_opened(&self) -> bool {
        self.was_opened
    }

    /// Takes note of what a worker has told.
    pub(super) fn note(&mut self, event: Event) -> Checked {
        match event {
            Event::Opening => {
                self.session = Some(self.session.map_or(0, |session| session + 1));
                self.phase = Phase::Opening;
            }
            Event::Opened(opened) => {
                self.settle(&opened)?;
                self.was_opened = true;
                self.phase = Phase::Working;
                self.counts.reopened += 1;
                for thread in &mut self.threads {
                    thread.under_way = Some(thread.last_number + 1);
                }
            }
            Event::Done { thread, number, version, digest } => self.done(thread, number, version, digest)?,
            Event::Refused { thread, number } => {
                let known = self.thread(thread)?;
                demand(known.under_way == Some(number), || {
                    format!("thread {thread} was refused {number}: {known:?}")
                })?;
                known.under_way = None;
                self.counts.refused += 1;
            }
            Event::Closing => self.phase = Phase::Closing,
            Event::Closed => {
                self.phase = Phase::Closed;
                self.threads.iter_mut().for_each(|thread| thread.under_way = None);
            }
        }
        Ok(())
    }

    fn thread(&mut self, thread: usize) -> Checked<&mut Thread> {
        self.threads.get_mut(thread).ok_or_else(|| Finding::new(format!("there is no thread {thread}")))
    }

    fn name(&self, thread: usize, number: u64) -> Name {
        Name { seed: self.seed, session: self.session.unwrap_or(0), thread, number }
    }

    fn done(&mut self, thread: usize, number: u64, version: u64, digest: u64) -> Checked {
        let name = self.name(thread, number);
        let known = self.thread(thread)?;
        demand(known.under_way == Some(number), || format!("thread {thread} did {number}: {known:?}"))?;
        let is_agreed = name.transaction().digest() == digest;
        demand(is_agreed, || format!("{name:?} is another transaction in the worker"))?;
        *known = Thread { last_number: number, last_version: version, under_way: Some(number + 1) };
        self.counts.acknowledged += 1;
        self.add(version, name)
    }

    fn add(&mut self, version: u64, name: Name) -> Checked {
        match self.commits.insert(version, name) {
            None => Ok(()),
            Some(other) => {
                Err(Finding::new(format!("version {version} was given to {other:?} and {name:?}")))
            }
        }
    }

    /// Compares the whole database with what must be in it.
    pub(super) fn check(&mut self, found: &Observation) -> Checked {
        self.settle(&Opened::new(found)).map_err(|finding| {
            // Whatever was acknowledged must be there, so the state without it says nothing.
            let is_complete = self.commits.is_empty();
            let differences = if is_complete { differences(&self.state, &found.state) } else { Vec::new() };
            if differences.is_empty() { finding } else { finding.at(differences.join("; ")) }
        })
    }

    /// Decides about the transactions that were under way by what a database shows that was just opened, and compares the
    /// rest.
    fn settle(&mut self, found: &Opened) -> Checked {
        let mut torn = 0;
        for thread in 0..THREADS_MAX {
            let shown = found.markers.get(thread).copied().unwrap_or(0);
            let known = *self.thread(thread)?;
            let is_there = shown > known.last_version;
            if let Some(number) = known.under_way.filter(|_| is_there) {
                self.add(shown, self.name(thread, number))?;
                *self.thread(thread)? = Thread { last_number: number, last_version: shown, under_way: None };
                self.counts.unacknowledged_kept += 1;
            } else {
                torn += u64::from(known.under_way.is_some());
                demand(shown == known.last_version, || {
                    let what = if shown < known.last_version { "LOST" } else { "INVENTED" };
                    let Thread { last_number, last_version, .. } = known;
                    format!(
                        "{what}: thread {thread} acknowledged {last_number} at version {last_version}, there is version {shown}"
                    )
                })?;
            }
            self.thread(thread)?.under_way = None;
        }
        self.apply()?;
        // A commit that was cut off while it was written has left its version, which is not given again.
        let version = self.version;
        demand((version..=version + torn).contains(&found.version), || {
            format!("the newest version is {}, and should be {version} (+ {torn})", found.version)
        })?;
        self.counts.torn += found.version - version;
        self.version = found.version;
        demand(found.digest == digest_of(&self.state), || {
            format!("at version {version} the contents are not what was written")
        })
    }

    /// Brings the state up to date with the commits, which must follow each other without a hole.
    fn apply(&mut self) -> Checked {
        for (version, name) in std::mem::take(&mut self.commits) {
            demand(version == self.version + 1, || {
                format!(
                    "HOLE: {name:?} is there with version {version}, and nothing has {}",
                    self.version + 1
                )
            })?;
            self.version = version;
            for (key, value) in name.transaction().writes {
                match value {
                    Some(value) => self.state.insert(key, Held::new(version, &value)),
                    None => self.state.remove(&key),
                };
            }
        }
        Ok(())
    }
}

fn differences(expected: &State, found: &State) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differing = keys.into_iter().filter(|key| expected.get(*key) != found.get(*key));
    let told = |held: Option<&Held>| {
        held.map_or("nothing".into(), |held| format!("version {} ({} bytes)", held.version, held.value_len))
    };
    let text = |key: &Vec<u8>| {
        format!("{} holds {}, not {}", key.escape_ascii(), told(found.get(key)), told(expected.get(key)))
    };
    differing.take(DIFFERENCES_MAX).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill::transaction::marker;

    fn opened(ledger: &Ledger) -> Opened {
        let markers =
            std::array::from_fn(|thread| ledger.state.get(&marker(thread)).map_or(0, |held| held.version));
        Opened { version: ledger.version, digest: digest_of(&ledger.state), markers }
    }

    fn done(ledger: &Ledger, thread: usize, number: u64, version: u64) -> Event {
        let digest = ledger.name(thread, number).transaction().digest();
        Event::Done { thread, number, version, digest }
    }

    /// A ledger after two commits of thread 0 and one of thread 1, and what a sound database shows of them.
    fn worked() -> (Ledger, Opened) {
        let mut ledger = Ledger::default();
        ledger.start_process(5);
        ledger.note(Event::Opening).unwrap();
        ledger.note(Event::Opened(opened(&ledger))).unwrap();
        for (thread, number, version) in [(0, 1, 1), (1, 1, 2), (0, 2, 3)] {
            ledger.note(done(&ledger, thread, number, version)).unwrap();
        }
        let mut sound = Ledger::default();
        sound.start_process(5);
        sound.note(Event::Opening).unwrap();
        for (thread, number, version) in [(0, 1, 1), (1, 1, 2), (0, 2, 3)] {
            sound.add(version, sound.name(thread, number)).unwrap();
        }
        sound.apply().unwrap();
        let shown = opened(&sound);
        (ledger, shown)
    }

    #[test]
    fn what_was_acknowledged_must_be_there() {
        let (mut ledger, shown) = worked();
        ledger.settle(&shown).unwrap();
        let (mut ledger, mut shown) = worked();
        shown.markers[0] = 1;
        assert!(ledger.settle(&shown).unwrap_err().to_string().contains("LOST"));
        let (mut ledger, mut shown) = worked();
        shown.digest ^= 1;
        ledger.settle(&shown).unwrap_err();
        // A commit torn in the log has used up its version; each thread can have had one.
        let (mut ledger, mut shown) = worked();
        shown.version += 1;
        ledger.settle(&shown).unwrap();
        assert_eq!(ledger.counts.torn, 1);
        let (mut ledger, mut shown) = worked();
        shown.version += THREADS_MAX as u64 + 1;
        ledger.settle(&shown).unwrap_err();
    }

    #[test]
    fn what_was_under_way_may_be_there_without_a_hole() {
        let (mut ledger, mut shown) = worked();
        // Thread 1 was at its second transaction: version 4 is the next, 5 would leave a hole.
        ledger.add(4, ledger.name(1, 2)).unwrap();
        ledger.apply().unwrap();
        let with_it = Opened { markers: [3, 4, 0], ..opened(&ledger) };
        let (mut ledger, _) = worked();
        ledger.settle(&with_it).unwrap();
        assert_eq!(ledger.counts.unacknowledged_kept, 1);
        let (mut ledger, _) = worked();
        shown.markers[1] = 5;
        assert!(ledger.settle(&shown).unwrap_err().to_string().contains("HOLE"));
    }

    #[test]
    fn what_was_refused_or_never_begun_must_not_be_there() {
        let (mut ledger, mut shown) = worked();
        ledger.note(Event::Refused { thread: 1, number: 2 }).unwrap();
        shown.markers[1] = 4;
        assert!(ledger.settle(&shown).unwrap_err().to_string().contains("INVENTED"));
    }
}
