//! A small valid directory with files of every kind and commits that are only in logs, built once for each process.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use base::clock::ManualClock;
use base::vfs::{MemVfs, Vfs};
use base::{Entry, Retention, UnixSeconds, Version};
use engine::{CommitError, Durability, Engine, Environment, Options, Step};

pub const DIRECTORY: &str = "/db";
pub const NOW: UnixSeconds = UnixSeconds(1_000);

pub type Files = BTreeMap<PathBuf, Vec<u8>>;
pub type Content = Vec<(Vec<u8>, Vec<u8>)>;

/// The directory, and what it holds after each of its commits, from none on.
pub struct Template {
    pub files: Files,
    pub states: Vec<Content>,
}

pub static TEMPLATE: LazyLock<Template> = LazyLock::new(build);

pub fn environment(vfs: &Arc<dyn Vfs>) -> Environment {
    Environment { vfs: Arc::clone(vfs), clock: Arc::new(ManualClock::new(NOW)) }
}

/// Commits one write; `None` deletes.
pub fn commit(
    engine: &Engine,
    key: &[u8],
    value: Option<&[u8]>,
    durability: Durability,
) -> Result<Version, CommitError<Infallible>> {
    let entry = value.map_or(Entry::tombstone(), Entry::inline);
    let prepared = engine.prepare(std::iter::once((key, entry))).map_err(CommitError::NotWritten)?;
    engine.commit(prepared, durability, |_| Ok(()))
}

/// One step of background work, as if nobody read.
pub fn step(engine: &Engine) -> base::Result<Step> {
    let visible = engine.visible().load();
    engine.step(&|| Retention::new(visible, [], NOW))
}

fn settle(engine: &Engine) {
    while step(engine).unwrap() != Step::Idle {}
}

fn build() -> Template {
    let memory = MemVfs::new();
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let engine = Engine::open(Path::new(DIRECTORY), Options::tiny(), environment(&vfs)).unwrap();
    let mut present = BTreeMap::new();
    let mut states = vec![Content::new()];
    for number in 0..120usize {
        let key = format!("key{:02}", number * 7 % 97).into_bytes();
        let len = if number % 3 == 0 { 150 } else { 20 };
        let value = (number % 11 != 10).then(|| vec![number as u8; len]);
        // The last commits are buffered: known to nobody as durable.
        let durability = if number < 112 { Durability::Sync } else { Durability::Buffered };
        commit(&engine, &key, value.as_deref(), durability).unwrap();
        match value {
            Some(value) => present.insert(key, value),
            None => present.remove(&key),
        };
        states.push(present.clone().into_iter().collect());
        if number < 100 {
            settle(&engine);
        }
        if number == 50 {
            engine.request_compaction().unwrap();
        }
    }
    drop(engine);
    Template { files: memory.snapshot(), states }
}
