//! Hands over the writes of the commits that count, one by one, or brings them into a memtable.

use base::{Entry, Error, InternalKey, Payload, Result, ValuePointer, Version};
use memtable::Memtable;
use wal::BatchReader;

use super::sequence::Sequence;
use super::survey::LogSurvey;

/// Decides where a separated value is to be read from now on.
pub(crate) trait Values {
    /// `pointer` is where it stands; `is_durable` whether it was known to be durable there.
    fn place(
        &mut self,
        pointer: ValuePointer,
        user_key: &[u8],
        version: Version,
        is_durable: bool,
    ) -> Result<ValuePointer>;
}

/// Inserts every commit of `sequence`.
///
/// # Errors
/// [`Error::Corruption`] when a verified commit does not decode, or what `values` fails with.
pub(crate) fn replay(
    logs: &[LogSurvey],
    sequence: &Sequence,
    memtable: &Memtable,
    values: &mut dyn Values,
) -> Result<()> {
    let mut writer = memtable.writer();
    for_each_write(logs, sequence, values, |key, entry| {
        writer.insert(key, &entry).map_err(|full| Error::invalid("memtable", full.to_string()))
    })
}

/// Hands every write of `sequence` to `take`, in the order of the commits.
///
/// # Errors
/// [`Error::Corruption`] when a verified commit does not decode, or what `values` or `take` fail with.
pub(super) fn for_each_write<'a>(
    logs: &[LogSurvey],
    sequence: &'a Sequence,
    values: &mut dyn Values,
    mut take: impl FnMut(InternalKey<'a>, Entry<'a>) -> Result<()>,
) -> Result<()> {
    for (log_index, index, payload) in &sequence.commits {
        let Some((log, commit)) = logs.get(*log_index).and_then(|log| Some((log, log.commits.get(*index)?)))
        else {
            continue;
        };
        let damaged = |what: &'static str| Error::corruption(&log.path, commit.located.offset, what);
        let version = Version(commit.located.header.version);
        let is_durable = commit.number() <= sequence.mark;
        for write in BatchReader::decode(payload).map_err(|error| damaged(error.what))? {
            let (key, mut entry): (&'a [u8], Entry<'a>) = write.map_err(|error| damaged(error.what))?;
            if let Payload::Separated(relative) = entry.payload {
                let pointer = wal::resolve(relative, log.file_number, commit.located.offset)
                    .map_err(|error| damaged(error.what))?;
                entry.payload = Payload::Separated(values.place(pointer, key, version, is_durable)?);
            }
            take(InternalKey::new(key, version), entry)?;
        }
    }
    Ok(())
}

/// For reading only: values stay where they are.
#[derive(Debug)]
pub(crate) struct InPlace;

impl Values for InPlace {
    fn place(&mut self, pointer: ValuePointer, _: &[u8], _: Version, _: bool) -> Result<ValuePointer> {
        Ok(pointer)
    }
}
