//! Gathers records into batches on a thread of its own, so that the next batch is read while one is committed.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use crate::failure::{Failure, Outcome};
use crate::record::Record;

/// What a source gives: a record, or word of something that it left out.
#[derive(Debug)]
pub(crate) enum Found {
    Record {
        record: Record,
        /// What it takes of the source, in bytes.
        source_bytes: u64,
    },
    Skipped(Skipped),
}

/// Something that was left out.
#[derive(Debug)]
pub(crate) struct Skipped {
    pub(crate) name: String,
    pub(crate) why: String,
    /// It should have been imported, and could not be.
    pub(crate) is_failure: bool,
}

/// Where records come from.
pub(crate) type Source = Box<dyn Iterator<Item = Outcome<Found>> + Send>;

/// The records of one commit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) skipped: Vec<Skipped>,
    /// Keys and values.
    pub(crate) payload_bytes: u64,
    /// What it takes of the source, in bytes.
    pub(crate) source_bytes: u64,
}

/// What a record costs beyond its key and value in a write set, about.
const RECORD_OVERHEAD_BYTES: u64 = 128;

impl Batch {
    fn add(&mut self, found: Found) {
        match found {
            Found::Record { record, source_bytes } => {
                self.payload_bytes += (record.key.len() + record.value.len()) as u64;
                self.source_bytes += source_bytes;
                self.records.push(record);
            }
            Found::Skipped(skipped) => self.skipped.push(skipped),
        }
    }

    /// What it costs in memory, about; small records are mostly overhead.
    fn weight_bytes(&self) -> u64 {
        self.payload_bytes + RECORD_OVERHEAD_BYTES * self.records.len() as u64
    }

    /// True when `found` would make a batch that holds something larger than `batch_bytes`.
    fn overflows_with(&self, found: &Found, batch_bytes: u64) -> bool {
        let Found::Record { record, .. } = found else { return false };
        let more = (record.key.len() + record.value.len()) as u64 + RECORD_OVERHEAD_BYTES;
        !self.records.is_empty() && self.weight_bytes() + more > batch_bytes
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.skipped.is_empty()
    }
}

/// Hands batches of at most `batch_bytes` to `commit`, in the source's order; one is read ahead. A record that alone is larger
/// is a batch of its own.
///
/// # Errors
/// The first of the source or of `commit`; every batch before it was committed. Records that were read before a failure of the
/// source, but fill no batch, are not committed.
pub(crate) fn read_ahead(
    source: Source,
    batch_bytes: u64,
    mut commit: impl FnMut(Batch) -> Outcome,
) -> Outcome {
    let (sender, receiver) = sync_channel(1);
    thread::scope(|scope| {
        let gathering = thread::Builder::new()
            .name("kv-import-reader".into())
            .spawn_scoped(scope, move || gather(source, batch_bytes, &sender))
            .map_err(|error| Failure::Storage(format!("cannot start a thread: {error}")))?;
        // Leaving this loop early drops the receiver, which ends the thread at its next batch.
        receiver.into_iter().try_for_each(&mut commit)?;
        gathering.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn gather(source: Source, batch_bytes: u64, sender: &SyncSender<Batch>) -> Outcome {
    let mut batch = Batch::default();
    for found in source {
        let found = found?;
        if batch.overflows_with(&found, batch_bytes) && sender.send(std::mem::take(&mut batch)).is_err() {
            return Ok(());
        }
        batch.add(found);
        if batch.weight_bytes() >= batch_bytes && sender.send(std::mem::take(&mut batch)).is_err() {
            return Ok(());
        }
    }
    if !batch.is_empty() {
        // Nobody listens when a commit failed; that failure is the one to tell.
        let _unheard = sender.send(batch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(count: u8, value_bytes: usize) -> Source {
        let record = move |number| Record {
            key: vec![number],
            value: vec![0; value_bytes].into(),
            ..Record::default()
        };
        Box::new((0..count).map(move |number| Ok(Found::Record { record: record(number), source_bytes: 1 })))
    }

    /// Goal: every record comes once, in order, and batches end at the size. Method: ten records of 138 bytes, batches of 420.
    #[test]
    fn batches_keep_order_and_size() {
        let mut batches = Vec::new();
        read_ahead(source(10, 9), 420, |batch| {
            batches.push(batch.records.iter().map(|record| record.key[0]).collect::<Vec<_>>());
            Ok(())
        })
        .unwrap();
        assert_eq!(batches, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8], vec![9]]);
    }

    /// Goal: a failing commit ends everything with its failure, and does not hang. Method: fail at the second of many.
    #[test]
    fn a_failing_commit_ends_the_import() {
        let mut calls = 0;
        let outcome = read_ahead(source(200, 9), 10, |_| {
            calls += 1;
            if calls == 2 { Err(Failure::Storage("full".into())) } else { Ok(()) }
        });
        assert!(matches!(outcome, Err(Failure::Storage(text)) if text == "full"));
        assert_eq!(calls, 2);
    }

    /// Goal: a failing source is told, after the batches before it. Method: two good records, then a failure.
    #[test]
    fn a_failing_source_is_told() {
        let bad = std::iter::once_with(|| Err(Failure::Usage("line 3".into())));
        let mut committed = 0;
        let outcome = read_ahead(Box::new(source(2, 9).chain(bad)), 10, |batch| {
            committed += batch.records.len();
            Ok(())
        });
        assert!(matches!(outcome, Err(Failure::Usage(text)) if text == "line 3"));
        assert_eq!(committed, 2);
    }
}
