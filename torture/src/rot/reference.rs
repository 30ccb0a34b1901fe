//! The databases that are damaged: one script, every kind of file, closed in good order or killed with commits in its logs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::UnixSeconds;
use base::clock::ManualClock;
use base::vfs::{MemVfs, Vfs};
use bytes::Bytes;

use crate::database::{DIRECTORY, Database, DatabaseKind, Durability};
use crate::finding::{Checked, Finding, demand};
use crate::history::{Held, History, Write};
use crate::script::START_SECONDS;

use super::evidence::{highest_mark, highest_number};
use super::units::{Twins, twins};

/// How many keys there are.
const KEYS: u64 = 36;
/// Commits in tables of lower levels, in tables of L0, in a frozen generation, and in the active one.
const PARTS: [usize; 4] = [70, 14, 24, 10];
/// Commits behind the last durable one.
const UNCONFIRMED: usize = 9;
/// The longest value, in bytes; a value of more than 63 goes to the value log.
const LONGEST: usize = 160;

/// A database on disk, and what it holds.
#[derive(Debug)]
pub(super) struct Reference {
    /// How it was left.
    pub(super) name: &'static str,
    pub(super) files: BTreeMap<PathBuf, Bytes>,
    /// The names of `files`, in order.
    pub(super) paths: Vec<PathBuf>,
    /// What the files of these numbers in `paths` held earlier.
    pub(super) versions: Vec<(usize, Bytes)>,
    /// Units of tables that may change places.
    pub(super) twins: Vec<Twins>,
    pub(super) history: History,
    /// Commits that are in tables.
    pub(super) flushed: usize,
    /// Commits that were acknowledged as durable.
    pub(super) durable: usize,
    /// Logs with commits that are in no table.
    pub(super) logs: BTreeSet<PathBuf>,
    /// What a reader sees after all commits.
    pub(super) live: Vec<(Vec<u8>, Held)>,
}

/// Every name that is read.
pub(super) fn key(number: u64) -> Vec<u8> {
    format!("key{number:03}").into_bytes()
}

/// All keys, and two that never were.
pub(super) fn all_keys() -> impl Iterator<Item = Vec<u8>> {
    (0..KEYS + 2).map(key)
}

/// How a database is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Closed,
    /// Killed with commits in both logs of its generations.
    Killed,
    /// Killed with commits in one log only: the other one cannot tell of them.
    KilledSmall,
}

/// Closed, and killed twice.
///
/// # Errors
/// When the script does not run, or does not leave what the campaign is about.
pub(super) fn references() -> Checked<[Reference; 3]> {
    Ok([build(Ending::Closed)?, build(Ending::Killed)?, build(Ending::KilledSmall)?])
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Killed => "killed",
            Self::KilledSmall => "killed, small values",
        }
    }
}

/// A database that is being made.
struct Builder {
    disk: MemVfs,
    clock: Arc<ManualClock>,
    database: Box<dyn Database>,
    history: History,
    random: fastrand::Rng,
    seen: BTreeMap<PathBuf, Vec<Bytes>>,
    /// The longest value from now on, in bytes.
    longest: usize,
}

impl Builder {
    fn new() -> Checked<Self> {
        let disk = MemVfs::new();
        let clock = Arc::new(ManualClock::new(UnixSeconds(START_SECONDS)));
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let database = DatabaseKind::Engine.open(&vfs, &clock)?;
        let (history, random, seen) = (History::default(), fastrand::Rng::with_seed(7), BTreeMap::new());
        let mut builder = Self { disk, clock, database, history, random, seen, longest: LONGEST };
        builder.look();
        Ok(builder)
    }

    /// Closes the database and opens it again.
    fn reopen(self) -> Checked<Self> {
        self.database.close()?;
        let vfs: Arc<dyn Vfs> = Arc::new(self.disk.clone());
        let database = DatabaseKind::Engine.open(&vfs, &self.clock)?;
        let mut builder = Self { database, ..self };
        builder.look();
        Ok(builder)
    }

    fn look(&mut self) {
        for (path, content) in self.disk.share() {
            let versions = self.seen.entry(path).or_default();
            if versions.last() != Some(&content) {
                versions.push(content);
            }
        }
    }

    fn write(&mut self) -> Write {
        let key = key(self.random.u64(..KEYS));
        let random = &mut self.random;
        // A fifth deletes; half of the values go to the value log, some of them compressible.
        let len = match random.u8(..10) {
            0 | 1 => return Write { key, value: None, expires_at: 0, user_meta: 0 },
            2..=5 => random.usize(1..50),
            _ => random.usize(64..LONGEST),
        };
        let len = len.min(self.longest);
        let noise = random.usize(..=len);
        let value = (0..len).map(|at| if at < noise { random.u8(..) } else { b'=' }).collect();
        let expires_at = if random.u8(..8) == 0 { START_SECONDS + 1_000 } else { 0 };
        Write { key, value: Some(value), expires_at, user_meta: random.u8(..4) }
    }

    fn commits(&mut self, count: usize, durability: impl Fn(usize) -> Durability) -> Checked {
        for at in 0..count {
            let mut writes: BTreeMap<Vec<u8>, Write> = BTreeMap::new();
            for _ in 0..self.random.usize(1..4) {
                let write = self.write();
                writes.insert(write.key.clone(), write);
            }
            let writes: Vec<Write> = writes.into_values().collect();
            self.history.submit(&writes);
            let version = self.database.commit(&writes, durability(at))?;
            self.history.acknowledge(&writes, version);
            self.look();
        }
        Ok(())
    }

    fn settle(&mut self) -> Checked {
        while self.database.step()? {
            self.look();
        }
        Ok(())
    }
}

fn build(ending: Ending) -> Checked<Reference> {
    let [lower, upper, frozen, active] = PARTS;
    let buffered = |at: usize| if at % 5 == 4 { Durability::Sync } else { Durability::Buffered };
    let mut builder = Builder::new()?;
    builder.commits(lower, buffered)?;
    builder.settle()?;
    builder.database.compact()?;
    builder.settle()?;
    // A second life: the files get older versions from before it.
    let mut builder = builder.reopen()?;
    builder.commits(upper, buffered)?;
    builder.settle()?;
    builder.database.flush()?;
    builder.settle()?;
    let flushed = builder.history.commits();
    // Enough to fill one generation, with no background work that would flush it.
    builder.commits(frozen, |_| Durability::Sync)?;
    builder.longest = if ending == Ending::KilledSmall { LONGEST / 3 } else { LONGEST };
    builder.commits(active, |_| Durability::Sync)?;
    let durable = builder.history.commits();
    builder.commits(UNCONFIRMED, |_| Durability::Buffered)?;
    let Builder { disk, database, history, seen, .. } = builder;
    if ending == Ending::Closed {
        database.close()?;
        let all = history.commits();
        return Reference::new(ending.name(), &disk, &seen, history, (all, all));
    }
    // What the end of the process leaves is what it has written so far.
    let killed = MemVfs::sharing(&disk.share(), 0);
    Reference::new(ending.name(), &killed, &seen, history, (flushed, durable))
}

impl Reference {
    fn new(
        name: &'static str,
        disk: &MemVfs,
        seen: &BTreeMap<PathBuf, Vec<Bytes>>,
        history: History,
        (flushed, durable): (usize, usize),
    ) -> Checked<Self> {
        let files = disk.share();
        let paths: Vec<PathBuf> = files.keys().cloned().collect();
        let found = |(file, (path, content)): (usize, (&PathBuf, &Bytes))| twins(file, path, content);
        let twins = files.iter().enumerate().flat_map(found).collect();
        let mut versions = Vec::new();
        for (at, path) in paths.iter().enumerate() {
            let now = files.get(path);
            let earlier: BTreeSet<&Bytes> = seen.get(path).into_iter().flatten().collect();
            versions.extend(earlier.into_iter().filter(|old| Some(*old) != now).map(|old| (at, old.clone())));
        }
        let is_log = |path: &&PathBuf| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            let number = files.get(*path).and_then(|content| highest_number(path, content));
            matches!(extension, Some("wal" | "vlog")) && number.is_none_or(|number| number > flushed as u64)
        };
        let logs = paths.iter().filter(is_log).cloned().collect();
        let live = history.last().iter().filter(|(_, held)| is_live(held));
        let live = live.map(|(key, held)| (key.clone(), held.clone())).collect();
        let reference = Self { name, files, paths, versions, twins, history, flushed, durable, logs, live };
        reference.check()?;
        Ok(reference)
    }

    /// That the campaign is about what it says.
    fn check(&self) -> Checked {
        let count = |suffix: &str| {
            let has_suffix = |path: &&PathBuf| path.to_string_lossy().ends_with(suffix);
            self.paths.iter().filter(has_suffix).count()
        };
        for name in ["MANIFEST", "KEYREGISTRY", "DISCARD", "LOCK"] {
            demand(count(name) == 1, || format!("the {} database has no {name}", self.name))?;
        }
        demand(count(".sst") >= 2, || format!("the {} database has few tables", self.name))?;
        demand(!self.twins.is_empty(), || format!("no unit of the {} database has a twin", self.name))?;
        demand(count(".vlog") > self.logs.len() / 2, || {
            format!("the {} database has no segment", self.name)
        })?;
        let mark = self.mark(&self.files);
        demand(mark <= self.durable as u64, || {
            "a mark is above what was acknowledged as durable".to_owned()
        })?;
        demand(self.logs.is_empty() || mark == self.durable as u64, || {
            format!("the highest mark is {mark}, not {}", self.durable)
        })
    }

    /// The highest mark in what `files` has of the logs.
    pub(super) fn mark(&self, files: &BTreeMap<PathBuf, Bytes>) -> u64 {
        let marks = self.logs.iter().filter_map(|path| highest_mark(path, files.get(path)?));
        marks.max().unwrap_or(0)
    }

    /// The file of this number, and its name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn file(&self, number: usize) -> Checked<(&Path, &Bytes)> {
        let path = self.paths.get(number).map(PathBuf::as_path);
        path.and_then(|path| Some((path, self.files.get(path)?)))
            .ok_or_else(|| Finding::new(format!("the {} database has no file {number}", self.name)))
    }

    /// The extension of a file, or its name.
    pub(super) fn kind(path: &Path) -> &str {
        let name = path.strip_prefix(DIRECTORY).unwrap_or(path);
        name.extension().or(Some(name.as_os_str())).and_then(|kind| kind.to_str()).unwrap_or_default()
    }
}

/// Whether a reader of the campaign sees it.
pub(super) fn is_live(held: &Held) -> bool {
    held.expires_at == 0 || held.expires_at > START_SECONDS
}
