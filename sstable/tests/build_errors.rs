//! Goal: what cannot be built is refused with the right error, and nothing half-built stays behind.
//! Method: break each rule once, on a file system in memory.

use std::path::Path;
use std::sync::Arc;

use base::header::{DatabaseId, FileIdentity};
use base::vfs::{MemVfs, Vfs};
use base::{Entry, Error, InternalKey, MAX_KEY_BYTES, Version};
use sstable::{BuildOptions, Builder, ReadOptions, Table};

fn key(user_key: &[u8], version: u64) -> InternalKey<'_> {
    InternalKey::new(user_key, Version(version))
}

#[test]
fn keys_must_rise_and_a_refused_one_changes_nothing() {
    let mut builder = Builder::in_memory(BuildOptions::default());
    builder.add(key(b"b", 5), &Entry::inline(b"1")).unwrap();
    for refused in [key(b"b", 5), key(b"b", 6), key(b"a", 1), key(b"", 0)] {
        let error = builder.add(refused, &Entry::tombstone()).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { what: "order of keys", .. }), "{error}");
    }
    builder.add(key(b"b", 4), &Entry::tombstone()).unwrap();
    assert!(
        builder.insert(b"b", b"still not above").is_ok(),
        "version 0 is below version 4 and so comes after it"
    );
    assert!(builder.insert(b"b", b"again").is_err());
    let table = Table::from_bytes(builder.finish_bytes().unwrap(), ReadOptions::default()).unwrap();
    table.verify().unwrap();
    assert_eq!(table.iter().count(), 3);
}

#[test]
fn limits_are_exact() {
    let mut builder = Builder::in_memory(BuildOptions::default());
    let too_long = vec![b'k'; MAX_KEY_BYTES + 1];
    let refused = builder.insert(&too_long, b"").unwrap_err();
    assert!(matches!(refused, Error::LimitExceeded { got, .. } if got == MAX_KEY_BYTES as u64 + 1));
    let longest = &too_long[..MAX_KEY_BYTES];
    builder.insert(&longest[1..], b"").unwrap();
    builder.insert(longest, vec![7; 200_000]).unwrap();
    let refused = builder.insert(b"z", vec![0; base::seal::MAX_RAW_BYTES]).unwrap_err();
    assert!(matches!(refused, Error::LimitExceeded { .. }));
    let table = Table::from_bytes(builder.finish_bytes().unwrap(), ReadOptions::default()).unwrap();
    table.verify().unwrap();
    assert_eq!(table.value(longest).unwrap().unwrap().len(), 200_000);
    assert_eq!(table.value(&longest[1..]).unwrap().unwrap().len(), 0);
    assert_eq!(table.value(&longest[2..]).unwrap(), None);
}

#[test]
fn an_unfinished_file_is_removed_and_a_finished_one_stays() {
    let vfs = MemVfs::new();
    let path = Path::new("1.sst");
    let create = || {
        let made = Arc::new(vfs.clone());
        Builder::create_in(made, path, FileIdentity::default(), BuildOptions::default())
    };
    let mut builder = create().unwrap();
    builder.insert(b"a", b"1").unwrap();
    assert!(vfs.exists(path).unwrap());
    drop(builder);
    assert!(!vfs.exists(path).unwrap());

    let refused = create().unwrap().finish_bytes().unwrap_err();
    assert!(matches!(refused, Error::InvalidArgument { .. }));
    assert!(!vfs.exists(path).unwrap());

    create().unwrap().finish().unwrap();
    assert!(create().is_err(), "an existing file is not overwritten");
    let empty = Table::open_in(&vfs, path, ReadOptions::default()).unwrap();
    empty.verify().unwrap();
    assert_eq!(empty.iter().count() + empty.iter().rev().count(), 0);
    assert_eq!(empty.get(b"", Version::MAX).unwrap(), None);
}

#[test]
fn a_table_of_another_database_or_number_is_refused() {
    let vfs = MemVfs::new();
    let path = Path::new("9.sst");
    let mine = FileIdentity { database_id: DatabaseId([1; 16]), file_number: 9 };
    Builder::create_in(Arc::new(vfs.clone()), path, mine, BuildOptions::default()).unwrap().finish().unwrap();
    let open = |identity| Table::open_in(&vfs, path, ReadOptions::default().expect(identity));
    open(mine).unwrap();
    assert!(open(FileIdentity { file_number: 8, ..mine }).unwrap_err().is_corruption());
    assert!(open(FileIdentity { database_id: DatabaseId([2; 16]), ..mine }).unwrap_err().is_corruption());
}

#[test]
fn byte_len_foretells_the_length_of_the_file() {
    let mut builder = Builder::in_memory(BuildOptions::default());
    for number in 0..20_000u64 {
        builder.insert(number.to_be_bytes(), [7; 50]).unwrap();
    }
    let foretold = builder.byte_len() as f64;
    let real = builder.finish_bytes().unwrap().len() as f64;
    assert!((foretold / real - 1.0).abs() < 0.02, "{foretold} foretold, {real} written");
}
