//! Reads a manifest: the snapshot, which must be whole, then edit by edit to the end or to a torn last one.

use std::path::Path;
use std::sync::Arc;

use base::compress::Codec;
use base::header::{FileHeader, FileIdentity, FileKind};
use base::record::{Located, RecordHeader, Scanner, Tail};
use base::vfs::{Access, BytesFile, File, Vfs};
use base::{Error, Result};

use crate::format::{
    EDIT_BYTES_MAX, FILE_NAME, FORMAT_VERSION, KIND_EDIT, KIND_SNAPSHOT_BEGIN, KIND_SNAPSHOT_END,
    KIND_SNAPSHOT_PART, RECORDS_START,
};
use crate::{Edit, State, codec};

/// The state that the manifest of `directory` describes. Writes nothing.
///
/// # Errors
/// [`Error::Corruption`] for damage that no crash explains; [`Error::Unsupported`] for a newer format;
/// [`Error::is_not_found`] when there is no manifest; the system's.
pub fn read(vfs: &dyn Vfs, directory: &Path) -> Result<State> {
    read_with_tail(vfs, directory).map(|(state, _)| state)
}

/// As [`read`], and whether the last edit was torn. A torn edit was never acknowledged.
///
/// # Errors
/// Those of [`read`].
pub fn read_with_tail(vfs: &dyn Vfs, directory: &Path) -> Result<(State, Tail)> {
    let contents = replay_file(&vfs.open(&directory.join(FILE_NAME), Access::Read)?)?;
    Ok((contents.state, contents.tail))
}

/// As [`read`], and whether all of the state is known to be durable, not only readable: the last edit says nothing but that
/// the database was closed, and was written after the one before it had been synced.
///
/// # Errors
/// Those of [`read`].
pub fn read_with_proof(vfs: &dyn Vfs, directory: &Path) -> Result<(State, bool)> {
    let contents = replay_file(&vfs.open(&directory.join(FILE_NAME), Access::Read)?)?;
    Ok((contents.state, contents.ends_closed && contents.tail == Tail::Clean))
}

/// As [`read_with_tail`], from the bytes of a manifest.
///
/// # Errors
/// [`Error::Corruption`] and [`Error::Unsupported`], as [`read`].
pub fn replay(bytes: &[u8]) -> Result<(State, Tail)> {
    let contents = replay_file(&BytesFile::shared(FILE_NAME, bytes.to_vec()))?;
    Ok((contents.state, contents.tail))
}

/// What a manifest file says.
struct Contents {
    state: State,
    tail: Tail,
    /// The last edit says nothing but that the database was closed.
    ends_closed: bool,
}

fn replay_file(file: &Arc<dyn File>) -> Result<Contents> {
    let header = FileHeader::read(&**file, FileKind::Manifest, FORMAT_VERSION)?;
    let database_id = header.identity.database_id;
    header.expect(file.path(), FileIdentity { database_id, file_number: 0 })?;
    let mut replay = Replay {
        path: file.path(),
        scanner: Scanner::new(Arc::clone(file), header.seed(), RECORDS_START)?,
        state: State::new(database_id),
        ends_closed: false,
    };
    replay.snapshot()?;
    let tail = replay.edits(file.len()?)?;
    Ok(Contents { state: replay.state, tail, ends_closed: replay.ends_closed })
}

struct Replay<'a> {
    path: &'a Path,
    scanner: Scanner,
    state: State,
    ends_closed: bool,
}

impl Replay<'_> {
    fn snapshot(&mut self) -> Result<()> {
        let mut number = None;
        loop {
            let at = self.scanner.offset();
            let Some((Located { header, .. }, edit)) = self.next()? else {
                return Err(self.damage(at, "the snapshot is not whole"));
            };
            let expected = match number {
                None => header.kind == KIND_SNAPSHOT_BEGIN,
                Some(number) => {
                    matches!(header.kind, KIND_SNAPSHOT_PART | KIND_SNAPSHOT_END) && header.number == number
                }
            };
            if !expected || header.mark != 0 {
                return Err(self.damage(at, "the record does not continue the snapshot"));
            }
            number = Some(header.number);
            self.apply(at, edit, header.number)?;
            if header.kind == KIND_SNAPSHOT_END {
                return Ok(());
            }
        }
    }

    fn edits(&mut self, file_len: u64) -> Result<Tail> {
        loop {
            let at = self.scanner.offset();
            if let Some((Located { header, .. }, edit)) = self.next()? {
                self.expect_edit(at, &header)?;
                let only_closed = Edit { closed: edit.closed.clone(), ..Edit::default() };
                self.ends_closed = edit.closed.is_some() && edit == only_closed;
                self.apply(at, edit, header.number)?;
            } else if at >= file_len {
                return Ok(Tail::Clean);
            } else {
                self.expect_nothing_behind(at)?;
                return Ok(Tail::Torn { valid_len: at });
            }
        }
    }

    /// Reads the next record; `None` where one is damaged, cut short, or none at all. A good record that no writer wrote
    /// is corruption.
    fn next(&mut self) -> Result<Option<(Located, Edit)>> {
        let Some(located) = self.scanner.next_header()? else { return Ok(None) };
        self.expect_bounded(&located)?;
        let payload = match self.scanner.payload(&located) {
            Ok(payload) => payload,
            Err(error) if error.is_corruption() => return Ok(None),
            Err(error) => return Err(error),
        };
        let edit = codec::decode(&payload).map_err(|what| self.damage(located.offset, what))?;
        Ok(Some((located, edit)))
    }

    fn expect_bounded(&self, located: &Located) -> Result<()> {
        let header = &located.header;
        if header.codec == Codec::None && header.payload_len as usize <= EDIT_BYTES_MAX {
            return Ok(());
        }
        Err(self.damage(located.offset, "the record is compressed or too large for an edit"))
    }

    fn expect_edit(&self, at: u64, header: &RecordHeader) -> Result<()> {
        let last = self.state.edit_number();
        if header.kind == KIND_EDIT && header.mark == last && last.checked_add(1) == Some(header.number) {
            return Ok(());
        }
        let what = format!("the record is not the edit behind edit {last}: its number is {}", header.number);
        Err(self.damage(at, what))
    }

    /// Damage at `at` is a torn write only when nothing was written behind it, since each edit is synced before the
    /// next. The torn record's own header, if it is good, must be that of the next edit.
    fn expect_nothing_behind(&mut self, at: u64) -> Result<()> {
        // Without a tail the scan stands behind a record whose header is good; with one, at the bad bytes.
        let mut found = if self.scanner.tail().is_none() { self.scanner.next_header()? } else { None };
        if found.is_none() {
            found = self.scanner.resync()?;
        }
        while let Some(located) = found {
            if located.offset > at {
                let what =
                    format!("the record is damaged, but a good one follows at byte {}", located.offset);
                return Err(self.damage(at, what));
            }
            self.expect_bounded(&located)?;
            self.expect_edit(at, &located.header)?;
            found = self.scanner.resync()?;
        }
        Ok(())
    }

    fn apply(&mut self, at: u64, edit: Edit, number: u64) -> Result<()> {
        self.state.check(&edit).map_err(|invalid| self.damage(at, format!("invalid edit: {invalid}")))?;
        self.state.absorb(edit, number);
        Ok(())
    }

    fn damage(&self, at: u64, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::corruption(self.path, at, what)
    }
}
