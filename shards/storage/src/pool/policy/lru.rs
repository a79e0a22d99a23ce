//! LRU: the frame that was used longest ago goes.
//!
//! Owns: the frames in the order of their last use. Asked by: the pool. Never: knows how often a page was used, so one
//! scan of more pages than there are frames empties it of everything else.
//! Bounds: 9 bytes a frame.
//! Source: Belady 1966, "A study of replacement algorithms for a virtual-storage computer".

use super::EvictionPolicy;
use super::list::Frames;
use crate::page::PageId;
use std::ops::ControlFlow;

const USED: usize = 0;

pub(super) struct Lru {
    frames: Frames,
}

impl Lru {
    pub fn new(frames: usize) -> Lru {
        Lru {
            frames: Frames::new(frames, 1),
        }
    }
}

impl EvictionPolicy for Lru {
    fn admitted(&mut self, frame: usize, _: PageId) {
        self.frames.put(USED, frame);
    }

    fn touched(&self, frame: usize) {
        self.frames.put(USED, frame);
    }

    fn evicted(&mut self, frame: usize, _: PageId) {
        self.frames.remove(frame);
    }

    fn removed(&mut self, frame: usize) {
        self.frames.remove(frame);
    }

    fn victim(
        &mut self,
        _: Option<PageId>,
        allowed: &mut dyn FnMut(usize) -> bool,
    ) -> Option<usize> {
        self.frames.coldest(USED, allowed)
    }

    fn restored(&mut self, frame: usize) {
        self.frames.restore(frame);
    }

    fn visit(&self, f: &mut dyn FnMut(usize) -> ControlFlow<()>) {
        self.frames.visit(&[USED], f);
    }
}
