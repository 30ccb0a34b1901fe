//! Records from the files below a directory, in the order of their keys.

use std::ffi::OsStr;
use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

use super::batches::{Found, Skipped};
use crate::escape::escape;
use crate::failure::{Failure, Outcome};
use crate::record::Record;
use crate::user_files;

/// The longest value that a database takes.
const MAX_VALUE_BYTES: u64 = 1 << 30;

/// Reads a file that is not too large; its length is asked for first, so that nothing is read in vain.
fn read_value(path: &Path) -> io::Result<Vec<u8>> {
    if path.metadata()?.len() > MAX_VALUE_BYTES {
        return Err(io::Error::other("it is larger than 1 GiB, the limit for a value"));
    }
    user_files::try_read(path)
}

/// One name of a directory.
#[derive(Clone, Debug)]
struct Node {
    /// The path inside the tree, with '/'; a directory's ends with one, so that the order of nodes is the order of keys.
    key: Vec<u8>,
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Skipped(&'static str),
}

impl Kind {
    fn of(file_type: FileType) -> Self {
        if file_type.is_file() {
            Self::File
        } else if file_type.is_dir() {
            Self::Directory
        } else if file_type.is_symlink() {
            Self::Skipped("it is a symbolic link")
        } else {
            Self::Skipped("it is not a regular file")
        }
    }
}

/// How much a tree holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// All files that are not too large.
    pub(crate) total_bytes: u64,
    /// The largest of them.
    pub(crate) largest_bytes: u64,
}

impl Size {
    fn add(&mut self, bytes: u64) {
        if bytes <= MAX_VALUE_BYTES {
            self.total_bytes += bytes;
            self.largest_bytes = self.largest_bytes.max(bytes);
        }
    }
}

/// The real place of a path whose last parts may not exist yet.
fn canonical(path: &Path) -> Option<PathBuf> {
    if let Ok(place) = path.canonicalize() {
        return Some(place);
    }
    let name = path.file_name()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(canonical(parent)?.join(name))
}

/// Walks a directory; holds the names of the directories on the way down, never those of the whole tree.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// What is left to visit, last first.
    pending: Vec<Node>,
    /// The database's own directory, which is not part of what it stores.
    database: Option<PathBuf>,
}

impl Tree {
    /// Starts at `root`; leaves out the database at `database`, should it be inside.
    pub(crate) fn open(root: &Path, database: &Path) -> Outcome<Self> {
        let failed = |error: io::Error| Failure::file("read", root, &error);
        let root = root.canonicalize().map_err(failed)?;
        let mut tree = Self { pending: Vec::new(), database: canonical(database) };
        tree.enter(&[], &root).map_err(failed)?;
        Ok(tree)
    }

    /// How much there is to import, as far as it can be found out.
    pub(crate) fn measure(mut self) -> Size {
        let mut size = Size::default();
        while let Some(node) = self.pending.pop() {
            match node.kind {
                Kind::File => size.add(node.path.symlink_metadata().map_or(0, |metadata| metadata.len())),
                // What cannot be read is told by the import itself.
                Kind::Directory => drop(self.enter(&node.key, &node.path)),
                Kind::Skipped(_) => {}
            }
        }
        size
    }

    fn enter(&mut self, prefix: &[u8], directory: &Path) -> io::Result<()> {
        let mut nodes = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let kind = Kind::of(entry.file_type()?);
            nodes.push(self.node(prefix, directory, &entry.file_name(), kind));
        }
        nodes.sort_unstable_by(|left, right| right.key.cmp(&left.key));
        self.pending.append(&mut nodes);
        Ok(())
    }

    fn node(&self, prefix: &[u8], directory: &Path, name: &OsStr, kind: Kind) -> Node {
        let path = directory.join(name);
        let mut key = prefix.to_vec();
        key.extend_from_slice(name.as_encoded_bytes());
        let kind = match kind {
            Kind::Directory if self.database.as_ref() == Some(&path) => {
                Kind::Skipped("it is the database that is being written")
            }
            _ if !cfg!(unix) && name.to_str().is_none() => Kind::Skipped("its name is not Unicode"),
            kind => kind,
        };
        if kind == Kind::Directory {
            key.push(b'/');
        }
        Node { key, path, kind }
    }

    fn visit(&mut self, node: Node) -> Option<Found> {
        let skipped = |why: String, is_failure| {
            Some(Found::Skipped(Skipped {
                name: escape(node.path.as_os_str().as_encoded_bytes()),
                why,
                is_failure,
            }))
        };
        match node.kind {
            Kind::Skipped(why) => skipped(why.into(), false),
            Kind::Directory => match self.enter(&node.key, &node.path) {
                Ok(()) => None,
                Err(error) => skipped(error.to_string(), true),
            },
            Kind::File => match read_value(&node.path) {
                Ok(value) => {
                    let source_bytes = value.len() as u64;
                    let record = Record { key: node.key, value: value.into(), ..Record::default() };
                    Some(Found::Record { record, source_bytes })
                }
                Err(error) => skipped(error.to_string(), true),
            },
        }
    }
}

impl Iterator for Tree {
    type Item = Outcome<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let node = self.pending.pop()?;
            if let Some(found) = self.visit(node) {
                return Some(Ok(found));
            }
        }
    }
}
