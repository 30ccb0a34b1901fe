//! Everything about the files of a directory that an operation might change.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use crate::finding::{Checked, Finding};

/// What is known of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Traits {
    len: u64,
    content_hash: u64,
    modified: Option<SystemTime>,
}

/// Names, lengths, contents and times of all that is in a directory, and the time of the directory itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    modified: Option<SystemTime>,
    files: BTreeMap<String, Traits>,
}

impl Fingerprint {
    pub(crate) fn of(directory: &Path) -> Checked<Self> {
        take(directory).map_err(|error| Finding::new(format!("cannot read {}: {error}", directory.display())))
    }

    /// What differs from `before`, for people.
    pub(crate) fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, traits) in &before.files {
            match self.files.get(name) {
                None => changes.push(format!("{name} is gone")),
                Some(now) if now != traits => changes.push(format!("{name} was {traits:?} and is {now:?}")),
                Some(_) => {}
            }
        }
        let is_new = |name: &&String| !before.files.contains_key(*name);
        changes.extend(self.files.keys().filter(is_new).map(|name| format!("{name} is new")));
        if changes.is_empty() && self.modified != before.modified {
            changes.push("names came and went".into());
        }
        changes
    }
}

fn take(directory: &Path) -> io::Result<Fingerprint> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let mut content = Vec::new();
        // A directory does not belong there, which is the finding.
        if metadata.is_file() {
            std::fs::OpenOptions::new().read(true).open(entry.path())?.read_to_end(&mut content)?;
        }
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let traits =
            Traits { len: metadata.len(), content_hash: hasher.finish(), modified: metadata.modified().ok() };
        files.insert(entry.file_name().to_string_lossy().into_owned(), traits);
    }
    Ok(Fingerprint { modified: std::fs::metadata(directory)?.modified().ok(), files })
}
