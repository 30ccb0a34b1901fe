//! Decides which segments are worth collecting. Pure: counts in, segment numbers out.

use std::cmp::Ordering;

/// What is known of a segment that may be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub segment: u64,
    /// Its sealed length, in bytes.
    pub total_bytes: u64,
    /// How much of it is dead, in bytes.
    pub dead_bytes: u64,
    /// The length of the tables that point into it and would be rewritten with it, in bytes.
    pub table_bytes: u64,
}

/// How much collecting is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VictimPolicy {
    /// A segment is collected when at least this share of it is dead, 0.0 to 1.0.
    pub min_dead_ratio: f64,
    /// Segments below this length are merged with each other, however little of them is dead, in bytes.
    pub small_segment_bytes: u64,
    /// A round rewrites at most this much, in bytes; the best victim is taken even when it alone is above.
    pub rewrite_bytes_max: u64,
}

impl Candidate {
    /// What collecting it writes anew: its living values, and the tables that point to them.
    fn rewritten_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.dead_bytes).saturating_add(self.table_bytes)
    }

    fn is_dead_enough(&self, min_dead_ratio: f64) -> bool {
        self.dead_bytes > 0 && self.dead_bytes as f64 >= self.total_bytes as f64 * min_dead_ratio
    }

    /// Most bytes freed per byte rewritten first; the older segment of equals.
    fn by_yield(&self, other: &Self) -> Ordering {
        // freed / rewritten, compared by cross multiplication; free of charge is the best there is.
        let mine = u128::from(self.dead_bytes) * u128::from(other.rewritten_bytes());
        let others = u128::from(other.dead_bytes) * u128::from(self.rewritten_bytes());
        others.cmp(&mine).then(self.segment.cmp(&other.segment))
    }
}

/// The segments to collect in one round, best first: those that are dead enough, by bytes freed per byte rewritten; then
/// small ones to merge, by size, unless there is only one and nothing to merge it with.
#[must_use]
pub fn choose_victims(candidates: &[Candidate], policy: &VictimPolicy) -> Vec<u64> {
    let (mut dead, rest): (Vec<Candidate>, Vec<Candidate>) =
        candidates.iter().partition(|candidate| candidate.is_dead_enough(policy.min_dead_ratio));
    dead.sort_by(Candidate::by_yield);
    let mut small = rest;
    small.retain(|candidate| candidate.total_bytes < policy.small_segment_bytes);
    small.sort_by_key(|candidate| (candidate.total_bytes, candidate.segment));

    let mut victims = Vec::new();
    let mut rewritten = 0u64;
    let mut small_taken = 0;
    for (at, candidate) in dead.iter().chain(&small).enumerate() {
        let with_it = rewritten.saturating_add(candidate.rewritten_bytes());
        if with_it <= policy.rewrite_bytes_max || victims.is_empty() {
            rewritten = with_it;
            victims.push(candidate.segment);
            small_taken += usize::from(at >= dead.len());
        }
    }
    // Alone it would only be copied.
    if small_taken == 1 && victims.len() == 1 { Vec::new() } else { victims }
}
