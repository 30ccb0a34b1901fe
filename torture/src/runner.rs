//! Runs scripts, and keeps what the database should hold.

use std::sync::Arc;

use base::UnixSeconds;
use base::clock::ManualClock;
use base::vfs::Vfs;

use crate::database::{Database, DatabaseKind, Durability};
use crate::finding::{Checked, Finding};
use crate::history::{History, Write, difference, difference_of_key};
use crate::life::Life;
use crate::script::{KEYS, Operation, START_SECONDS, Script, key_name};

/// What a harness is told while a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The commit of this number is about to be written.
    Submitted(usize),
    /// The commit of this number has returned.
    Acknowledged(usize),
    /// All commits up to this number are durable.
    Durable(usize),
    /// It is this late, in seconds.
    Clock(u64),
}

/// A database with what it should hold. Nothing may fail.
pub struct Runner<'a> {
    kind: DatabaseKind,
    clock: Arc<ManualClock>,
    marks: &'a dyn Fn(Mark),
    /// A death cuts it off, so that nothing that is still in memory reaches the disk.
    life: Life,
    database: Option<Box<dyn Database>>,
    history: History,
    now: u64,
}

impl<'a> Runner<'a> {
    /// Opens a database on `disk`, which holds what the last state of `history` says at `now`; `marks` is told what happens.
    ///
    /// # Errors
    /// A finding when it does not open.
    pub fn open(
        kind: DatabaseKind,
        disk: Arc<dyn Vfs>,
        history: History,
        now: u64,
        marks: &'a dyn Fn(Mark),
    ) -> Checked<Self> {
        let clock = Arc::new(ManualClock::new(UnixSeconds(now)));
        let life = Life::new(disk);
        let mut runner = Self { kind, clock, marks, life, database: None, history, now };
        marks(Mark::Clock(now));
        runner.start()?;
        Ok(runner)
    }

    /// Opens a new database.
    ///
    /// # Errors
    /// A finding when it does not open.
    pub fn create(kind: DatabaseKind, disk: Arc<dyn Vfs>, marks: &'a dyn Fn(Mark)) -> Checked<Self> {
        Self::open(kind, disk, History::default(), START_SECONDS, marks)
    }

    fn start(&mut self) -> Checked {
        self.life = self.life.next();
        let vfs: Arc<dyn Vfs> = Arc::new(self.life.clone());
        self.database = Some(self.kind.open(&vfs, &self.clock)?);
        // What open shows is durable.
        (self.marks)(Mark::Durable(self.history.commits()));
        Ok(())
    }

    /// The open database.
    ///
    /// # Errors
    /// A finding when there is none.
    pub fn database(&self) -> Checked<&dyn Database> {
        self.database.as_deref().ok_or_else(|| Finding::new("the database is not open"))
    }

    /// Takes over what the database was found to hold.
    pub fn adopt(&mut self, history: History) {
        self.history = history;
    }

    /// What it should hold.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How late it is, in seconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Runs every operation of `script`.
    ///
    /// # Errors
    /// A finding when one fails.
    pub fn run(&mut self, script: &Script) -> Checked {
        for (at, operation) in script.0.iter().enumerate() {
            self.operation(*operation)
                .map_err(|finding| finding.at(format!("operation {at}, `{operation}`")))?;
        }
        Ok(())
    }

    /// Runs one operation.
    ///
    /// # Errors
    /// A finding when it fails.
    pub fn operation(&mut self, operation: Operation) -> Checked {
        if let Some((writes, durability)) = writes(operation, self.history.commits() + 1, self.now) {
            return self.commit(&writes, durability);
        }
        match operation {
            Operation::Step(count) => {
                for _ in 0..count {
                    self.database()?.step()?;
                }
            }
            Operation::Flush => self.database()?.flush()?,
            Operation::Compact => self.database()?.compact()?,
            Operation::Sync => {
                self.database()?.sync()?;
                (self.marks)(Mark::Durable(self.history.commits()));
            }
            Operation::Kill => {
                self.kill();
                self.start()?;
            }
            Operation::Close => {
                if let Some(database) = self.database.take() {
                    database.close()?;
                }
                (self.marks)(Mark::Durable(self.history.commits()));
                self.start()?;
            }
            Operation::Wait(seconds) => {
                self.now += u64::from(seconds);
                self.clock.set(UnixSeconds(self.now));
                (self.marks)(Mark::Clock(self.now));
            }
            Operation::Put { .. } | Operation::Delete { .. } | Operation::Batch { .. } => {}
        }
        Ok(())
    }

    fn commit(&mut self, writes: &[Write], durability: Durability) -> Checked {
        self.history.submit(writes);
        let number = self.history.commits();
        (self.marks)(Mark::Submitted(number));
        let version = self.database()?.commit(writes, durability)?;
        self.history.acknowledge(writes, version);
        (self.marks)(Mark::Acknowledged(number));
        if durability == Durability::Sync {
            (self.marks)(Mark::Durable(number));
        }
        Ok(())
    }

    /// The process dies: what it has not written stays unwritten.
    pub fn kill(&mut self) {
        self.life.end();
        self.database = None;
    }

    /// Demands that all ways of reading agree with what it should hold, and that it is sound inside.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self) -> Checked {
        let database = self.database()?;
        for backward in [false, true] {
            let found = database.dump(backward)?;
            if let Some(difference) = difference(self.history.last(), &found, self.now) {
                return Err(Finding::new(difference).at(if backward { "backward" } else { "forward" }));
            }
        }
        for key in (0..KEYS + 2).map(key_name) {
            let (expected, found) = (self.history.last().get(&key), database.get(&key)?);
            if let Some(difference) = difference_of_key(&key, expected, found.as_ref(), self.now) {
                return Err(Finding::new(difference).at("get"));
            }
        }
        sound(database)
    }
}

impl std::fmt::Debug for Runner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("kind", &self.kind).field("now", &self.now).finish_non_exhaustive()
    }
}

/// Demands that `database` finds nothing wrong inside.
///
/// # Errors
/// What is wrong.
pub fn sound(database: &dyn Database) -> Checked {
    match database.verify()?.first() {
        None => Ok(()),
        Some(error) => Err(Finding::new(format!("verify: {error}"))),
    }
}

/// What a commit operation writes, when it is commit `number` at second `now`.
#[must_use]
pub fn writes(operation: Operation, number: usize, now: u64) -> Option<(Vec<Write>, Durability)> {
    let put = |key: u8, len: u16, seconds: u16| Write {
        key: key_name(key),
        value: Some(value(number, key, usize::from(len))),
        expires_at: if seconds == 0 { 0 } else { now + u64::from(seconds) },
        user_meta: key,
    };
    let delete = |key: u8| Write { key: key_name(key), value: None, expires_at: 0, user_meta: 0 };
    match operation {
        Operation::Put { key, len, seconds, durability } => Some((vec![put(key, len, seconds)], durability)),
        Operation::Delete { key, durability } => Some((vec![delete(key)], durability)),
        Operation::Batch { key, durability } => {
            let writes = vec![put(key, 24, 0), put(key.wrapping_add(1), 400, 0), delete(key.wrapping_add(2))];
            Some((writes, durability))
        }
        _ => None,
    }
}

/// A value that no other commit writes; its second half can be compressed.
fn value(number: usize, key: u8, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed((number as u64) << 8 | u64::from(key));
    (0..len).map(|at| if at < len.div_ceil(2) { random.u8(..) } else { key }).collect()
}
