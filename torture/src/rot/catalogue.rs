//! All damages of all databases under one numbering, and which of them a small run takes.

use engine::TableAccess;

use crate::campaign::Size;

use super::damage::{Damage, EXTENSIONS, FOREIGN, SECTOR_BYTES};
use super::reference::Reference;

/// From how many sectors of other files each sector is replaced.
const OTHER_SECTORS: usize = 8;

/// Damages of one sort, to one database, read in one way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// Index of the database.
    pub(super) reference: usize,
    pub(super) access: TableAccess,
    sort: Sort,
    pub(super) count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Flips,
    Truncations,
    Extensions,
    Zeroed,
    Garbage,
    ReplacedInside,
    ReplacedAcross,
    Exchanges,
    Deletions,
    PairDeletions,
    Swaps,
    Rollbacks,
    Foreign,
    Newer,
}

const SORTS: [Sort; 14] = [
    Sort::Flips,
    Sort::Truncations,
    Sort::Extensions,
    Sort::Zeroed,
    Sort::Garbage,
    Sort::ReplacedInside,
    Sort::ReplacedAcross,
    Sort::Exchanges,
    Sort::Deletions,
    Sort::PairDeletions,
    Sort::Swaps,
    Sort::Rollbacks,
    Sort::Foreign,
    Sort::Newer,
];

/// Everything that is done.
#[derive(Debug)]
pub(super) struct Catalogue {
    families: Vec<Family>,
}

fn sectors(reference: &Reference, file: usize) -> usize {
    len(reference, file).div_ceil(SECTOR_BYTES)
}

fn len(reference: &Reference, file: usize) -> usize {
    reference.file(file).map_or(0, |(_, content)| content.len())
}

/// Finds `number` in files of so many places each: the file, and the place in it.
fn place(reference: &Reference, mut number: usize, places: impl Fn(usize) -> usize) -> (usize, usize) {
    for file in 0..reference.paths.len() {
        let here = places(file);
        if number < here {
            return (file, number);
        }
        number -= here;
    }
    (0, 0)
}

/// The pair of this number among all pairs of `count`.
fn pair(count: usize, mut number: usize) -> (usize, usize) {
    for one in 0..count {
        let here = count - one - 1;
        if number < here {
            return (one, one + 1 + number);
        }
        number -= here;
    }
    (0, 0)
}

/// Pairs of files of one kind.
fn swaps(reference: &Reference) -> Vec<(usize, usize)> {
    let count = reference.paths.len();
    let kind = |file: usize| reference.paths.get(file).map(|path| Reference::kind(path));
    let pairs = (0..count * (count - 1) / 2).map(|number| pair(count, number));
    pairs.filter(|(one, other)| kind(*one) == kind(*other)).collect()
}

impl Sort {
    fn counter(self) -> &'static str {
        match self {
            Self::Flips => "flips",
            Self::Truncations => "truncations",
            Self::Extensions => "extensions",
            Self::Zeroed | Self::Garbage | Self::ReplacedInside | Self::ReplacedAcross => "sectors",
            Self::Exchanges => "exchanges",
            Self::Deletions | Self::PairDeletions => "deletions",
            Self::Swaps => "swaps",
            Self::Rollbacks => "rollbacks",
            Self::Foreign => "foreign files",
            Self::Newer => "newer formats",
        }
    }

    /// One of so many is in the slice for every change; mapped and positional take different ones.
    fn stride(self) -> u64 {
        match self {
            Self::Flips => 64,
            Self::Truncations => 32,
            Self::ReplacedInside => 8,
            Self::Zeroed | Self::Garbage | Self::ReplacedAcross => 4,
            _ => 1,
        }
    }

    fn count(self, reference: &Reference) -> usize {
        let files = reference.paths.len();
        let sum = |places: &dyn Fn(usize) -> usize| (0..files).map(places).sum::<usize>();
        match self {
            Self::Flips => sum(&|file| len(reference, file) * 8),
            Self::Truncations => sum(&|file| len(reference, file)),
            Self::Extensions => files * EXTENSIONS.len() * 2,
            Self::Zeroed | Self::Garbage => sum(&|file| sectors(reference, file)),
            Self::ReplacedInside => sum(&|file| sectors(reference, file).pow(2)),
            Self::ReplacedAcross => sum(&|file| sectors(reference, file) * OTHER_SECTORS),
            Self::Exchanges => reference.twins.len(),
            Self::Deletions | Self::Newer => files,
            Self::PairDeletions => files * (files - 1) / 2,
            Self::Swaps => swaps(reference).len(),
            Self::Rollbacks => reference.versions.len(),
            Self::Foreign => FOREIGN.len(),
        }
    }

    fn damage(self, reference: &Reference, number: usize, seed: u64) -> Damage {
        match self {
            Self::Flips => {
                let (file, bit) = place(reference, number, |file| len(reference, file) * 8);
                Damage::Flip { file, bit }
            }
            Self::Truncations => {
                let (file, len) = place(reference, number, |file| len(reference, file));
                Damage::Truncate { file, len }
            }
            Self::Extensions => {
                let (file, how) = place(reference, number, |_| EXTENSIONS.len() * 2);
                let more = EXTENSIONS.get(how / 2).copied().unwrap_or(1);
                Damage::Extend { file, more, garbage: how % 2 == 1 }
            }
            Self::Zeroed | Self::Garbage => {
                let (file, sector) = place(reference, number, |file| sectors(reference, file));
                if self == Self::Zeroed {
                    Damage::Zero { file, sector }
                } else {
                    Damage::Garbage { file, sector }
                }
            }
            Self::ReplacedInside => {
                let (file, at) = place(reference, number, |file| sectors(reference, file).pow(2));
                let count = sectors(reference, file).max(1);
                Damage::Replace { file, sector: at / count, from_file: file, from_sector: at % count }
            }
            Self::ReplacedAcross => {
                let (file, at) = place(reference, number, |file| sectors(reference, file) * OTHER_SECTORS);
                let mut random = fastrand::Rng::with_seed(seed);
                let from_file = random.usize(..reference.paths.len());
                let from_sector = random.usize(..sectors(reference, from_file).max(1));
                Damage::Replace { file, sector: at / OTHER_SECTORS, from_file, from_sector }
            }
            Self::Exchanges => reference
                .twins
                .get(number)
                .map_or(Damage::Truncate { file: 0, len: 0 }, |twins| Damage::Exchange(*twins)),
            Self::Deletions => Damage::Delete { file: number },
            Self::PairDeletions => {
                let (one, other) = pair(reference.paths.len(), number);
                Damage::DeleteTwo { one, other }
            }
            Self::Swaps => {
                let (one, other) = swaps(reference).get(number).copied().unwrap_or_default();
                Damage::Swap { one, other }
            }
            Self::Rollbacks => Damage::Rollback { version: number },
            Self::Foreign => Damage::Foreign { name: number },
            Self::Newer => Damage::Newer { file: number },
        }
    }
}

impl Family {
    /// The name under which it is counted.
    pub(super) fn counter(&self) -> &'static str {
        self.sort.counter()
    }

    /// The damage of this number.
    pub(super) fn damage(&self, reference: &Reference, number: u64, seed: u64) -> Damage {
        self.sort.damage(reference, number as usize, seed)
    }

    /// Differs from database to database, and between mapped and positional.
    fn way(&self) -> u64 {
        (self.reference as u64) << 32 | u64::from(self.access == TableAccess::Mapped) << 40
    }

    fn stride(&self, size: Size) -> u64 {
        if size == Size::Full { 1 } else { self.sort.stride() }
    }

    /// How many of it are taken, at least.
    pub(super) fn taken(&self, size: Size) -> u64 {
        self.count / self.stride(size)
    }

    /// Whether the damage of this number is taken: of each so many in a row one, which depends on `seed`.
    pub(super) fn takes(&self, number: u64, size: Size, seed: u64) -> bool {
        let stride = self.stride(size);
        let mut random =
            fastrand::Rng::with_seed(seed ^ self.way() ^ (number / stride).wrapping_mul(0x9E37_79B9));
        stride == 1 || random.u64(..stride) == number % stride
    }
}

impl Catalogue {
    /// Of all databases, mapped and positional.
    pub(super) fn new(references: &[Reference]) -> Self {
        let mut families = Vec::new();
        for (index, reference) in references.iter().enumerate() {
            for access in [TableAccess::Mapped, TableAccess::Positional] {
                let family = |sort: Sort| Family {
                    reference: index,
                    access,
                    sort,
                    count: sort.count(reference) as u64,
                };
                families.extend(SORTS.map(family));
            }
        }
        Self { families }
    }

    /// In the order of their numbers.
    pub(super) fn families(&self) -> &[Family] {
        &self.families
    }

    /// How many damages there are.
    pub(super) fn count(&self) -> u64 {
        self.families.iter().map(|family| family.count).sum()
    }

    /// The family of a damage, and the damage's number in it.
    pub(super) fn find(&self, mut number: u64) -> Option<(&Family, u64)> {
        for family in &self.families {
            if number < family.count {
                return Some((family, number));
            }
            number -= family.count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_all_pairs() {
        let pairs: std::collections::BTreeSet<_> = (0..10).map(|number| pair(5, number)).collect();
        assert_eq!(pairs.len(), 10);
        assert!(pairs.iter().all(|(one, other)| one < other && *other < 5));
    }
}
