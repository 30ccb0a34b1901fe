//! What files that the manifest does not list tell about the manifest: that it has lost its last edits, or is an older copy
//! of itself. Its own bytes cannot tell, for a lost last edit looks like one that a crash has torn.
//!
//! A crash leaves files that no edit lists, but only such whose numbers an earlier edit had leased, and logs among them hold
//! no commit that is not in tables: a generation gets its first commit after the edit that lists it is durable, and leaves the
//! manifest in the edit that lists its tables. So a file with a number that was never leased, or a log with a later
//! commit, has been listed by an edit that is gone. (That the first edit of each life is noticed, too, is seen to by
//! [`crate::structure::Structure::skip_to_last`].)

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use base::header::{FileHeader, FileIdentity, FileKind};
use base::record::Scanner;
use base::vfs::{Access, File, Vfs};
use base::{Error, Result};
use manifest::State;

use crate::directory::NumberedFile;

/// Refuses a manifest that is older than the files beside it; `living` is what it lists, `names` what is there.
///
/// # Errors
/// [`Error::Corruption`] of the manifest, or the system's.
pub(crate) fn check_strays(
    vfs: &dyn Vfs,
    directory: &Path,
    state: &State,
    living: &HashSet<NumberedFile>,
    names: &[String],
) -> Result<()> {
    let numbered = names.iter().filter_map(|name| NumberedFile::parse(name));
    for stray in numbered.filter(|file| !living.contains(file)) {
        let file = vfs.open(&stray.path(directory), Access::Read)?;
        let Some(header) = own_header(&*file, stray, state)? else { continue };
        let lost = |evidence: String| {
            let what =
                format!("its last edits are lost, or it is an older copy: {} {evidence}", stray.name());
            Error::corruption(&directory.join(manifest::FILE_NAME), 0, what)
        };
        if stray.number() >= state.numbers_below() {
            return Err(lost("has a number that it never gave out".to_owned()));
        }
        if let Some(number) = unlisted_commit(file, &header, state.last_commit())? {
            return Err(lost(format!("holds commit {number}, which is in no table that it lists")));
        }
    }
    Ok(())
}

/// The header of a file that this database has written under this name; others say nothing.
fn own_header(file: &dyn File, stray: NumberedFile, state: &State) -> Result<Option<FileHeader>> {
    let kind = match stray {
        NumberedFile::Wal(_) => FileKind::Wal,
        NumberedFile::Table(_) => FileKind::Table,
        NumberedFile::ValueLog(_) => FileKind::ValueLog,
    };
    let expected = FileIdentity { database_id: state.database_id(), file_number: stray.number() };
    // Whatever the format: headers are the same in all.
    match FileHeader::read(file, kind, u16::MAX) {
        Ok(header) => Ok((header.identity == expected).then_some(header)),
        Err(error) if error.is_unreadable() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A commit in a log that was given its number after `last_commit`.
fn unlisted_commit(file: Arc<dyn File>, header: &FileHeader, last_commit: u64) -> Result<Option<u64>> {
    if header.kind == FileKind::Table {
        return Ok(None);
    }
    let mut scanner = Scanner::new(file, header.seed(), base::header::CONTENT_START)?;
    while let Some(located) = scanner.next_header()? {
        if located.header.kind == wal::KIND_COMMIT && located.header.number > last_commit {
            return Ok(Some(located.header.number));
        }
    }
    Ok(None)
}
