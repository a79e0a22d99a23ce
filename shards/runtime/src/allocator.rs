//! The process's heap: mimalloc, a heap a thread, as each shard has one.
//!
//! Owns: how a layout is asked for. Asked by: `main`, which makes it the global one. Never: counts, or keeps anything.
//! The crate `mimalloc` asks for every layout as an aligned one. mimalloc then takes a slow way, from another class of sizes, for
//! whatever is longer than 1 KiB or finds no free block at once, though all its blocks are aligned to 16 bytes anyway: two
//! places on a read's way did so. So only layouts that want more are asked for so here.
//! Source: mimalloc's alloc-aligned.c, `mi_malloc_is_naturally_aligned`; `MI_MAX_ALIGN_SIZE` in its types.h.

#![allow(unsafe_code)]

use libmimalloc_sys as mi;
use std::alloc::{GlobalAlloc, Layout};

/// What every block is aligned to that is at least as long.
const NATURAL: usize = 16;

pub struct Allocator;

fn is_natural(size: usize, align: usize) -> bool {
    align <= NATURAL && align <= size
}

// SAFETY: mimalloc's blocks live until they are freed and have the size that was asked for, and the alignment: see the module.
unsafe impl GlobalAlloc for Allocator {
    // SAFETY: any size may be asked for, and `align` is a power of two.
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        unsafe {
            match is_natural(size, align) {
                true => mi::mi_malloc(size).cast(),
                false => mi::mi_malloc_aligned(size, align).cast(),
            }
        }
    }

    // SAFETY: as in `alloc`.
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        unsafe {
            match is_natural(size, align) {
                true => mi::mi_zalloc(size).cast(),
                false => mi::mi_zalloc_aligned(size, align).cast(),
            }
        }
    }

    // SAFETY: the caller has it from here, and frees it once.
    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        unsafe { mi::mi_free(block.cast()) }
    }

    // SAFETY: the caller has it from here; `align` is a power of two.
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        unsafe {
            match is_natural(size, align) {
                true => mi::mi_realloc(block.cast(), size).cast(),
                false => mi::mi_realloc_aligned(block.cast(), size, align).cast(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_as_asked_whatever_their_size() {
        let mut held = Vec::new();
        for size in (1..600).chain((600..70_000).step_by(61)) {
            for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the layout is not empty; what is written is within it.
                unsafe {
                    let block = Allocator.alloc(layout);
                    assert!(block.addr().is_multiple_of(align), "{layout:?}");
                    block.write_bytes(0x5a, size);
                    held.push((block, layout));
                }
            }
        }
        for (n, (block, layout)) in held.into_iter().enumerate() {
            // SAFETY: from above, with its layout, once; the grown one keeps what was in it.
            unsafe {
                let more = layout.size() + n % 3_000;
                let grown = Allocator.realloc(block, layout, more);
                assert!(grown.addr().is_multiple_of(layout.align()), "{layout:?}");
                assert_eq!(grown.read(), 0x5a);
                assert_eq!(grown.add(layout.size() - 1).read(), 0x5a);
                let layout = Layout::from_size_align(more, layout.align()).unwrap();
                Allocator.dealloc(grown, layout);
            }
        }
    }
}
