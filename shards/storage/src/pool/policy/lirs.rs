//! LIRS: a page counts as hot when the distance between its last two uses is short.
//!
//! Owns: the stack S, pages by their last use: all LIR (hot) ones, and of the others, HIR, those used since the oldest
//! use of any LIR page, resident or not; and the queue Q of resident HIR pages, which give up their frames in order.
//! A HIR page used while it is in S becomes LIR, and the LIR page at S's bottom becomes HIR; then S loses from its
//! bottom what is not LIR. Asked by: the pool. Never: lets a loop or a scan push LIR pages out.
//! Bounds: HIR pages have a hundredth of the frames; S remembers as many pages that have gone as there are frames;
//! one call takes up to `PRUNED_MAX` pages off S's bottom, the next one goes on.
//! Source: Jiang and Zhang 2002, "LIRS: an efficient low inter-reference recency set replacement policy".

use super::EvictionPolicy;
use super::ghosts::Ghosts;
use super::list::{Frames, Links};
use crate::page::PageId;
use std::cell::Cell;
use std::ops::ControlFlow;

const PRUNED_MAX: usize = 1024;
const HIR_FRAMES_MIN: usize = 2;
/// The lists of `stack`.
const S: usize = 0;
/// Pages that have gone and have left the stack by a touch, which cannot forget them.
const DEAD: usize = 1;
/// The list of `hir`.
const Q: usize = 0;
const GONE: usize = 0;

pub(super) struct Lirs {
    /// Frames, and behind them the slots of `gone`.
    stack: Links,
    hir: Frames,
    gone: Ghosts,
    /// Page of each slot of `gone` is known there; this says which frames are LIR.
    lir: Vec<Cell<bool>>,
    lirs: Cell<usize>,
    lirs_max: usize,
    frames: usize,
}

impl Lirs {
    pub fn new(frames: usize) -> Lirs {
        let slots = frames.max(1);
        let hirs = (frames / 100).max(HIR_FRAMES_MIN);
        Lirs {
            stack: Links::new(frames + slots, 2),
            hir: Frames::new(frames, 1),
            gone: Ghosts::new(slots, 1),
            lir: vec![Cell::new(false); frames],
            lirs: Cell::new(0),
            lirs_max: frames.saturating_sub(hirs).max(1),
            frames,
        }
    }

    fn is_lir(&self, node: usize) -> bool {
        node < self.frames && self.lir[node].get()
    }

    fn set_lir(&self, frame: usize, lir: bool) {
        if self.lir[frame].replace(lir) != lir {
            let n = self.lirs.get();
            self.lirs.set(if lir { n + 1 } else { n - 1 });
        }
    }

    /// Takes off S's bottom what is not LIR.
    fn prune(&self) {
        for _ in 0..PRUNED_MAX {
            match self.stack.coldest(S) {
                Some(node) if !self.is_lir(node) => {
                    self.stack.unlink(node);
                    if node >= self.frames {
                        self.stack.push_hot(DEAD, node);
                    }
                }
                _ => return,
            }
        }
    }

    /// While there are too many LIR pages, the one at the bottom becomes the youngest HIR page.
    fn demote(&self) {
        self.prune();
        while self.lirs.get() > self.lirs_max {
            match self.stack.coldest(S) {
                Some(frame) if self.is_lir(frame) => {
                    self.set_lir(frame, false);
                    self.stack.unlink(frame);
                    self.hir.put(Q, frame);
                    self.prune();
                }
                _ => return,
            }
        }
    }

    fn promote(&self, frame: usize) {
        self.hir.remove(frame);
        self.set_lir(frame, true);
        self.stack.to_hot(S, frame);
        self.demote();
    }

    fn bury(&mut self) {
        while let Some(node) = self.stack.coldest(DEAD) {
            self.stack.unlink(node);
            self.gone.forget_slot(node - self.frames);
        }
    }

    fn remember(&mut self, frame: usize, page: PageId) {
        if self.gone.len(GONE) == self.frames
            && let Some(slot) = self.gone.forget_oldest(GONE)
        {
            self.stack.unlink(self.frames + slot);
        }
        if let Some(slot) = self.gone.put(GONE, page) {
            self.stack.replace(frame, self.frames + slot);
        }
    }
}

impl EvictionPolicy for Lirs {
    fn admitted(&mut self, frame: usize, page: PageId) {
        self.bury();
        if let Some((_, slot)) = self.gone.take(page) {
            self.stack.unlink(self.frames + slot);
            self.promote(frame);
        } else if self.lirs.get() + self.hir.len(Q) < self.lirs_max {
            self.promote(frame);
        } else {
            self.stack.to_hot(S, frame);
            self.hir.put(Q, frame);
        }
    }

    fn touched(&self, frame: usize) {
        if self.lir[frame].get() {
            let bottom = self.stack.coldest(S) == Some(frame);
            self.stack.to_hot(S, frame);
            if bottom {
                self.prune();
            }
        } else if self.stack.is_linked(frame) {
            self.promote(frame);
        } else {
            self.stack.push_hot(S, frame);
            self.hir.put(Q, frame);
        }
    }

    fn evicted(&mut self, frame: usize, page: PageId) {
        self.bury();
        if self.stack.is_linked(frame) && !self.lir[frame].get() {
            self.remember(frame, page);
        }
        self.removed(frame);
    }

    fn removed(&mut self, frame: usize) {
        self.set_lir(frame, false);
        self.stack.unlink(frame);
        self.hir.remove(frame);
        self.prune();
        self.bury();
    }

    fn victim(
        &mut self,
        _: Option<PageId>,
        allowed: &mut dyn FnMut(usize) -> bool,
    ) -> Option<usize> {
        loop {
            if let Some(frame) = self.hir.coldest(Q, allowed) {
                return Some(frame);
            }
            // No HIR page may go: the coldest LIR page takes their place.
            let mut node = self.stack.coldest(S)?;
            while !self.is_lir(node) {
                self.prune();
                node = self.stack.coldest(S)?;
            }
            self.set_lir(node, false);
            self.stack.unlink(node);
            self.hir.put(Q, node);
            self.prune();
        }
    }

    fn restored(&mut self, frame: usize) {
        self.hir.restore(frame);
    }

    fn visit(&self, f: &mut dyn FnMut(usize) -> ControlFlow<()>) {
        let mut flow = ControlFlow::Continue(());
        self.hir.visit(&[Q], &mut |frame| {
            flow = f(frame);
            flow
        });
        let mut next = self.stack.coldest(S);
        while let Some(node) = next.filter(|_| flow.is_continue()) {
            if self.is_lir(node) {
                flow = f(node);
            }
            next = self.stack.hotter(node);
        }
    }

    fn adopt(&mut self, frames: &[(usize, PageId)]) {
        let (cold, hot) = frames.split_at(frames.len().saturating_sub(self.lirs_max));
        for (frame, _) in cold {
            self.hir.put(Q, *frame);
        }
        for (frame, _) in hot {
            self.promote(*frame);
        }
    }
}
