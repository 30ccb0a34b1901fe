//! Where scripts come from: all short ones, counted through, and long ones at random.

use engine::Durability;

use super::{KEYS, Operation, Script};

/// The operations that short scripts are made of; what is known to break storage engines takes no more than three in a row on a
/// fresh or a filled database (Mohan et al., OSDI 2018).
pub const ALPHABET: [Operation; 12] = [
    Operation::Put { key: 0, len: 20, seconds: 0, durability: Durability::Sync },
    Operation::Put { key: 1, len: 700, seconds: 0, durability: Durability::Sync },
    Operation::Put { key: 2, len: 30, seconds: 60, durability: Durability::Sync },
    Operation::Delete { key: 0, durability: Durability::Sync },
    Operation::Batch { key: 0, durability: Durability::Sync },
    Operation::Step(3),
    Operation::Flush,
    Operation::Compact,
    Operation::Sync,
    Operation::Kill,
    Operation::Close,
    Operation::Wait(100),
];

impl Operation {
    fn with_durability(self, wanted: Durability) -> Self {
        match self {
            Self::Put { key, len, seconds, .. } => Self::Put { key, len, seconds, durability: wanted },
            Self::Delete { key, .. } => Self::Delete { key, durability: wanted },
            Self::Batch { key, .. } => Self::Batch { key, durability: wanted },
            other => other,
        }
    }
}

/// Fills a database so that every kind of file is there: tables in two levels, a value segment, a memtable with both logs in
/// use.
#[must_use]
pub fn filling() -> Script {
    let put = |key, len| Operation::Put { key, len, seconds: 0, durability: Durability::Buffered };
    let mut operations: Vec<Operation> = (0..8).map(|key| put(key, 40 + 90 * u16::from(key % 3))).collect();
    operations.push(Operation::Compact);
    operations.extend((4..12).map(|key| put(key, 30 + 300 * u16::from(key % 2))));
    operations.extend([Operation::Flush, put(3, 10), put(13, 500)]);
    Script(operations)
}

/// How many sequences of up to `longest` operations there are.
#[must_use]
pub fn short_count(longest: u32) -> u64 {
    (1..=longest).map(|len| (ALPHABET.len() as u64).pow(len)).sum()
}

/// How many scripts [`enumerated`] knows for sequences of up to `longest` operations.
#[must_use]
pub fn enumerated_count(longest: u32) -> u64 {
    short_count(longest) * 4
}

/// Script number `index`: every sequence of the alphabet, shortest first, on an empty and on a filled database, all commits
/// buffered or all durable.
#[must_use]
pub fn enumerated(index: u64) -> Script {
    let (sequence, variant) = (index / 4, index % 4);
    let durability = if variant & 1 == 0 { Durability::Sync } else { Durability::Buffered };
    let mut script = if variant & 2 == 0 { Script::default() } else { filling() };
    script.0.extend(short(sequence, durability).0);
    script
}

/// Sequence number `index` of the alphabet, shortest first, all commits of one durability.
#[must_use]
pub fn short(index: u64, durability: Durability) -> Script {
    let mut sequence = index;
    let letters = ALPHABET.len() as u64;
    let mut len = 1;
    while sequence >= letters.pow(len) {
        sequence -= letters.pow(len);
        len += 1;
    }
    let mut operations = Vec::new();
    for _ in 0..len {
        let letter = ALPHABET.get((sequence % letters) as usize).copied();
        operations.extend(letter.map(|letter| letter.with_durability(durability)));
        sequence /= letters;
    }
    Script(operations)
}

fn random_operation(random: &mut fastrand::Rng) -> Operation {
    let durability = if random.u32(..3) == 0 { Durability::Sync } else { Durability::Buffered };
    let key = random.u8(..KEYS);
    match random.u32(..100) {
        0..34 => {
            let len = if random.u32(..3) == 0 { random.u16(64..900) } else { random.u16(..60) };
            let seconds = if random.u32(..6) == 0 { random.u16(1..200) } else { 0 };
            Operation::Put { key, len, seconds, durability }
        }
        34..43 => Operation::Delete { key, durability },
        43..51 => Operation::Batch { key, durability },
        51..86 => Operation::Step(random.u8(1..5)),
        86..88 => Operation::Flush,
        88..89 => Operation::Compact,
        89..92 => Operation::Sync,
        92..95 => Operation::Kill,
        95..97 => Operation::Close,
        _ => Operation::Wait(random.u16(1..100)),
    }
}

/// A script of `len` operations that lead everywhere.
#[must_use]
pub fn random(random: &mut fastrand::Rng, len: usize) -> Script {
    Script((0..len).map(|_| random_operation(random)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_short_script_comes_once() {
        let count = enumerated_count(2);
        assert_eq!(count, (12 + 144) * 4);
        let scripts: HashSet<Script> = (0..count).map(enumerated).collect();
        // Sequences without a commit are the same for both durabilities.
        assert!(scripts.len() as u64 > count / 2);
        assert!(scripts.iter().all(|script| !script.0.is_empty()));
    }
}
