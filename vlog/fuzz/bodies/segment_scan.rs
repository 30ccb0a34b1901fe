//! Goal: whatever a segment holds, walking it ends, and each value that is found can be read by its pointer.
//! Method: scan the input as a segment, read each value again, and verify the whole; a verified segment scans without an
//! error.

use std::path::Path;

use base::header::FileIdentity;
use base::record::{RECORD_HEADER_BYTES, RecordBuffer, Stamp};
use base::vfs::MemVfs;
use base::{Compression, Version};
use vlog::Segment;

use crate::shared::{Body, Memory, Mode, Steps};

pub const BODY: Body = Body { name: "segment_scan", run, seeds, memory: Memory::COMPRESSED };

fn run(input: &[u8], _mode: Mode) {
    let Ok(segment) = Segment::from_bytes(input.to_vec()) else { return };
    let mut steps = Steps::at_most(input.len() / RECORD_HEADER_BYTES + 1);
    let (mut values, mut errors) = (0, 0);
    let mut scan = segment.scan().unwrap();
    for found in scan.by_ref() {
        steps.take();
        let Ok(found) = found else {
            errors += 1;
            continue;
        };
        values += 1;
        let again = segment.get(&found.pointer, &found.key, found.version).unwrap();
        assert_eq!(again, found.value);
        let other_key = [&found.key[..], b"!"].concat();
        assert!(segment.get(&found.pointer, &other_key, found.version).is_err());
        assert!(segment.get(&found.pointer, &found.key, Version(!found.version.0)).is_err());
    }
    assert!(scan.tail().is_some());
    let sealed_len = input.len() as u64;
    if let Ok(report) = segment.verify(sealed_len) {
        assert_eq!((report.values, errors), (values, 0));
        assert!(report.value_bytes <= sealed_len);
    }
}

/// A value log as it is written: values, and the commits behind them.
pub fn segment() -> Vec<u8> {
    let (vfs, path) = (MemVfs::new(), Path::new("000001.vlog"));
    let log = vlog::create(&vfs, path, FileIdentity { file_number: 1, ..Default::default() }, 0).unwrap();
    let how = [Compression::None, Compression::Lz4, Compression::None, Compression::Zstd(1)];
    for (number, compression) in (1u64..).zip(how) {
        let mut records = RecordBuffer::new();
        let value = vec![number as u8; 40 * number as usize];
        vlog::push_value(&mut records, format!("key{number}").as_bytes(), &value, compression).unwrap();
        records.push(1, Compression::None, |out| out.extend_from_slice(b"commit")).unwrap();
        log.append(&mut records, Stamp { number, version: number, mark: number - 1 }).unwrap();
    }
    vfs.snapshot().remove(path).unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let whole = segment();
    let torn = whole[..whole.len() - 20].to_vec();
    let mut preallocated = whole.clone();
    preallocated.resize(whole.len() + 128, 0);
    vec![whole, torn, preallocated]
}
