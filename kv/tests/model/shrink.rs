//! Making a failing history small: operations are left out as long as it still fails.

use crate::operation::History;
use crate::run::run;

/// So many attempts are made at most.
const ATTEMPTS_MAX: usize = 3_000;

/// Returns the smaller history, and why it fails.
pub(crate) fn shrink(mut history: History, mut why: String) -> (History, String) {
    let mut attempts = 0;
    let mut chunk = history.operations.len() / 2;
    while chunk > 0 {
        let mut start = 0;
        while start < history.operations.len() && attempts < ATTEMPTS_MAX {
            attempts += 1;
            let mut smaller = history.clone();
            let end = (start + chunk).min(smaller.operations.len());
            smaller.operations.drain(start..end);
            match run(&smaller) {
                Err(still) => (history, why) = (smaller, still),
                Ok(()) => start += chunk,
            }
        }
        chunk /= 2;
    }
    (history, why)
}
