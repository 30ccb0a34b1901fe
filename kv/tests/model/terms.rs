//! Operations in the database's own terms and in the oracle's, and what comes back in terms that compare.

use std::collections::VecDeque;
use std::ops::Bound;
use std::time::Duration;

use kv::{Item, Range, Scan, SetOptions};

use crate::operation::{ScanPlan, Write, key};
use crate::oracle::{Entry, KeyRange, Row};

pub(crate) type Outcome<T = ()> = Result<T, String>;

/// An iterator that is read by and by.
pub(crate) struct Iteration {
    pub(crate) range: Range,
    pub(crate) expected: Expected,
    /// The transaction that should remember what it visits.
    pub(crate) txn: Option<usize>,
    pub(crate) visited: Visited,
}

/// What an iterator should show from here on.
pub(crate) enum Expected {
    Rows {
        rows: VecDeque<Row>,
        reverse: bool,
    },
    /// Which old versions are kept is not known beforehand: checked against the oracle one by one.
    Versions,
}

#[derive(Clone)]
pub(crate) struct Visited {
    pub(crate) bounds: KeyRange,
    pub(crate) front: Option<Vec<u8>>,
    pub(crate) back: Option<Vec<u8>>,
    pub(crate) ran_out: bool,
}

impl Visited {
    pub(crate) fn ranges(&self) -> Vec<KeyRange> {
        if self.ran_out {
            return vec![self.bounds.clone()];
        }
        let front = self.front.iter().map(|key| (self.bounds.0.clone(), Bound::Included(key.clone())));
        let back = self.back.iter().map(|key| (Bound::Included(key.clone()), self.bounds.1.clone()));
        front.chain(back).collect()
    }
}

pub(crate) fn told<T>(result: kv::Result<T>) -> Outcome<T> {
    result.map_err(|error| format!("error: {error}"))
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, expected: &T) -> Outcome {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {expected:?}")) }
}

pub(crate) fn set_options(write: &Write) -> SetOptions {
    let mut how = SetOptions::new().user_meta(write.user_meta);
    if let Some(seconds) = write.ttl {
        how = how.ttl(Duration::from_secs(seconds));
    }
    if write.hide_older { how.hide_older() } else { how }
}

pub(crate) fn entry_of(write: &Write, now: u64) -> Entry {
    match &write.value {
        None => Entry { value: None, user_meta: 0, expires_at: None, hides_older: false },
        Some(value) => Entry {
            value: Some(value.bytes()),
            user_meta: write.user_meta,
            expires_at: write.ttl.map(|seconds| now + seconds),
            hides_older: write.hide_older,
        },
    }
}

pub(crate) fn row_of(item: &Item, is_own: bool) -> Outcome<Row> {
    let value = told(item.value())?;
    same("borrowed value", &item.value_ref().is_none_or(|borrowed| *borrowed == *value), &true)?;
    same("value length", &item.value_len(), &(value.len() as u64))?;
    let entry = Entry {
        value: (!item.is_deleted()).then(|| value.to_vec()),
        user_meta: item.user_meta(),
        expires_at: item.expires_at().map(|at| at.0),
        hides_older: item.hides_older(),
    };
    Ok(Row { key: item.key().to_vec(), version: if is_own { 0 } else { item.version().0 }, entry })
}

pub(crate) fn bounds_of(plan: &ScanPlan) -> KeyRange {
    match plan.prefix {
        Some((of, len)) => {
            let mut prefix = key(of);
            prefix.truncate(len);
            let end = base::prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
            (Bound::Included(prefix), end)
        }
        None => (plan.bounds.0.map(key), plan.bounds.1.map(key)),
    }
}

pub(crate) fn planned(scan: Scan, plan: &ScanPlan) -> Outcome<Range> {
    let scan = match plan.prefix {
        Some((of, len)) => {
            let prefix = key(of);
            scan.prefix(&prefix[..len.min(prefix.len())])
        }
        None => scan.range(bounds_of(plan)),
    };
    let scan = if plan.reverse { scan.reverse() } else { scan };
    let scan = if plan.all_versions { scan.all_versions() } else { scan };
    told(scan.since(kv::Version(plan.since.unwrap_or(0))).iter())
}

pub(crate) fn visited(plan: &ScanPlan) -> Visited {
    Visited { bounds: bounds_of(plan), front: None, back: None, ran_out: false }
}
