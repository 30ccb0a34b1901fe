//! The toy database: all versions in one map, commits that are numbered first and written later, transactions that
//! take turns as a seed decides.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use base::{Retention, SharedVersion, UnixSeconds, Version};
use txn::{Checked, Pending, ReadSet, RecentCommits, Snapshot, Snapshots, WriteSet};

use super::checker::{Finished, Key, Read, Value, check};
use super::{Fault, Outcome, Scenario};

const NOW: UnixSeconds = UnixSeconds(1);
const STEPS: usize = 600;
const KEYS: Key = 12;

type Versions = BTreeMap<Version, Option<Value>>;

struct Open {
    began: u64,
    snapshot: Option<Snapshot>,
    read_version: Version,
    reads: ReadSet,
    log: Vec<Read>,
    writes: WriteSet,
    checked: Option<Checked>,
}

struct Queued {
    version: Version,
    finished: Finished,
}

struct Toy {
    fault: Fault,
    random: fastrand::Rng,
    visible: Arc<SharedVersion>,
    snapshots: Arc<Snapshots>,
    recent: RecentCommits,
    numbered: Version,
    data: BTreeMap<Key, Versions>,
    queue: VecDeque<Queued>,
    open: Vec<Open>,
    history: Vec<Finished>,
    moment: u64,
    next_value: Value,
    scenario: Scenario,
}

/// One seeded run.
pub(crate) fn run(fault: Fault, seed: u64) -> Outcome {
    let visible = Arc::new(SharedVersion::new(Version::ZERO));
    // Small enough in some runs that commits are forgotten by force.
    let max_bytes = if seed.is_multiple_of(4) { 1500 } else { usize::MAX };
    let mut toy = Toy {
        fault,
        random: fastrand::Rng::with_seed(seed),
        snapshots: Snapshots::new(Arc::clone(&visible)),
        visible,
        recent: RecentCommits::new(Version::ZERO, max_bytes),
        numbered: Version::ZERO,
        data: BTreeMap::new(),
        queue: VecDeque::new(),
        open: Vec::new(),
        history: Vec::new(),
        moment: 0,
        next_value: 0,
        scenario: Scenario::default(),
    };
    for _ in 0..STEPS {
        toy.step();
    }
    while let Some(open) = toy.open.pop() {
        toy.commit(open);
    }
    while toy.publish() {}
    toy.scenario.read_only = toy.history.iter().filter(|done| done.commit_version.is_none()).count();
    Outcome { violation: check(&toy.history), scenario: toy.scenario }
}

impl Toy {
    fn step(&mut self) {
        self.moment += 1;
        let who = self.random.usize(..5);
        match self.random.u32(..20) {
            0..3 if self.open.len() < 5 => self.begin(),
            3..6 => self.publish_some(),
            6 => self.remove_old_versions(),
            7 => self.recent.prune(self.snapshots.oldest_read_write()),
            8..10 if who < self.open.len() => {
                let open = self.open.swap_remove(who);
                self.commit(open);
            }
            10 if who < self.open.len() => self.check_early(who),
            11..14 if who < self.open.len() => self.write(who),
            14..17 if who < self.open.len() => self.point(who),
            17..20 if who < self.open.len() => self.scan(who),
            _ => {}
        }
    }

    fn begin(&mut self) {
        let snapshot = self.snapshots.begin_read_write(NOW);
        let read_version = snapshot.version();
        let is_registered = self.fault != Fault::SnapshotsNotRegistered;
        self.open.push(Open {
            began: self.moment,
            snapshot: is_registered.then_some(snapshot),
            read_version,
            reads: ReadSet::new(),
            log: Vec::new(),
            writes: WriteSet::new(),
            checked: None,
        });
    }

    fn write(&mut self, who: usize) {
        let key = [self.random.u8(..KEYS)];
        self.next_value += 1;
        if self.random.u32(..4) == 0 {
            self.open[who].writes.delete(&key);
        } else {
            let value = self.next_value.to_le_bytes();
            self.open[who].writes.set(&key, &Pending::value(&value));
        }
    }

    fn stored(&self, key: Key, at: Version) -> Option<Value> {
        self.data.get(&key)?.range(..=at).next_back().and_then(|(_, value)| *value)
    }

    fn point(&mut self, who: usize) {
        let key = self.random.u8(..KEYS);
        let answer = self.stored(key, self.open[who].read_version);
        let (fault, open) = (self.fault, &mut self.open[who]);
        if open.writes.get(&[key]).is_some() {
            return;
        }
        open.checked = None;
        if answer.is_some() || fault != Fault::SkipAbsentKeys {
            open.reads.point(&[key]);
        }
        open.log.push(Read::Point(key, answer));
    }

    /// Scans what is stored, from either end, to the bound or until it has enough.
    fn scan(&mut self, who: usize) {
        let (low, high) = (self.random.u8(..KEYS), self.random.u8(..KEYS));
        let (low, high) = (low.min(high), low.max(high));
        let is_reversed = self.random.bool();
        let wanted = self.random.usize(1..5);
        let at = self.open[who].read_version;
        let present = (low..=high).filter_map(|key| Some((key, self.stored(key, at)?)));
        let mut answer: Vec<_> = if is_reversed { present.rev().collect() } else { present.collect() };
        let is_cut_short = answer.len() >= wanted;
        answer.truncate(wanted);
        let (fault, open) = (self.fault, &mut self.open[who]);
        open.checked = None;
        record(fault, &mut open.reads, (low, high), is_reversed, is_cut_short, &answer);
        open.log.push(Read::Scan { low, high, is_reversed, is_cut_short, answer });
    }

    fn check_early(&mut self, who: usize) {
        let open = &mut self.open[who];
        // A refusal now is a refusal at the commit too.
        open.checked = self.recent.check_before(&open.reads, open.read_version).ok();
    }

    fn commit(&mut self, open: Open) {
        self.moment += 1;
        let finished = Finished {
            began: open.began,
            ended: self.moment,
            read_version: open.read_version,
            commit_version: None,
            reads: open.log.clone(),
            writes: open.writes.iter().map(|(key, pending)| (key[0], decode(pending))).collect(),
        };
        if open.writes.is_empty() {
            self.history.push(finished);
            return;
        }
        let version = self.numbered.next().unwrap();
        if !self.is_admitted(&open, version) {
            self.scenario.refused += 1;
            return;
        }
        drop(open.snapshot);
        self.scenario.committed += 1;
        self.numbered = version;
        let finished = Finished { commit_version: Some(version), ..finished };
        self.queue.push_back(Queued { version, finished });
        if self.fault == Fault::PublishBeforeWrite {
            self.visible.publish(version);
        }
    }

    fn is_admitted(&self, open: &Open, version: Version) -> bool {
        let read_version = match self.fault {
            Fault::ReadVersionTooHigh => Version(open.read_version.0 + 1),
            _ => open.read_version,
        };
        let nothing = ReadSet::new();
        let reads = if self.fault == Fault::SkipCheck { &nothing } else { &open.reads };
        let early = open.checked.filter(|_| self.fault != Fault::ReadVersionTooHigh);
        let checked = match early {
            Some(checked) => checked,
            None => match self.recent.check_before(reads, read_version) {
                Ok(checked) => checked,
                Err(_) => return false,
            },
        };
        let admitted_reads = if self.fault == Fault::SkipAdmissionCheck { &nothing } else { reads };
        self.recent.admit(admitted_reads, &checked, version, &open.writes.written_keys()).is_ok()
    }

    /// Publishes some of what is queued: none, one or all.
    fn publish_some(&mut self) {
        for _ in 0..self.random.usize(..4) {
            self.publish();
        }
    }

    fn publish(&mut self) -> bool {
        let Some(Queued { version, mut finished }) = self.queue.pop_front() else { return false };
        for (key, value) in &finished.writes {
            self.data.entry(*key).or_default().insert(version, *value);
        }
        self.visible.publish(version);
        self.moment += 1;
        finished.ended = self.moment;
        self.history.push(finished);
        true
    }

    /// What a compaction would do: only what the retention allows.
    fn remove_old_versions(&mut self) {
        let mut retention = self.snapshots.retention(NOW);
        if self.fault == Fault::CutTooHigh {
            let snapshots = retention.snapshots.iter().map(|snapshot| Version(snapshot.0 + 1));
            retention = Retention::new(retention.cut, snapshots, NOW);
        }
        for versions in self.data.values_mut() {
            let before = versions.len();
            let all: Vec<Version> = versions.keys().copied().collect();
            for (index, version) in all.iter().enumerate() {
                if !retention.sees(all.get(index + 1).copied(), *version) {
                    versions.remove(version);
                }
            }
            self.scenario.versions_removed += before - versions.len();
        }
    }
}

fn decode(pending: Pending<'_>) -> Option<Value> {
    pending.value.map(|value| Value::from_le_bytes(value.try_into().unwrap()))
}

/// Records the part of `low..=high` that the scan visited.
fn record(
    fault: Fault,
    reads: &mut ReadSet,
    (low, high): (Key, Key),
    is_reversed: bool,
    is_cut_short: bool,
    answer: &[(Key, Value)],
) {
    if fault == Fault::SkipRanges {
        return;
    }
    if fault == Fault::ReturnedKeysOnly {
        answer.iter().for_each(|(key, _)| reads.point(&[*key]));
        return;
    }
    let stopped_at = answer.last().filter(|_| is_cut_short).map(|(key, _)| [*key]);
    let last = match (&stopped_at, fault) {
        (Some(key), Fault::RangeEndExcluded) => Some(Bound::Excluded(&key[..])),
        (Some(key), _) => Some(Bound::Included(&key[..])),
        (None, _) => None,
    };
    if is_reversed {
        reads.range(last.unwrap_or(Bound::Included(&[low])), Bound::Included(&[high]));
    } else {
        reads.range(Bound::Included(&[low]), last.unwrap_or(Bound::Included(&[high])));
    }
}
