//! Goal: a table is exactly its sorted list of entries, however it was built and however it is read.
//! Method: random entries (shared prefixes, versions, tombstones, pointers, expiries) go into a table with random
//! options and into a sorted vector; every read must agree with the vector.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use base::header::FileIdentity;
use base::vfs::{MemVfs, Vfs};
use base::{
    Compression, Cursor, Direction, Entry, EntryRef, InternalKey, Payload, UnixSeconds, ValuePointer, Version,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sstable::{BlockCache, BuildOptions, Builder, ReadOptions, Table, TableAccess, key_hash};

#[derive(Clone, Debug)]
struct Stored {
    key: Vec<u8>,
    version: Version,
    value: Vec<u8>,
    kind: u8,
    user_meta: u8,
    expires_at: Option<u64>,
    hides_older: bool,
}

impl Stored {
    fn internal(&self) -> InternalKey<'_> {
        InternalKey::new(&self.key, self.version)
    }

    fn entry(&self) -> Entry<'_> {
        let payload = match self.kind {
            0 => Payload::Tombstone,
            1 => Payload::Separated(ValuePointer {
                segment: self.version.0 % 3,
                offset: self.version.0 << 20,
                record_len: self.value.len() as u32 + 48,
                value_len: self.value.len() as u32,
            }),
            _ => Payload::Inline(&self.value),
        };
        Entry {
            payload,
            user_meta: self.user_meta,
            expires_at: self.expires_at.map(UnixSeconds),
            hides_older: self.hides_older,
        }
    }
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0), Just(255)], 0..7),
        vec(prop_oneof![Just(b'a'), Just(b'b')], 0..4).prop_map(|end| [
            b"a long beginning that many share/".as_slice(),
            &end
        ]
        .concat()),
        vec(any::<u8>(), 0..12),
    ]
}

fn any_entries() -> impl Strategy<Value = Vec<Stored>> {
    let version = prop_oneof![0u64..6, any::<u64>()];
    let content = (
        prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => Just(vec![b'x'; 300])],
        0u8..6,
        prop_oneof![Just(0u8), any::<u8>()],
        proptest::option::of(0u64..1_000_000),
        any::<bool>(),
    );
    btree_map((any_key(), version), content, 0..120).prop_map(|map| {
        let mut entries: Vec<Stored> = map
            .into_iter()
            .map(|((key, version), (value, kind, user_meta, expires_at, hides_older))| Stored {
                key,
                version: Version(version),
                value,
                kind,
                user_meta,
                expires_at,
                hides_older,
            })
            .collect();
        entries.sort_by(|a, b| a.internal().cmp(&b.internal()));
        entries
    })
}

fn any_build() -> impl Strategy<Value = BuildOptions> {
    let codec = prop_oneof![Just(Compression::None), Just(Compression::Lz4), Just(Compression::Zstd(1))];
    (prop_oneof![Just(64usize), Just(128), Just(4096)], codec, prop_oneof![Just(0u32), Just(10)]).prop_map(
        |(block_bytes, codec, bits)| {
            let options = BuildOptions::default().block_bytes(block_bytes).compression(codec);
            options.filter_bits_per_key(bits).filter_partition_keys(64)
        },
    )
}

fn any_read() -> impl Strategy<Value = ReadOptions> {
    let access = prop_oneof![Just(TableAccess::Mapped), Just(TableAccess::Positional)];
    (access, any::<bool>(), prop_oneof![Just(0u64), Just(2 << 20)]).prop_map(|(access, cached, resident)| {
        let options = ReadOptions::default().access(access).resident_index_bytes(resident);
        if cached { options.cache(BlockCache::with_capacity(4 << 10)) } else { options }
    })
}

fn table_of(entries: &[Stored], build: BuildOptions, read: ReadOptions) -> Table {
    let vfs = MemVfs::new();
    let path = Path::new("000007.sst");
    let identity = FileIdentity { file_number: 7, ..Default::default() };
    let mut builder = Builder::create_in(Arc::new(vfs.clone()), path, identity, build).unwrap();
    for stored in entries {
        builder.add(stored.internal(), &stored.entry()).unwrap();
    }
    assert_eq!(builder.entries(), entries.len() as u64);
    assert_eq!(builder.last_user_key(), entries.last().map(|stored| stored.key.as_slice()));
    let summary = builder.finish().unwrap();
    assert_eq!(vfs.snapshot()[path].len() as u64, summary.file_bytes);
    let table = Table::open_in(&vfs, path, read.expect(identity)).unwrap();
    assert_eq!(table.properties(), &summary.properties);
    assert_eq!((table.smallest(), table.largest()), (&summary.smallest[..], &summary.largest[..]));
    // An open table does not need its name.
    vfs.remove(path).unwrap();
    table
}

#[derive(Clone, Debug)]
enum Step {
    First,
    Last,
    Seek(Vec<u8>, u64),
    SeekBack(Vec<u8>, u64),
    SeekTo(prop::sample::Index),
    SeekBackTo(prop::sample::Index),
    Next,
    Prev,
}

fn any_step() -> impl Strategy<Value = Step> {
    let version = || prop_oneof![0u64..6, any::<u64>(), Just(u64::MAX)];
    prop_oneof![
        1 => Just(Step::First),
        1 => Just(Step::Last),
        2 => (any_key(), version()).prop_map(|(key, version)| Step::Seek(key, version)),
        2 => (any_key(), version()).prop_map(|(key, version)| Step::SeekBack(key, version)),
        2 => any::<prop::sample::Index>().prop_map(Step::SeekTo),
        2 => any::<prop::sample::Index>().prop_map(Step::SeekBackTo),
        12 => Just(Step::Next),
        12 => Just(Step::Prev),
    ]
}

/// Where the model stands after `step`.
fn model_step(entries: &[Stored], at: Option<usize>, step: &Step) -> Option<usize> {
    let inside = |at: usize| (at < entries.len()).then_some(at);
    let seek = |target: InternalKey<'_>| inside(entries.partition_point(|stored| stored.internal() < target));
    let seek_back = |target: InternalKey<'_>| {
        entries.partition_point(|stored| stored.internal() <= target).checked_sub(1)
    };
    match step {
        Step::First => inside(0),
        Step::Last => entries.len().checked_sub(1),
        Step::Seek(key, version) => seek(InternalKey::new(key, Version(*version))),
        Step::SeekBack(key, version) => seek_back(InternalKey::new(key, Version(*version))),
        Step::SeekTo(index) => inside(0).and_then(|_| seek(entries[index.index(entries.len())].internal())),
        Step::SeekBackTo(index) => {
            inside(0).and_then(|_| seek_back(entries[index.index(entries.len())].internal()))
        }
        Step::Next => at.and_then(|at| inside(at + 1)),
        Step::Prev => at.and_then(|at| at.checked_sub(1)),
    }
}

fn cursor_step(cursor: &mut impl Cursor, entries: &[Stored], step: &Step) -> base::Result<()> {
    let pick = |index: &prop::sample::Index| match entries.len() {
        0 => InternalKey::first_of(b""),
        len => entries[index.index(len)].internal(),
    };
    match step {
        Step::First => cursor.first(),
        Step::Last => cursor.last(),
        Step::Seek(key, version) => cursor.seek(InternalKey::new(key, Version(*version))),
        Step::SeekBack(key, version) => cursor.seek_back(InternalKey::new(key, Version(*version))),
        Step::SeekTo(index) => cursor.seek(pick(index)),
        Step::SeekBackTo(index) => cursor.seek_back(pick(index)),
        Step::Next => cursor.next(),
        Step::Prev => cursor.prev(),
    }
}

proptest! {
    #[test]
    fn every_read_agrees_with_the_sorted_list(
        entries in any_entries(), build in any_build(), read in any_read(), strangers in vec(any_key(), 10),
    ) {
        let table = table_of(&entries, build, read);
        table.verify().unwrap();
        let properties = table.properties();
        prop_assert_eq!(properties.entries, entries.len() as u64);
        prop_assert_eq!(properties.tombstones, entries.iter().filter(|stored| stored.kind == 0).count() as u64);
        let pointed: u64 = properties.separated_values.values().map(|used| used.values).sum();
        prop_assert_eq!(pointed, entries.iter().filter(|stored| stored.kind == 1).count() as u64);

        let read: Vec<_> = table.iter().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.len(), entries.len());
        for (item, stored) in read.iter().zip(&entries) {
            prop_assert_eq!(InternalKey::new(item.key(), item.version()), stored.internal());
            prop_assert_eq!(item.entry().as_entry(), stored.entry());
        }
        let mut reversed: Vec<_> = table.iter().rev().collect::<Result<_, _>>().unwrap();
        reversed.reverse();
        prop_assert_eq!(reversed, read);

        let keys = entries.iter().map(|stored| stored.key.clone()).chain(strangers);
        for key in keys {
            for at in [0, 1, 3, 5, u64::MAX / 2, u64::MAX].map(Version) {
                let newest = entries.iter().find(|stored| stored.key == key && stored.version <= at);
                let got = table.get(&key, at).unwrap();
                prop_assert_eq!(got.as_ref().map(|entry| entry.version), newest.map(|stored| stored.version));
                prop_assert_eq!(got.as_ref().map(|entry| entry.as_entry()), newest.map(Stored::entry));
                if newest.is_some() {
                    prop_assert!(table.may_contain(key_hash(&key)).unwrap());
                }
            }
        }
    }

    #[test]
    fn cursors_step_as_the_sorted_list(
        entries in any_entries(), build in any_build(), read in any_read(), steps in vec(any_step(), 1..120),
    ) {
        let table = table_of(&entries, build, read);
        let mut cursor = table.cursor();
        drop(table);
        let mut at = None;
        for step in &steps {
            at = model_step(&entries, at, step);
            cursor_step(&mut cursor, &entries, step).unwrap();
            let stored = at.map(|at| &entries[at]);
            prop_assert_eq!(cursor.key(), stored.map(Stored::internal), "after {:?}", step);
            prop_assert_eq!(cursor.entry(), stored.map(Stored::entry));
            let inline = match cursor.entry().map(|entry| entry.payload) {
                Some(Payload::Inline(value)) => Some(value.to_vec()),
                _ => None,
            };
            prop_assert_eq!(cursor.inline_value().map(|value| value.to_vec()), inline);
        }
    }

    /// Goal: a walk is the same as steps. Method: walks of random length and direction, each from where the one before was
    /// refused, between random steps.
    #[test]
    fn walks_show_what_steps_show(
        entries in any_entries(), build in any_build(), read in any_read(),
        walks in vec((any_step(), any::<bool>(), 0usize..40), 1..40),
    ) {
        let table = table_of(&entries, build, read);
        let mut cursor = table.cursor();
        let mut at = None;
        for (step, forward, mut left) in walks {
            at = model_step(&entries, at, &step);
            cursor_step(&mut cursor, &entries, &step).unwrap();
            let direction = if forward { Direction::Forward } else { Direction::Backward };
            while left > 0 && cursor.key().is_some() {
                let before = left;
                let mut last: Option<Vec<u8>> = None;
                cursor.walk(direction, &mut |found: &EntryRef<'_>| {
                    let here = found.key.user_key;
                    let is_behind = |last: &Vec<u8>| if forward { here > last.as_slice() } else { here < last.as_slice() };
                    assert!(!found.is_further || last.as_ref().is_some_and(is_behind), "a wrong order is told");
                    last = Some(here.to_vec());
                    if left == 0 {
                        return false;
                    }
                    let stored = &entries[at.unwrap()];
                    assert_eq!((found.key, found.entry), (stored.internal(), stored.entry()));
                    if let (Payload::Inline(value), Some(block)) = (found.entry.payload, found.block) {
                        assert_eq!(block.slice_ref(value), value);
                    }
                    let next = if forward { at.map(|at| at + 1) } else { at.and_then(|at| at.checked_sub(1)) };
                    at = next.filter(|next| *next < entries.len());
                    left -= 1;
                    true
                }).unwrap();
                prop_assert!(left < before, "a walk shows at least one entry");
            }
            prop_assert_eq!(cursor.key(), at.map(|at| entries[at].internal()));
            prop_assert_eq!(cursor.entry(), at.map(|at| entries[at].entry()));
        }
    }

    #[test]
    fn ranges_give_what_lies_inside_from_both_ends(
        entries in any_entries(), build in any_build(), read in any_read(),
        start in any_key(), end in any_key(), kinds in (0u8..3, 0u8..3), from_back in vec(any::<bool>(), 150),
    ) {
        let table = table_of(&entries, build, read);
        let bound = |kind: u8, key: Vec<u8>| match kind {
            0 => Bound::Included(key),
            1 => Bound::Excluded(key),
            _ => Bound::Unbounded,
        };
        let (start, end) = (bound(kinds.0, start), bound(kinds.1, end));
        let bounds = base::KeyBounds { start: start.clone(), end: end.clone() };
        let mut expected: std::collections::VecDeque<_> =
            entries.iter().filter(|stored| bounds.contains(&stored.key)).collect();
        let mut range = table.range::<Vec<u8>>((start, end));
        for back in from_back {
            let got = if back { range.next_back() } else { range.next() }.transpose().unwrap();
            let wanted = if back { expected.pop_back() } else { expected.pop_front() };
            let got_key = got.as_ref().map(|item| InternalKey::new(item.key(), item.version()));
            prop_assert_eq!(got_key, wanted.map(Stored::internal));
        }
        let prefix = b"a";
        let found = table.prefix(prefix).count();
        prop_assert_eq!(found, entries.iter().filter(|stored| stored.key.starts_with(prefix)).count());
    }
}

/// Goal: one hot key whose versions fill many blocks and partitions is found at every version.
/// Method: 5000 versions in blocks of 128 bytes, between two neighbours; ask for all, and between all.
#[test]
fn versions_of_one_key_span_blocks_and_partitions() {
    let mut entries = vec![("a", 7)];
    entries.extend((1..=5000).rev().map(|number| ("hot", number * 2)));
    entries.push(("z", 3));
    for resident in [0, 2 << 20] {
        let mut builder = Builder::in_memory(BuildOptions::default().block_bytes(128));
        for (key, version) in &entries {
            let value = version.to_string();
            let key = InternalKey::new(key.as_bytes(), Version(*version));
            builder.add(key, &Entry::inline(value.as_bytes())).unwrap();
        }
        let options = ReadOptions::default().resident_index_bytes(resident);
        let table = Table::from_bytes(builder.finish_bytes().unwrap(), options).unwrap();
        table.verify().unwrap();
        assert!(table.properties().index_partitions > 10);
        for version in 2..=10_001 {
            let found = table.get(b"hot", Version(version)).unwrap().unwrap();
            assert_eq!(found.version, Version(version / 2 * 2));
        }
        assert_eq!(table.get(b"hot", Version(1)).unwrap(), None);
        assert_eq!(table.get(b"z", Version(2)).unwrap(), None);
    }
}
