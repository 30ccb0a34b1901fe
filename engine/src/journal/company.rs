//! How many committers a leader may expect to join its group, from how many the last one met.
//!
//! A leader that syncs at once has half of the committers in its group: the others were let go by the sync before, and are still
//! on their way back. Two halves take turns, and each waits for two syncs. To wait for them costs less than a sync, if they come.
//! So the leader waits for as many as the last one met, for a part of the time that a sync takes. Where it was in vain,
//! for committers have other things to do between two commits, it is tried again less and less often.

use std::time::Duration;

/// No longer than this, however slow the disk is.
const PATIENCE_MAX: Duration = Duration::from_millis(2);
/// At most so many groups go by without a wait after one that was in vain.
const PASSED_BY_MAX: u32 = 256;

/// What the leaders remember from group to group.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// How many the last group met: its own, and those who queued while it was written.
    met: usize,
    last_sync: Duration,
    /// How many groups go by without a wait after the next one that is in vain.
    passes_by: u32,
    /// How many are still to go by.
    to_pass_by: u32,
}

impl Company {
    /// A group of so many was written, those included that queued meanwhile.
    pub(super) fn met(&mut self, count: usize) {
        self.met = count;
    }

    /// A sync took so long.
    pub(super) fn synced(&mut self, took: Duration) {
        self.last_sync = took;
    }

    /// False when the last group met nobody but the leader.
    pub(super) fn is_expected(&self) -> bool {
        self.met > 1
    }

    /// For how many in all a group of `present` is to wait, and how long; `None` when it is not to wait.
    pub(super) fn worth_waiting_for(&mut self, present: usize) -> Option<(usize, Duration)> {
        if present >= self.met {
            return None;
        }
        if self.to_pass_by > 0 {
            self.to_pass_by -= 1;
            return None;
        }
        Some((self.met, (self.last_sync * 3 / 4).min(PATIENCE_MAX)))
    }

    /// The wait has ended, for `missing` at its begin, of whom so many have come. Not in vain if that is half of them.
    pub(super) fn waited(&mut self, missing: usize, have_come: usize) {
        let was_in_vain = have_come * 2 < missing;
        self.passes_by = if was_in_vain { (self.passes_by * 2).clamp(1, PASSED_BY_MAX) } else { 0 };
        self.to_pass_by = self.passes_by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(200);

    fn company_of(count: usize) -> Company {
        let mut company = Company::default();
        company.met(count);
        company.synced(SYNC);
        company
    }

    #[test]
    fn a_lone_committer_never_waits() {
        let mut company = company_of(1);
        assert!(!company.is_expected());
        assert_eq!(company.worth_waiting_for(1), None);
    }

    #[test]
    fn a_group_waits_for_those_who_are_missing_and_for_nobody_else() {
        let mut company = company_of(8);
        assert_eq!(company.worth_waiting_for(3), Some((8, SYNC * 3 / 4)));
        company.waited(5, 3);
        assert_eq!(company.worth_waiting_for(3), Some((8, SYNC * 3 / 4)));
        assert_eq!(company.worth_waiting_for(8), None);
        company.synced(Duration::from_secs(1));
        assert_eq!(company.worth_waiting_for(3), Some((8, PATIENCE_MAX)));
    }

    /// Goal: committers that do not come back at once are hardly ever waited for.
    #[test]
    fn waits_in_vain_become_rare() {
        let mut company = company_of(2);
        let mut waits = 0;
        for _ in 0..10_000 {
            if company.worth_waiting_for(1).is_some() {
                waits += 1;
                company.waited(1, 0);
            }
        }
        assert!(waits < 60, "{waits}");
        company.waited(1, 1);
        assert!(company.worth_waiting_for(1).is_some(), "forgiven");
    }
}
