//! An allocator that knows how much the present thread has allocated at most, so that a length that was believed shows.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, and two counters for each thread.
pub struct CountingAllocator;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn add(bytes: usize) {
    // Not there any more while a thread ends: nobody measures then.
    let _ended = LIVE.try_with(|live| {
        live.set(live.get().wrapping_add(bytes));
        PEAK.with(|peak| peak.set(peak.get().max(live.get())));
    });
}

fn remove(bytes: usize) {
    // What another thread allocated may be freed here: the counter stops at nothing.
    let _ended = LIVE.try_with(|live| live.set(live.get().saturating_sub(bytes)));
}

// SAFETY: every call goes to `System` unchanged; the counters neither allocate nor have a destructor.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise is that of `System`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        remove(layout.size());
        // SAFETY: the caller's promise is that of `System`, which made the allocation.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        remove(layout.size());
        add(new_size);
        // SAFETY: the caller's promise is that of `System`, which made the allocation.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Runs `body`; how many bytes more than before were allocated at a time.
pub(super) fn peak_of(body: impl FnOnce()) -> usize {
    let before = LIVE.get();
    PEAK.set(before);
    body();
    PEAK.get().saturating_sub(before)
}
