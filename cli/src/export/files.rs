//! Keys as files below a directory, and never above it: keys come from a database that may not be the user's own.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::record::Record;
use crate::user_files;

/// A directory that is being filled.
#[derive(Debug)]
pub(crate) struct Target {
    root: PathBuf,
    /// The directory made last; keys come in order, so the next one is often the same.
    parent: PathBuf,
}

impl Target {
    /// Starts to fill `root`, which is empty or missing: with nothing in it, no symbolic link in it can lead outside.
    pub(crate) fn open(root: &Path) -> Outcome<Self> {
        match user_files::is_empty_directory(root) {
            Ok(false) => {
                let what = format!("{} is not empty: choose an empty or a new directory", root.display());
                return Err(Failure::Usage(what));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::file("open", root, &error));
            }
            Ok(_) | Err(_) => {}
        }
        user_files::create_directory(root).map_err(|error| Failure::file("create", root, &error))?;
        Ok(Self { root: root.to_path_buf(), parent: root.to_path_buf() })
    }

    /// Writes one record; says why when its key cannot be a file.
    pub(crate) fn write(&mut self, record: &Record) -> Outcome<Option<&'static str>> {
        let relative = match relative_path(&record.key) {
            Ok(relative) => relative,
            Err(why) => return Ok(Some(why)),
        };
        let path = self.root.join(relative);
        match self.try_write(&path, &record.value) {
            Ok(()) => Ok(None),
            Err(error) => match refusal(&error) {
                Some(why) => Ok(Some(why)),
                None => Err(Failure::file("write", &path, &error)),
            },
        }
    }

    fn try_write(&mut self, path: &Path, value: &[u8]) -> io::Result<()> {
        if let Some(parent) = path.parent()
            && parent != self.parent
        {
            user_files::create_directory(parent)?;
            self.parent = parent.to_path_buf();
        }
        user_files::write_new(path, value)
    }
}

/// What the file system says when a key is at fault, and not the disk.
fn refusal(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            Some("another key has taken its name as a file or directory; export to JSON lines to keep both")
        }
        ErrorKind::InvalidFilename => Some("it is too long for a file name here"),
        ErrorKind::InvalidInput => Some("it is not a file name here"),
        _ => None,
    }
}

/// The path of a key below the directory.
fn relative_path(key: &[u8]) -> Result<PathBuf, &'static str> {
    if key.contains(&0) {
        return Err("it contains a NUL");
    }
    if key.first() == Some(&b'/') {
        return Err("it is an absolute path");
    }
    for component in key.split(|byte| *byte == b'/') {
        match component {
            b"" => return Err("it has an empty component, which no file name has"),
            b".." => return Err("it would leave the directory"),
            b"." => return Err("it has a component \".\", which would be lost"),
            _ => {}
        }
    }
    native_path(key)
}

#[cfg(unix)]
fn native_path(key: &[u8]) -> Result<PathBuf, &'static str> {
    use std::os::unix::ffi::OsStrExt;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(key)))
}

#[cfg(not(unix))]
fn native_path(key: &[u8]) -> Result<PathBuf, &'static str> {
    if key.iter().any(|byte| b"\\:*?\"<>|".contains(byte)) {
        return Err("it contains a character that means something else in a path here");
    }
    std::str::from_utf8(key).map(PathBuf::from).map_err(|_| "it is not Unicode")
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    /// Goal: what leaves the directory, or would come back under another key, is refused. Method: table.
    #[test]
    fn hostile_keys_are_refused() {
        for key in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "a//b",
            "a/",
            "./a",
            "a/./b",
            ".",
            "a\0b",
        ] {
            assert!(relative_path(key.as_bytes()).is_err(), "{key:?}");
        }
        for key in ["a", "a/b", "...", "..a/b..", " ", "a\nb", "-rf", "~", "$HOME", "*"] {
            assert_eq!(relative_path(key.as_bytes()), Ok(PathBuf::from(key)), "{key:?}");
        }
    }

    proptest! {
        /// Goal: an accepted key stays below the directory. Method: random keys over the dangerous alphabet; every component
        /// of the path is a plain name, and together they are the key.
        #[test]
        fn accepted_keys_stay_inside(key in "[a./\\x00]{0,12}") {
            if let Ok(path) = relative_path(key.as_bytes()) {
                prop_assert!(path.components().all(|component| matches!(component, Component::Normal(_))));
                prop_assert_eq!(path.components().count(), key.split('/').count());
                prop_assert_eq!(path.to_str(), Some(key.as_str()));
            }
        }
    }
}
