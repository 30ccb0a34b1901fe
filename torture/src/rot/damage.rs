//! What is done to a database: one damage, its name, and its effect.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base::header::{FileHeader, FileKind, HEADER_BYTES};
use bytes::Bytes;

use crate::database::DIRECTORY;
use crate::finding::Checked;

use super::reference::Reference;
use super::units::Twins;

/// What a disk loses or misplaces at once, in bytes.
pub(super) const SECTOR_BYTES: usize = 512;
/// How far files are extended.
pub(super) const EXTENSIONS: [usize; 3] = [1, 512, 4096];
/// Files that others leave in a directory, none of them ours.
pub(super) const FOREIGN: [&str; 8] =
    [".DS_Store", "000001.sst.tmp", "x.wal", ".MANIFEST.swp", "MANIFEST~", "4913", "7.vlog", "Thumbs.db"];

/// One damage. Files are numbers in [`Reference::paths`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    Flip { file: usize, bit: usize },
    Truncate { file: usize, len: usize },
    Extend { file: usize, more: usize, garbage: bool },
    Zero { file: usize, sector: usize },
    Garbage { file: usize, sector: usize },
    Replace { file: usize, sector: usize, from_file: usize, from_sector: usize },
    Exchange(Twins),
    Delete { file: usize },
    DeleteTwo { one: usize, other: usize },
    Swap { one: usize, other: usize },
    Rollback { version: usize },
    Foreign { name: usize },
    Newer { file: usize },
}

/// A damaged database.
#[derive(Debug)]
pub(super) struct Damaged {
    pub(super) files: BTreeMap<PathBuf, Bytes>,
    /// The files that differ.
    pub(super) touched: Vec<PathBuf>,
}

impl Damage {
    /// The database of `reference` with this damage; `None` when nothing differs. `seed` makes garbage.
    pub(super) fn apply(self, reference: &Reference, seed: u64) -> Checked<Option<Damaged>> {
        let mut damaged = Damaged { files: reference.files.clone(), touched: Vec::new() };
        match self {
            Self::Delete { file } => damaged.remove(reference.file(file)?.0),
            Self::DeleteTwo { one, other } => {
                damaged.remove(reference.file(one)?.0);
                damaged.remove(reference.file(other)?.0);
            }
            Self::Swap { one, other } => {
                let ((one, a), (other, b)) = (reference.file(one)?, reference.file(other)?);
                damaged.put(one, b.clone());
                damaged.put(other, a.clone());
            }
            Self::Rollback { version } => {
                if let Some((file, content)) = reference.versions.get(version) {
                    damaged.put(reference.file(*file)?.0, content.clone());
                }
            }
            Self::Foreign { name } => {
                if let Some(name) = FOREIGN.get(name) {
                    damaged.put(&Path::new(DIRECTORY).join(name), Bytes::from_static(b"not ours"));
                }
            }
            Self::Newer { file } => {
                let (path, content) = reference.file(file)?;
                if let Some(newer) = newer(path, content) {
                    damaged.put(path, newer);
                }
            }
            in_place => {
                let (path, content) = reference.file(in_place.file())?;
                let changed = in_place.change(reference, content.to_vec(), seed)?;
                if changed != *content {
                    damaged.put(path, changed.into());
                }
            }
        }
        Ok((!damaged.touched.is_empty()).then_some(damaged))
    }

    /// The one file that is changed in place.
    fn file(self) -> usize {
        match self {
            Self::Flip { file, .. }
            | Self::Truncate { file, .. }
            | Self::Extend { file, .. }
            | Self::Zero { file, .. }
            | Self::Garbage { file, .. }
            | Self::Replace { file, .. }
            | Self::Exchange(Twins { file, .. })
            | Self::Delete { file }
            | Self::Newer { file } => file,
            Self::DeleteTwo { one, .. } | Self::Swap { one, .. } => one,
            Self::Rollback { .. } | Self::Foreign { .. } => 0,
        }
    }

    fn change(self, reference: &Reference, mut content: Vec<u8>, seed: u64) -> Checked<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(seed);
        match self {
            Self::Flip { bit, .. } => {
                if let Some(byte) = content.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Truncate { len, .. } => content.truncate(len),
            Self::Extend { more, garbage, .. } => {
                content.extend((0..more).map(|_| if garbage { random.u8(1..) } else { 0 }));
            }
            Self::Zero { sector, .. } => sector_of(&mut content, sector).fill(0),
            Self::Garbage { sector, .. } => sector_of(&mut content, sector).fill_with(|| random.u8(..)),
            Self::Exchange(Twins { places: (one, other), len, .. }) => {
                for at in 0..len {
                    content.swap(one + at, other + at);
                }
            }
            Self::Replace { sector, from_file, from_sector, .. } => {
                let mut source = reference.file(from_file)?.1.to_vec();
                let source = sector_of(&mut source, from_sector);
                for (byte, other) in sector_of(&mut content, sector).iter_mut().zip(source) {
                    *byte = *other;
                }
            }
            _ => {}
        }
        Ok(content)
    }

    /// True when it can take the end of a log away without a trace: no bit that is left tells of what was there.
    pub(super) fn can_shorten_logs(self) -> bool {
        matches!(self, Self::Truncate { .. } | Self::Rollback { .. })
    }

    /// In words.
    pub(super) fn describe(self, reference: &Reference) -> String {
        format!("{}, {}", reference.name, Described { damage: self, reference })
    }
}

impl Damaged {
    fn put(&mut self, path: &Path, content: Bytes) {
        if self.files.get(path) != Some(&content) {
            self.files.insert(path.to_path_buf(), content);
            self.touched.push(path.to_path_buf());
        }
    }

    fn remove(&mut self, path: &Path) {
        self.files.remove(path);
        self.touched.push(path.to_path_buf());
    }
}

fn sector_of(content: &mut [u8], sector: usize) -> &mut [u8] {
    let end = content.len().min((sector + 1) * SECTOR_BYTES);
    content.get_mut(sector * SECTOR_BYTES..end).unwrap_or_default()
}

/// The kind that the header of a file says, by its name.
fn kind_of(path: &Path) -> Option<FileKind> {
    Some(match Reference::kind(path) {
        "wal" => FileKind::Wal,
        "sst" => FileKind::Table,
        "vlog" => FileKind::ValueLog,
        "MANIFEST" => FileKind::Manifest,
        "KEYREGISTRY" => FileKind::Keyring,
        "DISCARD" => FileKind::Discard,
        _ => return None,
    })
}

/// The file as a newer release would have written it.
fn newer(path: &Path, content: &Bytes) -> Option<Bytes> {
    let header = FileHeader::decode(content, path, kind_of(path)?, u16::MAX).ok()?;
    let header = FileHeader { format_version: header.format_version + 1, ..header };
    Some([&header.encode(), content.get(HEADER_BYTES..)?].concat().into())
}

/// A damage with the names of its files.
struct Described<'a> {
    damage: Damage,
    reference: &'a Reference,
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |file: usize| {
            let path = self.reference.paths.get(file);
            path.and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy()
        };
        match self.damage {
            Damage::Flip { file, bit } => write!(f, "bit {} of byte {} of {}", bit % 8, bit / 8, name(file)),
            Damage::Truncate { file, len } => write!(f, "{} cut to {len} bytes", name(file)),
            Damage::Extend { file, more, garbage } => {
                let what = if garbage { "garbage" } else { "zeros" };
                write!(f, "{} extended by {more} bytes of {what}", name(file))
            }
            Damage::Zero { file, sector } => write!(f, "sector {sector} of {} zeroed", name(file)),
            Damage::Garbage { file, sector } => write!(f, "sector {sector} of {} is garbage", name(file)),
            Damage::Replace { file, sector, from_file, from_sector } => {
                let (file, from) = (name(file), name(from_file));
                write!(f, "sector {sector} of {file} replaced by sector {from_sector} of {from}")
            }
            Damage::Exchange(Twins { file, places: (one, other), len }) => {
                write!(f, "{len} bytes at {one} and at {other} of {} exchanged", name(file))
            }
            Damage::Delete { file } => write!(f, "{} deleted", name(file)),
            Damage::DeleteTwo { one, other } => write!(f, "{} and {} deleted", name(one), name(other)),
            Damage::Swap { one, other } => write!(f, "{} and {} swapped", name(one), name(other)),
            Damage::Rollback { version } => {
                let (file, len) = self.reference.versions.get(version).map_or((0, 0), |(f, c)| (*f, c.len()));
                write!(f, "{} replaced by its older version {version} of {len} bytes", name(file))
            }
            Damage::Foreign { name } => write!(f, "foreign file {}", FOREIGN.get(name).unwrap_or(&"")),
            Damage::Newer { file } => write!(f, "{} of a newer format", name(file)),
        }
    }
}
