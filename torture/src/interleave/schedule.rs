//! All schedules, numbered: a start, three operations of users, two jobs, an order of all their steps, and whether the operations
//! happen between the steps or inside them, and whether everything is read all the time.

use std::fmt;

use super::events::{Event, JOB_STEPS, Job, Placement, UserOperation, Watch};
use super::start::Start;

/// Operations of users in a schedule.
const OPERATIONS: usize = 3;
/// How often each of the three sides comes in an order: users, first job, second job.
const SIDES: [usize; 3] = [OPERATIONS, JOB_STEPS, JOB_STEPS];
/// 11! / (3! · 4! · 4!)
const ORDERS: u64 = orders(SIDES);
/// How many schedules there are.
pub(super) const COUNT: u64 = ORDERS
    * Placement::ALL.len() as u64
    * (UserOperation::ALL.len() as u64).pow(OPERATIONS as u32)
    * Job::PAIRS.len() as u64
    * Start::ALL.len() as u64
    * Watch::ALL.len() as u64;
/// Near the golden part of [`COUNT`], so that any stretch of numbers is spread over all schedules; shares no divisor with it.
const STRIDE: u64 = 15_788_761_039;

/// One schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) start: Start,
    pub(super) placement: Placement,
    pub(super) watch: Watch,
    pub(super) events: Vec<Event>,
}

impl Schedule {
    /// The schedule of this number; numbers go round. All are met once in any [`COUNT`] numbers in a row.
    pub(super) fn numbered(number: u64) -> Self {
        let mut rest = (u128::from(number % COUNT) * u128::from(STRIDE) % u128::from(COUNT)) as u64;
        let mut digit = |base: usize| {
            let digit = rest % base as u64;
            rest /= base as u64;
            digit as usize
        };
        let order = digit(ORDERS as usize) as u64;
        let placement = Placement::ALL[digit(Placement::ALL.len())];
        let operations: [_; OPERATIONS] =
            std::array::from_fn(|_| UserOperation::ALL[digit(UserOperation::ALL.len())]);
        let jobs = Job::PAIRS[digit(Job::PAIRS.len())];
        let start = Start::ALL[digit(Start::ALL.len())];
        let watch = Watch::ALL[digit(Watch::ALL.len())];
        let steps = jobs.map(Job::steps);
        let mut at = [0; 3];
        let events = order_numbered(order, SIDES).into_iter().map(|side| {
            let nth = at[side];
            at[side] += 1;
            match side {
                0 => Event::User(operations[nth]),
                _ => Event::Job { job: side - 1, step: steps[side - 1][nth] },
            }
        });
        Self { start, placement, watch, events: events.collect() }
    }

    /// The schedule without its event number `at`.
    pub(super) fn without(&self, at: usize) -> Self {
        let mut shorter = self.clone();
        shorter.events.remove(at);
        shorter
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {}, {}, {}: ", self.start, self.placement, self.watch)?;
        for (at, event) in self.events.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "; " })?;
            event.fmt(f)?;
        }
        Ok(())
    }
}

/// How many orders there are of three sides that come so often.
const fn orders(sides: [usize; 3]) -> u64 {
    let [first, second, third] = sides;
    binomial(first + second + third, first) * binomial(second + third, second)
}

const fn binomial(of: usize, choose: usize) -> u64 {
    let mut result = 1;
    let mut at = 0;
    while at < choose {
        result = result * (of - at) as u64 / (at + 1) as u64;
        at += 1;
    }
    result
}

/// The order of this number, as a row of sides.
fn order_numbered(mut number: u64, mut left: [usize; 3]) -> Vec<usize> {
    let mut order = Vec::with_capacity(left.iter().sum());
    while let Some(side) = (0..left.len()).find(|side| {
        if left[*side] == 0 {
            return false;
        }
        let mut rest = left;
        rest[*side] -= 1;
        let begin_so = orders(rest);
        let is_it = number < begin_so;
        if !is_it {
            number -= begin_so;
        }
        is_it
    }) {
        left[side] -= 1;
        order.push(side);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_order_has_one_number() {
        assert_eq!(ORDERS, 11_550);
        let all: HashSet<_> = (0..ORDERS).map(|number| order_numbered(number, SIDES)).collect();
        assert_eq!(all.len(), ORDERS as usize);
        assert!(all.iter().all(|order| {
            (0..3).all(|side| order.iter().filter(|other| **other == side).count() == SIDES[side])
        }));
    }

    #[test]
    fn the_stride_meets_every_schedule() {
        let (mut a, mut b) = (COUNT, STRIDE);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        assert_eq!(a, 1, "the stride shares a divisor with the count");
        const { assert!(STRIDE < COUNT) };
    }

    #[test]
    fn a_sample_meets_everything() {
        let sample: Vec<_> = (0..2_000).map(Schedule::numbered).collect();
        for start in Start::ALL {
            for placement in Placement::ALL {
                assert!(sample.iter().any(|one| one.start == start && one.placement == placement));
            }
        }
        for operation in UserOperation::ALL {
            assert!(sample.iter().any(|one| one.events.contains(&Event::User(operation))));
        }
    }
}
