//! Running a transaction until it commits, a bounded number of times.

use std::sync::Arc;
use std::time::Duration;

use base::Version;

use crate::handle::Handle;
use crate::store::Store;
use crate::{Error, Result, WriteTxn};

/// The first pause while a commit is on its way to be visible, and the longest.
const PAUSE_MIN: Duration = Duration::from_micros(10);
const PAUSE_MAX: Duration = Duration::from_millis(1);

/// Runs `f` in a transaction and commits; after a conflict again, when what it lost to is visible.
pub(crate) fn update<T>(handle: &Arc<Handle>, mut f: impl FnMut(&mut WriteTxn) -> Result<T>) -> Result<T> {
    let store = handle.store();
    for _attempt in 0..=store.settings().max_retries {
        let mut txn = WriteTxn::begin(handle)?;
        let outcome = f(&mut txn)?;
        match txn.try_commit(store.settings().durability)? {
            Ok(_version) => return Ok(outcome),
            Err(conflict) => wait_until_visible(store, conflict.lost_to)?,
        }
    }
    Err(Error::Conflict)
}

/// A snapshot taken before `version` is visible would lose to it again. It is on its way: the wait is one group commit at
/// most, or ends with the halt.
fn wait_until_visible(store: &Store, version: Version) -> Result<()> {
    let mut pause = PAUSE_MIN;
    while store.engine().visible().load() < version {
        store.check_open()?;
        if let Some(halted) = store.engine().halted() {
            return Err(halted.into());
        }
        std::thread::sleep(pause);
        pause = PAUSE_MAX.min(pause * 2);
    }
    Ok(())
}
