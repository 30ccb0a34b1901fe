//! Which outcome a damage had, and whether it may have it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use base::Error;
use base::vfs::MemVfs;
use bytes::Bytes;
use engine::TableAccess;

use crate::finding::{Checked, Finding, demand};
use crate::history::Held;

use super::damage::{Damage, Damaged};
use super::reading::{Mode, Opened, Reading, Scanned, named, open};
use super::reference::{Reference, is_live};

/// Where the random bytes of the lives after the damage start.
const LATER_LIFE: u64 = 1 << 40;

/// What came of a damage. Everything else is a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// All reads are right, and it is sound inside.
    Harmless,
    /// All reads are right; the damaged DISCARD was written anew.
    Rebuilt,
    /// Commits are missing that were never known to be durable.
    UnconfirmedTail,
    /// Commits are missing of which no bit is left.
    ShortenedLog,
    /// It opened; what the damage hit fails when it is read, all else is right.
    DetectedAtRead,
    /// It did not open, and nothing was changed.
    DetectedAtOpen,
}

impl Outcome {
    pub(super) fn counter(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::Rebuilt => "rebuilt",
            Self::UnconfirmedTail => "unconfirmed tails",
            Self::ShortenedLog => "shortened logs",
            Self::DetectedAtRead => "detected at read",
            Self::DetectedAtOpen => "detected at open",
        }
    }
}

/// One damaged database to be judged.
pub(super) struct Judge<'a> {
    pub(super) reference: &'a Reference,
    pub(super) damage: Damage,
    pub(super) damaged: &'a Damaged,
    pub(super) access: TableAccess,
}

/// Some state within what is allowed that agrees with everything that was read.
struct Agreement {
    commits: usize,
    errors: Vec<Error>,
}

impl Judge<'_> {
    /// Opens it for reading and writing, reads, judges. With `works`, it is also worked with, closed, and opened again.
    pub(super) fn read_write(&self, works: bool) -> Checked<Outcome> {
        let disk = self.disk();
        let opened = match open(&disk, self.access, Mode::ReadWrite) {
            Ok(opened) => opened,
            Err(error) => return self.refused(&disk, &error),
        };
        self.has_all_files()?;
        let reading = opened.read()?;
        let allowed = self.allowed();
        let agreement = self.agreement(&reading, allowed)?;
        let outcome = self.outcome(&opened, &reading, &agreement)?;
        self.foreign_files_stay(&disk)?;
        if works {
            self.work(opened, &disk, &agreement).map_err(|finding| finding.at("worked with and reopened"))?;
        }
        Ok(outcome)
    }

    /// Opens it for reading; not a byte may change.
    pub(super) fn read_only(&self) -> Checked {
        let disk = self.disk();
        let outcome = open(&disk, self.access, Mode::ReadOnly);
        let checked = match outcome {
            Err(error) => self.refused(&disk, &error).map(|_| ()),
            Ok(opened) => {
                self.has_all_files()?;
                let reading = opened.read()?;
                self.agreement(&reading, self.allowed()).map(|_| ())
            }
        };
        checked?;
        demand(disk.share() == self.damaged.files, || "files have changed".to_owned())
    }

    fn disk(&self) -> MemVfs {
        MemVfs::sharing(&self.damaged.files, LATER_LIFE)
    }

    /// An open that fails says where the damage is, and leaves everything as it was.
    fn refused(&self, disk: &MemVfs, error: &Error) -> Checked<Outcome> {
        self.may_name(error).map_err(|finding| finding.at("open"))?;
        let may_refuse = self.damaged.touched.iter().any(|path| self.open_needs(path));
        demand(may_refuse, || format!("open refuses what it must survive: {error}"))?;
        let mut now = disk.share();
        if !self.damaged.files.keys().any(|path| Reference::kind(path) == "LOCK") {
            now.retain(|path, content| Reference::kind(path) != "LOCK" || !content.is_empty());
        }
        demand(now == self.damaged.files, || format!("open refuses and changes files: {error}"))?;
        Ok(Outcome::DetectedAtOpen)
    }

    /// A database that has lost a numbered file does not open.
    fn has_all_files(&self) -> Checked {
        if !matches!(self.damage, Damage::Delete { .. } | Damage::DeleteTwo { .. }) {
            return Ok(());
        }
        let is_numbered = |path: &PathBuf| ["sst", "vlog", "wal"].contains(&Reference::kind(path));
        let mut gone = self.damaged.touched.iter().filter(|path| !self.damaged.files.contains_key(*path));
        match gone.find(|path| is_numbered(path)) {
            None => Ok(()),
            Some(path) => Err(Finding::new(format!("it opens without {}", path.display()))),
        }
    }

    /// Whether open may refuse because of this file: damage inside tables and segments it must survive.
    fn open_needs(&self, path: &PathBuf) -> bool {
        let is_gone = !self.damaged.files.contains_key(path);
        let is_newer = matches!(self.damage, Damage::Newer { .. });
        let is_inside = matches!(Reference::kind(path), "sst") || self.is_segment(path);
        is_gone || is_newer || !is_inside
    }

    fn is_segment(&self, path: &PathBuf) -> bool {
        Reference::kind(path) == "vlog" && !self.reference.logs.contains(path)
    }

    fn may_name(&self, error: &Error) -> Checked {
        let Some(file) = named(error) else {
            return Err(Finding::new(format!("an error that is neither damage nor a newer format: {error}")));
        };
        // Without its last edits the manifest names files that they have removed, and misses what they tell of the logs.
        let manifest = self.damaged.touched.iter().any(|path| Reference::kind(path) == "MANIFEST");
        let log = self.damaged.touched.iter().any(|path| self.reference.logs.contains(path));
        let is_right =
            self.damaged.touched.contains(file) || manifest || (log && self.reference.logs.contains(file));
        demand(is_right, || format!("the error names a file that is sound: {error}"))
    }

    /// How many commits must and may be there.
    fn allowed(&self) -> RangeInclusive<usize> {
        let all = self.reference.history.commits();
        let hits_log = self.damaged.touched.iter().any(|path| self.reference.logs.contains(path));
        let least = if !hits_log {
            all
        } else if self.damage.can_shorten_logs() {
            self.reference.flushed.max(self.reference.mark(&self.damaged.files) as usize)
        } else {
            self.reference.durable
        };
        least..=all
    }

    fn agreement(&self, reading: &Reading, allowed: RangeInclusive<usize>) -> Checked<Agreement> {
        let errors = self.errors(reading)?;
        let all = self.reference.history.commits();
        let mut differs = None;
        for commits in allowed.rev() {
            let difference = if commits == all {
                difference(&self.reference.live, reading)
            } else {
                difference(&self.live(commits), reading)
            };
            match difference {
                None => return Ok(Agreement { commits, errors }),
                Some(difference) => differs = differs.or(Some((commits, difference))),
            }
        }
        let (commits, difference) = differs.unwrap_or_default();
        Err(Finding::new(format!("no allowed state agrees; after {commits} commits: {difference}")))
    }

    fn live(&self, commits: usize) -> Vec<(Vec<u8>, Held)> {
        let state = self.reference.history.state(commits).iter();
        state.filter(|(_, held)| is_live(held)).map(|(key, held)| (key.clone(), held.clone())).collect()
    }

    /// The errors of all reads; each names what is damaged.
    fn errors(&self, reading: &Reading) -> Checked<Vec<Error>> {
        let scans = [&reading.forward, &reading.backward].into_iter().filter_map(|scan| scan.error.as_ref());
        let gets = reading.gets.iter().filter_map(|(_, outcome)| outcome.as_ref().err());
        let errors: Vec<Error> = scans.chain(gets).cloned().collect();
        for error in &errors {
            self.may_name(error).map_err(|finding| finding.at("read"))?;
        }
        Ok(errors)
    }

    fn outcome(&self, opened: &Opened, reading: &Reading, agreement: &Agreement) -> Checked<Outcome> {
        let complaints = match &reading.verified {
            Ok(findings) => findings.clone(),
            Err(error) => vec![error.clone()],
        };
        for complaint in &complaints {
            self.may_name(complaint).map_err(|finding| finding.at("verify"))?;
        }
        if let Some(error) = agreement.errors.first() {
            demand(!complaints.is_empty(), || format!("verify is clean, but a read fails: {error}"))?;
            return Ok(Outcome::DetectedAtRead);
        }
        if let Some(complaint) = complaints.first() {
            let is_ledger = self.damaged.touched.iter().all(|path| Reference::kind(path) == "DISCARD");
            return if is_ledger { self.rebuilt(opened, complaint) } else { Ok(Outcome::DetectedAtRead) };
        }
        let Reference { durable, history, .. } = self.reference;
        Ok(match agreement.commits {
            all if all == history.commits() => Outcome::Harmless,
            commits if commits >= *durable => Outcome::UnconfirmedTail,
            _ => Outcome::ShortenedLog,
        })
    }

    /// A damaged DISCARD is written anew by background work.
    fn rebuilt(&self, opened: &Opened, complaint: &Error) -> Checked<Outcome> {
        opened.settle()?;
        let after = opened.verify()?;
        demand(after.is_empty(), || format!("DISCARD is not rebuilt: {complaint}"))?;
        Ok(Outcome::Rebuilt)
    }

    fn foreign_files_stay(&self, disk: &MemVfs) -> Checked {
        if !matches!(self.damage, Damage::Foreign { .. }) {
            return Ok(());
        }
        let now: BTreeMap<PathBuf, Bytes> = disk.share();
        let stays = |path: &PathBuf| now.get(path) == self.damaged.files.get(path);
        demand(self.damaged.touched.iter().all(stays), || "a foreign file was changed".to_owned())
    }

    /// Background work must neither stumble over damage for ever nor turn it into something that looks right.
    fn work(&self, opened: Opened, disk: &MemVfs, before: &Agreement) -> Checked {
        for error in opened.work_and_close()? {
            self.may_name(&error).map_err(|finding| finding.at("background work"))?;
        }
        let opened = open(disk, self.access, Mode::ReadWrite)?;
        let reading = opened.read()?;
        let after = self.agreement(&reading, before.commits..=before.commits)?;
        // The other way round is fine: what is not needed for a merge, a filter say, is made anew.
        let fails_since = after.errors.first().filter(|_| before.errors.is_empty());
        demand(fails_since.is_none(), || format!("reads fail that did not: {fails_since:?}"))
    }
}

/// Where what was read differs from `live`; reads that failed do not differ.
fn difference(live: &[(Vec<u8>, Held)], reading: &Reading) -> Option<String> {
    let mut keys = live.iter().peekable();
    for (key, outcome) in &reading.gets {
        let expected = keys.next_if(|(live, _)| live == key).map(|(_, held)| held);
        if let Ok(found) = outcome
            && found.as_ref() != expected
        {
            return Some(format!("get of {}: {found:?} instead of {expected:?}", key.escape_ascii()));
        }
    }
    scan_difference("forward", live.iter(), &reading.forward)
        .or_else(|| scan_difference("backward", live.iter().rev(), &reading.backward))
}

fn scan_difference<'a>(
    direction: &str,
    mut live: impl Iterator<Item = &'a (Vec<u8>, Held)>,
    scanned: &Scanned,
) -> Option<String> {
    for (key, held) in &scanned.items {
        match live.next() {
            Some((expected, value)) if expected == key && value == held => {}
            other => {
                let found = (key.escape_ascii(), held);
                return Some(format!("scan {direction}: {found:?} instead of {other:?}"));
            }
        }
    }
    let missing = live.next().filter(|_| scanned.error.is_none());
    missing.map(|(key, _)| format!("scan {direction}: ends before key {}", key.escape_ascii()))
}
