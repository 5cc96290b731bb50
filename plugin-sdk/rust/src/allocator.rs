//! An allocator for an instance that lives for one message: it takes from the end and never gives back.
//!
//! The instance's memory is dropped whole after the message, so freeing is time lost, and a general
//! allocator costs a `memory.grow` (two system calls on the host) even for a small document. This one begins
//! in the pages that the module has anyway and doubles them when they are used up.

use std::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr,
};

const PAGE: usize = 65_536;

struct Bump(UnsafeCell<State>);

struct State {
    /// The next free byte; zero before the first allocation.
    next: usize,
    /// The first byte past the memory.
    end: usize,
}

// SAFETY: a mapper is built without threads, so nothing else looks at the state.
unsafe impl Sync for Bump {}

#[global_allocator]
static ALLOCATOR: Bump = Bump(UnsafeCell::new(State { next: 0, end: 0 }));

unsafe extern "C" {
    /// Where the linker's data and stack end.
    static __heap_base: u8;
}

impl State {
    /// Makes sure that the memory reaches up to `end`; doubles it where it does not.
    fn reach(&mut self, end: usize) -> bool {
        if end <= self.end {
            return true;
        }
        let pages = core::arch::wasm32::memory_size(0);
        let missing = (end - self.end).div_ceil(PAGE);
        let grown = [missing.max(pages), missing]
            .into_iter()
            .find(|delta| core::arch::wasm32::memory_grow(0, *delta) != usize::MAX);
        let Some(delta) = grown else { return false };
        self.end += delta * PAGE;
        true
    }
}

// SAFETY: blocks are handed out once, aligned, disjoint and inside the memory.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: there is one thread, and no reference to the state outlives this call.
        let state = unsafe { &mut *self.0.get() };
        if state.end == 0 {
            state.next = (&raw const __heap_base).addr();
            state.end = core::arch::wasm32::memory_size(0) * PAGE;
        }
        let block = state.next.checked_next_multiple_of(layout.align());
        let Some((block, end)) = block.and_then(|block| Some((block, block.checked_add(layout.size())?)))
        else {
            return ptr::null_mut();
        };
        if !state.reach(end) {
            return ptr::null_mut();
        }
        state.next = end;
        ptr::with_exposed_provenance_mut(block)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        let state = unsafe { &mut *self.0.get() };
        // The newest block can be taken back for nothing, which suits buffers that come and go.
        if block.addr() + layout.size() == state.next {
            state.next = block.addr();
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // Blocks that were taken back are not zero any more.
            // SAFETY: the block is as large as the layout says.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        {
            // SAFETY: as in `alloc`; the reference ends with this scope.
            let state = unsafe { &mut *self.0.get() };
            if block.addr() + layout.size() == state.next {
                let Some(end) = block.addr().checked_add(size) else { return ptr::null_mut() };
                if !state.reach(end) {
                    return ptr::null_mut();
                }
                state.next = end;
                return block;
            }
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the size is not zero and does not overflow, by the caller's promise.
        let fresh = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !fresh.is_null() {
            // SAFETY: both blocks hold as many bytes, and they are disjoint.
            unsafe { ptr::copy_nonoverlapping(block, fresh, layout.size()) };
        }
        fresh
    }
}
