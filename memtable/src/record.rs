//! Records: one version of one key each, linked to the older versions of the key.
//!
//! ```text
//! | older u32 | jump u32 | version u64 | shape u64 | user key | encoded entry |
//!
//! shape: bits 0-30 entry length, bits 31-58 key length, bits 59-63 rank
//! ```
//! `older` is the next older version. `jump` skips the subtree of the record: the versions of a key form a
//! skew-binary list (E. Myers, "An applicative random-access stack", 1983), so that any version of a key that was
//! overwritten n times is found in O(log n) steps, with one more link and no rebuilding. A record of rank r
//! heads a subtree of 2^(r+1) − 1 records.

use std::marker::PhantomData;
use std::mem::size_of;
use std::ptr::NonNull;
use std::slice;

use base::{Entry, InternalKey, Version};

use crate::Full;
use crate::arena::Arena;
use crate::link::{AtomicRef, Ref};
use crate::sync::{AtomicU64, Ordering};

const ENTRY_LEN_BITS: u32 = 31;
const KEY_LEN_BITS: u32 = 28;

/// What a [`Ref`] to a record points at; looked at through [`RecordView`].
pub(crate) enum Record {}

/// The fixed part of a record. Never changes; atomic because a loom test watches its publication.
#[repr(C)]
pub(crate) struct Header {
    older: AtomicRef<Record>,
    jump: AtomicRef<Record>,
    version: AtomicU64,
    shape: AtomicU64,
}

/// How a record hangs on the older versions of its key.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    older: Option<Ref<Record>>,
    jump: Option<Ref<Record>>,
    rank: u8,
}

impl Links {
    /// Of the first version of a key.
    pub(crate) const FIRST: Self = Self { older: None, jump: None, rank: 0 };

    /// Of a version newer than all others; `newest` is the newest so far.
    pub(crate) fn above(arena: &Arena, newest: Ref<Record>) -> Self {
        let top = arena.record(newest);
        if let Some(second) = top.jump() {
            let second = arena.record(second);
            if second.rank() == top.rank() {
                // Two subtrees of one size become one with the new record as its head.
                return Self { older: Some(newest), jump: second.jump(), rank: top.rank() + 1 };
            }
        }
        Self { older: Some(newest), jump: Some(newest), rank: 0 }
    }

    /// Of a record that takes the place of `replaced`.
    pub(crate) fn in_place_of(replaced: RecordView<'_>) -> Self {
        Self { older: replaced.older(), jump: replaced.jump(), rank: replaced.rank() }
    }
}

impl Header {
    /// # Errors
    /// [`Full`] when a length is beyond what a record can hold.
    pub(crate) fn new(
        version: Version,
        key_len: usize,
        entry_len: usize,
        links: Links,
    ) -> Result<Self, Full> {
        if key_len >> KEY_LEN_BITS != 0 || entry_len >> ENTRY_LEN_BITS != 0 {
            return Err(Full);
        }
        let shape = entry_len as u64
            | (key_len as u64) << ENTRY_LEN_BITS
            | u64::from(links.rank) << (ENTRY_LEN_BITS + KEY_LEN_BITS);
        Ok(Self {
            older: AtomicRef::new(links.older),
            jump: AtomicRef::new(links.jump),
            version: AtomicU64::new(version.0),
            shape: AtomicU64::new(shape),
        })
    }
}

/// A record, borrowed from the arena.
#[derive(Clone, Copy)]
pub(crate) struct RecordView<'a> {
    start: NonNull<u8>,
    arena: PhantomData<&'a Arena>,
}

impl<'a> RecordView<'a> {
    /// # Safety
    /// A header stands at `start` and behind it the bytes that it announces; all stay unchanged during `'a`.
    pub(crate) unsafe fn new(start: NonNull<u8>) -> Self {
        Self { start, arena: PhantomData }
    }

    #[inline]
    fn header(self) -> &'a Header {
        // SAFETY: by the contract of `new`. Exercised by every test.
        unsafe { self.start.cast::<Header>().as_ref() }
    }

    /// The key length and the entry length in bytes.
    #[inline]
    fn lens(self) -> (usize, usize) {
        let shape = self.header().shape.load(Ordering::Relaxed);
        let key_len = shape >> ENTRY_LEN_BITS & ((1 << KEY_LEN_BITS) - 1);
        let entry_len = shape & ((1 << ENTRY_LEN_BITS) - 1);
        (key_len as usize, entry_len as usize)
    }

    #[inline]
    pub(crate) fn user_key(self) -> &'a [u8] {
        let (key_len, _) = self.lens();
        // SAFETY: by the contract of `new`. Exercised by every test.
        unsafe { slice::from_raw_parts(self.start.add(size_of::<Header>()).as_ptr(), key_len) }
    }

    #[inline]
    fn encoded_entry(self) -> &'a [u8] {
        let (key_len, entry_len) = self.lens();
        // SAFETY: by the contract of `new`. Exercised by every test.
        unsafe { slice::from_raw_parts(self.start.add(size_of::<Header>() + key_len).as_ptr(), entry_len) }
    }

    /// The entry. Always there: the bytes are what [`Entry::encode`] wrote.
    #[inline]
    pub(crate) fn entry(self) -> Option<Entry<'a>> {
        Entry::decode(self.encoded_entry()).ok()
    }

    #[inline]
    pub(crate) fn version(self) -> Version {
        Version(self.header().version.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn internal_key(self) -> InternalKey<'a> {
        InternalKey::new(self.user_key(), self.version())
    }

    /// The next older version of the key.
    #[inline]
    pub(crate) fn older(self) -> Option<Ref<Record>> {
        self.header().older.covered()
    }

    fn jump(self) -> Option<Ref<Record>> {
        self.header().jump.covered()
    }

    fn rank(self) -> u8 {
        (self.header().shape.load(Ordering::Relaxed) >> (ENTRY_LEN_BITS + KEY_LEN_BITS)) as u8
    }
}

/// The newest version at or below `at` of the key whose newest version is `newest`.
#[inline]
pub(crate) fn newest_at(arena: &Arena, newest: Ref<Record>, at: Version) -> Option<Ref<Record>> {
    if arena.record(newest).version() <= at {
        return Some(newest);
    }
    arena.record(oldest_above(arena, newest, at)?).older()
}

/// The oldest version above `floor` of the key whose newest version is `newest`.
pub(crate) fn oldest_above(arena: &Arena, newest: Ref<Record>, floor: Version) -> Option<Ref<Record>> {
    let is_above = |record: &Ref<Record>| arena.record(*record).version() > floor;
    let mut here = Some(newest).filter(is_above)?;
    loop {
        let view = arena.record(here);
        match view.jump().filter(is_above).or_else(|| view.older().filter(is_above)) {
            Some(further) => here = further,
            None => return Some(here),
        }
    }
}

/// The oldest version of the key whose newest version is `newest`.
pub(crate) fn oldest(arena: &Arena, newest: Ref<Record>) -> Ref<Record> {
    let mut here = newest;
    loop {
        let view = arena.record(here);
        match view.jump().or_else(|| view.older()) {
            Some(further) => here = further,
            None => return here,
        }
    }
}
