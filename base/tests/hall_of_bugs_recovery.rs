//! Goal: the recovery bugs of log readers that other engines had do not happen here. Method: the story of each, played at every
//! read. Numbers and sources are those of the hall of bugs; `log_file.rs` shows that records of an earlier life stay dead.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::Compression;
use base::header::{CONTENT_START, DatabaseId, FileIdentity, FileKind};
use base::log::LogFile;
use base::record::{RecordBuffer, Scanner, Stamp, Tail};
use base::vfs::{Access, Fault, FaultKind, FaultVfs, MemVfs, Operation, Vfs};

/// pebble #3865: after an error inside a record of several chunks the reader kept what it had of it, and misread what came next.
/// Here a read that fails once, whichever it is, costs neither the rest of this log nor anything of the next.
#[test]
fn hb_27_a_failed_read_leaves_nothing_behind() {
    let memory = MemVfs::new();
    let payloads: Vec<Vec<u8>> =
        [10, 70_000, 0, 200_000, 40, 30_000, 30_000, 5].map(|len| vec![len as u8; len]).into();
    let mut seeds = Vec::new();
    for number in 1..=2_u64 {
        let path = format!("{number:06}.wal");
        let identity = FileIdentity { database_id: DatabaseId([5; 16]), file_number: number };
        let log = LogFile::create(&memory, Path::new(&path), FileKind::Wal, 1, identity, 0).unwrap();
        for (payload, at) in payloads.iter().zip(1..) {
            let mut records = RecordBuffer::new();
            records.push(1, Compression::None, |out| out.extend_from_slice(payload)).unwrap();
            log.append(&mut records, Stamp { number: at, version: at, mark: 0 }).unwrap();
        }
        seeds.push((path, log.seed()));
    }
    for kind in [FaultKind::Io, FaultKind::ShortRead] {
        for nth in 1.. {
            let faulty = FaultVfs::new(Arc::new(memory.clone()));
            faulty.inject(Fault::new(kind).on(Operation::Read).nth(nth));
            let mut failures = 0;
            for (path, seed) in &seeds {
                let file = faulty.open(Path::new(path), Access::Read).unwrap();
                let mut scanner = Scanner::new(file, *seed, CONTENT_START).unwrap();
                let mut found = Vec::new();
                loop {
                    match scanner.next_record() {
                        Ok(Some((_, payload))) => found.push(payload),
                        // A short read looks like damage where it strikes, and may end the scan there: never as a clean end.
                        Ok(None) if kind == FaultKind::ShortRead && found != payloads => {
                            assert!(matches!(scanner.tail(), Some(Tail::Torn { .. })), "read {nth}");
                            failures += 1;
                            break;
                        }
                        Ok(None) => {
                            assert!(found == payloads, "{kind:?}, read {nth}: {} records", found.len());
                            break;
                        }
                        Err(_) => failures += 1,
                    }
                }
            }
            assert_eq!(failures, faulty.fired(), "{kind:?}, read {nth}");
            if faulty.fired() == 0 {
                assert!(nth > 5);
                break;
            }
        }
    }
}
