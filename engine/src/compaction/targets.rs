//! How large each level should be; pure.
//!
//! The last level is as large as its data; each level above is a fixed factor smaller, down to the base level, the first
//! below L0 that is in use. Small databases have two levels, L0 and the last.

use crate::Options;
use crate::options::LEVELS;

/// Target sizes, from the present sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Targets {
    /// Where L0 is compacted to.
    pub(crate) base_level: usize,
    /// In bytes; 0 above the base level.
    pub(crate) level_bytes: [u64; LEVELS],
}

impl Targets {
    /// Targets for levels of `sizes` bytes. The base level is never below a level that holds data, so that nothing newer
    /// passes anything older.
    pub(crate) fn new(sizes: &[u64; LEVELS], options: &Options) -> Self {
        let last = LEVELS - 1;
        let mut level_bytes = [0; LEVELS];
        let mut size = sizes.iter().skip(1).copied().max().unwrap_or(0).max(options.base_level_bytes);
        let mut base_level = last;
        level_bytes[last] = size;
        while base_level > 1 && size > options.base_level_bytes {
            size /= options.level_size_multiplier;
            base_level -= 1;
            level_bytes[base_level] =
                size.max(options.base_level_bytes / options.level_size_multiplier).max(1);
        }
        let first_in_use = (1..LEVELS).find(|level| sizes[*level] > 0).unwrap_or(last);
        Self { base_level: base_level.min(first_in_use), level_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(sizes: [u64; LEVELS]) -> Targets {
        let options = Options { base_level_bytes: 100, level_size_multiplier: 10, ..Options::default() };
        Targets::new(&sizes, &options)
    }

    #[test]
    fn levels_open_upwards_as_the_last_one_grows() {
        assert_eq!(targets([0; 7]).base_level, 6);
        assert_eq!(targets([0, 0, 0, 0, 0, 0, 100]).base_level, 6);
        let grown = targets([0, 0, 0, 0, 0, 0, 5_000]);
        assert_eq!((grown.base_level, grown.level_bytes[5], grown.level_bytes[4]), (4, 500, 50));
    }

    #[test]
    fn the_base_level_is_never_below_data() {
        assert_eq!(targets([0, 0, 7, 0, 0, 0, 50]).base_level, 2);
    }

    #[test]
    fn any_sizes_give_a_level() {
        for shift in 0..60 {
            let found = targets([1 << shift, 0, 0, 0, 0, 0, 1 << shift]);
            assert!((1..LEVELS).contains(&found.base_level));
            assert!(found.level_bytes.iter().skip(found.base_level).all(|bytes| *bytes > 0));
        }
    }
}
