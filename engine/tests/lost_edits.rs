//! Goal: a MANIFEST that has lost its last edits, or is an older copy of itself, is refused with an error and nothing is
//! touched, whenever what it does not list any more holds commits; and no directory that a crash leaves is refused for it.
//! Method: every manifest that a small run ever had, and every one of its prefixes, is put under the directory that each
//! later moment left; what opens must hold everything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::ManualClock;
use base::vfs::{MemVfs, Vfs};
use base::{Error, UnixSeconds};
use common::{DIRECTORY, Harness};
use engine::{Durability, Options};

type Files = BTreeMap<PathBuf, Vec<u8>>;
type Content = Vec<(Vec<u8>, Vec<u8>)>;

fn manifest_path() -> PathBuf {
    Path::new(DIRECTORY).join("MANIFEST")
}

/// Opens `files`; what it holds.
fn open(files: Files) -> Result<Content, Error> {
    let disk = MemVfs::from_snapshot(files.clone());
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
    let options = Options::tiny();
    match common::open(&vfs, &clock, &options) {
        Ok(engine) => {
            let harness = Harness { vfs, clock, engine, options, held: Default::default() };
            Ok(harness.dump())
        }
        Err(error) => {
            assert_eq!(disk.snapshot(), files, "a refusal changes nothing: {error}");
            Err(error)
        }
    }
}

/// A run of two lives; the directory and the content at each moment.
fn moments(dies_between: bool) -> Vec<(Files, Content)> {
    let disk = MemVfs::new();
    let mut harness = Harness::over(Arc::new(disk.clone()), Options::tiny());
    let mut moments = Vec::new();
    for life in 0..3 {
        for number in 0..40u32 {
            let key = format!("key{:02}", (life * 17 + number) % 29);
            let len = if number % 2 == 0 { 180 } else { 40 };
            harness.commit(&[(key.as_bytes(), Some(&vec![number as u8; len]))], Durability::Sync);
            if number % 10 == 9 {
                harness.settle();
            }
            if number % 4 == 3 {
                moments.push((disk.snapshot(), harness.dump()));
            }
        }
        harness = if dies_between { harness.reopen() } else { harness.close_and_reopen() };
        moments.push((disk.snapshot(), harness.dump()));
    }
    moments
}

#[test]
fn a_manifest_that_lost_edits_never_loses_commits() {
    let (mut refused, mut harmless) = (0, 0);
    for dies_between in [false, true] {
        let moments = moments(dies_between);
        for (at, (files, content)) in moments.iter().enumerate() {
            assert_eq!(&open(files.clone()).unwrap(), content, "moment {at} as it was");
            for (older, (earlier, _)) in moments[..at].iter().enumerate() {
                let mut files = files.clone();
                files.insert(manifest_path(), earlier[&manifest_path()].clone());
                match open(files) {
                    Ok(found) => {
                        assert_eq!(&found, content, "moment {at} with the manifest of moment {older}");
                        harmless += 1;
                    }
                    Err(error) => {
                        assert!(error.is_corruption(), "{error}");
                        refused += 1;
                    }
                }
            }
            let manifest = &files[&manifest_path()];
            for len in (0..manifest.len()).step_by(16) {
                let mut files = files.clone();
                files.insert(manifest_path(), manifest[..len].to_vec());
                match open(files) {
                    Ok(found) => assert_eq!(&found, content, "moment {at}, the manifest cut to {len} bytes"),
                    Err(error) => assert!(error.is_corruption(), "{error}"),
                }
            }
        }
    }
    assert!(refused > 500 && harmless > 0, "{refused} refused, {harmless} harmless");
}

#[test]
fn a_foreign_file_with_a_high_number_is_no_evidence() {
    let disk = MemVfs::new();
    let harness = Harness::over(Arc::new(disk.clone()), Options::tiny());
    harness.set(b"key", b"value");
    harness.close();
    drop(harness);
    let mut files = disk.snapshot();
    for name in ["000777.sst", "000778.wal"] {
        files.insert(Path::new(DIRECTORY).join(name), b"anything".to_vec());
    }
    assert_eq!(open(files).unwrap(), [(b"key".to_vec(), b"value".to_vec())]);
}
