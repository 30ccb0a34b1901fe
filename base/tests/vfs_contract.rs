//! Goal: all file systems behave alike, so that what is tested in memory holds on a disk. Method: one set of checks,
//! run over every implementation of `Vfs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::Error;
use base::vfs::{
    Access, FaultVfs, File, LockKind, MemVfs, OsVfs, SimVfs, Vfs, parent, temporary_name, write_atomically,
};

/// A file system with a directory of its own.
struct Disk {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    _cleanup: Option<tempfile::TempDir>,
}

impl Disk {
    fn on(vfs: impl Vfs + 'static) -> Self {
        let root = PathBuf::from("/disk");
        vfs.create_dir_all(&root).unwrap();
        Self { vfs: Arc::new(vfs), root, _cleanup: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn create(&self, name: &str, data: &[u8]) -> Arc<dyn File> {
        let file = self.vfs.create(&self.path(name)).unwrap();
        file.write_all_at(0, data).unwrap();
        file
    }

    fn read(&self, name: &str) -> Vec<u8> {
        content(self.vfs.open(&self.path(name), Access::Read).unwrap().as_ref())
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.vfs.list(&self.root).unwrap();
        names.sort();
        names
    }
}

fn os() -> Disk {
    let cleanup = tempfile::tempdir().unwrap();
    Disk { vfs: Arc::new(OsVfs), root: cleanup.path().to_path_buf(), _cleanup: Some(cleanup) }
}

fn mem() -> Disk {
    Disk::on(MemVfs::new())
}

fn fault() -> Disk {
    Disk::on(FaultVfs::new(Arc::new(MemVfs::new())))
}

fn fault_os() -> Disk {
    let Disk { vfs, root, _cleanup } = os();
    Disk { vfs: Arc::new(FaultVfs::new(vfs)), root, _cleanup }
}

fn sim() -> Disk {
    Disk::on(SimVfs::new())
}

fn content(file: &dyn File) -> Vec<u8> {
    let mut data = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(0, &mut data).unwrap();
    data
}

/// One test a check and file system.
macro_rules! contract {
    ($($check:ident)*) => {
        $(mod $check {
            #[test] fn on_os() { super::check::$check(&super::os()); }
            #[test] fn on_mem() { super::check::$check(&super::mem()); }
            #[test] fn on_fault() { super::check::$check(&super::fault()); }
            #[test] fn on_fault_over_os() { super::check::$check(&super::fault_os()); }
            #[test] fn on_sim() { super::check::$check(&super::sim()); }
        })*
    };
}

contract! {
    create_is_exclusive
    a_missing_file_is_not_found
    reads_and_writes_are_positional
    reading_beyond_the_end_is_short
    set_len_cuts_and_extends_with_zeros
    allocate_extends_and_never_cuts
    a_reader_cannot_write
    impossible_positions_are_refused
    rename_replaces
    remove_keeps_open_handles
    map_outlives_removal
    map_outlives_replacement
    to_read_ahead_changes_nothing
    list_has_files_and_directories_of_one_level
    directories_are_created_with_their_parents
    locks_exclude_each_other
    a_shared_lock_needs_the_file
    random_bytes_differ
    write_atomically_creates_and_replaces
    write_atomically_survives_a_left_over
    a_failed_write_atomically_leaves_no_temporary
}

mod check {
    use super::*;

    pub(super) fn create_is_exclusive(disk: &Disk) {
        disk.create("a", b"first");
        assert!(disk.vfs.create(&disk.path("a")).is_err());
        assert!(disk.vfs.create(&disk.root).is_err(), "a directory bears the name");
        assert!(disk.vfs.create(&disk.path("missing/a")).unwrap_err().is_not_found());
        assert_eq!(disk.read("a"), b"first");
    }

    pub(super) fn a_missing_file_is_not_found(disk: &Disk) {
        let missing = disk.path("missing");
        for access in [Access::Read, Access::ReadWrite] {
            assert!(disk.vfs.open(&missing, access).unwrap_err().is_not_found());
        }
        assert!(disk.vfs.remove(&missing).unwrap_err().is_not_found());
        assert!(disk.vfs.rename(&missing, &disk.path("a")).unwrap_err().is_not_found());
        assert!(disk.vfs.list(&missing).unwrap_err().is_not_found());
        assert!(disk.vfs.sync_dir(&missing).is_err());
        assert!(!disk.vfs.exists(&missing).unwrap());
        assert!(disk.names().is_empty(), "nothing came into being");
    }

    pub(super) fn reads_and_writes_are_positional(disk: &Disk) {
        let file = disk.create("a", b"hello world");
        assert_eq!(file.path(), disk.path("a"));
        file.write_all_at(6, b"there").unwrap();
        file.write_all_at(2000, b"end").unwrap();
        file.write_all_at(5000, b"").unwrap();
        file.sync().unwrap();
        let mut expected = vec![0; 2003];
        expected[..11].copy_from_slice(b"hello there");
        expected[2000..].copy_from_slice(b"end");
        assert_eq!(disk.read("a"), expected, "a hole reads as zeros, an empty write extends nothing");
        assert_eq!(file.len().unwrap(), 2003);
        assert!(!file.is_empty().unwrap());
        let other = disk.vfs.open(&disk.path("a"), Access::ReadWrite).unwrap();
        other.write_all_at(0, b"J").unwrap();
        assert_eq!(&content(file.as_ref())[..5], b"Jello", "handles see each other's writes");
    }

    pub(super) fn reading_beyond_the_end_is_short(disk: &Disk) {
        let file = disk.create("a", b"abc");
        let mut out = [b'-'; 5];
        assert_eq!(file.read_at(1, &mut out).unwrap(), 2);
        assert_eq!(&out, b"bc---");
        for offset in [3, 4, 1 << 40, i64::MAX as u64, u64::MAX] {
            assert_eq!(file.read_at(offset, &mut out).unwrap(), 0, "at {offset}");
        }
        let end = file.read_exact_at(1, &mut out).unwrap_err();
        assert!(matches!(end, Error::Corruption { offset: 1, .. }), "{end}");
    }

    pub(super) fn set_len_cuts_and_extends_with_zeros(disk: &Disk) {
        let file = disk.create("a", &[7; 1500]);
        file.set_len(700).unwrap();
        file.set_len(1200).unwrap();
        let mut expected = vec![7; 700];
        expected.resize(1200, 0);
        assert_eq!(disk.read("a"), expected, "what was cut does not come back");
        file.set_len(0).unwrap();
        assert!(file.is_empty().unwrap());
    }

    pub(super) fn allocate_extends_and_never_cuts(disk: &Disk) {
        let file = disk.create("a", b"abc");
        file.allocate(0).unwrap();
        file.allocate(2).unwrap();
        assert_eq!(file.len().unwrap(), 3);
        file.allocate(1000).unwrap();
        let mut expected = b"abc".to_vec();
        expected.resize(1000, 0);
        assert_eq!(disk.read("a"), expected);
    }

    pub(super) fn a_reader_cannot_write(disk: &Disk) {
        disk.create("a", b"abc");
        let file = disk.vfs.open(&disk.path("a"), Access::Read).unwrap();
        assert!(file.write_all_at(0, b"x").is_err());
        assert!(file.set_len(0).is_err());
        assert!(file.allocate(10).is_err());
        assert_eq!(disk.read("a"), b"abc");
    }

    pub(super) fn impossible_positions_are_refused(disk: &Disk) {
        let file = disk.create("a", b"abc");
        for offset in [i64::MAX as u64, u64::MAX - 1, u64::MAX] {
            assert!(file.write_all_at(offset, b"xyz").is_err(), "write at {offset}");
        }
        for len in [1 << 63, u64::MAX] {
            assert!(file.set_len(len).is_err(), "length {len}");
            assert!(file.allocate(len).is_err(), "allocate {len}");
        }
        assert_eq!(disk.read("a"), b"abc");
    }

    pub(super) fn rename_replaces(disk: &Disk) {
        let file = disk.create("a", b"new");
        let replaced = disk.create("b", b"old");
        disk.vfs.rename(&disk.path("a"), &disk.path("b")).unwrap();
        assert_eq!(disk.names(), ["b"]);
        assert_eq!(disk.read("b"), b"new");
        assert_eq!(content(replaced.as_ref()), b"old", "an open handle keeps its file");
        file.write_all_at(3, b"er").unwrap();
        assert_eq!(disk.read("b"), b"newer");
        disk.vfs.rename(&disk.path("b"), &disk.path("b")).unwrap();
        assert_eq!(disk.read("b"), b"newer");
        disk.vfs.create_dir_all(&disk.path("directory")).unwrap();
        assert!(disk.vfs.rename(&disk.path("b"), &disk.path("directory")).is_err());
        assert!(disk.vfs.rename(&disk.path("b"), &disk.path("missing/b")).unwrap_err().is_not_found());
        disk.vfs.rename(&disk.path("b"), &disk.path("directory/c")).unwrap();
        assert_eq!(disk.read("directory/c"), b"newer");
    }

    pub(super) fn remove_keeps_open_handles(disk: &Disk) {
        let file = disk.create("a", b"abc");
        disk.vfs.remove(&disk.path("a")).unwrap();
        assert!(!disk.vfs.exists(&disk.path("a")).unwrap());
        file.write_all_at(3, b"d").unwrap();
        file.sync().unwrap();
        assert_eq!(content(file.as_ref()), b"abcd");
        disk.create("a", b"another");
        assert_eq!(content(file.as_ref()), b"abcd");
        assert_eq!(disk.read("a"), b"another");
    }

    pub(super) fn to_read_ahead_changes_nothing(disk: &Disk) {
        let data: Vec<u8> = (0..50_000_u32).map(|at| at as u8).collect();
        let file = disk.create("a", &data);
        let map = file.map().unwrap();
        for (offset, len) in
            [(0, 0), (0, 1), (4096, 8192), (49_999, 1 << 40), (1 << 40, 5), (u64::MAX, u64::MAX)]
        {
            file.read_ahead(offset, len);
        }
        assert_eq!(map, data);
        assert_eq!(disk.read("a"), data);
    }

    pub(super) fn map_outlives_removal(disk: &Disk) {
        let file = disk.create("a", &[9; 10_000]);
        let map = file.map().unwrap();
        let again = disk.vfs.open(&disk.path("a"), Access::Read).unwrap().map().unwrap();
        disk.vfs.remove(&disk.path("a")).unwrap();
        drop(file);
        disk.create("a", &[1; 10_000]);
        assert_eq!(map, vec![9; 10_000]);
        assert_eq!(again, map);
        let empty = disk.create("b", b"");
        assert!(empty.map().unwrap().is_empty());
    }

    pub(super) fn map_outlives_replacement(disk: &Disk) {
        write_atomically(disk.vfs.as_ref(), &disk.path("a"), b"old").unwrap();
        let map = disk.vfs.open(&disk.path("a"), Access::Read).unwrap().map().unwrap();
        write_atomically(disk.vfs.as_ref(), &disk.path("a"), b"new and longer").unwrap();
        assert_eq!(map, &b"old"[..]);
        assert_eq!(disk.read("a"), b"new and longer");
    }

    pub(super) fn list_has_files_and_directories_of_one_level(disk: &Disk) {
        disk.create("a", b"");
        disk.vfs.create_dir_all(&disk.path("b/c")).unwrap();
        disk.create("b/d", b"");
        assert_eq!(disk.names(), ["a", "b"]);
        let mut inside = disk.vfs.list(&disk.path("b")).unwrap();
        inside.sort();
        assert_eq!(inside, ["c", "d"]);
    }

    pub(super) fn directories_are_created_with_their_parents(disk: &Disk) {
        let deep = disk.path("x/y/z");
        for _twice in 0..2 {
            disk.vfs.create_dir_all(&deep).unwrap();
        }
        for directory in [disk.path("x"), disk.path("x/y"), deep.clone()] {
            assert!(disk.vfs.exists(&directory).unwrap());
            disk.vfs.sync_dir(&directory).unwrap();
        }
        disk.create("file", b"abc");
        assert!(disk.vfs.create_dir_all(&disk.path("file")).is_err());
        assert!(disk.vfs.create_dir_all(&disk.path("file/inside")).is_err());
        assert_eq!(disk.read("file"), b"abc");
    }

    pub(super) fn locks_exclude_each_other(disk: &Disk) {
        let path = disk.path("LOCK");
        let held = disk.vfs.lock(&path, LockKind::Exclusive).unwrap();
        assert!(disk.vfs.exists(&path).unwrap(), "an exclusive lock creates its file");
        for kind in [LockKind::Exclusive, LockKind::Shared] {
            let refused = disk.vfs.lock(&path, kind).unwrap_err();
            assert!(matches!(&refused, Error::Locked { path: locked } if *locked == path), "{refused}");
        }
        drop(held);
        let reader = disk.vfs.lock(&path, LockKind::Shared).unwrap();
        let another = disk.vfs.lock(&path, LockKind::Shared).unwrap();
        assert!(matches!(disk.vfs.lock(&path, LockKind::Exclusive), Err(Error::Locked { .. })));
        drop(reader);
        assert!(matches!(disk.vfs.lock(&path, LockKind::Exclusive), Err(Error::Locked { .. })));
        drop(another);
        let _held = disk.vfs.lock(&path, LockKind::Exclusive).unwrap();
        let _elsewhere = disk.vfs.lock(&disk.path("LOCK2"), LockKind::Exclusive).unwrap();
    }

    pub(super) fn a_shared_lock_needs_the_file(disk: &Disk) {
        let path = disk.path("LOCK");
        assert!(disk.vfs.lock(&path, LockKind::Shared).unwrap_err().is_not_found());
        assert!(!disk.vfs.exists(&path).unwrap(), "a reader creates nothing");
    }

    pub(super) fn random_bytes_differ(disk: &Disk) {
        let (mut first, mut second) = ([0; 13], [0; 13]);
        disk.vfs.fill_random(&mut first).unwrap();
        disk.vfs.fill_random(&mut second).unwrap();
        assert_ne!(first, second);
        assert_ne!(first[8..], [0; 5], "filled to the end");
    }

    pub(super) fn write_atomically_creates_and_replaces(disk: &Disk) {
        let path = disk.path("a");
        for data in [&b"first"[..], b"", b"third, and longer"] {
            write_atomically(disk.vfs.as_ref(), &path, data).unwrap();
            assert_eq!(disk.read("a"), data);
            assert_eq!(disk.names(), ["a"]);
        }
    }

    pub(super) fn write_atomically_survives_a_left_over(disk: &Disk) {
        let path = disk.path("a");
        disk.create("a", b"old");
        disk.create("a.tmp", b"a left-over that is longer than what replaces it");
        assert_eq!(temporary_name(&path), disk.path("a.tmp"));
        write_atomically(disk.vfs.as_ref(), &path, b"new").unwrap();
        assert_eq!(disk.read("a"), b"new");
        assert_eq!(disk.names(), ["a"]);
    }

    pub(super) fn a_failed_write_atomically_leaves_no_temporary(disk: &Disk) {
        disk.vfs.create_dir_all(&disk.path("a")).unwrap();
        assert!(write_atomically(disk.vfs.as_ref(), &disk.path("a"), b"new").is_err());
        assert_eq!(disk.names(), ["a"]);
    }
}

#[test]
fn a_bare_name_is_in_the_current_directory() {
    assert_eq!(parent(Path::new("a")), Path::new("."));
    let vfs = MemVfs::new();
    write_atomically(&vfs, Path::new("a"), b"data").unwrap();
    assert_eq!(vfs.list(Path::new(".")).unwrap(), ["a"]);
}

#[cfg(unix)]
#[test]
fn files_and_directories_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let disk = os();
    disk.create("a", b"");
    disk.vfs.create_dir_all(&disk.path("x/y")).unwrap();
    let _lock = disk.vfs.lock(&disk.path("LOCK"), LockKind::Exclusive).unwrap();
    write_atomically(disk.vfs.as_ref(), &disk.path("b"), b"").unwrap();
    for (name, mode) in [("a", 0o600), ("b", 0o600), ("LOCK", 0o600), ("x", 0o700), ("x/y", 0o700)] {
        let permissions = disk.path(name).metadata().unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{name}");
    }
}
