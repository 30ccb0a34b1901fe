//! Bump allocation with stable 32-bit places; nothing is freed before the whole arena.
//!
//! The address space is cut into windows of 1 MiB, counted in units of 8 bytes. A chunk backs one window, or
//! the front of one, or several in a row for a large record; a table of atomic pointers says where each window
//! lies. In a chunk, records grow up from the bottom and nodes down from the top, so that the nodes, which
//! searches hop through, share few pages.
//!
//! # Invariants
//! 1. A place is handed out once; it is written in full before its [`Ref`] exists, and after that only
//!    through atomics.
//! 2. Chunks live as long as the arena; so a `&Arena` may hand out references into them.
//! 3. A window's pointer is set before a place inside it is handed out, and never changes.

use std::mem::{align_of, size_of};
use std::num::NonZeroU32;
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

use base::prefetch::{CACHE_LINE_BYTES, prefetch_line};
use parking_lot::Mutex;

use crate::Full;
use crate::link::{NODE_ALIGN_UNITS, Ref};
use crate::node::{Leaf, Node};
use crate::pool::{ArenaPool, CHUNK_BYTES, Chunk, FIRST_CHUNK_BYTES};
use crate::record::{Header, Record, RecordView};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

const UNIT_BYTES: usize = 8;
const WINDOW_UNITS: u32 = (CHUNK_BYTES / UNIT_BYTES) as u32;
/// One less than a u32 can count, so that the end of the last window is a u32 too.
const WINDOWS: u32 = u32::MAX / WINDOW_UNITS;
/// Windows in the table that is there from the start; the rest of the table waits until it is needed.
const NEAR_WINDOWS: usize = if cfg!(loom) { 2 } else { 128 };
/// A larger record gets a chunk of its own, so that no more than this much of a chunk is left unused.
const SHARED_CHUNK_MAX_UNITS: u32 = WINDOW_UNITS / 4;
/// The largest record, in bytes.
const MAX_RECORD_BYTES: usize = 1 << 30;

/// Where the windows are.
struct WindowTable {
    near: [AtomicPtr<u8>; NEAR_WINDOWS],
    far: OnceLock<Box<[AtomicPtr<u8>]>>,
}

impl WindowTable {
    fn new() -> Self {
        Self { near: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())), far: OnceLock::new() }
    }

    fn slot(&self, window: u32) -> Option<&AtomicPtr<u8>> {
        let window = window as usize;
        match self.near.get(window) {
            Some(slot) => Some(slot),
            None => self.far.get()?.get(window - NEAR_WINDOWS),
        }
    }

    fn set(&self, window: u32, start: *mut u8) {
        if window as usize >= NEAR_WINDOWS {
            let rest = WINDOWS as usize - NEAR_WINDOWS;
            self.far.get_or_init(|| (0..rest).map(|_| AtomicPtr::new(ptr::null_mut())).collect());
        }
        if let Some(slot) = self.slot(window) {
            // Whoever learns of a place in this window acquires a word that is published later.
            slot.store(start, Ordering::Relaxed);
        }
    }
}

/// The memory of one memtable.
pub(crate) struct Arena {
    windows: WindowTable,
    used_bytes: AtomicU64,
    bump: Mutex<Bump>,
}

/// The writer's half: who holds its lock may allocate, and change the tree.
pub(crate) struct Bump {
    /// Between these two places, in units, the current chunk is free.
    low: u32,
    high: u32,
    windows: u32,
    chunks: Vec<Chunk>,
    pool: Arc<ArenaPool>,
    /// The writer's buffer for encodings, kept between inserts.
    pub(crate) scratch: Vec<u8>,
    /// The last leaf of the tree, while keys arrive in ascending order.
    pub(crate) edge: Option<Ref<Leaf>>,
}

impl Drop for Bump {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.chunks));
    }
}

/// The end in which a reservation is made.
enum End {
    Low,
    High,
}

impl Arena {
    pub(crate) fn new(pool: &Arc<ArenaPool>) -> Self {
        let chunk = pool.take(FIRST_CHUNK_BYTES);
        let windows = WindowTable::new();
        windows.set(0, chunk.start().as_ptr());
        let bump = Bump {
            // Place 0 stands for "none".
            low: 1,
            high: (FIRST_CHUNK_BYTES / UNIT_BYTES) as u32,
            windows: 1,
            chunks: vec![chunk],
            pool: Arc::clone(pool),
            scratch: Vec::new(),
            edge: None,
        };
        Self { windows, used_bytes: AtomicU64::new(0), bump: Mutex::new(bump) }
    }

    pub(crate) fn bump(&self) -> &Mutex<Bump> {
        &self.bump
    }

    /// What was handed out, in bytes.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// The address of a place.
    #[inline]
    fn address(&self, place: u32) -> NonNull<u8> {
        // Relaxed: see `WindowTable::set`.
        let start = self
            .windows
            .slot(place / WINDOW_UNITS)
            .map_or(ptr::null_mut(), |slot| slot.load(Ordering::Relaxed));
        debug_assert!(!start.is_null(), "a place outside the arena");
        // SAFETY: invariants 2 and 3; a place lies inside the chunk that backs its window. Exercised by every
        // test; several windows and the far table by `large_values_cross_windows` in tests/model.rs.
        unsafe { NonNull::new_unchecked(start.add((place % WINDOW_UNITS) as usize * UNIT_BYTES)) }
    }

    /// The node at a place.
    #[inline]
    pub(crate) fn node<T: Node>(&self, node: Ref<T>) -> &T {
        // SAFETY: a `Ref` names a written `T` (see `link`), and all of a node that changes later is atomic.
        // Exercised by every test.
        unsafe { self.address(node.place()).cast::<T>().as_ref() }
    }

    /// The record at a place.
    #[inline]
    pub(crate) fn record(&self, record: Ref<Record>) -> RecordView<'_> {
        // SAFETY: a `Ref` names a written record, and records never change. Exercised by every test.
        unsafe { RecordView::new(self.address(record.place())) }
    }

    /// Writes a node. The caller publishes it.
    pub(crate) fn place_node<T: Node>(&self, bump: &mut Bump, node: T) -> Result<Ref<T>, Full> {
        const { assert!(align_of::<T>() <= UNIT_BYTES) }
        let units = (size_of::<T>().div_ceil(UNIT_BYTES) as u32).next_multiple_of(NODE_ALIGN_UNITS);
        let place = self.reserve(bump, units, End::High)?;
        // SAFETY: invariant 1: the place was just handed out, is aligned to a unit, and has room for a `T`;
        // nobody else knows it yet. Exercised by every test.
        unsafe {
            self.address(place.get()).cast::<T>().write(node);
            Ok(Ref::new(place))
        }
    }

    /// Writes a record: its header, and behind it the parts in turn. The caller publishes it.
    pub(crate) fn place_record(
        &self,
        bump: &mut Bump,
        header: Header,
        parts: [&[u8]; 3],
    ) -> Result<Ref<Record>, Full> {
        let bytes = parts.iter().try_fold(size_of::<Header>(), |sum, part| sum.checked_add(part.len()));
        let bytes = bytes.filter(|bytes| *bytes <= MAX_RECORD_BYTES).ok_or(Full)?;
        let place = self.reserve(bump, bytes.div_ceil(UNIT_BYTES) as u32, End::Low)?;
        let start = self.address(place.get());
        // SAFETY: invariant 1: the place was just handed out with room for all parts, and nobody else knows it
        // yet; so it overlaps no part. Exercised by every test.
        unsafe {
            start.cast::<Header>().write(header);
            let mut end = start.add(size_of::<Header>());
            for part in parts {
                ptr::copy_nonoverlapping(part.as_ptr(), end.as_ptr(), part.len());
                end = end.add(part.len());
            }
            Ok(Ref::new(place))
        }
    }

    /// Hands out `units`.
    fn reserve(&self, bump: &mut Bump, units: u32, end: End) -> Result<NonZeroU32, Full> {
        let place = if bump.high - bump.low >= units {
            bump.cut(units, &end)
        } else if units > SHARED_CHUNK_MAX_UNITS {
            self.add_chunk(bump, units as usize * UNIT_BYTES)?
        } else {
            let start = self.add_chunk(bump, CHUNK_BYTES)?;
            bump.low = start;
            bump.high = start + WINDOW_UNITS;
            bump.cut(units, &end)
        };
        // Only the holder of the lock writes this number.
        let used_bytes = self.used_bytes.load(Ordering::Relaxed) + u64::from(units) * UNIT_BYTES as u64;
        self.used_bytes.store(used_bytes, Ordering::Relaxed);
        NonZeroU32::new(place).ok_or(Full)
    }

    /// Backs the next windows with a chunk of `bytes`; returns the place of its first byte.
    fn add_chunk(&self, bump: &mut Bump, bytes: usize) -> Result<u32, Full> {
        let first = bump.windows;
        let after = first + bytes.div_ceil(CHUNK_BYTES) as u32;
        if after > WINDOWS {
            return Err(Full);
        }
        let chunk = bump.pool.take(bytes);
        for window in first..after {
            let skipped_bytes = (window - first) as usize * CHUNK_BYTES;
            self.windows.set(window, chunk.start().as_ptr().wrapping_add(skipped_bytes));
        }
        bump.chunks.push(chunk);
        bump.windows = after;
        Ok(first * WINDOW_UNITS)
    }

    /// Asks the processor to fetch the first `bytes` of what is at `place`; a hint without effect on what is read.
    #[inline]
    pub(crate) fn prefetch(&self, place: u32, bytes: usize) {
        for offset in (0..bytes).step_by(CACHE_LINE_BYTES) {
            self.prefetch_at(place, offset);
        }
    }

    /// As [`Arena::prefetch`], for the cache line `offset` bytes behind `place`.
    #[inline]
    pub(crate) fn prefetch_at(&self, place: u32, offset: usize) {
        prefetch_line(self.address(place).as_ptr().wrapping_add(offset));
    }
}

impl Bump {
    /// Takes `units`, which fit, from one end of the current chunk.
    fn cut(&mut self, units: u32, end: &End) -> u32 {
        match end {
            End::Low => {
                self.low += units;
                self.low - units
            }
            End::High => {
                self.high -= units;
                self.high
            }
        }
    }
}
