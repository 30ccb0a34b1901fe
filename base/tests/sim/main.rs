//! Goal: the images of `SimVfs` are the disks that a power cut could have left, all of them where there are few, and no
//! others. Method: small scripts whose outcomes are known by hand, and random scripts against plain models.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod random;
mod scripts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::vfs::{CrashProfile, File, Image, ImageBudget, SimVfs, Vfs};

const ROOT: &str = ".";
const SECTOR: usize = 512;
const BOTH: [CrashProfile; 2] = [CrashProfile::Strict, CrashProfile::Ext4Like];

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn create(vfs: &SimVfs, name: &str, data: &[u8]) -> Arc<dyn File> {
    let file = vfs.create(Path::new(name)).unwrap();
    file.write_all_at(0, data).unwrap();
    file
}

fn durable(vfs: &SimVfs, name: &str, data: &[u8]) -> Arc<dyn File> {
    let file = create(vfs, name, data);
    file.sync().unwrap();
    vfs.sync_dir(Path::new(ROOT)).unwrap();
    file
}

fn files(image: Image) -> Files {
    image.into_mem().snapshot()
}

/// All different images of the last moment.
fn images_of(vfs: &SimVfs, profile: CrashProfile) -> BTreeSet<Files> {
    let recording = vfs.recording();
    recording.images(recording.len(), profile, &ImageBudget::default()).map(files).collect()
}

/// The contents that a file has in the images; `None` where it is missing.
fn contents_of(vfs: &SimVfs, profile: CrashProfile, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    images_of(vfs, profile).into_iter().map(|mut files| files.remove(Path::new(name))).collect()
}

/// Which of the names there are in each image.
fn names_of(vfs: &SimVfs, profile: CrashProfile) -> BTreeSet<String> {
    let names = |files: Files| {
        let names: Vec<String> = files.keys().map(|path| path.to_string_lossy().into_owned()).collect();
        names.join(" ")
    };
    images_of(vfs, profile).into_iter().map(names).collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn filled(byte: u8, len: usize) -> Vec<u8> {
    vec![byte; len]
}
