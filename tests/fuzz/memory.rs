//! The allocator of the tests: saerun's, and for each thread what it holds, at most held, and asked for at once.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use saerun::memory::Counting;

#[global_allocator]
static MEMORY: Watched = Watched;

struct Watched;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn change(from: usize, to: usize) {
    // A thread that ends has no such variables any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + to as isize - from as isize);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(to)));
    });
}

// SAFETY: every call goes on as it came.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        change(0, layout.size());
        unsafe { Counting.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        change(0, layout.size());
        unsafe { Counting.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        change(layout.size(), size);
        unsafe { Counting.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        change(layout.size(), 0);
        unsafe { Counting.dealloc(pointer, layout) }
    }
}

/// What some work of this thread gives, the most bytes that it held at a time, and the most that it asked for at once.
pub fn measured<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = HELD.get();
    MOST.set(before);
    LARGEST.set(0);
    let result = work();
    (result, (MOST.get() - before).max(0) as usize, LARGEST.get())
}
