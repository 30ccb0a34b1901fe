//! Disks that a power cut could have left, made from what was durable and a choice of what was pending.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::candidates::{Candidate, Choice, enumerate};
use super::content::Content;
use super::inode::{Change, Inode, InodeId, SECTOR_BYTES};
use super::state::{CrashProfile, NameChangeKind, Names, State};
use crate::checksum::{content_hash, seeded_hash};
use crate::vfs::MemVfs;
use crate::vfs::name::Name;

/// How many images of one crash point to look at.
#[derive(Clone, Debug)]
pub struct ImageBudget {
    /// When there are at most so many combinations, all are taken.
    pub exhaustive_up_to: u64,
    /// Else at most so many choices, each with up to three fillings of what was never written.
    pub at_most: usize,
    /// Of these, so many are drawn at random.
    pub random: u32,
    /// For what is drawn at random.
    pub seed: u64,
    /// Leave out what an earlier crash point had already: images that lost all of the newest operation. Right when
    /// every crash point is looked at and what the checker demands changes at marks only.
    pub only_new: bool,
}

impl Default for ImageBudget {
    /// All of up to 4096 combinations, else at most 4096 choices.
    fn default() -> Self {
        Self { exhaustive_up_to: 4096, at_most: 4096, random: 64, seed: 0, only_new: false }
    }
}

/// Something on disk that is kept or lost on its own.
#[derive(Clone, Debug)]
pub(super) enum Unit {
    Create,
    Rename,
    Remove,
    /// All pending changes of names, of which a prefix is kept.
    NamesInOrder,
    Length(InodeId),
    Sector(InodeId, usize),
}

impl Unit {
    pub(super) fn inode(&self) -> Option<InodeId> {
        match self {
            Self::Length(inode) | Self::Sector(inode, _) => Some(*inode),
            Self::Create | Self::Rename | Self::Remove | Self::NamesInOrder => None,
        }
    }
}

/// A change of a unit: the operation that did it, and where the state keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingVersion {
    pub(super) op: usize,
    index: usize,
}

/// A unit with its changes since it was durable, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) unit: Unit,
    pub(super) versions: Vec<PendingVersion>,
}

impl Slot {
    /// How many of its changes are of operations before `op`.
    pub(super) fn before(&self, op: usize) -> usize {
        self.versions.partition_point(|version| version.op < op)
    }
}

/// What stands in for content that a length promises and that was never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    Zeros,
    Garbage,
    Stale,
}

/// A state of the disk, cut into what may be lost.
#[derive(Debug)]
pub(super) struct Pending {
    state: Arc<State>,
    profile: CrashProfile,
    slots: Vec<Slot>,
    /// How many slots are of names; they come first.
    name_slots: usize,
    slots_of: BTreeMap<InodeId, Range<usize>>,
}

impl Pending {
    pub(super) fn new(state: Arc<State>) -> Arc<Self> {
        Self::new_for(state, CrashProfile::Strict)
    }

    pub(super) fn new_for(state: Arc<State>, profile: CrashProfile) -> Arc<Self> {
        let mut slots = name_slots(&state, profile);
        let name_slots = slots.len();
        let mut slots_of = BTreeMap::new();
        for (inode, file) in state.files.iter().filter(|(_, file)| !file.events.is_empty()) {
            let first = slots.len();
            slots.extend(file_slots(*inode, file));
            slots_of.insert(*inode, first..slots.len());
        }
        Arc::new(Self { state, profile, slots, name_slots, slots_of })
    }

    /// The image that has it all.
    pub(super) fn everything(self: &Arc<Self>) -> Image {
        let all = self.slots.iter().map(|slot| slot.versions.len()).collect();
        self.image(all, Fill::Zeros).0
    }

    /// The image of a choice, and whether something in it had to be filled.
    fn image(self: &Arc<Self>, choice: Choice, fill: Fill) -> (Image, bool) {
        let names = self.names(&choice);
        let mut filled = false;
        let files = names.into_iter().filter_map(|(path, inode)| {
            let content = self.content(inode, &choice, fill)?;
            filled |= content.is_filled;
            Some((path, inode, content))
        });
        let files = files.collect();
        (Image { pending: Arc::clone(self), choice, fill, files }, filled)
    }

    fn names(&self, choice: &Choice) -> Names {
        let mut names = self.state.names.clone();
        for (slot, chosen) in self.slots.iter().zip(choice).take(self.name_slots) {
            for version in slot.versions.iter().take(*chosen) {
                if let Some(change) = self.state.pending_names.get(version.index) {
                    change.apply(&mut names);
                }
            }
        }
        names
    }

    fn content(&self, inode: InodeId, choice: &Choice, fill: Fill) -> Option<Arc<Content>> {
        let file = self.state.files.get(&inode)?;
        let range = self.slots_of.get(&inode).cloned().unwrap_or_default();
        let chosen = choice.get(range.clone()).unwrap_or_default();
        if chosen.iter().all(|chosen| *chosen == 0) {
            return Some(Arc::clone(&file.durable));
        }
        let mut kept = Vec::new();
        for (slot, chosen) in self.slots.get(range).unwrap_or_default().iter().zip(chosen) {
            // Lengths keep their order: all up to the chosen one happened. Of a sector only the last state counts.
            let first = if matches!(slot.unit, Unit::Length(_)) { 0 } else { chosen.saturating_sub(1) };
            kept.extend(
                slot.versions.get(first..*chosen).unwrap_or_default().iter().map(|version| version.index),
            );
        }
        kept.sort_unstable();
        let built = file.built.get_or_build(&kept, || self.build(inode, file, &kept, Fill::Zeros));
        // Other fillings depend on more than the file.
        let is_as_asked = fill == Fill::Zeros || !built.is_filled;
        Some(if is_as_asked { built } else { Arc::new(self.build(inode, file, &kept, fill)) })
    }

    fn build(&self, inode: InodeId, file: &Inode, kept: &[usize], fill: Fill) -> Content {
        let mut data = file.durable.as_slice().to_vec();
        let mut len = data.len();
        let mut present = vec![true; len.div_ceil(SECTOR_BYTES)];
        for event in kept.iter().filter_map(|index| file.events.get(*index)) {
            event.change.apply(&mut data, &mut len);
            match &event.change {
                Change::Sector { index, .. } => {
                    present.resize(present.len().max(index + 1), false);
                    present.get_mut(*index).into_iter().for_each(|present| *present = true);
                }
                Change::Cut(to) => present.truncate(to.div_ceil(SECTOR_BYTES)),
                Change::Grow(_) => {}
            }
        }
        data.resize(len, 0);
        present.resize(len.div_ceil(SECTOR_BYTES), false);
        let absent = present.iter().enumerate().filter(|(_, present)| !**present).map(|(index, _)| index);
        let mut is_filled = false;
        for index in absent {
            is_filled = true;
            let first = index * SECTOR_BYTES;
            let place = data.get_mut(first..len.min(first + SECTOR_BYTES)).unwrap_or_default();
            self.fill_sector(place, inode, first, fill);
        }
        let mut content = Content::new(data);
        content.is_filled = is_filled;
        content
    }

    fn fill_sector(&self, place: &mut [u8], inode: InodeId, first: usize, fill: Fill) {
        match fill {
            Fill::Zeros => {}
            Fill::Garbage => {
                for (word, number) in place.chunks_mut(8).zip(first as u64..) {
                    let garbage = seeded_hash(&number.to_le_bytes(), inode.0).to_le_bytes();
                    word.iter_mut().zip(garbage).for_each(|(byte, garbage)| *byte = garbage);
                }
            }
            Fill::Stale => {
                let stale =
                    self.state.stale.as_ref().and_then(|file| file.visible.get(first..)).unwrap_or_default();
                place.iter_mut().zip(stale).for_each(|(byte, stale)| *byte = *stale);
            }
        }
    }

    /// Fillings other than zeros that this disk could show.
    fn other_fills(&self) -> Vec<Fill> {
        match (self.profile, &self.state.stale) {
            (CrashProfile::Ext4Like, _) => Vec::new(),
            (CrashProfile::Strict, None) => vec![Fill::Garbage],
            (CrashProfile::Strict, Some(_)) => vec![Fill::Stale, Fill::Garbage],
        }
    }

    fn explain(&self, slot: &Slot, chosen: usize) -> String {
        let path = |inode: InodeId| {
            let named = self.state.names.iter().find(|(_, named)| **named == inode).map(|(name, _)| name);
            let pending = self.state.pending_names.iter().rev().find(|change| change.inode == inode);
            let name = pending.map(|change| change.kind.name()).or(named);
            name.map_or_else(|| "a file without a name".to_owned(), Name::to_string)
        };
        let unit = match &slot.unit {
            Unit::Create | Unit::Rename | Unit::Remove => {
                let change =
                    slot.versions.first().and_then(|version| self.state.pending_names.get(version.index));
                let name = change.map(|change| change.kind.name().to_string()).unwrap_or_default();
                format!("{:?} {name}", slot.unit).to_lowercase()
            }
            Unit::NamesInOrder => "names".to_owned(),
            Unit::Length(inode) => format!("length of {}", path(*inode)),
            Unit::Sector(inode, index) => format!("sector {index} of {}", path(*inode)),
        };
        let ops = |versions: &[PendingVersion]| {
            let ops: Vec<String> = versions.iter().map(|version| format!("op {}", version.op)).collect();
            if ops.is_empty() { "nothing".to_owned() } else { ops.join(", ") }
        };
        let (kept, lost) = slot.versions.split_at(chosen.min(slot.versions.len()));
        format!("{unit}: kept {}, lost {}", ops(kept), ops(lost))
    }
}

fn name_slots(state: &State, profile: CrashProfile) -> Vec<Slot> {
    let versions = state.pending_names.iter().enumerate().map(|(index, change)| {
        let unit = match change.kind {
            NameChangeKind::Create(_) => Unit::Create,
            NameChangeKind::Rename(..) => Unit::Rename,
            NameChangeKind::Remove(_) => Unit::Remove,
        };
        (unit, PendingVersion { op: change.op, index })
    });
    match profile {
        CrashProfile::Strict => {
            versions.map(|(unit, version)| Slot { unit, versions: vec![version] }).collect()
        }
        CrashProfile::Ext4Like => {
            let versions: Vec<PendingVersion> = versions.map(|(_, version)| version).collect();
            let slot = Slot { unit: Unit::NamesInOrder, versions };
            if slot.versions.is_empty() { Vec::new() } else { vec![slot] }
        }
    }
}

fn file_slots(inode: InodeId, file: &Inode) -> impl Iterator<Item = Slot> {
    let mut lengths = Vec::new();
    let mut sectors: BTreeMap<usize, Vec<PendingVersion>> = BTreeMap::new();
    for (index, event) in file.events.iter().enumerate() {
        let version = PendingVersion { op: event.op, index };
        match event.change {
            Change::Sector { index, .. } => sectors.entry(index).or_default().push(version),
            Change::Grow(_) | Change::Cut(_) => lengths.push(version),
        }
    }
    let length = (!lengths.is_empty()).then_some(Slot { unit: Unit::Length(inode), versions: lengths });
    let sector = move |(index, versions)| Slot { unit: Unit::Sector(inode, index), versions };
    length.into_iter().chain(sectors.into_iter().map(sector))
}

/// One disk that a power cut could have left.
#[derive(Clone, Debug)]
pub struct Image {
    pending: Arc<Pending>,
    choice: Choice,
    fill: Fill,
    files: Vec<(Name, InodeId, Arc<Content>)>,
}

impl Image {
    /// The same for two images that hold the same files, and for no others. An image need not be checked twice, as
    /// long as the checker demands the same of both.
    #[must_use]
    pub fn hash(&self) -> u128 {
        let mut hasher = Xxh3::new();
        for (name, _, content) in &self.files {
            let name = name.as_bytes();
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name);
            hasher.update(&(content.len() as u64).to_le_bytes());
            hasher.update(&content.hash().to_le_bytes());
        }
        hasher.digest128()
    }

    /// The image as a file system, not copied until it is written to. Its random bytes differ from those of the run
    /// that left it, as they would in another life.
    #[must_use]
    pub fn into_mem(self) -> MemVfs {
        let random_start = content_hash(&self.hash().to_le_bytes());
        let files = self.files.iter().map(|(name, _, content)| (name.clone(), content.share()));
        MemVfs::from_shared(files, Arc::clone(&self.pending.state.directories), random_start)
    }

    /// What was kept and what was lost, a line each; the operations are counted from 0, as in
    /// [`Recording::describe`](super::Recording::describe).
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = format!("power cut after {} operations", self.pending.state.position);
        if self.fill != Fill::Zeros {
            let _infallible = write!(text, ", never written content reads as {:?}", self.fill);
        }
        for (slot, chosen) in self.pending.slots.iter().zip(&self.choice) {
            let _infallible = write!(text, "\n{}", self.pending.explain(slot, *chosen));
        }
        text
    }

    pub(super) fn inodes(&self) -> BTreeMap<Name, InodeId> {
        self.files.iter().map(|(name, inode, _)| (name.clone(), *inode)).collect()
    }
}

/// The images of one crash point, made one by one. No choice comes twice, but two choices may make the same files:
/// see [`Image::hash`].
#[derive(Debug)]
pub struct Images {
    pending: Arc<Pending>,
    candidates: std::vec::IntoIter<Candidate>,
    seed: u64,
    /// Only choices that keep something of this operation.
    new_only: Option<usize>,
    seen: HashSet<Choice>,
    other_fills: Vec<(Choice, Fill)>,
}

impl Images {
    pub(super) fn new(pending: Arc<Pending>, budget: &ImageBudget, new_only: Option<usize>) -> Self {
        let candidates = enumerate(&pending.slots, budget).into_iter();
        Self {
            pending,
            candidates,
            seed: budget.seed,
            new_only,
            seen: HashSet::new(),
            other_fills: Vec::new(),
        }
    }

    fn is_wanted(&mut self, choice: &Choice) -> bool {
        let keeps = |op: usize| {
            let mut slots = self.pending.slots.iter().zip(choice);
            slots.any(|(slot, chosen)| {
                let newest_kept = chosen.checked_sub(1).and_then(|last| slot.versions.get(last));
                newest_kept.is_some_and(|version| version.op == op)
            })
        };
        self.new_only.is_none_or(keeps) && self.seen.insert(choice.clone())
    }
}

impl Iterator for Images {
    type Item = Image;

    fn next(&mut self) -> Option<Image> {
        if let Some((choice, fill)) = self.other_fills.pop() {
            return Some(self.pending.image(choice, fill).0);
        }
        loop {
            let choice = self.candidates.next()?.choose(&self.pending.slots, self.seed);
            if self.is_wanted(&choice) {
                let (image, filled) = self.pending.image(choice, Fill::Zeros);
                if filled {
                    let fills = self.pending.other_fills().into_iter();
                    self.other_fills.extend(fills.map(|fill| (image.choice.clone(), fill)));
                }
                return Some(image);
            }
        }
    }
}
