//! Keys, values and who is asked for next: the same for every engine, from counters and fixed seeds.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};

use crate::engine::Failure;

/// 8 bytes of number, 8 constant ones.
pub(crate) type Key = [u8; 16];

/// The exponent of YCSB's Zipf distribution.
const ZIPF_EXPONENT: f64 = 0.99;

/// The key of the `index`th entry in random order.
pub(crate) fn random_key(index: u64) -> Key {
    sequential_key(mix(index))
}

/// The key of the `index`th entry in ascending order.
pub(crate) fn sequential_key(index: u64) -> Key {
    let mut key = *b"........keybytes";
    key[..8].copy_from_slice(&index.to_be_bytes());
    key
}

/// Splitmix64: a bijection that spreads counters evenly.
pub(crate) fn mix(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A value whose first half no compressor shortens and whose second half is constant.
pub(crate) fn value(index: u64, bytes: usize) -> Vec<u8> {
    let mut value = vec![b'v'; bytes];
    for (at, chunk) in value[..bytes / 2].chunks_mut(8).enumerate() {
        let word = mix(index.wrapping_mul(31).wrapping_add(at as u64)).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    value
}

/// Touches every cache line of a value, as a consumer would.
pub(crate) fn touch(value: &[u8]) {
    let sum = value.iter().step_by(64).map(|byte| u64::from(*byte)).sum::<u64>();
    std::hint::black_box(sum);
}

/// Chooses entries for one thread; the same ones in each run.
pub(crate) struct Chooser {
    random: SmallRng,
    zipf: Zipf<f64>,
    entries: u64,
}

impl Chooser {
    /// Of so many entries; each thread has its own sequence.
    pub(crate) fn new(entries: u64, thread: u64) -> Result<Self, Failure> {
        let zipf = Zipf::new(entries as f64, ZIPF_EXPONENT)?;
        Ok(Self { random: SmallRng::seed_from_u64(mix(thread)), zipf, entries })
    }

    /// Each entry is equally likely.
    pub(crate) fn uniform(&mut self) -> u64 {
        self.random.random_range(0..self.entries)
    }

    /// Rank 0 is the most likely, rank `r` by `(r + 1)^0.99` less so.
    pub(crate) fn zipf_rank(&mut self) -> u64 {
        (self.zipf.sample(&mut self.random) as u64).clamp(1, self.entries) - 1
    }

    /// Few entries take most of the choices; they lie anywhere in the key space (YCSB: scrambled), because indices are mixed into keys.
    pub(crate) fn zipf(&mut self) -> u64 {
        mix(self.zipf_rank()) % self.entries
    }

    /// Below `bound`, each equally likely.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random.random_range(0..bound)
    }
}

#[cfg(test)]
mod tests {
    use super::{Chooser, value};

    /// Goal: the skew is the stated one. Method: the share of the hottest ranks of 1,000, against the sum of the harmonic series.
    #[test]
    fn zipf_is_skewed_as_stated() {
        let (entries, draws) = (1_000_u64, 200_000_u32);
        let mut chooser = Chooser::new(entries, 1).unwrap();
        let mut counts = vec![0_u32; 1_000];
        for _ in 0..draws {
            counts[usize::try_from(chooser.zipf_rank()).unwrap()] += 1;
        }
        let weight = |rank: usize| (rank as f64 + 1.0).powf(-0.99);
        let total: f64 = (0..1_000).map(weight).sum();
        for ranks in [0..1, 1..2, 0..10, 0..100, 500..1_000] {
            let share = f64::from(ranks.clone().map(|rank| counts[rank]).sum::<u32>()) / f64::from(draws);
            let stated = ranks.clone().map(weight).sum::<f64>() / total;
            assert!((share / stated - 1.0).abs() < 0.05, "ranks {ranks:?}: {share} instead of {stated}");
        }
    }

    #[test]
    fn half_of_a_value_compresses() {
        let made = value(7, 101);
        assert_eq!(made.len(), 101);
        assert!(made[50..].iter().all(|byte| *byte == b'v'));
        assert_ne!(made[..50], value(8, 101)[..50]);
    }
}
