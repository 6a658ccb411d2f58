//! Allocations a call, by an allocator that counts.
//!
//! The count is a plain integer of the thread, so it costs one instruction an allocation and shares no cache line: the
//! peers that allocate are measured with it in place and lose nothing. The crates that offer such an allocator keep
//! shared atomics or a stack of statistics behind a `RefCell`, which costs more than the allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::drive::{Shape, runtime};
use crate::figure::{Figure, quotient};
use crate::subjects::Subject;

/// Enough calls for what grows by doubling to show as a fraction, few enough to take no time.
const CALLS: u64 = 1_000;

/// The system's allocator, counting for each thread how often it is asked for memory.
#[derive(Debug)]
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

#[expect(
    unsafe_code,
    reason = "an allocator cannot be written without; each method only counts and forwards"
)]
// SAFETY: every method hands its arguments unchanged to the system's allocator, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Allocations a call of `subject`, once it is warm.
pub fn measure(subject: &Subject, shape: Shape) -> Figure<f64> {
    if !subject.has(shape) {
        return Figure::Skipped;
    }
    let _context = runtime().enter();
    let mut drive = subject.build();
    let calls = subject.span.unwrap_or(CALLS);
    if subject.span.is_none() {
        drive.run(shape, CALLS);
    }
    let before = ASKED.get();
    drive.run(shape, calls);
    Figure::Known(quotient(ASKED.get() - before, calls))
}

// `try_with`: the allocator is also used while a thread's locals are torn down.
#[inline]
fn count() {
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subjects::find;

    #[test]
    fn a_boxed_future_is_one_allocation() {
        let boxed = find("box-future/floor").expect("is listed");
        assert_eq!(measure(boxed, Shape::Reused), Figure::Known(1.0));
    }

    #[test]
    fn an_operation_has_no_cloned_shape() {
        let read = find("fetch-add/floor").expect("is listed");
        assert_eq!(measure(read, Shape::Cloned), Figure::Skipped);
    }
}
