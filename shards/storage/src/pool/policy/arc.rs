//! ARC: the share of recency and frequency adapts to what comes back.
//!
//! Owns: T1, pages used once lately, and T2, pages used again, each by its last use; B1 and B2, the names of pages that
//! left them; and the aim for T1's length, which a page that comes back from B1 raises and one from B2 lowers.
//! Asked by: the pool. Never: needs tuning.
//! Bounds: with `c` frames, T1 and B1 together hold `c` pages at most, all four lists `2c`.
//! Source: Megiddo and Modha 2003, "ARC: A self-tuning, low overhead replacement cache", figure 4. The victim is chosen
//! before the page that comes is put in, so the lists of names are cut when it is.

use super::EvictionPolicy;
use super::ghosts::Ghosts;
use super::list::Frames;
use crate::page::PageId;
use std::ops::ControlFlow;

const T1: usize = 0;
const T2: usize = 1;
const B1: usize = 0;
const B2: usize = 1;

pub(super) struct Arc {
    resident: Frames,
    gone: Ghosts,
    /// The length that T1 should have.
    aim: usize,
    frames: usize,
}

impl Arc {
    pub fn new(frames: usize) -> Arc {
        Arc {
            resident: Frames::new(frames, 2),
            // One over the bound between an eviction and what follows.
            gone: Ghosts::new(2 * frames + 1, 2),
            aim: 0,
            frames,
        }
    }

    /// The aim after a page that `list` remembers has come back.
    fn aim_with(&self, list: Option<usize>) -> usize {
        let (b1, b2) = (self.gone.len(B1), self.gone.len(B2));
        match list {
            Some(B1) => (self.aim + (b2 / b1.max(1)).max(1)).min(self.frames),
            Some(_) => self.aim.saturating_sub((b1 / b2.max(1)).max(1)),
            None => self.aim,
        }
    }

    /// The lists in the order in which they give up frames.
    fn lists(&self, coming: Option<PageId>) -> [usize; 2] {
        let list = coming.and_then(|page| self.gone.list(page));
        let (aim, t1) = (self.aim_with(list), self.resident.len(T1));
        if t1 > aim || (t1 == aim && list == Some(B2)) {
            [T1, T2]
        } else {
            [T2, T1]
        }
    }

    fn cut(&mut self) {
        let (t1, t2) = (self.resident.len(T1), self.resident.len(T2));
        self.gone.trim(B1, self.frames.saturating_sub(t1));
        let rest = t1 + t2 + self.gone.len(B1);
        self.gone.trim(B2, (2 * self.frames).saturating_sub(rest));
    }
}

impl EvictionPolicy for Arc {
    fn admitted(&mut self, frame: usize, page: PageId) {
        let list = self.gone.list(page);
        self.aim = self.aim_with(list);
        self.gone.take(page);
        self.resident
            .put(if list.is_some() { T2 } else { T1 }, frame);
        self.cut();
    }

    fn touched(&self, frame: usize) {
        self.resident.put(T2, frame);
    }

    fn evicted(&mut self, frame: usize, page: PageId) {
        if let Some(list) = self.resident.list(frame) {
            self.gone.put(if list == T1 { B1 } else { B2 }, page);
        }
        self.resident.remove(frame);
    }

    fn removed(&mut self, frame: usize) {
        self.resident.remove(frame);
    }

    fn victim(
        &mut self,
        coming: Option<PageId>,
        allowed: &mut dyn FnMut(usize) -> bool,
    ) -> Option<usize> {
        let [first, second] = self.lists(coming);
        let chosen = self.resident.coldest(first, allowed);
        chosen.or_else(|| self.resident.coldest(second, allowed))
    }

    fn restored(&mut self, frame: usize) {
        self.resident.restore(frame);
    }

    fn visit(&self, f: &mut dyn FnMut(usize) -> ControlFlow<()>) {
        self.resident.visit(&self.lists(None), f);
    }
}
