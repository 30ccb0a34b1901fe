//! The process that is killed: transactions from a few threads, and everything else that writes files, until the end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::Args;
use kv::{Db, Options, TableAccess};

use super::event::{Event, Opened};
use super::transaction::{Name, THREADS_MAX, Transaction};
use crate::finding::{Checked, Finding, demand};
use crate::process::{end_with_parent, observe, say};

/// The command line of a worker.
#[derive(Clone, Debug, Args)]
pub struct Worker {
    /// The database.
    #[arg(long)]
    pub(super) directory: PathBuf,
    /// Everything random comes from here.
    #[arg(long)]
    pub(super) seed: u64,
    /// How many threads write.
    #[arg(long)]
    pub(super) threads: usize,
    /// After so many transactions the database is closed and opened again.
    #[arg(long)]
    pub(super) transactions: u64,
}

/// Options of every kind that matters to what is on disk.
pub(super) fn options(random: &mut fastrand::Rng) -> Options {
    let options = match random.u8(..4) {
        0 => Options::new(),
        1 => Options::new().memory_budget(random.usize(1..8) << 20).value_threshold(random.usize(64..2_000)),
        _ => Options::tiny(),
    };
    let access = if random.bool() { TableAccess::Mapped } else { TableAccess::Positional };
    options.maintenance_threads(random.usize(..3)).access(access)
}

impl Worker {
    pub(crate) fn run(&self) -> Checked {
        end_with_parent()?;
        demand((1..=THREADS_MAX).contains(&self.threads), || format!("{} threads", self.threads))?;
        let mut random = fastrand::Rng::with_seed(self.seed);
        for session in 0.. {
            say(&Event::Opening.to_string());
            let db = options(&mut random).open(&self.directory)?;
            let found = observe(db.version(), db.iter()?)?;
            say(&Event::Opened(Opened::new(&found)).to_string());
            let numbers = next_numbers(&db)?;
            self.work(&db, session, numbers, random.u64(..))?;
            say(&Event::Closed.to_string());
        }
        Ok(())
    }

    /// One session: until one of the threads has closed the database.
    fn work(&self, db: &Db, session: u64, numbers: [u64; THREADS_MAX], seed: u64) -> Checked {
        let shared = Shared { is_over: AtomicBool::new(false), transactions: AtomicU64::new(0) };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let number = numbers.get(thread).copied().unwrap_or(1);
                    let name = Name { seed: self.seed, session, thread, number };
                    let (db, shared) = (db.clone(), &shared);
                    scope.spawn(move || self.write(&db, name, shared, seed))
                })
                .collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(Finding::new("a thread of a worker panicked")))
            })
        })
    }

    fn write(&self, db: &Db, mut name: Name, shared: &Shared, seed: u64) -> Checked {
        let mut random = fastrand::Rng::with_seed(seed ^ name.thread as u64);
        while !shared.is_over.load(Ordering::Relaxed) {
            let transaction = name.transaction();
            let (thread, number) = (name.thread, name.number);
            match commit(db, &transaction) {
                Ok(version) => {
                    let digest = transaction.digest();
                    say(&Event::Done { thread, number, version: version.0, digest }.to_string());
                }
                // The threads share a small memory budget: nothing was written, and there is room when another one is done.
                Err(error) if error.is_retryable() => {
                    std::thread::yield_now();
                    continue;
                }
                Err(kv::Error::Closed) => {
                    say(&Event::Refused { thread, number }.to_string());
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
            name.number += 1;
            match maintain(db, &mut random) {
                Ok(()) => {}
                Err(kv::Error::Closed) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if shared.transactions.fetch_add(1, Ordering::Relaxed) + 1 == self.transactions {
                say(&Event::Closing.to_string());
                // The other threads end before, or meet a closed database.
                shared.is_over.store(random.bool(), Ordering::Relaxed);
                db.close()?;
            }
        }
        Ok(())
    }
}

/// What the threads of a session share.
struct Shared {
    is_over: AtomicBool,
    transactions: AtomicU64,
}

/// The number with which each thread goes on.
fn next_numbers(db: &Db) -> Checked<[u64; THREADS_MAX]> {
    let mut numbers = [1; THREADS_MAX];
    for (thread, next) in numbers.iter_mut().enumerate() {
        if let Some(value) = db.get(super::transaction::marker(thread))? {
            let number: [u8; 8] =
                value.as_ref().try_into().map_err(|_| Finding::new("a marker is not a number"))?;
            *next = u64::from_le_bytes(number) + 1;
        }
    }
    Ok(numbers)
}

fn commit(db: &Db, transaction: &Transaction) -> kv::Result<kv::Version> {
    let mut txn = db.begin_write()?;
    for (key, value) in &transaction.writes {
        match value {
            Some(value) => txn.set(key, value)?,
            None => txn.delete(key)?,
        }
    }
    txn.commit_with(transaction.durability)
}

/// Now and then, something else that writes.
fn maintain(db: &Db, random: &mut fastrand::Rng) -> kv::Result<()> {
    match random.u8(..) {
        0..6 => db.flush(),
        6..8 => db.compact(),
        8..12 => db.sync(),
        12..40 => db.step().map(drop),
        _ => Ok(()),
    }
}
