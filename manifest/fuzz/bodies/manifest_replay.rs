//! Goal: whatever a manifest holds, replaying it ends, and a state that is accepted survives being written as a snapshot.
//! Method: replay the input; write the state to another directory as every open does, and read that.

use std::path::Path;
use std::sync::Arc;

use base::header::DatabaseId;
use base::record::Tail;
use base::vfs::{MemVfs, Vfs};
use manifest::{
    Edit, FILE_NAME, Generation, LogLength, MAX_LEVELS, Manifest, SegmentMeta, State, TableMeta, ValueUse,
};

use crate::shared::{Body, Memory, Mode};

pub const BODY: Body = Body { name: "manifest_replay", run, seeds, memory: MEMORY };

/// A list that announces more elements than there are is given up to 1 MiB before it fails; a list inside another, twice
/// that.
const MEMORY: Memory = Memory { fixed_bytes: 3 << 20, ..Memory::PLAIN };

const ID: DatabaseId = DatabaseId([2; 16]);

fn run(input: &[u8], _mode: Mode) {
    let Ok((state, tail)) = manifest::replay(input) else { return };
    let valid_len = match tail {
        Tail::Clean => input.len() as u64,
        Tail::Torn { valid_len } => valid_len,
    };
    assert!(valid_len <= input.len() as u64);
    accounts(&state);
    let (mem, directory) = (MemVfs::new(), Path::new("/db"));
    mem.create_dir_all(directory).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(mem.clone());
    // Refused only when there is no number left for another edit.
    let Ok(reopened) = Manifest::reopen(vfs, directory, state.clone()) else {
        assert!(state.edit_number() >= u64::MAX - 2);
        return;
    };
    let read = manifest::read(&mem, directory).unwrap();
    assert_eq!(&read, reopened.state());
    assert!(read.tables().eq(state.tables()) && read.segments().eq(state.segments()));
    assert!(read.generations().eq(state.generations()) && read.closed() == state.closed());
}

/// What the parts of a state say of each other.
fn accounts(state: &State) {
    let in_levels: usize = (0..MAX_LEVELS as u8).map(|level| state.level_len(level)).sum();
    assert_eq!(in_levels, state.tables().len());
    for level in 0..MAX_LEVELS as u8 {
        let tables: Vec<_> = state.level(level).collect();
        assert!(tables.iter().all(|table| table.level == level && state.is_alive(table.number)));
        assert!(level == 0 || tables.windows(2).all(|pair| pair[0].largest < pair[1].smallest));
    }
    for segment in state.segments() {
        assert!(segment.live_values <= segment.meta.values);
        assert!(segment.live_bytes <= segment.meta.value_record_bytes);
    }
}

fn table(number: u64, level: u8, keys: [&[u8]; 2], value_use: Vec<ValueUse>) -> TableMeta {
    TableMeta {
        number,
        level,
        smallest: keys[0].to_vec(),
        largest: keys[1].to_vec(),
        file_bytes: 4096,
        entries: 30,
        tombstones: 2,
        raw_bytes: 3000,
        min_version: 3,
        max_version: 40,
        min_expiry: Some(5),
        max_expiry: Some(6),
        oldest_generation: 1,
        newest_generation: 1,
        created_at: 1_700_000_000,
        value_use,
    }
}

fn edits() -> Vec<Edit> {
    let generation = |id, wal| Generation { id, wal, vlog: wal + 1 };
    let used = vec![ValueUse { segment: 2, values: 3, record_bytes: 300 }];
    vec![
        Edit {
            generations_opened: vec![generation(1, 1), generation(2, 3)],
            numbers_below: Some(80),
            ..Edit::default()
        },
        Edit {
            tables_added: vec![table(5, 0, [b"a", b"m"], used), table(6, 0, [b"n", b"z"], Vec::new())],
            generations_retired: vec![1],
            segments_added: vec![SegmentMeta { number: 2, bytes: 900, values: 5, value_record_bytes: 500 }],
            last_version: Some(40),
            last_commit: Some(9),
            ..Edit::default()
        },
        Edit {
            tables_removed: vec![5],
            tables_moved: vec![(6, 6)],
            segments_removed: vec![2],
            ..Edit::default()
        },
        Edit {
            last_generation: Some(4),
            closed: Some(vec![LogLength { file_number: 3, bytes: 64, last_commit: 9 }]),
            ..Edit::default()
        },
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let (mem, directory) = (MemVfs::new(), Path::new("/db"));
    mem.create_dir_all(directory).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(mem.clone());
    let file = || mem.snapshot()[&directory.join(FILE_NAME)].clone();
    let mut manifest = Manifest::create(Arc::clone(&vfs), directory, ID).unwrap();
    let mut seeds = vec![file()];
    for edit in edits() {
        manifest.commit(edit).unwrap();
        seeds.push(file());
    }
    let torn = seeds.last().map(|whole| whole[..whole.len() - 9].to_vec());
    seeds.extend(torn);
    Manifest::reopen(Arc::clone(&vfs), directory, manifest.state().clone()).unwrap();
    seeds.push(file());
    seeds
}
