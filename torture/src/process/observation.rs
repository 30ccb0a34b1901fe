//! Everything that a database shows, small enough to be kept and compared by another process.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use kv::{Item, Range};

use crate::finding::{Checked, Finding, demand};

/// What a key holds: which commit wrote it, and its value by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    pub(crate) version: u64,
    pub(crate) value_len: usize,
    pub(crate) value_hash: u64,
}

impl Held {
    pub(crate) fn new(version: u64, value: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self { version, value_len: value.len(), value_hash: hasher.finish() }
    }
}

/// What every key holds.
pub(crate) type State = BTreeMap<Vec<u8>, Held>;

/// A snapshot of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Its newest version.
    pub(crate) version: u64,
    /// What is in it.
    pub(crate) state: State,
}

/// A number that two equal states share.
pub(crate) fn digest_of(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Reads all of `items`, from the front and the back in turns; `version` is the newest of the database they are from.
pub(crate) fn observe(version: kv::Version, mut items: Range) -> Checked<Observation> {
    let mut state = State::new();
    let mut is_back = false;
    while let Some(item) = if is_back { items.next_back() } else { items.next() } {
        is_back = state.len() % 3 == 2;
        add(&mut state, &item?)?;
    }
    // Whichever end it was: there is nothing at the other one.
    let is_over = items.next().is_none() && items.next_back().is_none();
    demand(is_over, || "an iteration that had ended went on".into())?;
    Ok(Observation { version: version.0, state })
}

fn add(state: &mut State, item: &Item) -> Checked {
    let held = Held::new(item.version().0, &item.value()?);
    match state.insert(item.key().to_vec(), held) {
        None => Ok(()),
        Some(_) => Err(Finding::new(format!("a scan returned key {} twice", item.key().escape_ascii()))),
    }
}
