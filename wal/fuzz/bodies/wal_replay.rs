//! Goal: whatever a log holds, reading it ends, and a commit that is accepted encodes to the payload it was read from.
//! Method: read the input as a log; encode every batch again, and resolve every pointer in it.

use std::path::Path;

use base::header::{CONTENT_START, FileIdentity};
use base::record::{RECORD_HEADER_BYTES, RecordBuffer, Stamp};
use base::vfs::MemVfs;
use base::{Entry, UnixSeconds};
use wal::{Batch, Commit, Reader};

use crate::shared::{Body, Memory, Mode, Steps};

pub const BODY: Body = Body { name: "wal_replay", run, seeds, memory: Memory::COMPRESSED };

fn run(input: &[u8], _mode: Mode) {
    let mut reader = match Reader::from_bytes(input.to_vec()) {
        Ok(reader) => reader,
        Err(_) => return,
    };
    let mut steps = Steps::at_most(input.len() / RECORD_HEADER_BYTES + 1);
    let mut end = CONTENT_START;
    let mut failed = false;
    for commit in reader.by_ref() {
        steps.take();
        let Ok(commit) = commit else {
            failed = true;
            continue;
        };
        assert!(!failed && commit.offset == end);
        end = end_of(input, &commit);
        batch(&commit);
    }
    assert!(failed || reader.tail().is_some());
    assert!(reader.next().is_none());
}

/// Where the record behind `commit` starts; the last one may lack its padding.
fn end_of(input: &[u8], commit: &Commit) -> u64 {
    let at = commit.offset as usize;
    let stored_len = u32::from_le_bytes(*input[at..].first_chunk().unwrap());
    let end = base::record::padded(commit.offset + RECORD_HEADER_BYTES as u64 + u64::from(stored_len));
    end.min(input.len() as u64)
}

fn batch(commit: &Commit) {
    let Ok(writes) = commit.batch() else { return };
    assert!(writes.len() <= commit.payload.len());
    let mut batch = Batch::new();
    for write in writes.clone() {
        let (key, entry) = write.unwrap();
        if let Some(pointer) = entry.pointer() {
            resolve(pointer, commit.offset);
        }
        batch.push(key, &entry);
    }
    let mut again = Vec::new();
    batch.encode(&mut again);
    assert_eq!(again.len(), batch.byte_len());
    // A user meta byte of 0 is read with its flag but written without; all else has one encoding.
    assert!(again == commit.payload || again.len() < commit.payload.len());
    assert!(batch.iter().map(Result::unwrap).eq(writes.map(Result::unwrap)));
}

fn resolve(pointer: base::ValuePointer, commit_offset: u64) {
    if let Ok(absolute) = wal::resolve(pointer, 9, commit_offset) {
        assert_eq!((absolute.segment, absolute.offset + pointer.offset), (9, commit_offset));
        assert!(absolute.offset >= CONTENT_START);
        assert!(absolute.offset + u64::from(absolute.record_len) <= commit_offset);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let (vfs, path) = (MemVfs::new(), Path::new("000001.wal"));
    let log = wal::create(&vfs, path, FileIdentity { file_number: 1, ..Default::default() }, 0).unwrap();
    for number in 1..5u64 {
        let mut batch = Batch::new();
        for key in 0..number {
            let value = vec![number as u8; 20 * key as usize];
            let expiring = Entry {
                user_meta: key as u8,
                expires_at: Some(UnixSeconds(1_700_000_000)),
                hides_older: key == 1,
                ..Entry::inline(&value)
            };
            batch.push(format!("key{key}").as_bytes(), &expiring);
        }
        batch.push(b"gone", &Entry::tombstone());
        batch.push(b"far", &Entry::separated(wal::relative_pointer(64, 60, 12)));
        let mut records = RecordBuffer::new();
        wal::push_commit(&mut records, &batch).unwrap();
        log.append(&mut records, Stamp { number, version: number + 7, mark: number - 1 }).unwrap();
    }
    let whole = vfs.snapshot().remove(path).unwrap();
    let torn = whole[..whole.len() - 30].to_vec();
    let mut preallocated = whole.clone();
    preallocated.resize(whole.len() + 256, 0);
    vec![whole, torn, preallocated]
}
