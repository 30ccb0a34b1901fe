//! Goal: a ledger that is accepted can be written, and is then read as the same.
//! Method: read the input as `DISCARD`, write what it says to another directory, and read that.

use std::path::Path;

use base::header::DatabaseId;
use base::vfs::{MemVfs, Vfs};
use vlog::{LEDGER_FILE_NAME, Ledger, SegmentDead};

use crate::shared::{Body, Memory, Mode};

pub const BODY: Body = Body { name: "discard_ledger", run, seeds, memory: Memory::COMPRESSED };

const ID: DatabaseId = DatabaseId([2; 16]);

fn run(input: &[u8], _mode: Mode) {
    let Ok(ledger) = Ledger::from_bytes(input.to_vec()) else { return };
    let written = write(&ledger);
    assert_eq!(Ledger::from_bytes(written).unwrap(), ledger);
    for segment in ledger.segments.values() {
        assert_eq!(segment.live_bytes() + segment.dead_bytes, segment.total_bytes);
    }
}

fn write(ledger: &Ledger) -> Vec<u8> {
    let (vfs, directory) = (MemVfs::new(), Path::new("/db"));
    vfs.create_dir_all(directory).unwrap();
    ledger.write(&vfs, directory, ID).unwrap();
    vfs.snapshot().remove(&directory.join(LEDGER_FILE_NAME)).unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let dead = |total_bytes, dead_bytes| SegmentDead { total_bytes, dead_bytes };
    let few = [(4, dead(1000, 1000)), (300, dead(70_000, 64))];
    let many = (1..60).map(|number| (number * 3, dead(number << 20, number)));
    vec![
        write(&Ledger::default()),
        write(&Ledger { edit_number: 17, segments: few.into() }),
        write(&Ledger { edit_number: 1 << 40, segments: many.collect() }),
    ]
}
