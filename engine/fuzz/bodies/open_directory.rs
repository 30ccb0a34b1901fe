//! Goal: whatever happened to the files of a database, opening, reading, checking and writing it end without a panic. With
//! checksums on, what is shown is what a prefix of the commits left, or an error; an open that refuses has touched nothing;
//! and what is committed afterwards is there after the next open.
//! Method: the input is a list of harms to a small valid directory; the harmed directory is opened for reading or for
//! writing, dumped from both ends, verified, and in the latter case written to and opened again.

use std::path::Path;
use std::sync::Arc;

use base::Result;
use base::vfs::{MemVfs, Vfs};
use engine::{Durability, Engine, Options, ScanOptions};
use sstable::TableAccess;

use super::edits;
use super::template::{Content, DIRECTORY, Files, NOW, TEMPLATE, commit, environment, step};
use crate::shared::{Body, InputReader, Memory, Mode, Steps};

pub const BODY: Body = Body { name: "open_directory", run, seeds, memory: MEMORY };

/// The directory itself, some copies of it, memtables, and what tables hold in memory.
const MEMORY: Memory = Memory { fixed_bytes: 16 << 20, ..Memory::PLAIN };

/// There are fewer entries in the directory, also where each block is listed several times.
const ENTRIES_MAX: usize = 100_000;
const STEPS_MAX: usize = 300;

fn run(input: &[u8], mode: Mode) {
    let mut reader = InputReader::new(input);
    let how = reader.u8();
    let access = if how & 1 == 0 { TableAccess::Mapped } else { TableAccess::Positional };
    let options = Options { access, ..Options::tiny() };
    let mut files = TEMPLATE.files.clone();
    edits::apply(&mut reader, &mut files);
    if how & 2 == 0 {
        read_only(&files, &options, mode);
    } else {
        read_and_write(&files, &options, mode);
    }
}

fn read_and_write(files: &Files, options: &Options, mode: Mode) {
    let memory = MemVfs::from_snapshot(files.clone());
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let engine = match open(&vfs, options) {
        Ok(engine) => engine,
        Err(error) => {
            if mode == Mode::Checked && error.is_corruption() {
                untouched(files, &memory);
            }
            return;
        }
    };
    dump_and_verify(&engine, mode);
    let written = write(&engine);
    drop(engine);
    match open(&vfs, options) {
        Ok(engine) => {
            if mode == Mode::Checked {
                written.iter().for_each(|key| expect_written(&engine, key));
            }
            let _either = dump(&engine, false);
        }
        Err(error) => assert!(mode == Mode::Unchecked || written.is_empty(), "not opened again: {error}"),
    }
}

fn open(vfs: &Arc<dyn Vfs>, options: &Options) -> Result<Engine> {
    Engine::open(Path::new(DIRECTORY), options.clone(), environment(vfs))
}

fn read_only(files: &Files, options: &Options, mode: Mode) {
    let memory = MemVfs::from_snapshot(files.clone());
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let opened = Engine::open_read_only(Path::new(DIRECTORY), options.clone(), environment(&vfs));
    if let Ok(engine) = opened {
        dump_and_verify(&engine, mode);
    }
    assert_eq!(&memory.snapshot(), files, "reading only has changed something");
}

fn untouched(files: &Files, memory: &MemVfs) {
    let after = memory.snapshot();
    for (path, data) in files {
        assert_eq!(after.get(path), Some(data), "{} was touched by an open that refused", path.display());
    }
}

fn dump_and_verify(engine: &Engine, mode: Mode) {
    let forward = dump(engine, false);
    let backward = dump(engine, true);
    let verified = engine.verify(&mut |_, _| {});
    let is_sound = verified.is_ok_and(|verified| verified.is_clean());
    match (forward, backward) {
        (Ok(forward), Ok(backward)) => {
            if mode == Mode::Checked {
                assert!(TEMPLATE.states.contains(&forward), "no prefix of the commits holds this");
            }
            assert!(forward == backward || !is_sound && mode == Mode::Unchecked, "the ends differ");
        }
        (forward, backward) => {
            let why = [forward.err(), backward.err()];
            // Without checksums a value in a log that is not flushed may be anything: only tables are verified.
            assert!(!is_sound || mode == Mode::Unchecked, "verified, but not readable: {why:?}");
        }
    }
}

fn dump(engine: &Engine, backward: bool) -> Result<Content> {
    let mut steps = Steps::at_most(ENTRIES_MAX);
    let mut scan = engine.scan(ScanOptions::at(engine.visible().load(), NOW));
    let mut all = Content::new();
    while let Some(item) = if backward { scan.next_back()? } else { scan.next()? } {
        steps.take();
        let value = item.value()?.map_or_else(Vec::new, |value| value.to_vec());
        all.push((item.user_key().to_vec(), value));
    }
    if backward {
        all.reverse();
    }
    Ok(all)
}

/// Commits, with background work in between; the keys that were acknowledged.
fn write(engine: &Engine) -> Vec<Vec<u8>> {
    let mut written = Vec::new();
    for number in 0..12u8 {
        let key = [b"new", &[number][..]].concat();
        if commit(engine, &key, Some(&value_of(&key)), Durability::Sync).is_ok() {
            written.push(key);
        }
        let _either = step(engine);
    }
    let mut steps = Steps::at_most(STEPS_MAX);
    while step(engine).is_ok_and(|step| step != engine::Step::Idle) {
        steps.take();
    }
    written
}

fn value_of(key: &[u8]) -> Vec<u8> {
    key.repeat(if key.last().is_some_and(|number| number % 4 == 0) { 100 } else { 5 })
}

fn expect_written(engine: &Engine, key: &[u8]) {
    let found = engine.get(key, engine.visible().load()).unwrap().expect("an acknowledged key is there");
    assert_eq!(found.value(key).unwrap().unwrap(), value_of(key));
}

fn seeds() -> Vec<Vec<u8>> {
    let count = TEMPLATE.files.len() as u8;
    let mut seeds = vec![vec![0], vec![1]];
    // Each file is harmed once in the middle, and once at its end.
    for file in 0..count {
        seeds.push(vec![file, 9, file, file.wrapping_mul(41), 1, 3]);
        seeds.push(vec![file, 3, file, 90, file, 0, 5, file, 70, 0, 0xff]);
    }
    seeds.truncate(38);
    seeds
}
