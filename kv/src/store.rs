//! What all handles and all maintenance threads of one open database share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::clock::Clock;
use base::{Retention, SharedEntry, UnixSeconds};
use bytes::Bytes;
use engine::{CurrentView, Durability, Engine, Found, Step, Verified};
use txn::{RecentCommits, Snapshot, Snapshots};

use crate::background::{Background, Who};
use crate::budget::Budget;
use crate::key::check_key;
use crate::{Error, Item, Result};

/// Settings of the facade itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) durability: Durability,
    pub(crate) max_retries: u32,
    pub(crate) maintenance_threads: usize,
    /// At this size a write batch commits what it has, in bytes.
    pub(crate) batch_bytes: usize,
    /// What all transactions together may use, in bytes.
    pub(crate) transaction_bytes: usize,
    /// What is remembered of recent commits, in bytes.
    pub(crate) recent_bytes: usize,
}

/// An open database.
#[derive(Debug)]
pub(crate) struct Store {
    engine: Engine,
    snapshots: Arc<Snapshots>,
    recent: RecentCommits,
    clock: Arc<dyn Clock>,
    budget: Arc<Budget>,
    background: Background,
    settings: Settings,
    closed: AtomicBool,
}

impl Store {
    pub(crate) fn new(engine: Engine, clock: Arc<dyn Clock>, settings: Settings) -> Arc<Self> {
        let visible = Arc::clone(engine.visible());
        Arc::new(Self {
            recent: RecentCommits::new(visible.load(), settings.recent_bytes),
            snapshots: Snapshots::new(visible),
            engine,
            clock,
            budget: Budget::new(settings.transaction_bytes),
            background: Background::default(),
            settings,
            closed: AtomicBool::new(false),
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn recent(&self) -> &RecentCommits {
        &self.recent
    }

    pub(crate) fn snapshots(&self) -> &Arc<Snapshots> {
        &self.snapshots
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn background(&self) -> &Background {
        &self.background
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    /// # Errors
    /// [`Error::Closed`] once the database is closed, or about to be.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// From now on every operation is refused.
    pub(crate) fn refuse_operations(&self) {
        self.closed.store(true, Ordering::Release);
        self.background.wake_everybody();
    }

    /// A failure of the engine, told as what it is to the caller: after a close, that is the cause.
    pub(crate) fn explain(&self, error: base::Error) -> Error {
        match self.check_open() {
            Err(closed) => closed,
            Ok(()) => error.into(),
        }
    }

    /// A snapshot for reading.
    pub(crate) fn begin(&self) -> Result<Snapshot> {
        self.check_open()?;
        Ok(self.snapshots.begin(self.now()))
    }

    /// A snapshot for a transaction whose commit will be checked.
    pub(crate) fn begin_read_write(&self) -> Result<Snapshot> {
        self.check_open()?;
        Ok(self.snapshots.begin_read_write(self.now()))
    }

    /// What `key` holds for a snapshot, if it has a value.
    pub(crate) fn find(&self, snapshot: &Snapshot, key: &[u8]) -> Result<Option<Found>> {
        let Some((view, entry)) = self.entry(snapshot, key)? else { return Ok(None) };
        Ok(Some(view.keep(entry)?))
    }

    pub(crate) fn get(&self, snapshot: &Snapshot, key: &[u8]) -> Result<Option<Bytes>> {
        let Some((view, entry)) = self.entry(snapshot, key)? else { return Ok(None) };
        Ok(view.value(entry, key)?)
    }

    pub(crate) fn item(&self, snapshot: &Snapshot, key: &[u8]) -> Result<Option<Item>> {
        Ok(self.find(snapshot, key)?.map(|found| Item::found(key, found)))
    }

    /// What `key` holds now, if it has a value. One read of one view needs no snapshot.
    pub(crate) fn find_now(&self, key: &[u8]) -> Result<Option<Found>> {
        let Some((view, entry)) = self.entry_now(key)? else { return Ok(None) };
        Ok(Some(view.keep(entry)?))
    }

    pub(crate) fn get_now(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let Some((view, entry)) = self.entry_now(key)? else { return Ok(None) };
        Ok(view.value(entry, key)?)
    }

    pub(crate) fn item_now(&self, key: &[u8]) -> Result<Option<Item>> {
        Ok(self.find_now(key)?.map(|found| Item::found(key, found)))
    }

    /// The living entry of `key` that a snapshot sees, and the view that it is from.
    fn entry(&self, snapshot: &Snapshot, key: &[u8]) -> Result<Option<(CurrentView<'_>, SharedEntry)>> {
        self.check_open()?;
        check_key(key)?;
        let view = self.engine.current_view();
        let entry = view.entry(key, snapshot.version())?;
        let living = entry.filter(|entry| entry.as_entry().is_live(snapshot.time()));
        Ok(living.map(|entry| (view, entry)))
    }

    /// The living entry of `key`, and the view that it is from.
    #[inline]
    fn entry_now(&self, key: &[u8]) -> Result<Option<(CurrentView<'_>, SharedEntry)>> {
        self.check_open()?;
        check_key(key)?;
        let (view, version) = self.snapshots.read_current(|| self.engine.current_view());
        let Some(entry) = view.entry(key, version)? else { return Ok(None) };
        // Asking the time costs more than most of this: only what can expire needs it.
        let has_expired = entry.expires_at.is_some_and(|at| at <= self.snapshots.time_of_read(self.now()));
        Ok((!entry.as_entry().is_tombstone() && !has_expired).then_some((view, entry)))
    }

    /// One piece of background work.
    pub(crate) fn step(&self, who: Who) -> Result<Step> {
        self.background.run(who, || self.engine.step(&|| self.retention()))
    }

    /// Reads everything and checks it.
    pub(crate) fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified> {
        self.check_open()?;
        Ok(self.engine.verify(progress)?)
    }

    pub(crate) fn retention(&self) -> Retention {
        self.snapshots.retention(self.now())
    }
}
