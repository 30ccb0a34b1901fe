//! What a database should hold: the states that it went through, one per commit.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::finding::{Checked, Finding};

/// What one key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The value.
    pub value: Vec<u8>,
    /// The commit's version; 0 while it is not known, because the commit did not return.
    pub version: u64,
    /// When it expires, in seconds since 1970; 0 for never.
    pub expires_at: u64,
    /// The user's byte.
    pub user_meta: u8,
}

impl Held {
    fn is_live(&self, now: u64) -> bool {
        self.expires_at == 0 || self.expires_at > now
    }

    fn matches(&self, found: &Self) -> bool {
        let same_version = self.version == 0 || self.version == found.version;
        let same_marks = (self.expires_at, self.user_meta) == (found.expires_at, found.user_meta);
        same_version && same_marks && self.value == found.value
    }
}

impl fmt::Display for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, version, expires_at, user_meta } = self;
        let start = value.get(..8.min(value.len())).unwrap_or_default().escape_ascii();
        write!(out, "{} bytes {start}… v{version} expiry {expires_at} meta {user_meta}", value.len())
    }
}

/// All keys of a database.
pub type State = BTreeMap<Vec<u8>, Held>;

/// One write of a commit; no value deletes the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// When it expires, in seconds since 1970; 0 for never.
    pub expires_at: u64,
    /// The user's byte.
    pub user_meta: u8,
}

/// The states of a database: number n is what it holds after n commits.
#[derive(Clone, Debug)]
pub struct History {
    states: Vec<Arc<State>>,
}

impl Default for History {
    fn default() -> Self {
        Self { states: vec![Arc::default()] }
    }
}

impl History {
    /// A history that begins with what a database holds already.
    #[must_use]
    pub fn starting_from(state: State) -> Self {
        Self { states: vec![Arc::new(state)] }
    }

    /// How many commits there were.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.states.len() - 1
    }

    /// What the database holds after `commits` commits.
    #[must_use]
    pub fn state(&self, commits: usize) -> &State {
        let last = self.states.len() - 1;
        &self.states[commits.min(last)]
    }

    /// What it holds now.
    #[must_use]
    pub fn last(&self) -> &State {
        self.state(self.commits())
    }

    /// A commit is about to be written.
    pub fn submit(&mut self, writes: &[Write]) {
        let mut state = self.last().clone();
        for write in writes {
            match &write.value {
                Some(value) => {
                    let held = Held {
                        value: value.clone(),
                        version: 0,
                        expires_at: write.expires_at,
                        user_meta: write.user_meta,
                    };
                    state.insert(write.key.clone(), held);
                }
                None => {
                    state.remove(&write.key);
                }
            }
        }
        self.states.push(Arc::new(state));
    }

    /// The newest commit returned: what it wrote has this version.
    pub fn acknowledge(&mut self, writes: &[Write], version: u64) {
        if let Some(last) = self.states.last_mut() {
            let state = Arc::make_mut(last);
            for held in writes.iter().filter_map(|write| write.value.as_ref().map(|_| &write.key)) {
                if let Some(held) = state.get_mut(held) {
                    held.version = version;
                }
            }
        }
    }

    /// Only the first `commits` commits have happened.
    pub fn truncate(&mut self, commits: usize) {
        self.states.truncate(commits + 1);
    }

    /// The newest state within `commits` that a reader at `now` sees as `found`.
    ///
    /// # Errors
    /// A finding that tells how `found` differs from the state that holds the least and from the one that holds the most.
    pub fn prefix(&self, found: &State, now: u64, commits: RangeInclusive<usize>) -> Checked<usize> {
        let mut candidates = commits.clone().rev();
        if let Some(prefix) = candidates.find(|at| difference(self.state(*at), found, now).is_none()) {
            return Ok(prefix);
        }
        let mut text =
            format!("what is found is no prefix of {} to {} commits", commits.start(), commits.end());
        for at in [*commits.start(), *commits.end()] {
            if let Some(difference) = difference(self.state(at), found, now) {
                let _infallible = write!(text, "; after {at} commits: {difference}");
            }
        }
        Err(Finding::new(text))
    }
}

/// The first difference between what a reader at `now` should see and what it found.
#[must_use]
pub fn difference(expected: &State, found: &State, now: u64) -> Option<String> {
    let live = expected.iter().filter(|(_, held)| held.is_live(now));
    let mut of_expected =
        live.filter_map(|(key, held)| difference_of_key(key, Some(held), found.get(key), now));
    of_expected.next().or_else(|| {
        let foreign =
            found.iter().filter(|(key, _)| !expected.get(*key).is_some_and(|held| held.is_live(now)));
        foreign.map(|(key, held)| difference_of_key(key, None, Some(held), now)).next().flatten()
    })
}

/// The same of one key.
#[must_use]
pub fn difference_of_key(
    key: &[u8],
    expected: Option<&Held>,
    found: Option<&Held>,
    now: u64,
) -> Option<String> {
    let expected = expected.filter(|held| held.is_live(now));
    let is_right = match (expected, found) {
        (Some(expected), Some(found)) => expected.matches(found),
        (expected, found) => expected.is_none() && found.is_none(),
    };
    if is_right {
        return None;
    }
    let show = |held: Option<&Held>| held.map_or_else(|| "nothing".to_owned(), Held::to_string);
    Some(format!("key {} should be {}, is {}", key.escape_ascii(), show(expected), show(found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &str, value: Option<&str>) -> Write {
        Write { key: key.into(), value: value.map(Into::into), expires_at: 0, user_meta: 0 }
    }

    #[test]
    fn a_hole_is_no_prefix() {
        let mut history = History::default();
        for key in ["a", "b", "c"] {
            history.submit(&[write(key, Some("x"))]);
        }
        let mut found = history.last().clone();
        assert_eq!(history.prefix(&found, 0, 0..=3), Ok(3));
        found.remove("b".as_bytes());
        assert!(history.prefix(&found, 0, 0..=3).is_err());
        found.remove("c".as_bytes());
        assert_eq!(history.prefix(&found, 0, 0..=3), Ok(1));
        assert!(history.prefix(&found, 0, 2..=3).is_err(), "a durable commit is missing");
    }

    #[test]
    fn what_is_foreign_or_expired_is_seen() {
        let mut history = History::default();
        history.submit(&[Write { expires_at: 10, ..write("a", Some("x")) }]);
        let found = history.last().clone();
        assert!(history.prefix(&found, 9, 1..=1).is_ok());
        assert!(history.prefix(&found, 10, 1..=1).is_err());
        history.submit(&[write("a", None)]);
        assert!(history.prefix(&found, 9, 2..=2).is_err());
    }
}
