//! Goal: no pointer reads anything but the value it was made for, and mapped and positional reads agree.
//! Method: the input is a pointer, a key, a version, and the segment that they are used on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::ValuePointer;
use base::Version;
use base::header::{FileHeader, FileKind};
use base::vfs::MemVfs;
use vlog::Segment;

use super::segment_scan::segment;
use crate::shared::{Body, InputReader, Memory, Mode};

pub const BODY: Body = Body { name: "pointer_read", run, seeds, memory: Memory::COMPRESSED };

fn run(input: &[u8], _mode: Mode) {
    let mut reader = InputReader::new(input);
    let pointer = ValuePointer {
        segment: u64::from(reader.u8()),
        offset: reader.u64(),
        record_len: reader.u32(),
        value_len: reader.u32(),
    };
    let version = Version(u64::from(reader.u8()));
    let key_len = usize::from(reader.u8());
    let key = reader.bytes(key_len);
    let bytes = reader.rest();
    let path = Path::new("/000001.vlog");
    let Ok(header) = FileHeader::decode(bytes, path, FileKind::ValueLog, vlog::FORMAT_VERSION) else {
        return;
    };
    let mapped = Segment::from_bytes(bytes.to_vec()).unwrap();
    let vfs = MemVfs::from_snapshot(BTreeMap::from([(PathBuf::from(path), bytes.to_vec())]));
    let positional = Segment::open_positional(&vfs, path, header.identity).unwrap();
    let found = mapped.get(&pointer, key, version);
    match (&found, &positional.get(&pointer, key, version)) {
        (Ok(value), Ok(same)) => assert_eq!(value, same),
        (Err(error), Err(same)) => assert!(error.is_corruption() && same.is_corruption()),
        (left, right) => panic!("mapped {left:?}, positional {right:?}"),
    }
    if let Ok(value) = found {
        assert_eq!(value.len() as u64, u64::from(pointer.value_len));
        let longer = ValuePointer { value_len: pointer.value_len ^ 1, ..pointer };
        assert!(mapped.get(&longer, key, version).is_err());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let bytes = segment();
    let segment = Segment::from_bytes(bytes.clone()).unwrap();
    let found = segment.scan().unwrap().map(Result::unwrap);
    found
        .map(|value| {
            let pointer = value.pointer;
            let mut seed = vec![pointer.segment as u8];
            seed.extend_from_slice(&pointer.offset.to_le_bytes());
            seed.extend_from_slice(&pointer.record_len.to_le_bytes());
            seed.extend_from_slice(&pointer.value_len.to_le_bytes());
            seed.extend_from_slice(&[value.version.0 as u8, value.key.len() as u8]);
            seed.extend_from_slice(&value.key);
            seed.extend_from_slice(&bytes);
            seed
        })
        .collect()
}
