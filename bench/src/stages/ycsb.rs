//! The core workloads of the Yahoo! Cloud Serving Benchmark, A to F, from two threads.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::data::{Chooser, random_key, touch, value};
use crate::engine::{Engine, Failure};
use crate::measure::Operation;
use crate::plan::{Plan, Workload};
use crate::process::settle;
use crate::stages::{Context, reads};

const THREADS: u64 = 2;

/// Of a hundred operations; the rest are reads.
#[derive(Clone, Copy, Debug, Default)]
struct Mix {
    updates: u64,
    inserts: u64,
    scans: u64,
    read_modify_writes: u64,
    /// Reads go to what was inserted last.
    latest: bool,
}

fn mix_of(workload: Workload) -> Option<Mix> {
    let none = Mix::default();
    match workload {
        Workload::YcsbA => Some(Mix { updates: 50, ..none }),
        Workload::YcsbB => Some(Mix { updates: 5, ..none }),
        Workload::YcsbC => Some(none),
        Workload::YcsbD => Some(Mix { inserts: 5, latest: true, ..none }),
        Workload::YcsbE => Some(Mix { scans: 95, inserts: 5, ..none }),
        Workload::YcsbF => Some(Mix { read_modify_writes: 50, ..none }),
        _ => None,
    }
}

/// Runs the workloads that are wanted, one after the other on the same database, as YCSB advises.
pub(super) fn run(context: &Context<'_>, engine: &dyn Engine) -> Result<(), Failure> {
    let mixes = context.plan.workloads.iter().filter_map(|workload| Some((*workload, mix_of(*workload)?)));
    // How much each thread has inserted; thread `t` inserts every `THREADS`th entry behind the loaded ones.
    let inserted: [AtomicU64; THREADS as usize] = Default::default();
    for (position, (workload, mix)) in mixes.enumerate() {
        if position == 0 {
            settle(engine, context.quiet())?;
        }
        let operation = |thread: u64| -> Result<Operation<'_>, Failure> {
            let inserted = inserted.get(usize::try_from(thread)?).ok_or("no such thread")?;
            let client = Client { engine, mix, plan: context.plan, thread, inserted };
            let mut chooser = context.chooser(thread)?;
            Ok(Box::new(move || client.step(&mut chooser)))
        };
        context.timed(workload, THREADS, &operation)?;
    }
    Ok(())
}

/// One thread of the benchmark.
struct Client<'a> {
    engine: &'a dyn Engine,
    mix: Mix,
    plan: &'a Plan,
    thread: u64,
    inserted: &'a AtomicU64,
}

impl Client<'_> {
    fn step(&self, chooser: &mut Chooser) -> Result<(), Failure> {
        let mix = self.mix;
        let dice = chooser.below(100);
        if dice < mix.inserts {
            return self.insert();
        }
        let dice = dice - mix.inserts;
        if mix.latest {
            let index = self.latest(chooser.zipf_rank());
            return reads::read(self.engine, random_key(index), true);
        }
        let index = chooser.zipf();
        if dice < mix.scans {
            let limit = usize::try_from(1 + chooser.below(100))?;
            reads::short_scan(self.engine, random_key(index), limit)
        } else if dice < mix.scans + mix.updates {
            self.engine
                .put_batch(&[(random_key(index), value(chooser.below(u64::MAX), self.plan.value_bytes))])
        } else if dice < mix.scans + mix.updates + mix.read_modify_writes {
            self.read_modify_write(index)
        } else {
            reads::read(self.engine, random_key(index), true)
        }
    }

    /// The `position`th entry of this thread behind the loaded ones.
    fn own(&self, position: u64) -> u64 {
        self.plan.keys + position * THREADS + self.thread
    }

    /// The entry of this recency: this thread's own insertions first, then what was loaded last.
    fn latest(&self, rank: u64) -> u64 {
        let inserted = self.inserted.load(Ordering::Relaxed);
        if rank < inserted { self.own(inserted - 1 - rank) } else { self.plan.keys - 1 - (rank - inserted) }
    }

    fn insert(&self) -> Result<(), Failure> {
        let index = self.own(self.inserted.load(Ordering::Relaxed));
        self.engine.put_batch(&[(random_key(index), value(index, self.plan.value_bytes))])?;
        self.inserted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// As YCSB does it: a read and a write, not one transaction.
    fn read_modify_write(&self, index: u64) -> Result<(), Failure> {
        let mut changed = Vec::new();
        let key = random_key(index);
        self.engine.get(&key, &mut |value| {
            touch(value);
            changed = value.to_vec();
        })?;
        let first = changed.first_mut().ok_or("a key is not as it was written")?;
        *first = first.wrapping_add(1);
        self.engine.put_batch(&[(key, changed)])
    }
}
