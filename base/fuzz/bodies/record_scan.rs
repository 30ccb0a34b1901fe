//! Goal: whatever a log holds, a scan ends, its records lie behind each other inside the file, hopping and reading agree,
//! and a record that is accepted is the one that its parts encode to.
//! Method: scan the input by headers, by records, and behind its end; encode again what was found.

use std::sync::Arc;

use base::Compression;
use base::compress::Codec;
use base::record::{
    Located, RECORD_ALIGNMENT, RECORD_HEADER_BYTES, RecordBuffer, Scanner, Stamp, Tail, read_payload,
};
use base::vfs::{BytesFile, File};

use crate::shared::{Body, Memory, Mode, Steps};

pub const BODY: Body = Body { name: "record_scan", run, seeds, memory: Memory::COMPRESSED };

const FILE_SEED: u64 = 7;

fn run(input: &[u8], mode: Mode) {
    let file = BytesFile::shared("log", input.to_vec());
    let hopped = headers(&file, input.len());
    let mut scanner = Scanner::new(Arc::clone(&file), FILE_SEED, 0).unwrap();
    let mut expected = hopped.iter();
    while let Some((located, payload)) = scanner.next_record().unwrap() {
        assert_eq!(expected.next(), Some(&located));
        assert_eq!(read_payload(&*file, &located).unwrap(), payload);
        if mode == Mode::Checked && located.header.codec == Codec::None {
            encodes_again(input, &located, &payload);
        }
    }
    if let Some(unread) = expected.next() {
        assert_eq!(scanner.tail(), Some(Tail::Torn { valid_len: unread.offset }));
        assert!(read_payload(&*file, unread).unwrap_err().is_corruption());
    }
}

/// Every header, also behind the end of the log.
fn headers(file: &Arc<dyn File>, len: usize) -> Vec<Located> {
    let mut steps = Steps::at_most(len / RECORD_ALIGNMENT + 2);
    let mut scanner = Scanner::new(Arc::clone(file), FILE_SEED, 0).unwrap();
    let mut found = Vec::new();
    let mut end = 0;
    while let Some(located) = scanner.next_header().unwrap() {
        steps.take();
        assert_eq!(located.offset, end);
        end = scanner.offset();
        assert!(end > located.offset && end <= len as u64);
        found.push(located);
    }
    let tail = scanner.tail().unwrap();
    assert!(tail == Tail::Clean || tail == Tail::Torn { valid_len: end });
    while let Some(located) = scanner.resync().unwrap() {
        steps.take();
        assert!(located.offset >= end && located.offset % RECORD_ALIGNMENT as u64 == 0);
        end = scanner.offset();
        assert!(end <= len as u64);
    }
    found
}

fn encodes_again(input: &[u8], located: &Located, payload: &[u8]) {
    let header = &located.header;
    let mut record = RecordBuffer::new();
    record.push(header.kind, Compression::None, |out| out.extend_from_slice(payload)).unwrap();
    let stamp = Stamp { number: header.number, version: header.version, mark: header.mark };
    record.stamp(FILE_SEED, located.offset, stamp);
    let len = RECORD_HEADER_BYTES + payload.len();
    assert_eq!(record.as_bytes()[..len], input[located.offset as usize..][..len]);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut log = Vec::new();
    let compressions = [Compression::None, Compression::Lz4, Compression::None, Compression::Zstd(1)];
    for (at, how) in (0u64..).zip(compressions) {
        let mut record = RecordBuffer::new();
        record.push(at as u8 + 1, how, |out| out.extend(vec![at as u8; at as usize * 43])).unwrap();
        record.stamp(FILE_SEED, log.len() as u64, Stamp { number: at + 1, version: at + 9, mark: at });
        log.extend_from_slice(record.as_bytes());
    }
    let mut behind_zeros = log.clone();
    behind_zeros.resize(log.len() + 200, 0);
    let mut behind_damage = [&log[..48], &[0xee; 48], &log[96..]].concat();
    behind_damage.extend_from_slice(&[1, 2, 3]);
    vec![log, behind_zeros, behind_damage]
}
