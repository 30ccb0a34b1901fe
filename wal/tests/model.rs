//! Goal: what was appended is what is read, write for write. Method: random batches against a plain list, through
//! batches alone, through a file, and through a file that had an earlier life.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;

use base::header::{DatabaseId, FileIdentity};
use base::record::{RecordBuffer, Stamp, Tail};
use base::vfs::{Access, MemVfs, Vfs};
use base::{Entry, Payload, UnixSeconds, ValuePointer};
use proptest::prelude::*;
use wal::{Batch, BatchReader, Reader};

type Write = (Vec<u8>, OwnedEntry);

/// An entry that owns its value: the oracle's.
#[derive(Clone, Debug)]
struct OwnedEntry {
    value: Option<Vec<u8>>,
    pointer: Option<ValuePointer>,
    user_meta: u8,
    expires_at: Option<u64>,
    hides_older: bool,
}

impl OwnedEntry {
    fn borrow(&self) -> Entry<'_> {
        let payload = match (&self.pointer, &self.value) {
            (Some(pointer), _) => Payload::Separated(*pointer),
            (None, Some(value)) => Payload::Inline(value),
            (None, None) => Payload::Tombstone,
        };
        let expires_at = self.expires_at.map(UnixSeconds);
        Entry { payload, user_meta: self.user_meta, expires_at, hides_older: self.hides_older }
    }
}

fn any_write() -> impl Strategy<Value = Write> {
    let pointer = (any::<u64>(), any::<u32>(), any::<u32>())
        .prop_map(|(distance, record_len, value_len)| wal::relative_pointer(distance, record_len, value_len));
    let entry = (
        any::<Option<Vec<u8>>>(),
        proptest::option::of(pointer),
        any::<u8>(),
        any::<Option<u64>>(),
        any::<bool>(),
    )
        .prop_map(|(value, pointer, user_meta, expires_at, hides_older)| OwnedEntry {
            value,
            pointer,
            user_meta,
            expires_at,
            hides_older,
        });
    (proptest::collection::vec(any::<u8>(), 0..40), entry)
}

fn batch_of(writes: &[Write]) -> Batch {
    let mut batch = Batch::new();
    for (key, entry) in writes {
        batch.push(key, &entry.borrow());
    }
    batch
}

fn assert_holds<'a>(mut reader: BatchReader<'a>, writes: &[Write]) {
    assert_eq!((reader.len(), reader.is_empty()), (writes.len(), writes.is_empty()));
    for (key, entry) in writes {
        assert_eq!(reader.next(), Some(Ok((key.as_slice(), entry.borrow()))));
    }
    assert_eq!((reader.next(), reader.len()), (None, 0));
}

fn identity(file_number: u64) -> FileIdentity {
    FileIdentity { database_id: DatabaseId([3; 16]), file_number }
}

proptest! {
    #[test]
    fn batches_come_back(writes in proptest::collection::vec(any_write(), 0..20)) {
        let mut batch = batch_of(&writes);
        let mut payload = b"before".to_vec();
        batch.encode(&mut payload);
        prop_assert_eq!((batch.len(), batch.is_empty()), (writes.len(), writes.is_empty()));
        prop_assert_eq!(payload.len(), 6 + batch.byte_len());
        assert_holds(BatchReader::decode(&payload[6..]).unwrap(), &writes);
        assert_holds(batch.iter(), &writes);
        batch.clear();
        prop_assert_eq!(&batch, &Batch::new());
        prop_assert_eq!(batch.byte_len(), 1);
    }

    /// Method: commits go to a file one by one or in groups, behind an earlier life of the file or not.
    #[test]
    fn logs_come_back(
        commits in proptest::collection::vec((proptest::collection::vec(any_write(), 0..6), any::<bool>()), 0..12),
        stale in proptest::collection::vec(any::<u8>(), 0..3000),
        allocate_bytes in 0u64..3000,
    ) {
        let vfs = MemVfs::new();
        let path = Path::new("000007.wal");
        let log = if stale.is_empty() {
            wal::create(&vfs, path, identity(7), allocate_bytes).unwrap()
        } else {
            let retired = Path::new("000006.wal");
            vfs.create(retired).unwrap().write_all_at(0, &stale).unwrap();
            wal::recycle(&vfs, retired, path, identity(7)).unwrap()
        };
        let mut group = Vec::new();
        for (number, (writes, ends_group)) in (1..).zip(&commits) {
            let mut records = RecordBuffer::new();
            let pushed = wal::push_commit(&mut records, &batch_of(writes)).unwrap();
            prop_assert_eq!(pushed.offset, 0);
            let at = log.position() + group.len() as u64;
            records.stamp(log.seed(), at, Stamp { number, version: number * 10, mark: number / 2 });
            group.extend_from_slice(records.as_bytes());
            if *ends_group {
                log.append_stamped(&group).unwrap();
                group.clear();
            }
        }
        log.append_stamped(&group).unwrap();

        let mut reader = Reader::open(&vfs, path).unwrap();
        prop_assert_eq!(reader.identity(), identity(7));
        for (number, (writes, _)) in (1..).zip(&commits) {
            let commit = reader.next().unwrap().unwrap();
            prop_assert_eq!((commit.number, commit.version, commit.mark), (number, number * 10, number / 2));
            assert_holds(commit.batch().unwrap(), writes);
        }
        prop_assert!(reader.next().is_none() && reader.next().is_none());
        match reader.tail().unwrap() {
            Tail::Clean => {}
            Tail::Torn { valid_len } => prop_assert_eq!(valid_len, log.position()),
        }

        // The engine's way: the same records through a scanner that knows what to expect.
        let file = vfs.open(path, Access::Read).unwrap();
        let mut scanner = wal::scanner(file.clone(), identity(7)).unwrap();
        for (writes, _) in &commits {
            let (located, payload) = scanner.next_record().unwrap().unwrap();
            prop_assert_eq!(located.header.kind, wal::KIND_COMMIT);
            assert_holds(BatchReader::decode(&payload).unwrap(), writes);
        }
        prop_assert!(scanner.next_record().unwrap().is_none());
        prop_assert!(wal::scanner(file, identity(8)).unwrap_err().is_corruption());
    }
}
