//! Goal: a file that a newer release wrote is never touched, and never taken for damage. Method: each file of a killed
//! database in turn says that it is of the next format version. What opening must read refuses it, with nothing changed; a
//! table or a segment fails its reads, is reported by `verify`, and does not keep background work from ending.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::ManualClock;
use base::header::{FileHeader, FileKind, HEADER_BYTES};
use base::vfs::{MemVfs, Vfs};
use base::{Error, Retention, UnixSeconds};
use common::Harness;
use engine::{Durability, Options, Step};

fn kind_of(path: &Path) -> Option<FileKind> {
    let name = path.file_name()?.to_str()?;
    Some(match name.rsplit('.').next()? {
        "MANIFEST" => FileKind::Manifest,
        "KEYREGISTRY" => FileKind::Keyring,
        "DISCARD" => FileKind::Discard,
        "wal" => FileKind::Wal,
        "vlog" => FileKind::ValueLog,
        "sst" => FileKind::Table,
        _ => return None,
    })
}

/// A database with tables, a segment, and commits in its logs; the segment's path.
fn sample() -> (MemVfs, PathBuf) {
    let disk = MemVfs::new();
    let harness = Harness::over(Arc::new(disk.clone()), Options::tiny());
    for number in 0..30u8 {
        harness.commit(&[(&[b'k', number], Some(&[number; 200]))], Durability::Sync);
    }
    harness.flush();
    harness.settle();
    let segment = harness.engine.stats().segments[0].number;
    harness.set(b"small", b"value");
    harness.set(b"large", &[1; 200]);
    let path = Path::new(common::DIRECTORY).join(format!("{segment:06}.vlog"));
    (MemVfs::from_snapshot(disk.snapshot()), path)
}

fn is_unsupported(error: &Error, path: &Path) -> bool {
    matches!(error, Error::Unsupported { file, .. } if file == path)
}

#[test]
fn a_newer_format_is_refused_or_left_alone() {
    let (disk, segment) = sample();
    let mut opened = 0;
    for (path, content) in disk.snapshot() {
        let Some(kind) = kind_of(&path) else { continue };
        let header = FileHeader::decode(&content, &path, kind, u16::MAX).unwrap();
        let newer = FileHeader { format_version: header.format_version + 1, ..header };
        let mut files = disk.snapshot();
        files.insert(path.clone(), [&newer.encode(), &content[HEADER_BYTES..]].concat());
        let disk = MemVfs::from_snapshot(files.clone());
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let clock = Arc::new(ManualClock::new(UnixSeconds(1_000)));
        let engine = match common::open(&vfs, &clock, &Options::tiny()) {
            Ok(engine) => engine,
            Err(error) => {
                assert!(is_unsupported(&error, &path), "{}: {error}", path.display());
                assert_eq!(disk.snapshot(), files, "{}", path.display());
                continue;
            }
        };
        opened += 1;
        assert!(kind == FileKind::Table || path == segment, "{} is read at open", path.display());
        engine.request_compaction().unwrap();
        let retention = || Retention::new(engine.visible().load(), [], UnixSeconds(1_000));
        let idle = (0..1_000).any(|_| matches!(engine.step(&retention), Ok(Step::Idle)));
        assert!(idle, "{}: background work ends", path.display());
        let verified = engine.verify(&mut |_, _| {}).unwrap();
        assert!(
            verified.findings.iter().any(|error| is_unsupported(error, &path)),
            "{:?}",
            verified.findings
        );
        assert_eq!(disk.snapshot()[&path], files[&path]);
    }
    assert!(opened >= 2, "tables and a segment were there");
}
