//! CLOCK: second chance.
//!
//! Owns: the frames in the order in which the hand will pass them, and a mark on those used since it last did. The hand
//! stands at the cold end; a marked frame loses its mark and goes round once more. A touch is one store.
//! Asked by: the pool. Never: sorts by time within a round.
//! Bounds: 10 bytes a frame; the hand spares no more than `SPARED_MAX` frames a search, a few 100 µs.
//! Source: Corbató 1968, "A paging experiment with the Multics system".

use super::EvictionPolicy;
use super::list::Frames;
use crate::page::PageId;
use std::cell::Cell;
use std::ops::ControlFlow;

const SPARED_MAX: usize = 16 * 1024;
const ROUND: usize = 0;

pub(super) struct Clock {
    frames: Frames,
    used: Vec<Cell<bool>>,
}

impl Clock {
    pub fn new(frames: usize) -> Clock {
        Clock {
            frames: Frames::new(frames, 1),
            used: vec![Cell::new(false); frames],
        }
    }
}

impl EvictionPolicy for Clock {
    fn admitted(&mut self, frame: usize, _: PageId) {
        self.used[frame].set(true);
        self.frames.put(ROUND, frame);
    }

    fn touched(&self, frame: usize) {
        self.used[frame].set(true);
    }

    fn evicted(&mut self, frame: usize, _: PageId) {
        self.removed(frame);
    }

    fn removed(&mut self, frame: usize) {
        self.used[frame].set(false);
        self.frames.remove(frame);
    }

    fn victim(
        &mut self,
        _: Option<PageId>,
        allowed: &mut dyn FnMut(usize) -> bool,
    ) -> Option<usize> {
        for _ in 0..SPARED_MAX {
            let frame = self.frames.coldest(ROUND, allowed)?;
            if !self.used[frame].replace(false) {
                return Some(frame);
            }
            self.frames.put(ROUND, frame);
        }
        self.frames.coldest(ROUND, allowed)
    }

    fn restored(&mut self, frame: usize) {
        self.frames.restore(frame);
    }

    /// Those among the first that are not marked, then all others: that is how the hand will take them.
    fn visit(&self, f: &mut dyn FnMut(usize) -> ControlFlow<()>) {
        let mut flow = ControlFlow::Continue(());
        let mut near = 0;
        self.frames.visit(&[ROUND], &mut |frame| {
            near += 1;
            if !self.used[frame].get() {
                flow = f(frame);
            }
            match near < SPARED_MAX {
                true => flow,
                false => ControlFlow::Break(()),
            }
        });
        if flow.is_break() {
            return;
        }
        let mut seen = 0;
        self.frames.visit(&[ROUND], &mut |frame| {
            seen += 1;
            match seen <= near && !self.used[frame].get() {
                true => ControlFlow::Continue(()),
                false => f(frame),
            }
        });
    }

    fn adopt(&mut self, frames: &[(usize, PageId)]) {
        for (frame, _) in frames {
            // Not marked: their order is all that is known of their use.
            self.frames.put(ROUND, *frame);
        }
    }
}
