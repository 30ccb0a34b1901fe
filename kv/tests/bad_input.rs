//! Goal: whatever is given, the answer is right or a typed error that names the file, the key or the option, and a directory that is
//! refused is left as it is. Method: one test for each kind of input; directories are compared byte by byte.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Times};
use kv::{Compression, Db, Error, Options, ReadTxn, SetOptions, UnixSeconds};

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn on(vfs: &MemVfs) -> Options {
    Options::tiny().with_vfs(Arc::new(vfs.clone()))
}

/// Opens `files`; they must be unchanged when that fails.
fn refusal(files: &Files) -> Result<Db, Error> {
    let vfs = MemVfs::from_snapshot(files.clone());
    let opened = on(&vfs).open("/db");
    let read = on(&MemVfs::from_snapshot(files.clone())).open_read_only("/db");
    if opened.is_err() {
        let mut after = vfs.snapshot();
        // An empty lock file is the one thing that may have come.
        after.retain(|path, _| !path.ends_with("LOCK") || files.contains_key(path));
        assert!(after == *files, "a refused directory was changed");
        assert!(read.is_err(), "it can be read, but not be opened");
    }
    opened
}

/// A database with tables, value segments and unflushed logs.
fn files() -> Files {
    let vfs = MemVfs::new();
    let db = on(&vfs).open("/db").unwrap();
    for number in 0..300_u32 {
        db.set(number.to_be_bytes(), vec![1; number as usize % 150]).unwrap();
    }
    db.flush().unwrap();
    // Until files that are done with are gone.
    while db.step().unwrap() != kv::Step::Idle {}
    db.set("in the log", "x").unwrap();
    db.set("in the value log", [2; 500]).unwrap();
    vfs.snapshot()
}

#[test]
fn keys_of_every_kind() {
    let db = Options::tiny().open_in_memory().unwrap();
    let longest = vec![0xab; 64 * 1024];
    for key in [&b"\0"[..], b"\xff\xff", b"\xc3\x28 not text", b"!badger!", &longest] {
        db.set(key, "x").unwrap();
        assert_eq!(db.get(key).unwrap().as_deref(), Some(&b"x"[..]));
    }
    db.compact().unwrap();
    assert_eq!(db.iter().unwrap().count(), 5);
    assert_eq!(db.prefix([0xff]).unwrap().count(), 1);
    let too_long = vec![0xab; 64 * 1024 + 1];
    for key in [&b""[..], &too_long] {
        let refused = |outcome: Result<(), Error>| {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::InvalidKey { .. }), "{error}");
        };
        refused(db.set(key, "x").map(drop));
        refused(db.set_with(key, "x", &SetOptions::new()).map(drop));
        refused(db.delete(key).map(drop));
        refused(db.get(key).map(drop));
        refused(db.item(key).map(drop));
        refused(db.contains_key(key).map(drop));
        let mut txn = db.begin_write().unwrap();
        refused(txn.set(key, "x"));
        refused(txn.delete(key));
        refused(txn.get(key).map(drop));
        refused(db.write_batch().set(key, "x"));
    }
    assert_eq!(db.version().0, 5);
}

#[test]
fn values_of_every_kind() {
    let db = Options::tiny().open_in_memory().unwrap();
    db.set("empty", "").unwrap();
    assert_eq!(db.get("empty").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(db.get("absent").unwrap(), None);
    assert!(db.contains_key("empty").unwrap() && !db.contains_key("absent").unwrap());
    let large = vec![3; 1 << 20];
    db.set("large", &large).unwrap();
    db.flush().unwrap();
    assert_eq!(db.get("empty").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(db.get("large").unwrap().unwrap(), large);
    assert_eq!(db.item("large").unwrap().unwrap().value_len(), 1 << 20);
    let keys_only = db.scan().unwrap().keys_only().iter().unwrap().next().unwrap().unwrap();
    assert!(matches!(keys_only.value().unwrap_err(), Error::InvalidOption { name: "keys_only", .. }));
    assert_eq!(keys_only.value_ref(), None);
}

#[test]
fn a_value_above_the_limit_is_refused_before_it_is_copied() {
    let db = Options::tiny().open_in_memory().unwrap();
    let too_long = vec![0; (1 << 30) + 1];
    let expected = |error: Error| matches!(error, Error::LimitExceeded { what: "value length in bytes", .. });
    assert!(expected(db.set("k", &too_long).unwrap_err()));
    assert!(expected(db.begin_write().unwrap().set("k", &too_long).unwrap_err()));
    assert!(expected(db.write_batch().set("k", &too_long).unwrap_err()));
}

#[test]
fn bounds_that_cross_hold_nothing() {
    let db = Options::tiny().open_in_memory().unwrap();
    db.set("b", "x").unwrap();
    let mut txn = db.begin_write().unwrap();
    txn.set("c", "x").unwrap();
    let (low, high) = ("a", "z");
    for scan in [db.scan().unwrap(), txn.scan()] {
        assert_eq!(scan.clone().range(high..low).iter().unwrap().count(), 0);
        assert_eq!(scan.clone().range("b".."b").iter().unwrap().count(), 0);
        assert_eq!(scan.clone().range(high..=low).reverse().iter().unwrap().count(), 0);
        assert_eq!(scan.limit(0).iter().unwrap().count(), 0);
    }
}

#[test]
fn expiry_at_the_edges_of_time() {
    let clock = Arc::new(kv::ManualClock::new(UnixSeconds(100)));
    let db = Options::tiny().with_clock(Arc::<kv::ManualClock>::clone(&clock)).open_in_memory().unwrap();
    db.set_with("past", "x", &SetOptions::new().expires_at(UnixSeconds(100))).unwrap();
    db.set_with("never", "x", &SetOptions::new().ttl(Duration::MAX)).unwrap();
    db.set_with("soon", "x", &SetOptions::new().ttl(Duration::from_millis(1))).unwrap();
    let keys = || db.iter().unwrap().map(|item| item.unwrap().key().to_vec()).collect::<Vec<_>>();
    assert_eq!(keys(), [&b"never"[..], b"soon"]);
    let before = db.begin_read().unwrap();
    clock.advance(1);
    assert_eq!(keys(), [b"never"]);
    db.compact().unwrap();
    assert!(before.contains_key("soon").unwrap(), "a snapshot judges expiry at its own time");
}

#[test]
fn options_out_of_range_are_named() {
    let zero = engine::Options { write_buffer_bytes: 0, ..engine::Options::tiny() };
    let cases = [
        ("memory_budget", Options::new().memory_budget(1)),
        ("memory_budget", Options::new().memory_budget(usize::MAX)),
        ("maintenance_threads", Options::new().maintenance_threads(1_000)),
        ("value_threshold", Options::new().value_threshold(0)),
        ("block_bytes", Options::new().block_bytes(1)),
        ("table_bytes", Options::new().table_bytes(0)),
        ("compression", Options::new().compression(Compression::Zstd(99))),
        ("write_buffer_bytes", Options::new().with_engine_options(zero)),
    ];
    for (expected, options) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        for error in [options.clone().open(&path).unwrap_err(), options.open_read_only(&path).unwrap_err()] {
            assert!(
                matches!(error, Error::InvalidOption { name, .. } if name == expected),
                "{expected}: {error}"
            );
            assert!(error.to_string().contains("must be"), "{error}");
        }
        assert!(!path.exists(), "{expected}: nothing was created");
    }
    let most = Options::new().keep_versions(NonZeroU32::MAX).max_retries(u32::MAX).memory_budget(1 << 20);
    most.open_in_memory().unwrap();
}

#[test]
fn a_path_that_is_not_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    std::io::Write::write_all(
        &mut tempfile::NamedTempFile::new_in(&directory).unwrap().persist(&file).unwrap(),
        b"mine",
    )
    .unwrap();
    let named = |error: Error, path: &Path| {
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
        error
    };
    let error = named(Options::tiny().open(directory.path()).unwrap_err(), directory.path());
    assert!(matches!(error.storage(), Some(base::Error::NotADatabase { .. })), "{error}");
    named(Options::tiny().open(&file).unwrap_err(), &file);
    named(Options::tiny().open(file.join("below")).unwrap_err(), &file);
    named(Options::tiny().open_read_only(directory.path()).unwrap_err(), directory.path());
    let missing = directory.path().join("missing");
    named(Options::tiny().open_read_only(&missing).unwrap_err(), &missing);
    let left: Vec<_> = directory.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_second_handle_is_locked_out_until_the_first_one_closes() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Options::tiny().open(directory.path());
    let read = || Options::tiny().open_read_only(directory.path());
    let first = open().unwrap();
    first.set("k", "v").unwrap();
    for error in [open().unwrap_err(), read().unwrap_err()] {
        assert!(error.is_locked() && error.to_string().contains("LOCK"), "{error}");
    }
    let range = first.iter().unwrap();
    first.close().unwrap();
    let second = open().unwrap();
    drop((first, range));
    assert!(open().unwrap_err().is_locked(), "the old handles do not take the new lock with them");
    drop(second);
    let readers = [read().unwrap(), read().unwrap()];
    assert!(open().unwrap_err().is_locked());
    drop(readers);
    open().unwrap();
}

#[test]
fn a_newer_format_is_unsupported_and_left_alone() {
    let files = files();
    let mut refused = 0;
    for (path, bytes) in &files {
        if bytes.len() < base::header::HEADER_BYTES {
            continue;
        }
        let mut newer = bytes.clone();
        newer[10..12].copy_from_slice(&999_u16.to_le_bytes());
        let checksum = base::checksum::content_hash(&newer[..56]);
        newer[56..64].copy_from_slice(&checksum.to_le_bytes());
        let mut harmed = files.clone();
        harmed.insert(path.clone(), newer);
        // Tables and segments are opened at their first use.
        let outcome = refusal(&harmed).and_then(|db| {
            let read = db.iter()?.try_for_each(|item| item?.value().map(drop));
            read.map(|()| db)
        });
        match outcome {
            Ok(_) => assert!(path.ends_with("DISCARD"), "{} was read", path.display()),
            Err(error) => {
                let unsupported =
                    matches!(error.storage(), Some(base::Error::Unsupported { found: 999, .. }));
                assert!(unsupported && error.to_string().contains(&*path.to_string_lossy()), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 6, "MANIFEST, KEYREGISTRY, both logs, tables and segments: {refused}");
}

#[test]
fn a_directory_that_was_partly_deleted() {
    let files = files();
    for path in files.keys() {
        let mut harmed = files.clone();
        harmed.remove(path);
        match refusal(&harmed) {
            Ok(db) => {
                assert!(
                    path.ends_with("DISCARD") || path.ends_with("LOCK"),
                    "{} is not missed",
                    path.display()
                );
                assert_eq!(db.iter().unwrap().count(), 302);
            }
            Err(error) => {
                assert!(
                    error.is_corruption() || error.storage().is_some_and(base::Error::is_not_found),
                    "{error}"
                );
                assert!(error.to_string().contains(&*path.to_string_lossy()), "{}: {error}", path.display());
            }
        }
    }
}

#[test]
fn damage_of_any_file_is_an_error_or_harmless() {
    let files = files();
    let vfs = MemVfs::from_snapshot(files.clone());
    let read = |db: &Db| {
        db.iter()?.map(|item| item.and_then(|item| Ok((item.key().to_vec(), item.value()?)))).collect()
    };
    let expected: Result<Vec<_>, Error> = read(&on(&vfs).open("/db").unwrap());
    let expected = expected.unwrap();
    for (path, bytes) in &files {
        for at in (0..bytes.len()).step_by(bytes.len() / 12 + 1) {
            let mut harmed = files.clone();
            if let Some(byte) = harmed.get_mut(path).and_then(|bytes| bytes.get_mut(at)) {
                *byte ^= 0x10;
            }
            let outcome = refusal(&harmed).and_then(|db| read(&db));
            match outcome {
                // A torn tail of a log is no damage: the last commits may be gone, nothing else.
                Ok(seen) => assert!(
                    expected
                        .iter()
                        .filter(|item| !item.0.starts_with(b"in the"))
                        .all(|item| seen.contains(item)),
                    "{} at {at}",
                    path.display()
                ),
                Err(error) => assert!(error.storage().is_some(), "{} at {at}: {error}", path.display()),
            }
        }
    }
}

#[test]
fn a_directory_without_permission() {
    let vfs = FaultVfs::new(Arc::new(MemVfs::new()));
    vfs.inject(Fault::new(FaultKind::NoPermission).times(Times::Forever));
    let options = Options::tiny().with_vfs(Arc::new(vfs));
    for error in [options.clone().open("/db").unwrap_err(), options.open_read_only("/db").unwrap_err()] {
        let denied = matches!(error.storage(), Some(base::Error::Io { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied);
        assert!(denied && error.to_string().contains("/db"), "{error}");
    }
}

#[test]
fn everything_is_closed_after_close() {
    let db = Options::tiny().open_in_memory().unwrap();
    db.set("k", "v").unwrap();
    let other = db.clone();
    let read: ReadTxn = db.begin_read().unwrap();
    let mut write = db.begin_write().unwrap();
    write.set("a", "b").unwrap();
    let mut batch = db.write_batch();
    batch.set("a", "b").unwrap();
    let mut range = read.iter().unwrap();
    let item = db.item("k").unwrap().unwrap();
    other.close().unwrap();
    other.close().unwrap();
    db.close().unwrap();
    let closed = |error: Option<Error>| assert!(error.as_ref().is_some_and(Error::is_closed), "{error:?}");
    closed(db.get("k").err());
    closed(db.item("k").err());
    closed(db.contains_key("k").err());
    closed(db.set("k", "v").err());
    closed(db.delete("k").err());
    closed(db.iter().err());
    closed(db.begin_read().err());
    closed(db.begin_write().err());
    closed(db.view(|_| Ok(())).err());
    closed(db.update(|_| Ok(())).err());
    closed(db.sync().err());
    closed(db.flush().err());
    closed(db.compact().err());
    closed(db.verify().err());
    closed(db.step().err());
    closed(read.get("k").err());
    closed(read.iter().err());
    closed(range.next().and_then(Result::err));
    closed(write.get("k").err());
    closed(write.set("k", "v").err());
    closed(write.commit().err());
    closed(batch.set("k", "v").err());
    closed(batch.commit().err());
    closed(db.write_batch().commit().err());
    assert_eq!(item.value().unwrap(), "v", "an item owns what it needs");
}
