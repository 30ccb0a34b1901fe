//! The users' side: what they write, what they hold, and what they demand of every read.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use base::clock::ManualClock;
use base::vfs::{MemVfs, Vfs};
use base::{Entry, Retention, UnixSeconds, Version};
use engine::{
    CommitError, Durability, Engine, EngineScan, Environment, Found, Options, ScanItem, ScanOptions,
};

use super::events::{UserOperation, Watch};
use super::model::{Key, Model, Read};
use crate::counters::Counters;
use crate::database::DIRECTORY;
use crate::finding::{Checked, Finding, demand};

const A: Key = b"a";
const B: Key = b"b";
const KEYS: [Key; 2] = [A, B];
/// Separated, and not compressible.
const LARGE_BYTES: usize = 100;
const SMALL_BYTES: usize = 20;
const NOW: UnixSeconds = UnixSeconds(1_000);

/// Limits at which every flush is followed by a compaction, and a kilobyte needs a second level.
fn options() -> Options {
    Options {
        l0_compaction_trigger: 1,
        base_level_bytes: 1 << 10,
        level_size_multiplier: 2,
        table_bytes: 1 << 10,
        ..Options::tiny()
    }
}

pub(super) fn open(disk: Arc<dyn Vfs>) -> Checked<Engine> {
    let environment = Environment { vfs: disk, clock: Arc::new(ManualClock::new(NOW)) };
    Ok(Engine::open(Path::new(DIRECTORY), options(), environment)?)
}

/// A scan that has begun.
struct OpenScan {
    scan: EngineScan,
    version: Version,
    found: Vec<(Vec<u8>, u64, Vec<u8>)>,
}

/// A value that was found and not yet read.
struct Finds {
    found: Option<Found>,
    expected: Read,
}

/// All users of one engine.
pub(super) struct Users {
    pub(super) engine: Engine,
    disk: MemVfs,
    pub(super) model: Model,
    pub(super) held: Vec<Version>,
    scans: Vec<OpenScan>,
    finds: Vec<Finds>,
    pub(super) watch: Watch,
    pub(super) counters: Counters,
}

impl Users {
    pub(super) fn new(engine: Engine, disk: MemVfs, model: Model, held: Vec<Version>) -> Self {
        let (scans, finds, counters) = Default::default();
        Self { engine, disk, model, held, scans, finds, watch: Watch::Always, counters }
    }

    fn newest(&self) -> Version {
        self.engine.visible().load()
    }

    /// The versions that are read: those that somebody holds, and the newest.
    fn readable(&self) -> Vec<Version> {
        self.held.iter().copied().chain([self.newest()]).collect()
    }

    /// What somebody may still read.
    pub(super) fn retention(&self) -> Retention {
        let scans = self.scans.iter().map(|scan| scan.version);
        Retention::new(self.newest(), self.held.iter().copied().chain(scans), NOW)
    }

    pub(super) fn operation(&mut self, operation: UserOperation) -> Checked {
        use UserOperation as Do;
        let done = match operation {
            Do::PutSmallA => self.put(A, SMALL_BYTES, Durability::Buffered),
            Do::PutLargeA => self.put(A, LARGE_BYTES, Durability::Sync),
            Do::DeleteA => self.commit(&[(A, None)], Durability::Sync),
            Do::PutSmallB => self.put(B, SMALL_BYTES, Durability::Sync),
            Do::DeleteB => self.commit(&[(B, None)], Durability::Buffered),
            Do::Batch => {
                let value = self.model.new_value(LARGE_BYTES);
                self.commit(&[(A, Some(value)), (B, None)], Durability::Buffered)
            }
            Do::GetA => self.find(),
            Do::Scan => self.begin_scan(),
            Do::Snapshot => {
                self.held.push(self.newest());
                Ok(())
            }
            Do::Release => {
                if !self.held.is_empty() {
                    self.held.remove(0);
                }
                Ok(())
            }
            // Without a spare generation it waits for the next occasion.
            Do::Rotate => Ok(self.engine.rotate().map(|_| ())?),
            Do::Kill => self.look_after_a_kill(),
        };
        done.map_err(|finding| finding.at(operation))?;
        self.watch().map_err(|finding| finding.at(format!("after `{operation}`")))
    }

    /// Looks whether all is well, if that is wanted all the time.
    pub(super) fn watch(&mut self) -> Checked {
        match self.watch {
            Watch::Always => self.read_all(),
            Watch::AtTheEnd => Ok(()),
        }
    }

    fn put(&mut self, key: Key, len: usize, durability: Durability) -> Checked {
        let value = self.model.new_value(len);
        self.commit(&[(key, Some(value))], durability)
    }

    pub(super) fn commit(&mut self, writes: &[(Key, Option<Vec<u8>>)], durability: Durability) -> Checked {
        let entries = writes
            .iter()
            .map(|(key, value)| (*key, value.as_deref().map_or(Entry::tombstone(), Entry::inline)));
        let prepared = self.engine.prepare(entries)?;
        let version = match self.engine.commit(prepared, durability, |_| Ok::<(), Infallible>(())) {
            Ok(version) => version,
            Err(CommitError::Refused(never)) => match never {},
            Err(CommitError::NotWritten(error) | CommitError::Unknown(error)) => return Err(error.into()),
        };
        for (key, value) in writes {
            self.model.write(key, version, value.clone());
        }
        demand(self.newest() == version, || format!("version {version} is not visible after its commit"))
    }

    fn find(&mut self) -> Checked {
        for at in self.readable() {
            let found = self.engine.get(A, at)?.filter(|found| !found.entry.as_entry().is_tombstone());
            self.finds.push(Finds { found, expected: self.model.get(A, at) });
        }
        Ok(())
    }

    fn begin_scan(&mut self) -> Checked {
        let version = self.newest();
        let mut scan = self.engine.scan(scan_options(version));
        let first = scan.next()?;
        let found = first.map(item).transpose()?.into_iter().collect();
        self.scans.push(OpenScan { scan, version, found });
        Ok(())
    }

    /// Reads both keys at every version that somebody holds.
    pub(super) fn read_all(&mut self) -> Checked {
        for version in self.readable() {
            for key in KEYS {
                self.counters.count("reads");
                read(&self.engine, &self.model, key, version)?;
            }
        }
        Ok(())
    }

    /// Ends what was begun, and reads everything both ways.
    pub(super) fn finish_reads(&mut self) -> Checked {
        for Finds { found, expected } in std::mem::take(&mut self.finds) {
            let value = match found {
                Some(found) => found.value(A)?.map(|value| (found.entry.version.0, value.to_vec())),
                None => None,
            };
            self.counters.count("reads");
            demand(value == expected, || differs("a, found earlier,", &expected, &value))?;
        }
        for OpenScan { mut scan, version, mut found } in std::mem::take(&mut self.scans) {
            // The rest from both ends, which meet.
            let last = scan.next_back()?.map(item).transpose()?;
            while let Some(next) = scan.next()? {
                found.push(item(next)?);
            }
            found.extend(last);
            self.counters.count("reads");
            same(&found, &self.model.dump(version), &format!("a scan begun earlier, at version {version}"))?;
        }
        for version in self.readable() {
            self.counters.add("reads", 2);
            scans(&self.engine, &self.model, version)?;
        }
        self.read_all()
    }

    /// Nobody reads any more.
    pub(super) fn leave(&mut self) {
        self.held.clear();
        self.scans.clear();
        self.finds.clear();
    }

    /// The process dies here: the next one must find all that was acknowledged.
    fn look_after_a_kill(&mut self) -> Checked {
        self.counters.count("reopens");
        let files = self.disk.snapshot();
        let engine = open(Arc::new(MemVfs::from_snapshot(files)))?;
        let newest = self.newest();
        for key in KEYS {
            read(&engine, &self.model, key, newest)?;
        }
        scans(&engine, &self.model, newest)?;
        sound(&engine)
    }

    /// Every file in the directory belongs to something, once nobody reads and nothing is left to do.
    pub(super) fn demand_no_leftovers(&self) -> Checked {
        let names = self.disk.list(Path::new(DIRECTORY))?;
        let count = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).count();
        let stats = self.engine.stats();
        let tables: usize = stats.levels.iter().map(|level| level.tables).sum();
        let generations = stats.logs / 2;
        let is_exact = count(".sst") == tables
            && count(".wal") == generations
            && count(".vlog") == generations + stats.segments.len();
        demand(is_exact, || {
            let segments = stats.segments.len();
            format!("{tables} tables, {segments} segments and {generations} generations, but files {names:?}")
        })
    }
}

fn scan_options(version: Version) -> ScanOptions {
    ScanOptions::at(version, NOW)
}

fn item(item: ScanItem) -> Checked<(Vec<u8>, u64, Vec<u8>)> {
    let value = item.value()?.ok_or_else(|| Finding::new("a scan showed a deletion"))?;
    Ok((item.user_key().to_vec(), item.version().0, value.to_vec()))
}

fn read(engine: &Engine, model: &Model, key: Key, at: Version) -> Checked {
    let got = match engine.get(key, at)? {
        Some(found) => found.value(key)?.map(|value| (found.entry.version.0, value.to_vec())),
        None => None,
    };
    let expected = model.get(key, at);
    demand(got == expected, || differs(&format!("{} at version {at}", key.escape_ascii()), &expected, &got))
}

fn scans(engine: &Engine, model: &Model, version: Version) -> Checked {
    let expected = model.dump(version);
    let mut forward = Vec::with_capacity(expected.len());
    let mut scan = engine.scan(scan_options(version));
    while let Some(next) = scan.next()? {
        forward.push(item(next)?);
    }
    same(&forward, &expected, &format!("a scan at version {version}"))?;
    let mut backward = Vec::with_capacity(expected.len());
    let mut scan = engine.scan(scan_options(version));
    while let Some(next) = scan.next_back()? {
        backward.push(item(next)?);
    }
    backward.reverse();
    same(&backward, &expected, &format!("a backward scan at version {version}"))
}

/// Demands that the engine finds nothing wrong inside, the order of its versions included.
pub(super) fn sound(engine: &Engine) -> Checked {
    let findings = engine.verify(&mut |_, _| {})?.findings;
    demand(findings.is_empty(), || format!("verify: {findings:?}"))
}

fn differs(what: &str, expected: &Read, got: &Read) -> String {
    let show = |read: &Read| match read {
        Some((version, value)) => format!("version {version}, {} bytes", value.len()),
        None => "nothing".to_owned(),
    };
    let same_shape = if show(expected) == show(got) { " that are different" } else { "" };
    format!("{what} should be {}, is {}{same_shape}", show(expected), show(got))
}

fn same(got: &[(Vec<u8>, u64, Vec<u8>)], expected: &[(Vec<u8>, u64, Vec<u8>)], what: &str) -> Checked {
    demand(got == expected, || {
        let show = |items: &[(Vec<u8>, u64, Vec<u8>)]| -> String {
            items.iter().map(|(key, version, _)| format!("{}@{version} ", key.escape_ascii())).collect()
        };
        format!("{what} should show {}, shows {}", show(expected), show(got))
    })
}
