//! The name of a file in a file system of our own: a path that is compared as bytes.
//!
//! Paths compare component by component, which is most of the work of a file system that lives in memory.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf, is_separator};
use std::sync::Arc;

/// A path in its shortest form: the same bytes for equal paths. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Name(Arc<Path>);

impl Name {
    pub(super) fn as_path(&self) -> &Path {
        &self.0
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        bytes(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(out)
    }
}

impl From<&Path> for Name {
    fn from(path: &Path) -> Self {
        Self(shortest(path).as_ref().into())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// So that a map of names is searched without making one.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// The bytes that names are compared by.
pub(super) fn bytes(shortest: &Path) -> &[u8] {
    shortest.as_os_str().as_encoded_bytes()
}

/// `path` without doubled separators and the like.
pub(super) fn shortest(path: &Path) -> Cow<'_, Path> {
    let bytes = path.as_os_str().as_encoded_bytes();
    // Each byte with the one before it; what is odd may turn out to be right.
    let is_odd = |pair: &[u8]| match pair {
        [before, byte] => is_separator_byte(*before) && (*byte == b'.' || is_separator_byte(*byte)),
        _ => false,
    };
    let ends_in_separator = bytes.len() > 1 && bytes.last().copied().is_some_and(is_separator_byte);
    if ends_in_separator || bytes.windows(2).any(is_odd) || (cfg!(windows) && bytes.contains(&b'/')) {
        return Cow::Owned(path.components().collect::<PathBuf>());
    }
    Cow::Borrowed(path)
}

/// The bytes of the directory of a path in its shortest form, as [`parent`](super::parent) has it.
pub(super) fn parent_bytes(shortest: &[u8]) -> &[u8] {
    match shortest.iter().rposition(|byte| is_separator_byte(*byte)) {
        Some(0) => shortest.get(..1).unwrap_or_default(),
        Some(at) => shortest.get(..at).unwrap_or_default(),
        None => b".",
    }
}

pub(super) fn is_separator_byte(byte: u8) -> bool {
    is_separator(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::parent;

    #[test]
    fn equal_paths_have_equal_names() {
        for (one, other) in
            [("/db//LOCK", "/db/LOCK"), ("db/./LOCK", "db/LOCK"), ("/db/", "/db"), ("/", "//")]
        {
            assert_eq!(Name::from(Path::new(one)), Name::from(Path::new(other)));
        }
        let names = ["/db", "/db/LOCK", "db", "./db", "../db", "/", "", ".", "/db/.hidden", "/db/..", "a b"];
        for path in names.map(Path::new) {
            assert_eq!(Name::from(path).as_path().as_os_str(), path.as_os_str());
        }
    }

    #[test]
    fn the_directory_is_that_of_the_path() {
        for path in ["/db/LOCK", "/LOCK", "LOCK", "db/LOCK", "./LOCK", "/a/b/c"] {
            assert_eq!(parent_bytes(path.as_bytes()), parent(Path::new(path)).as_os_str().as_encoded_bytes());
        }
    }
}
