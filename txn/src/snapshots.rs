//! Who reads at which version: without it nobody could tell what may be forgotten.
//!
//! # Why nothing is forgotten that a snapshot reads
//!
//! ```text
//! begin                                 retention
//!   slot := visible version, time         cut := max(cut, visible version)
//!   ---- fence ----                       ---- fence ----
//!   load cut; above mine? take both       scan the slots
//!   anew and compare again
//! ```
//! One of the two fences comes first. If it is that of `begin`, the scan sees the slot. If it is that of
//! `retention`, `begin` sees the cut and ends with a version at or above it, and what is the newest at such a
//! version is never dropped. Comparing again is needed because a second scan may have seen the first, lower
//! number in the slot. The cut never falls, and whoever sees a cut also sees a visible version at or above it, so
//! the version taken anew is high enough.
//!
//! Time has a cut of its own, by the same protocol: otherwise a snapshot whose clock was read just before a scan
//! could still see an entry that compaction already judges expired.

use std::fmt;
use std::sync::Arc;

use base::{Retention, UnixSeconds, Version};

use crate::slots::{Reading, SlotTable};
use crate::sync::{AtomicU64, Ordering, SharedVersion, fence};

/// Times that differ by no more than this are taken as one clock read by several threads. A clock that goes back
/// further was set: what was judged before is past, and from now on the new time counts.
const CLOCK_DISORDER_SECONDS: u64 = 60;

/// Why a snapshot at a chosen version was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// What was visible at that version may already be forgotten.
    #[error("versions below {floor} are no longer kept: read at {floor} or above")]
    BelowFloor {
        /// The lowest version that can be read now.
        floor: Version,
    },
    /// Reads at that version would change with the commits to come.
    #[error("version {visible} is the newest that can be read: read at {visible} or below")]
    AboveVisible {
        /// The newest version that can be read now.
        visible: Version,
    },
}

/// The registry of all snapshots of one database. Beginning, ending and asking take no lock.
#[derive(Debug)]
pub struct Snapshots {
    visible: Arc<SharedVersion>,
    cut_limit: SharedVersion,
    cut: AtomicU64,
    time_cut: AtomicU64,
    slots: SlotTable,
}

impl Snapshots {
    /// A registry whose snapshots read at `visible`, which the committer publishes. What no snapshot reads and
    /// no future one can, may be forgotten.
    #[must_use]
    pub fn new(visible: Arc<SharedVersion>) -> Arc<Self> {
        Self::keeping_from(visible, Version::MAX)
    }

    /// A registry that also keeps whatever can be read at `floor` and above, until [`Snapshots::raise_floor`]:
    /// for callers that choose the versions they read at.
    #[must_use]
    pub fn keeping_from(visible: Arc<SharedVersion>, floor: Version) -> Arc<Self> {
        Arc::new(Self {
            visible,
            cut_limit: SharedVersion::new(floor),
            cut: AtomicU64::new(0),
            time_cut: AtomicU64::new(0),
            slots: SlotTable::new(),
        })
    }

    /// Gives up the right to begin below `floor`. Lowering it has no effect.
    pub fn raise_floor(&self, floor: Version) {
        self.cut_limit.publish(floor);
    }

    /// A snapshot of all that is visible, for reading only.
    pub fn begin(self: &Arc<Self>, now: UnixSeconds) -> Snapshot {
        self.register_visible(now, false)
    }

    /// A snapshot of all that is visible, for a transaction whose commit will be checked for conflicts.
    pub fn begin_read_write(self: &Arc<Self>, now: UnixSeconds) -> Snapshot {
        self.register_visible(now, true)
    }

    /// A snapshot of what was visible at `version`, for reading only.
    ///
    /// # Errors
    /// [`BeginError`] when that is no longer kept, or not visible yet.
    pub fn begin_at(self: &Arc<Self>, version: Version, now: UnixSeconds) -> Result<Snapshot, BeginError> {
        self.register_at(version, now, false)
    }

    /// A snapshot of what was visible at `version`, for a transaction whose commit will be checked for conflicts.
    ///
    /// # Errors
    /// [`BeginError`] when that is no longer kept, or not visible yet.
    pub fn begin_read_write_at(
        self: &Arc<Self>,
        version: Version,
        now: UnixSeconds,
    ) -> Result<Snapshot, BeginError> {
        self.register_at(version, now, true)
    }

    /// What present and future snapshots may read. Everything that forgets versions or expired entries asks here,
    /// and nowhere else. A clock that is set back by more than a minute is believed from the next call on; only
    /// a compaction that is still at work with an earlier answer then judges expiry by the old time.
    #[must_use]
    pub fn retention(&self, now: UnixSeconds) -> Retention {
        let cut = self.raise_cut();
        self.raise_time_cut(now);
        fence(Ordering::SeqCst);
        let mut oldest_time = now;
        let registered = self.slots.readings().map(|reading| {
            oldest_time = oldest_time.min(reading.time);
            reading.version
        });
        let registered: Vec<_> = registered.collect();
        Retention::new(cut, registered, oldest_time)
    }

    /// The lowest version that a read-write transaction has begun at, or may yet begin at: commits at or below
    /// it can no longer be in anybody's way. Snapshots for reading only do not hold it down.
    #[must_use]
    pub fn oldest_read_write(&self) -> Version {
        let cut = self.raise_cut();
        fence(Ordering::SeqCst);
        let read_write = self.slots.readings().filter(|reading| reading.is_read_write);
        read_write.map(|reading| reading.version).fold(cut, Version::min)
    }

    /// How many snapshots are registered; clones of one count once. For display: it may be outdated on return.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots.readings().count()
    }

    /// A state, as `load` gives it, and the version at which it may be read for as long as it is held: the newest that
    /// was visible before it was loaded. Takes no slot and writes nothing that is shared, so it costs less than a
    /// snapshot; it is good for one state only. `load` must acquire, and what a retention allows to be forgotten must be
    /// missing only in states that are published after it was asked for.
    ///
    /// Whatever is missing in the state was below a cut that is seen after it was loaded. So if no cut is above the
    /// version, nothing is missing that it reads.
    pub fn read_current<S>(&self, load: impl Fn() -> S) -> (S, Version) {
        loop {
            let version = self.visible();
            let state = load();
            if self.cut.load(Ordering::Acquire) <= version.0 {
                return (state, version);
            }
        }
    }

    /// The time at which a read that began at `now` judges expiry: not before what any retention has taken as past.
    #[must_use]
    pub fn time_of_read(&self, now: UnixSeconds) -> UnixSeconds {
        later_time(now, UnixSeconds(self.time_cut.load(Ordering::Acquire)))
    }

    fn register_visible(self: &Arc<Self>, now: UnixSeconds, is_read_write: bool) -> Snapshot {
        let mut reading = Reading { version: self.visible(), time: now, is_read_write };
        let index = self.slots.claim(reading);
        while let Some(cuts) = self.cuts_above(reading) {
            // A version taken after its cut was seen is at or above that cut.
            let version = if cuts.version > reading.version { self.visible() } else { reading.version };
            reading = Reading { version, time: cuts.time, is_read_write };
            self.store(index, reading);
        }
        self.snapshot(index, reading)
    }

    fn register_at(
        self: &Arc<Self>,
        version: Version,
        now: UnixSeconds,
        is_read_write: bool,
    ) -> Result<Snapshot, BeginError> {
        let visible = self.visible();
        if version > visible {
            return Err(BeginError::AboveVisible { visible });
        }
        let mut reading = Reading { version, time: now, is_read_write };
        let index = self.slots.claim(reading);
        while let Some(cuts) = self.cuts_above(reading) {
            if cuts.version > version {
                self.slots.release(index);
                return Err(BeginError::BelowFloor { floor: cuts.version });
            }
            reading.time = cuts.time;
            self.store(index, reading);
        }
        Ok(self.snapshot(index, reading))
    }

    fn snapshot(self: &Arc<Self>, slot: usize, reading: Reading) -> Snapshot {
        Snapshot { registry: Arc::clone(self), slot, version: reading.version, time: reading.time }
    }

    fn store(&self, index: usize, reading: Reading) {
        if let Some(slot) = self.slots.get(index) {
            slot.store(reading);
        }
    }

    /// The newest version that can be read; the highest number of all is none, slots use it as a mark.
    fn visible(&self) -> Version {
        self.visible.load().min(Version(u64::MAX - 1))
    }

    /// The cuts, after the slot was stored, if one of them is above `reading`.
    fn cuts_above(&self, reading: Reading) -> Option<Reading> {
        fence(Ordering::SeqCst);
        let cut = Version(self.cut.load(Ordering::Acquire));
        let time = later_time(reading.time, UnixSeconds(self.time_cut.load(Ordering::Acquire)));
        let is_above = cut > reading.version || time > reading.time;
        is_above.then_some(Reading { version: cut, time, ..reading })
    }

    /// Raises the cut as far as it may, and returns it.
    fn raise_cut(&self) -> Version {
        let wanted = self.visible().min(self.cut_limit.load());
        let before = Version(self.cut.fetch_max(wanted.0, Ordering::AcqRel));
        before.max(wanted)
    }

    fn raise_time_cut(&self, now: UnixSeconds) {
        let later = |before: u64| Some(later_time(now, UnixSeconds(before)).0);
        // It cannot fail: the closure always returns a time.
        let _before = self.time_cut.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
    }
}

/// The later of both, unless the clock was set back since `cut`; then `now`.
fn later_time(now: UnixSeconds, cut: UnixSeconds) -> UnixSeconds {
    if cut.0.saturating_sub(now.0) > CLOCK_DISORDER_SECONDS { now } else { now.max(cut) }
}

/// A right to read at one version and to judge expiry at one time, until it is dropped. A clone shares it.
#[must_use = "what it reads is kept only while it lives"]
pub struct Snapshot {
    registry: Arc<Snapshots>,
    slot: usize,
    version: Version,
    time: UnixSeconds,
}

impl Snapshot {
    /// Reads see the newest version of a key at or below this one.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The time at which expiry is judged: when it began, or shortly after.
    #[must_use]
    pub fn time(&self) -> UnixSeconds {
        self.time
    }
}

impl Clone for Snapshot {
    fn clone(&self) -> Self {
        // Not a slot of its own: a scan could pass the new slot before it is stored, and reach the old one
        // after it is freed.
        if let Some(slot) = self.registry.slots.get(self.slot) {
            slot.hold();
        }
        Self { registry: Arc::clone(&self.registry), ..*self }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.registry.slots.release(self.slot);
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("version", &self.version).field("time", &self.time).finish()
    }
}
