//! One file of the simulated disk: what is durable, and what happened to it since its last sync.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::content::Content;

/// What a disk writes whole or not at all, in bytes.
pub(super) const SECTOR_BYTES: usize = 512;

/// A file, whatever its name is by now. Numbers rise in the order of creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct InodeId(pub(super) u64);

impl InodeId {
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One thing that a power cut may keep or lose.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The operation that did it, counted from 0.
    pub(super) op: usize,
    pub(super) change: Change,
    /// A sync that failed has called it clean: no later one will write it, though it may be on disk.
    is_lost: bool,
}

impl Event {
    fn new(op: usize, change: Change) -> Self {
        Self { op, change, is_lost: false }
    }
}

/// What changed. A sector is the whole sector as it was after the write: an earlier unsynced write to the same sector
/// is part of it, because memory holds one copy of each sector and that is what goes to disk.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Sector { index: usize, data: Bytes },
    Grow(usize),
    Cut(usize),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) durable: Arc<Content>,
    pub(super) events: Vec<Event>,
    /// What a reader sees.
    pub(super) visible: Vec<u8>,
    pub(super) built: Built,
}

/// Contents that were built from the present events: neighbouring moments have most of their files in common.
#[derive(Debug, Default)]
pub(super) struct Built(Mutex<HashMap<Vec<usize>, Arc<Content>>>);

/// A clone is made to be changed.
impl Clone for Built {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Built {
    /// The content with these events kept.
    pub(super) fn get_or_build(&self, kept: &[usize], build: impl FnOnce() -> Content) -> Arc<Content> {
        if let Some(content) = self.0.lock().get(kept) {
            return Arc::clone(content);
        }
        let content = Arc::new(build());
        self.0.lock().insert(kept.to_vec(), Arc::clone(&content));
        content
    }

    fn forget(&mut self) {
        self.0.get_mut().clear();
    }
}

/// Positions were accepted by the file system in memory before they came here, so they fit.
fn position(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

impl Inode {
    pub(super) fn from_disk(data: &[u8]) -> Self {
        let durable = Arc::new(Content::new(data.to_vec()));
        Self { durable, visible: data.to_vec(), ..Self::default() }
    }

    pub(super) fn write(&mut self, op: usize, offset: u64, data: &Bytes) {
        if data.is_empty() {
            return;
        }
        self.built.forget();
        let start = position(offset);
        let end = start.saturating_add(data.len());
        if end > self.visible.len() {
            self.visible.resize(end, 0);
            self.events.push(Event::new(op, Change::Grow(end)));
        }
        if let Some(place) = self.visible.get_mut(start..end) {
            place.copy_from_slice(data);
        }
        for index in start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let first = index * SECTOR_BYTES;
            let sector = match first.checked_sub(start) {
                Some(from) if first + SECTOR_BYTES <= end => data.slice(from..from + SECTOR_BYTES),
                _ => self.visible_sector(first),
            };
            self.events.push(Event::new(op, Change::Sector { index, data: sector }));
        }
    }

    fn visible_sector(&self, first: usize) -> Bytes {
        let end = self.visible.len().min(first + SECTOR_BYTES);
        let mut sector = self.visible.get(first..end).unwrap_or_default().to_vec();
        sector.resize(SECTOR_BYTES, 0);
        Bytes::from(sector)
    }

    pub(super) fn set_len(&mut self, op: usize, len: u64) {
        let len = position(len);
        let change = if len < self.visible.len() { Change::Cut(len) } else { Change::Grow(len) };
        if len != self.visible.len() {
            self.built.forget();
            self.visible.resize(len, 0);
            self.events.push(Event::new(op, change));
        }
    }

    pub(super) fn allocate(&mut self, op: usize, len: u64) {
        if position(len) > self.visible.len() {
            self.set_len(op, len);
        }
    }

    /// All that happened becomes durable, but for content that an earlier, failed sync has lost.
    pub(super) fn sync(&mut self) {
        if self.events.is_empty() {
            return;
        }
        self.built.forget();
        let durable = Arc::make_mut(&mut self.durable).data_mut();
        let mut len = durable.len();
        let mut lost: Vec<Event> = Vec::new();
        for event in self.events.drain(..) {
            event.change.supersede(&mut lost);
            if event.is_lost && matches!(event.change, Change::Sector { .. }) {
                lost.push(event);
            } else {
                event.change.apply(durable, &mut len);
            }
        }
        durable.resize(len, 0);
        self.events = lost;
    }

    /// A sync fails and calls all content clean. Lengths are not lost: the next sync makes them durable.
    pub(super) fn lose(&mut self) {
        for event in &mut self.events {
            event.is_lost = true;
        }
    }

    /// A sync fails and takes back all that is not durable.
    pub(super) fn revert(&mut self) {
        self.built.forget();
        self.events.clear();
        self.visible = self.durable.as_slice().to_vec();
    }
}

impl Change {
    /// Takes out of earlier changes what nobody can see after this one.
    fn supersede(&self, earlier: &mut Vec<Event>) {
        match self {
            Self::Sector { index: written, .. } => earlier
                .retain(|event| !matches!(event.change, Self::Sector { index, .. } if index == *written)),
            Self::Cut(to) => {
                earlier.retain_mut(|event| match &mut event.change {
                    Self::Sector { index, data } => {
                        let kept = to.saturating_sub(*index * SECTOR_BYTES).min(SECTOR_BYTES);
                        let mut sector = data.slice(..kept).to_vec();
                        sector.resize(SECTOR_BYTES, 0);
                        *data = Bytes::from(sector);
                        kept > 0
                    }
                    Self::Grow(_) | Self::Cut(_) => true,
                });
            }
            Self::Grow(_) => {}
        }
    }

    /// Carries the change out on `data`, which may be longer or shorter than the file meanwhile: `len` is its length.
    pub(super) fn apply(&self, data: &mut Vec<u8>, len: &mut usize) {
        match self {
            Self::Sector { index, data: sector } => {
                let first = index * SECTOR_BYTES;
                let end = first + SECTOR_BYTES;
                if data.len() < end {
                    data.resize(end, 0);
                }
                if let Some(place) = data.get_mut(first..end) {
                    place.copy_from_slice(sector);
                }
            }
            Self::Grow(to) => *len = *to,
            Self::Cut(to) => {
                data.truncate(*to);
                *len = *to;
            }
        }
    }
}
