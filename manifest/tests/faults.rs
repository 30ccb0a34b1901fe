//! Goal: whatever operation fails, and wherever the process dies, the manifest on disk is the state with or without the
//! edit in flight; a full disk is survived, any other failure stops the writer. Method: fail the k-th operation, for
//! every k and every kind of fault, of a run that appends and rewrites; then read what is there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod generator;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::Error;
use base::header::DatabaseId;
use base::vfs::{Fault, FaultKind, FaultVfs, MemVfs, Operation, Operations, Times, Vfs};
use generator::Generator;
use manifest::{CommitError, Edit, FILE_NAME, Manifest, State};

const EDITS: usize = 12;

struct Run {
    mem: MemVfs,
    fault: FaultVfs,
    manifest: Manifest,
    generator: Generator,
}

fn directory() -> &'static Path {
    Path::new("db")
}

impl Run {
    fn new() -> Self {
        let mem = MemVfs::new();
        mem.create_dir_all(directory()).unwrap();
        let fault = FaultVfs::new(Arc::new(mem.clone()));
        let vfs: Arc<dyn Vfs> = Arc::new(fault.clone());
        let manifest = Manifest::create(vfs, directory(), DatabaseId([1; 16])).unwrap();
        let mut run = Self { mem, fault, manifest, generator: Generator::new(11) };
        // Let something be there, then rewrite as often as possible.
        for _ in 0..20 {
            let _refused = run.commit();
        }
        run.manifest = run.manifest.with_rewrite_bytes_min(0);
        run
    }

    fn commit(&mut self) -> (State, Result<(), CommitError>) {
        let mut after = self.manifest.state().clone();
        let edit = loop {
            let edit = self.generator.edit(self.manifest.state());
            if after.apply(&edit).is_ok() {
                break edit;
            }
        };
        (after, self.manifest.commit(edit))
    }

    fn on_disk(&self) -> State {
        manifest::read(&self.mem, directory()).unwrap()
    }

    fn manifest_bytes(&self) -> Vec<u8> {
        self.mem.snapshot()[&directory().join(FILE_NAME)].clone()
    }
}

#[test]
fn any_failing_operation_leaves_the_state_with_or_without_the_edit() {
    let mut halts = 0;
    let mut survived = 0;
    for kind in [
        FaultKind::Io,
        FaultKind::NoSpace,
        FaultKind::ShortWrite,
        FaultKind::TornNoSpace,
        FaultKind::SyncLost,
        FaultKind::TooManyFiles,
        FaultKind::NoPermission,
    ] {
        for nth in 1.. {
            let mut run = Run::new();
            run.fault.inject(Fault::new(kind).nth(nth).on(Operations::CHANGES));
            for _ in 0..EDITS {
                let before = run.manifest.state().clone();
                let (after, result) = run.commit();
                let disk = run.on_disk();
                match result {
                    Ok(()) => assert_eq!((run.manifest.state(), &disk), (&after, &after), "{kind:?} {nth}"),
                    Err(CommitError::Storage(Error::NoSpace { .. })) => {
                        assert!(!run.manifest.is_halted(), "{kind:?} {nth}");
                        assert_eq!((run.manifest.state(), &disk), (&before, &before), "{kind:?} {nth}");
                    }
                    Err(_) => {
                        assert!(run.manifest.is_halted(), "{kind:?} {nth}");
                        assert!(disk == before || disk == after, "{kind:?} {nth}");
                        assert_eq!(run.manifest.state(), &before, "{kind:?} {nth}");
                        break;
                    }
                }
            }
            if run.manifest.is_halted() {
                halts += 1;
                let bytes = run.manifest_bytes();
                let (_, again) = run.commit();
                let is_refused = matches!(again, Err(CommitError::Storage(Error::Halted { .. })));
                assert!(is_refused, "{kind:?} {nth}: {again:?}");
                assert_eq!(run.manifest_bytes(), bytes);
            } else {
                survived += 1;
            }
            if run.fault.fired() == 0 {
                break;
            }
        }
    }
    assert!(halts > 20 && survived > 10, "{halts} {survived}");
}

/// A panic leaves the edit in flight as much in doubt as a failed write does: a later edit behind it, under the same number, would
/// make the whole manifest unreadable.
#[test]
fn a_panic_in_the_middle_of_an_edit_ends_writing() {
    let mut panics = 0;
    for nth in 1.. {
        let mut run = Run::new();
        run.fault.inject(Fault::new(FaultKind::Panic).nth(nth).on(Operations::CHANGES));
        for _ in 0..EDITS {
            let before = run.manifest.state().clone();
            let edit = Edit { last_version: Some(before.last_version().0 + 1), ..Edit::default() };
            let mut after = before.clone();
            after.apply(&edit).unwrap();
            if catch_unwind(AssertUnwindSafe(|| run.manifest.commit(edit))).is_err() {
                assert!(run.manifest.is_halted(), "{nth}");
                let found = run.on_disk();
                assert!(found == before || found == after, "{nth}");
                let (_, again) = run.commit();
                assert!(matches!(again, Err(CommitError::Storage(Error::Halted { .. }))), "{nth}: {again:?}");
                assert_eq!(run.on_disk(), found, "{nth}");
            }
        }
        if run.fault.fired() == 0 {
            break;
        }
        panics += 1;
    }
    assert!(panics > 10, "{panics}");
}

/// No rewrite is possible, yet edits go on; and the rewrite is made up for later.
#[test]
fn a_rewrite_without_space_falls_back_to_appending() {
    for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename] {
        let mut run = Run::new();
        let fault = Fault::new(FaultKind::NoSpace).on(operation).times(Times::Forever);
        // A rename is known by its new name, and nothing else is renamed here.
        run.fault.inject(if operation == Operation::Rename { fault } else { fault.path_ends_with(".tmp") });
        commit_until(&mut run, |run| run.fault.fired() == 2);
        let grown = run.manifest.byte_len();
        run.fault.clear();
        commit_until(&mut run, |run| run.manifest.byte_len() < grown);
        assert_eq!(run.mem.snapshot().len(), 1);
    }
}

fn commit_until(run: &mut Run, is_done: impl Fn(&Run) -> bool) {
    for _ in 0..1000 {
        if is_done(run) {
            return;
        }
        let (after, result) = run.commit();
        result.unwrap();
        assert_eq!(run.on_disk(), after);
    }
    panic!("no rewrite within 1000 edits");
}

/// The disk fills up; edits are refused one by one without harm, and go on when there is room again.
#[test]
fn a_full_disk_is_survived() {
    let mut run = Run::new();
    run.fault.limit_bytes(Some(run.fault.used_bytes()));
    // Until the last block of the file is full.
    let mut refused = run.commit().1;
    while refused.is_ok() {
        refused = run.commit().1;
    }
    let state = run.manifest.state().clone();
    for _ in 0..5 {
        let (_, result) = run.commit();
        assert!(matches!(result, Err(CommitError::Storage(Error::NoSpace { .. }))), "{result:?}");
        assert_eq!(run.manifest.state(), &state);
        assert_eq!(run.on_disk(), state);
    }
    run.fault.limit_bytes(None);
    let (after, result) = run.commit();
    result.unwrap();
    assert_eq!(run.on_disk(), after);
}

/// The process dies at every operation of an open and of edits that rewrite; each time the next open finds the state
/// before or after, whatever lies around.
#[test]
fn death_at_any_operation_leaves_an_openable_manifest() {
    let mut deaths = 0;
    for nth in 1.. {
        let mut run = Run::new();
        let old = run.on_disk();
        run.fault.inject(Fault::new(FaultKind::Io).nth(nth).times(Times::Forever));
        let vfs: Arc<dyn Vfs> = Arc::new(run.fault.clone());
        let mut possible = vec![old.clone()];
        if let Ok(manifest) = Manifest::reopen(vfs, directory(), old.clone()) {
            run.manifest = manifest.with_rewrite_bytes_min(0);
            for _ in 0..EDITS {
                let (after, result) = run.commit();
                possible = vec![run.manifest.state().clone(), after];
                if result.is_err() {
                    break;
                }
            }
        }
        let has_died = run.fault.fired() > 0;
        let image = MemVfs::from_snapshot(run.mem.snapshot());
        let found = manifest::read(&image, directory()).unwrap();
        // Reopening gives a new number to the same state.
        let is_reopened = found.tables().eq(old.tables()) && found.edit_number() == old.edit_number() + 2;
        assert!(possible.contains(&found) || is_reopened, "death at {nth}");
        let reopened = Manifest::reopen(Arc::new(image.clone()), directory(), found.clone()).unwrap();
        assert!(reopened.state().tables().eq(found.tables()));
        assert_eq!(&manifest::read(&image, directory()).unwrap(), reopened.state());
        assert_eq!(image.snapshot().len(), 1, "the temporary file is gone");
        if !has_died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 30, "{deaths}");
}

/// A crash between writing the temporary file and renaming it leaves both; reading looks at the old one only.
#[test]
fn a_left_over_temporary_file_is_ignored_and_replaced() {
    let run = Run::new();
    let state = run.on_disk();
    let temporary = PathBuf::from("db/MANIFEST.tmp");
    for content in [Vec::new(), b"half of a snapshot".to_vec(), run.manifest_bytes()] {
        let mut files = run.mem.snapshot();
        files.insert(temporary.clone(), content);
        let image = MemVfs::from_snapshot(files.clone());
        assert_eq!(manifest::read(&image, directory()).unwrap(), state);
        assert_eq!(image.snapshot(), files, "reading writes nothing");
        let mut manifest = Manifest::reopen(Arc::new(image.clone()), directory(), state.clone()).unwrap();
        manifest.commit(Edit::default()).unwrap();
        assert!(!image.snapshot().contains_key(&temporary));
        assert_eq!(&manifest::read(&image, directory()).unwrap(), manifest.state());
    }
}

/// A read that fails is an error of the system, not the end of the log.
#[test]
fn failing_reads_are_reported() {
    let run = Run::new();
    for nth in 1.. {
        let fault = FaultVfs::new(Arc::new(run.mem.clone()));
        fault.inject(Fault::new(FaultKind::Io).nth(nth));
        match manifest::read(&fault, directory()) {
            Err(error) => assert!(matches!(error, Error::Io { .. }), "operation {nth}: {error}"),
            Ok(state) => {
                assert_eq!(fault.fired(), 0, "operation {nth} failed unnoticed");
                assert_eq!(&state, run.manifest.state());
                break;
            }
        }
    }
}
