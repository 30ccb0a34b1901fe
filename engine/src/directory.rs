//! The names of files in a database directory.

use std::path::{Path, PathBuf};

/// The lock file.
pub(crate) const LOCK: &str = "LOCK";

/// The highest number that a file can have; no database gets there, and arithmetic above it is safe.
pub(crate) const NUMBER_MAX: u64 = u64::MAX / 2;

/// The highest number of a file that the manifest does not list to be counted from: a stray file of any name leaves
/// numbers enough.
pub(crate) const STRAY_NUMBER_MAX: u64 = NUMBER_MAX / 2;

/// A numbered file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum NumberedFile {
    Wal(u64),
    Table(u64),
    ValueLog(u64),
}

impl NumberedFile {
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Wal(number) | Self::Table(number) | Self::ValueLog(number) => number,
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Wal(number) => format!("{number:06}.wal"),
            Self::Table(number) => format!("{number:06}.sst"),
            Self::ValueLog(number) => format!("{number:06}.vlog"),
        }
    }

    pub(crate) fn path(self, directory: &Path) -> PathBuf {
        directory.join(self.name())
    }

    /// The file that `name` stands for; `None` for every other name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (digits, extension) = name.split_once('.')?;
        if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // One number, one name: "7.sst" is not ours.
        if digits.len() < 6 || (digits.len() > 6 && digits.starts_with('0')) {
            return None;
        }
        let number = digits.parse().ok().filter(|number| *number <= NUMBER_MAX)?;
        match extension {
            "wal" => Some(Self::Wal(number)),
            "sst" => Some(Self::Table(number)),
            "vlog" => Some(Self::ValueLog(number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_others_are_refused() {
        for file in [
            NumberedFile::Wal(1),
            NumberedFile::Table(999_999),
            NumberedFile::Table(1_000_000),
            NumberedFile::ValueLog(NUMBER_MAX),
        ] {
            assert_eq!(NumberedFile::parse(&file.name()), Some(file));
        }
        for name in [
            "7.sst",
            "0000007.sst",
            "+00007.sst",
            "000007.txt",
            "MANIFEST",
            ".sst",
            "00000a.wal",
            "000007.sst.tmp",
            "18446744073709551615.sst",
        ] {
            assert_eq!(NumberedFile::parse(name), None, "{name}");
        }
    }
}
