//! One engine, its users, and the steps of its background jobs, all in one thread.

use std::sync::{Arc, Weak};

use base::vfs::{FaultVfs, MemVfs, Operations};
use base::{Retention, UnixSeconds, Version};
use engine::{Durability, Engine, Step, StepKind};
use parking_lot::Mutex;

use super::events::{Event, JobStep, Placement, UserOperation};
use super::model::{Key, Model};
use super::schedule::Schedule;
use super::start::{Prepared, Setup};
use super::users::{Users, open, sound};
use crate::counters::Counters;
use crate::finding::{Checked, Finding, demand};

/// Keys after `b`.
const FILLER: [Key; 16] = [
    b"c0", b"c1", b"c2", b"c3", b"c4", b"c5", b"c6", b"c7", b"c8", b"c9", b"d0", b"d1", b"d2", b"d3", b"d4",
    b"d5",
];
/// Not separated.
const FILLER_BYTES: usize = 60;
/// More than any background work needs.
const STEPS_MAX: usize = 1_000;

/// An engine with its users.
pub(super) struct World {
    engine: Engine,
    disk: MemVfs,
    inside: Arc<Mutex<Inside>>,
}

/// The users, and what they are about to do inside the step that is being done.
struct Inside {
    users: Users,
    due: Vec<UserOperation>,
    placement: Placement,
    changes: u8,
    failed: Option<Finding>,
}

impl Inside {
    fn do_due(&mut self) {
        for operation in std::mem::take(&mut self.due) {
            self.users.counters.count("operations inside");
            if let Err(finding) = self.users.operation(operation) {
                self.failed.get_or_insert(finding.at("inside a step"));
            }
        }
    }

    fn change(&mut self) {
        self.changes = self.changes.saturating_add(1);
        if self.placement == Placement::BeforeChange(self.changes) {
            self.do_due();
        }
    }
}

impl World {
    /// Opens the engine on `disk`, which holds what `model` says.
    pub(super) fn open(disk: MemVfs, model: Model, held: Vec<Version>) -> Checked<Self> {
        let watched = FaultVfs::new(Arc::new(disk.clone()));
        let engine = open(Arc::new(watched.clone()))?;
        // The first commit would wait for the manifest, which a step on this very thread may hold.
        engine
            .step_of(StepKind::OpenGeneration, &|| Retention::new(Version::ZERO, [], UnixSeconds(0)))
            .map_err(|error| Finding::new(format!("the first memtable: {error}")))?;
        let users = Users::new(engine.clone(), disk.clone(), model, held);
        let placement = Placement::Between;
        let inside = Inside { users, due: Vec::new(), placement, changes: 0, failed: None };
        let inside = Arc::new(Mutex::new(inside));
        // Weak, or engine and file system would keep each other alive.
        let watcher: Weak<Mutex<Inside>> = Arc::downgrade(&inside);
        watched.before_each(move |operation, _| {
            // Opening and reading go on under locks that other readers wait for, and users share this thread. The users are
            // locked while one of them is at work: that file operation is their own.
            if Operations::CHANGES.contains(operation)
                && let Some(inside) = watcher.upgrade()
                && let Some(mut inside) = inside.try_lock()
            {
                inside.change();
            }
        });
        Ok(Self { engine, disk, inside })
    }

    /// Runs a schedule from its start, and checks all that can be checked; what was done is counted in `counters`.
    pub(super) fn run(schedule: &Schedule, counters: &mut Counters) -> Checked {
        let prepared = schedule.start.prepared()?;
        let disk = MemVfs::from_snapshot(prepared.files.clone());
        let world = Self::open(disk, prepared.model.clone(), prepared.held.clone())?;
        let outcome = world.play(schedule);
        counters.merge(&world.inside.lock().users.counters);
        outcome
    }

    fn play(&self, schedule: &Schedule) -> Checked {
        self.inside.lock().users.watch = schedule.watch;
        for setup in schedule.start.present() {
            self.setup(*setup)?;
        }
        let mut compactions = [None; 2];
        let mut waiting = Vec::new();
        for event in &schedule.events {
            match event {
                Event::User(operation) if schedule.placement == Placement::Between => {
                    self.inside.lock().users.operation(*operation)?;
                }
                Event::User(operation) => waiting.push(*operation),
                // Commits wait while a memtable is frozen, and users share this thread.
                Event::Job { step: JobStep::Rotate, .. } => {
                    self.do_waiting(&mut waiting)?;
                    self.rotate().map_err(|finding| finding.at(event))?;
                }
                Event::Job { job, step } => {
                    let due = std::mem::take(&mut waiting);
                    self.job_step(*step, &mut compactions[*job], due, schedule.placement)
                        .map_err(|finding| finding.at(format!("`{event}`")))?;
                }
            }
        }
        self.do_waiting(&mut waiting)?;
        self.inside.lock().users.finish_reads()?;
        sound(&self.engine)?;
        self.end().map_err(|finding| finding.at("when all work is done"))
    }

    /// One step of a job, with operations of users inside it.
    fn job_step(
        &self,
        step: JobStep,
        compaction: &mut Option<u64>,
        due: Vec<UserOperation>,
        placement: Placement,
    ) -> Checked {
        {
            let mut inside = self.inside.lock();
            (inside.due, inside.placement, inside.changes) = (due, placement, 0);
        }
        let has_worked = match step.kind(*compaction) {
            Some(kind) => self.step_of(kind)? != Step::Idle,
            None => false,
        };
        if has_worked && step == JobStep::PickCompaction {
            let under_way = self.engine.compactions()?;
            *compaction = under_way.last().copied();
            self.inside.lock().users.counters.add("compactions side by side", u64::from(under_way.len() > 1));
        }
        let mut inside = self.inside.lock();
        if let Some(finding) = inside.failed.take() {
            return Err(finding);
        }
        // It ended before their time came.
        let mut late = std::mem::take(&mut inside.due);
        drop(inside);
        self.do_waiting(&mut late)?;
        if has_worked { self.has_stepped() } else { Ok(()) }
    }

    fn rotate(&self) -> Checked {
        if self.engine.rotate()? { self.has_stepped() } else { Ok(()) }
    }

    fn has_stepped(&self) -> Checked {
        let users = &mut self.inside.lock().users;
        users.counters.count("steps");
        users.watch()
    }

    fn do_waiting(&self, waiting: &mut Vec<UserOperation>) -> Checked {
        let users = &mut self.inside.lock().users;
        waiting.drain(..).try_for_each(|operation| users.operation(operation))
    }

    fn step_of(&self, kind: StepKind) -> Checked<Step> {
        let retention = || {
            let mut inside = self.inside.lock();
            let retention = inside.users.retention();
            if inside.placement == Placement::AfterRetention {
                inside.do_due();
            }
            retention
        };
        Ok(self.engine.step_of(kind, &retention)?)
    }

    /// Does all background work, in the engine's own order.
    fn settle(&self) -> Checked {
        for _ in 0..STEPS_MAX {
            if self.engine.step(&|| self.inside.lock().users.retention())? == Step::Idle {
                return Ok(());
            }
        }
        Err(Finding::new("background work does not end"))
    }

    /// Nobody reads any more, and all work is done: what is left is what a newcomer reads, and nothing else.
    fn end(&self) -> Checked {
        self.inside.lock().users.leave();
        self.settle()?;
        let mut inside = self.inside.lock();
        inside.users.read_all()?;
        inside.users.demand_no_leftovers()
    }

    /// Does what brings a start about.
    pub(super) fn setup(&self, setup: Setup) -> Checked {
        match setup {
            Setup::Do(operation) => self.inside.lock().users.operation(operation),
            Setup::Fill => {
                let users = &mut self.inside.lock().users;
                let writes = FILLER.map(|key| (key, Some(users.model.new_value(FILLER_BYTES))));
                users.commit(&writes, Durability::Sync)
            }
            Setup::Freeze => {
                self.step_of(StepKind::OpenGeneration)?;
                demand(self.engine.rotate()?, || "there is no spare generation".to_owned())
            }
            Setup::Flush => {
                self.setup(Setup::Freeze)?;
                let steps = [self.step_of(StepKind::Flush)?, self.step_of(StepKind::Flush)?];
                let expected = [Step::WroteFlush, Step::InstalledFlush];
                demand(steps == expected, || format!("a flush did {steps:?}"))
            }
            Setup::Settle => self.settle(),
            Setup::Spare => self.step_of(StepKind::OpenGeneration).map(|_| ()),
            Setup::RequestCompaction => Ok(self.engine.request_compaction()?),
        }
    }

    /// Closes it in good order: a former life.
    pub(super) fn close(self) -> Checked<Prepared> {
        self.engine.stop_commits();
        self.setup(Setup::Freeze)?;
        while self.engine.has_frozen() {
            self.step_of(StepKind::Flush)?;
        }
        self.engine.finish_close()?;
        let inside = self.inside.lock();
        Ok(Prepared {
            files: self.disk.snapshot(),
            model: inside.users.model.clone(),
            held: inside.users.held.clone(),
        })
    }
}
