//! Makes the script of a finding short: leaves out parts, half at first, then smaller ones, as long as something is still found.

use crate::script::Script;

/// The shortest script that it finds for which `fails`, asking at most `tries` times.
pub fn shrink(script: &Script, mut tries: usize, mut fails: impl FnMut(&Script) -> bool) -> Script {
    let mut shortest = script.clone();
    let mut part = shortest.0.len().div_ceil(2);
    while part > 0 && tries > 0 {
        let mut from = 0;
        let mut has_shrunk = false;
        while from < shortest.0.len() && tries > 0 {
            let mut candidate = shortest.clone();
            candidate.0.drain(from..(from + part).min(candidate.0.len()));
            tries -= 1;
            if fails(&candidate) {
                shortest = candidate;
                has_shrunk = true;
            } else {
                from += part;
            }
        }
        if !has_shrunk {
            part /= 2;
        }
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Operation, random};

    #[test]
    fn only_what_is_needed_stays() {
        let mut script = random(&mut fastrand::Rng::with_seed(1), 80);
        script.0.retain(|operation| !matches!(operation, Operation::Wait(_) | Operation::Sync));
        script.0.insert(20, Operation::Wait(1));
        script.0.insert(60, Operation::Sync);
        let fails = |script: &Script| {
            let wait = script.0.iter().position(|operation| *operation == Operation::Wait(1));
            let sync = script.0.iter().position(|operation| *operation == Operation::Sync);
            matches!((wait, sync), (Some(wait), Some(sync)) if wait < sync)
        };
        let shrunk = shrink(&script, 1_000, fails);
        assert_eq!(shrunk.0, [Operation::Wait(1), Operation::Sync]);
    }
}
