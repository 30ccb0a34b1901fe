//! Goal: a registry that is accepted can be written, and is then read as the same.
//! Method: read the input as `KEYREGISTRY`, write what it says to another directory, and read that.

use std::path::Path;

use base::UnixSeconds;
use base::header::DatabaseId;
use base::vfs::{MemVfs, Vfs};
use keyring::{FILE_NAME, KeyRecord, Registry, WRAPPED_BYTES_MAX};

use crate::shared::{Body, Memory, Mode};

pub const BODY: Body = Body { name: "registry", run, seeds, memory: Memory::PLAIN };

fn run(input: &[u8], _mode: Mode) {
    let Ok(registry) = Registry::from_bytes(input) else { return };
    assert!(registry.keys.windows(2).all(|pair| pair[0].id < pair[1].id));
    let written = write(&registry);
    // All but salt and checksums is the same, so the length is.
    assert_eq!(written.len(), input.len());
    assert_eq!(Registry::from_bytes(&written).unwrap(), registry);
}

fn write(registry: &Registry) -> Vec<u8> {
    let (vfs, directory) = (MemVfs::new(), Path::new("/db"));
    vfs.create_dir_all(directory).unwrap();
    registry.write(&vfs, directory).unwrap();
    vfs.snapshot().remove(&directory.join(FILE_NAME)).unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let key = |id: u32, len: usize| KeyRecord {
        id,
        created_at: UnixSeconds(1_700_000_000),
        algorithm: 1,
        wrapped: vec![id as u8; len],
    };
    let registry = |keys| write(&Registry { database_id: DatabaseId([2; 16]), keys });
    vec![
        registry(Vec::new()),
        registry(vec![key(1, 48)]),
        registry(vec![key(1, 0), key(7, 61), key(u32::MAX, 5)]),
        registry(vec![key(3, WRAPPED_BYTES_MAX)]),
    ]
}
