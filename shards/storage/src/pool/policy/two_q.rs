//! 2Q, the full version: a page has to come back after it has left a queue before it counts as hot.
//!
//! Owns: A1in, a queue of pages new to the pool; A1out, the names of those that left it; Am, the pages that came back
//! while they were remembered, by their last use. A use in A1in changes nothing: such uses are usually one.
//! Asked by: the pool. Never: lets a scan reach Am.
//! Bounds: A1in is held at a quarter of the frames and A1out at half as many names as there are frames.
//! Source: Johnson and Shasha 1994, "2Q: A low overhead high performance buffer management replacement algorithm".

use super::EvictionPolicy;
use super::ghosts::Ghosts;
use super::list::Frames;
use crate::page::PageId;
use std::ops::ControlFlow;

const A1IN: usize = 0;
const AM: usize = 1;
const A1OUT: usize = 0;

pub(super) struct TwoQ {
    frames: Frames,
    out: Ghosts,
    in_max: usize,
    out_max: usize,
}

impl TwoQ {
    pub fn new(frames: usize) -> TwoQ {
        let out_max = (frames / 2).max(1);
        TwoQ {
            frames: Frames::new(frames, 2),
            out: Ghosts::new(out_max + 1, 1),
            in_max: (frames / 4).max(1),
            out_max,
        }
    }

    /// The lists in the order in which they give up frames.
    fn lists(&self) -> [usize; 2] {
        if self.frames.len(A1IN) > self.in_max {
            [A1IN, AM]
        } else {
            [AM, A1IN]
        }
    }
}

impl EvictionPolicy for TwoQ {
    fn admitted(&mut self, frame: usize, page: PageId) {
        let known = self.out.take(page).is_some();
        self.frames.put(if known { AM } else { A1IN }, frame);
        self.out.trim(A1OUT, self.out_max);
    }

    fn touched(&self, frame: usize) {
        if self.frames.list(frame) == Some(AM) {
            self.frames.put(AM, frame);
        }
    }

    fn evicted(&mut self, frame: usize, page: PageId) {
        if self.frames.list(frame) == Some(A1IN) {
            // One over the bound, until it is known whether the page that comes is the oldest one remembered.
            self.out.put(A1OUT, page);
        }
        self.frames.remove(frame);
    }

    fn removed(&mut self, frame: usize) {
        self.frames.remove(frame);
    }

    fn moved(&mut self, from: usize, to: usize, _: PageId) {
        let list = self.frames.list(from).unwrap_or(A1IN);
        self.frames.remove(from);
        self.frames.put(list, to);
    }

    fn victim(
        &mut self,
        _: Option<PageId>,
        allowed: &mut dyn FnMut(usize) -> bool,
    ) -> Option<usize> {
        let [first, second] = self.lists();
        let chosen = self.frames.coldest(first, allowed);
        chosen.or_else(|| self.frames.coldest(second, allowed))
    }

    fn restored(&mut self, frame: usize) {
        self.frames.restore(frame);
    }

    fn visit(&self, f: &mut dyn FnMut(usize) -> ControlFlow<()>) {
        self.frames.visit(&self.lists(), f);
    }
}
