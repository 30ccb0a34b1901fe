//! Goal: a database that is open for reading shows everything, logs included, and not one byte of it is written.
//! Method: compare the whole file system before and after, over every kind of state that a directory can be left in.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base::vfs::MemVfs;
use kv::{Db, Options, TableAccess};

fn fill(db: &Db, from: u32, to: u32) {
    for number in from..to {
        db.set(number.to_be_bytes(), vec![number as u8; number as usize % 200]).unwrap();
    }
}

/// The files as they are left by a kill at three moments, and by a clean close.
fn states() -> Vec<(&'static str, BTreeMap<PathBuf, Vec<u8>>)> {
    let vfs = MemVfs::new();
    let db = Options::tiny().with_vfs(Arc::new(vfs.clone())).open("/db").unwrap();
    fill(&db, 0, 20);
    let in_logs = vfs.snapshot();
    fill(&db, 20, 300);
    db.flush().unwrap();
    fill(&db, 300, 400);
    let in_both = vfs.snapshot();
    db.compact().unwrap();
    let compacted = vfs.snapshot();
    db.close().unwrap();
    vec![("in logs", in_logs), ("in both", in_both), ("compacted", compacted), ("closed", vfs.snapshot())]
}

#[test]
fn reading_only_shows_everything_and_writes_nothing() {
    for (name, files) in states() {
        let counts = [Options::tiny(), Options::tiny()].map(|options| {
            let vfs = MemVfs::from_snapshot(files.clone());
            options.with_vfs(Arc::new(vfs)).open("/db").unwrap().iter().unwrap().count()
        });
        for access in [TableAccess::Mapped, TableAccess::Positional] {
            let vfs = MemVfs::from_snapshot(files.clone());
            let options = Options::new().access(access).with_vfs(Arc::new(vfs.clone()));
            let db = options.clone().open_read_only("/db").unwrap();
            let beside = options.clone().open_read_only("/db").unwrap();
            let mut seen = 0;
            for item in db.iter().unwrap() {
                let item = item.unwrap();
                let number = u32::from_be_bytes(item.key().try_into().unwrap());
                assert_eq!(item.value().unwrap(), vec![number as u8; number as usize % 200]);
                assert_eq!(beside.get(item.key()).unwrap(), Some(item.value().unwrap()));
                seen += 1;
            }
            assert_eq!(seen, counts[0], "{name}");
            assert!(options.clone().open("/db").unwrap_err().is_locked(), "{name}");
            assert!(db.verify().unwrap().is_clean(), "{name}");
            assert_eq!(db.view(|txn| Ok(txn.scan().reverse().iter()?.count())).unwrap(), seen);
            db.close().unwrap();
            drop(beside);
            assert_eq!(vfs.snapshot(), files, "{name}");
            options.open("/db").unwrap();
        }
    }
}

#[test]
fn after_close_it_is_closed() {
    let (_, files) = states().pop().unwrap();
    let vfs = Arc::new(MemVfs::from_snapshot(files));
    let db = Options::new().with_vfs(vfs).open_read_only("/db").unwrap();
    let (txn, mut range) = (db.begin_read().unwrap(), db.iter().unwrap());
    db.close().unwrap();
    db.close().unwrap();
    assert!(db.get("a").unwrap_err().is_closed());
    assert!(txn.get("a").unwrap_err().is_closed());
    assert!(range.next().unwrap().unwrap_err().is_closed());
    assert!(range.next().is_none(), "it ends after its first error");
}
