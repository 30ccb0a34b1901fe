//! Goal: pages are not to be seen: whatever their size, a scan shows what a plain list of the visible versions holds, from both
//! ends, across views. Method: random versions, spread anew over memtables, tables of L0 and a level of
//! two tables for every view that a scan asks for, read by
//! pages of one item, of two, and of many, in a random mixture of both directions.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{
    Direction, Entry, Error, InternalKey, KeyBounds, Payload, Result, UnixSeconds, ValuePointer, Version,
};
use memtable::{ArenaPool, Memtable};
use proptest::prelude::*;

use super::end::ReadAhead;
use super::page::ScanItem;
use super::scan::{Scan, ScanHost, ScanOptions};
use super::test_tables::Tables;
use crate::table_set::TableSet;
use crate::view::{SegmentHandle, View};

const NOW: UnixSeconds = UnixSeconds(100);

/// What one version holds.
#[derive(Clone, Debug)]
enum Kind {
    Deleted,
    Value(Vec<u8>),
    /// Expires at this second.
    Expiring(u64),
}

impl Kind {
    fn entry(&self) -> Entry<'_> {
        match self {
            Self::Deleted => Entry::tombstone(),
            Self::Value(value) => Entry::inline(value),
            Self::Expiring(at) => {
                Entry { expires_at: Some(UnixSeconds(*at)), ..Entry::inline(b"short-lived") }
            }
        }
    }
}

type Versions = BTreeMap<(Vec<u8>, u64), Kind>;
type VersionRef<'a> = (&'a (Vec<u8>, u64), &'a Kind);
/// Key, version and value as they are shown.
type Shown = (Vec<u8>, u64, Option<Vec<u8>>);

/// Gives every version of every key, cut into memtables and tables in another way each time.
struct Host {
    versions: Versions,
    pool: Arc<ArenaPool>,
    views: AtomicU64,
}

impl Host {
    fn new(versions: Versions, first_view: u64) -> Self {
        Self { versions, pool: ArenaPool::new(1 << 20), views: AtomicU64::new(first_view) }
    }

    fn memtable<'a>(&self, part: impl Iterator<Item = VersionRef<'a>>) -> Arc<Memtable> {
        let memtable = Arc::new(Memtable::new(&self.pool));
        for ((key, version), kind) in part {
            let key = InternalKey::new(key, Version(*version));
            memtable.writer().insert(key, &kind.entry()).unwrap();
        }
        memtable
    }

    /// A level of two tables, divided at the middle one of all keys.
    fn add_level<'a>(&self, tables: &mut Tables, part: impl Iterator<Item = VersionRef<'a>>) {
        let middle = self.versions.keys().nth(self.versions.len() / 2).map(|(key, _)| key);
        let (left, right): (Vec<_>, Vec<_>) = part.partition(|((key, _), _)| Some(key) < middle);
        add_table(tables, 1, left.into_iter());
        add_table(tables, 1, right.into_iter());
    }
}

fn add_table<'a>(tables: &mut Tables, level: u8, part: impl Iterator<Item = VersionRef<'a>>) {
    let mut sorted: Vec<_> = part.collect();
    sorted.sort_by(|((a, newer), _), ((b, older), _)| a.cmp(b).then(older.cmp(newer)));
    let entry =
        |((key, version), kind): VersionRef<'a>| (InternalKey::new(key, Version(*version)), kind.entry());
    tables.add(level, &sorted.into_iter().map(entry).collect::<Vec<_>>());
}

impl ScanHost for Host {
    fn view(&self) -> Arc<View> {
        // Newer versions stand above older ones, wherever the cuts are.
        let number = self.views.fetch_add(1, Ordering::Relaxed);
        let generation = |version: u64| (version / (1 + number % 5)).min(number % 4);
        // So many generations are flushed: the first one to a level, the others to L0.
        let flushed = number / 2 % 5;
        let (mut memtables, mut tables) = (Vec::new(), Tables::new());
        for at in 0..1 + number % 4 {
            let part = self.versions.iter().filter(|((_, version), _)| generation(*version) == at);
            match at {
                0 if at < flushed => self.add_level(&mut tables, part),
                _ if at < flushed => add_table(&mut tables, 0, part),
                _ => memtables.insert(0, self.memtable(part)),
            }
        }
        let tables = Arc::new(TableSet::new(tables.into_handles()));
        Arc::new(View { memtables, tables, segments: Arc::default() })
    }

    fn segment(&self, _: &View, number: u64) -> Result<Arc<SegmentHandle>> {
        Err(Error::corruption(self.directory(), number, "no such segment"))
    }

    fn directory(&self) -> &Path {
        Path::new("/db")
    }
}

/// As its users step: from the page if it has one, else by reading.
fn next(scan: &mut Scan, direction: Direction) -> Result<Option<ScanItem>> {
    match scan.take(direction) {
        Some(item) => Ok(Some(item)),
        None => scan.next(direction),
    }
}

/// What a scan has to show, in key order and newest first.
fn expected(versions: &Versions, options: &ScanOptions) -> VecDeque<Shown> {
    let mut shown = VecDeque::new();
    let mut last: Option<&[u8]> = None;
    // Ascending by key, and newest first.
    let mut sorted: Vec<_> = versions.iter().collect();
    sorted.sort_by(|((a, newer), _), ((b, older), _)| a.cmp(b).then(older.cmp(newer)));
    for ((key, version), kind) in sorted {
        let is_hidden = !options.all_versions && last == Some(key.as_slice());
        if *version > options.version.0 || is_hidden || !options.bounds.contains(key) {
            continue;
        }
        last = Some(key);
        let is_wanted = options.all_versions || kind.entry().is_live(options.now);
        if *version > options.since.0 && is_wanted {
            let value = match kind.entry().payload {
                Payload::Inline(value) => Some(value.to_vec()),
                Payload::Tombstone | Payload::Separated(_) => None,
            };
            shown.push_back((key.clone(), *version, value));
        }
    }
    shown
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        2 => Just(Kind::Deleted),
        5 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Kind::Value),
        2 => (99u64..102).prop_map(Kind::Expiring),
    ]
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..4, 0..3)
}

fn any_bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        2 => Just(Bound::Unbounded),
        1 => any_key().prop_map(Bound::Included),
        1 => any_key().prop_map(Bound::Excluded),
    ]
}

proptest! {
    #[test]
    fn pages_show_what_a_list_holds(
        versions in proptest::collection::btree_map((any_key(), 1u64..30), any_kind(), 0..150),
        (start, end) in (any_bound(), any_bound()),
        (version, since, limit) in (0u64..32, prop_oneof![Just(0u64), 0u64..20], prop_oneof![Just(u64::MAX), 0u64..9]),
        (all_versions, keys_only) in any::<(bool, bool)>(),
        forward in proptest::collection::vec(any::<bool>(), 200),
        (mixture, first_view) in (0u8..3, 0u64..60),
    ) {
        let options = ScanOptions {
            bounds: KeyBounds { start, end },
            all_versions,
            since: Version(since),
            keys_only,
            limit,
            ..ScanOptions::at(Version(version), NOW)
        };
        for (first, most) in [(1, 1), (2, 2), (1, 7), (256, 256)] {
            let mut left = expected(&versions, &options);
            let host: Arc<dyn ScanHost> = Arc::new(Host::new(versions.clone(), first_view));
            let mut scan = Scan::with_read_ahead(host, options.clone(), ReadAhead { first, most });
            for (at, forward) in forward.iter().enumerate() {
                let forward = match mixture { 0 => true, 1 => false, _ => *forward };
                let item = next(&mut scan, if forward { Direction::Forward } else { Direction::Backward }).unwrap();
                let wanted = if forward { left.pop_front() } else { left.pop_back() };
                let got = item.map(|item| {
                    let value = if keys_only { None } else { item.value().unwrap() };
                    (item.user_key().to_vec(), item.version().0, value.map(|value| value.to_vec()))
                });
                let wanted = wanted.map(|(key, version, value)| (key, version, value.filter(|_| !keys_only)));
                prop_assert_eq!(&got, &wanted, "item {} by pages of {} to {}", at, first, most);
                if wanted.is_none() {
                    break;
                }
            }
        }
    }
}

/// An item whose segment is gone fails where it stands: what comes before it is shown, and nothing after it.
#[test]
fn what_was_read_before_an_error_is_shown_and_then_the_error_once() {
    let pool = ArenaPool::new(1 << 20);
    let memtable = Arc::new(Memtable::new(&pool));
    let pointer = ValuePointer { segment: 9, offset: 64, record_len: 100, value_len: 10 };
    for (key, entry) in
        [(b"a", Entry::inline(b"1")), (b"b", Entry::separated(pointer)), (b"c", Entry::inline(b"3"))]
    {
        memtable.writer().insert(InternalKey::new(key, Version(1)), &entry).unwrap();
    }
    let tables = Arc::new(TableSet::new(std::iter::empty()));
    struct Broken(Arc<View>);
    impl ScanHost for Broken {
        fn view(&self) -> Arc<View> {
            Arc::clone(&self.0)
        }
        fn segment(&self, _: &View, number: u64) -> Result<Arc<SegmentHandle>> {
            Err(Error::corruption(self.directory(), number, "no such segment"))
        }
        fn directory(&self) -> &Path {
            Path::new("/db")
        }
    }
    let view = Arc::new(View { memtables: vec![memtable], tables, segments: Arc::default() });
    for (backward, first_key) in [(false, b"a"), (true, b"c")] {
        let host: Arc<dyn ScanHost> = Arc::new(Broken(Arc::clone(&view)));
        let options = ScanOptions::at(Version(1), NOW);
        let mut scan = Scan::with_read_ahead(host, options, ReadAhead { first: 8, most: 8 });
        let mut step = || next(&mut scan, if backward { Direction::Backward } else { Direction::Forward });
        assert_eq!(step().unwrap().unwrap().user_key(), first_key);
        assert!(step().unwrap_err().is_corruption());
        assert!(step().unwrap().is_none());
    }
}
