//! What a script begins with: nothing, or a directory with every kind of file in it, left by a killed process.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base::vfs::MemVfs;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::database::DatabaseKind;
use crate::finding::Checked;
use crate::history::State;
use crate::runner::Runner;
use crate::script::filling;

/// A directory, and what the database in it holds.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) kind: DatabaseKind,
    pub(super) files: Arc<BTreeMap<PathBuf, Bytes>>,
    pub(super) state: Arc<State>,
}

/// Made once for each kind of database.
static FILLED: Mutex<Vec<Start>> = Mutex::new(Vec::new());

impl Start {
    pub(super) fn empty(kind: DatabaseKind) -> Self {
        Self { kind, files: Arc::default(), state: Arc::default() }
    }

    pub(super) fn filled(kind: DatabaseKind) -> Checked<Self> {
        let mut filled = FILLED.lock();
        if let Some(start) = filled.iter().find(|start| start.kind == kind) {
            return Ok(start.clone());
        }
        let disk = MemVfs::new();
        let mut runner = Runner::create(kind, Arc::new(disk.clone()), &|_| {})?;
        runner.run(&filling())?;
        let state = Arc::new(runner.history().last().clone());
        runner.kill();
        let start = Self { kind, files: Arc::new(disk.share()), state };
        filled.push(start.clone());
        Ok(start)
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.files.is_empty() { "empty" } else { "filled" };
        write!(f, "{:?}, {what}", self.kind)
    }
}
