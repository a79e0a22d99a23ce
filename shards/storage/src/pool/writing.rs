//! Frames on their way to the disk: what is dirty, what is being written, what is kept only to be written.
//!
//! Owns: the transitions of a frame's write, and the counts by which a checkpoint knows how much of its image is left.
//! Asked by: the tree (`page_mut`, `orphan`), the write-back, the writer, the checkpoint. Never: writes.
//! Bounds: 8 bytes a frame. Nothing here looks at all frames, but `FrozenPages`, a piece at a time.

use super::policy::list::Links;
use super::{FrameId, Pool};
use crate::page::{Page, PageId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

/// Frames that `FrozenPages` looks at in one go, which is also the longest list that it sorts: some 100 µs.
const PIECE: usize = 4096;

/// The lists of orphans: those whose page may be reused when their write ends, and the others.
const RELEASING: usize = 0;
const KEPT: usize = 1;

pub(super) struct Writing {
    dirty: usize,
    writing: usize,
    /// The epoch of the last freeze: pages of it and of earlier ones are frozen.
    frozen: u64,
    frozen_dirty: usize,
    frozen_writing: usize,
    orphans: Links,
}

impl Writing {
    pub fn new(frames: usize) -> Writing {
        Writing {
            dirty: 0,
            writing: 0,
            frozen: 0,
            frozen_dirty: 0,
            frozen_writing: 0,
            orphans: Links::new(frames, 2),
        }
    }

    pub fn forget_orphan(&mut self, frame: FrameId) {
        self.orphans.unlink(frame as usize);
    }

    fn orphans(&self, list: usize) -> impl Iterator<Item = usize> {
        let first = self.orphans.coldest(list);
        std::iter::successors(first, |frame| self.orphans.hotter(*frame))
    }
}

fn count(counter: &mut usize, up: bool) {
    *counter = if up { *counter + 1 } else { *counter - 1 };
}

impl Pool {
    pub fn dirty(&self) -> usize {
        self.writing.dirty
    }

    /// Frames whose writes are on their way.
    pub fn writing(&self) -> usize {
        self.writing.writing
    }

    pub fn is_dirty(&self, frame: FrameId) -> bool {
        self.frames[frame as usize].dirty
    }

    pub fn is_writing(&self, frame: FrameId) -> bool {
        self.frames[frame as usize].writing
    }

    #[inline]
    pub(super) fn set_dirty(&mut self, frame: FrameId, dirty: bool) {
        let state = &mut self.frames[frame as usize];
        if state.dirty != dirty {
            state.dirty = dirty;
            count(&mut self.writing.dirty, dirty);
            if state.epoch <= self.writing.frozen {
                count(&mut self.writing.frozen_dirty, dirty);
            }
        }
    }

    pub(super) fn set_writing(&mut self, frame: FrameId, writing: bool) {
        let state = &mut self.frames[frame as usize];
        if state.writing != writing {
            state.writing = writing;
            count(&mut self.writing.writing, writing);
            if state.epoch <= self.writing.frozen {
                count(&mut self.writing.frozen_writing, writing);
            }
        }
    }

    /// To change the page's bytes. It has to be written before the frame can be given up.
    #[inline]
    pub fn page_mut(&mut self, frame: FrameId) -> &mut Page {
        self.set_dirty(frame, true);
        &mut self.arena.as_chunks_mut().0[frame as usize]
    }

    /// Renames the page in a frame whose bytes under the old name are on disk or needed by nobody.
    pub fn rename(&mut self, frame: FrameId, page: PageId, epoch: u64) {
        debug_assert!(!self.is_writing(frame));
        let dirty = self.is_dirty(frame);
        self.set_dirty(frame, false);
        let state = &mut self.frames[frame as usize];
        self.table.remove(state.page);
        state.page = page;
        state.epoch = epoch;
        self.table.insert(page, frame);
        self.set_dirty(frame, dirty);
    }

    /// The page is gone from the trees, but the frame stays until its bytes are on disk. With `release` the page may
    /// be reused right after.
    pub fn orphan(&mut self, frame: FrameId, release: bool) {
        let state = &mut self.frames[frame as usize];
        self.table.remove(state.page);
        state.orphan = true;
        state.release = release;
        let list = if release { RELEASING } else { KEPT };
        self.writing.orphans.push_hot(list, frame as usize);
        self.policy.removed(frame as usize);
    }

    /// The page in `old` goes on in `new`, which was bound for it; `old` stays until its bytes are on disk.
    pub fn supersede(&mut self, old: FrameId, new: FrameId) {
        let page = self.page_id(new);
        self.policy.removed(new as usize);
        self.policy.moved(old as usize, new as usize, page);
        self.orphan(old, false);
    }

    /// A copy of the frame is being written from now on: changes made after this make it dirty again.
    pub fn begin_write(&mut self, frame: FrameId) -> &mut Page {
        self.set_dirty(frame, false);
        self.set_writing(frame, true);
        &mut self.arena.as_chunks_mut().0[frame as usize]
    }

    /// The write ended. Returns the page when it may be reused now.
    pub fn end_write(&mut self, frame: FrameId) -> Option<PageId> {
        self.set_writing(frame, false);
        let state = self.frames[frame as usize];
        if !state.orphan {
            if !state.dirty {
                self.policy.restored(frame as usize);
            }
            return None;
        }
        // A frozen page that changed after this write began still has to be written once more.
        if state.release || !state.dirty {
            self.empty(frame);
        }
        state.release.then_some(state.page)
    }

    /// The write did not happen: the frame is as dirty as before.
    pub fn abandon_write(&mut self, frame: FrameId) {
        self.set_writing(frame, false);
        self.set_dirty(frame, true);
    }

    fn claim_frame(&mut self, frame: FrameId) -> bool {
        let state = &self.frames[frame as usize];
        let free = state.dirty && !state.writing;
        if free {
            self.set_writing(frame, true);
        }
        free
    }

    /// Claims up to `n` dirty frames for writing, those that are kept for nothing else first, then the coldest.
    /// `begin_write` or `abandon_write` has to follow for each.
    pub fn claim_dirty(&mut self, n: usize) -> Vec<FrameId> {
        self.claim_among(n, usize::MAX)
    }

    /// Looks at up to `looks` frames besides orphans.
    pub(super) fn claim_among(&mut self, n: usize, mut looks: usize) -> Vec<FrameId> {
        let frames = &self.frames;
        let claimable = |f: usize| frames[f].dirty && !frames[f].writing;
        let orphans = [KEPT, RELEASING].into_iter();
        let mut chosen: Vec<FrameId> = orphans
            .flat_map(|list| self.writing.orphans(list))
            .filter(|f| claimable(*f))
            .take(n)
            .map(|f| f as FrameId)
            .collect();
        // No more than these are to be found, so that the search need not go over all that are clean.
        let mut left = self.writing.dirty - chosen.len();
        if chosen.len() < n && left > 0 && looks > 0 {
            self.policy.visit(&mut |f| {
                looks -= 1;
                left -= usize::from(frames[f].dirty);
                if claimable(f) {
                    chosen.push(f as FrameId);
                }
                match chosen.len() < n && left > 0 && looks > 0 {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            });
        }
        for frame in &chosen {
            self.set_writing(*frame, true);
        }
        chosen
    }

    /// From now on pages no younger than `epoch` are frozen.
    pub fn freeze(&mut self, epoch: u64) {
        let writing = &mut self.writing;
        writing.frozen = epoch;
        writing.frozen_dirty = writing.dirty;
        writing.frozen_writing = writing.writing;
    }

    /// Frozen frames that still have to be written, and those being written.
    pub fn frozen_left(&self) -> (usize, usize) {
        (self.writing.frozen_dirty, self.writing.frozen_writing)
    }

    /// Pages that will be reusable when their write ends.
    pub fn releasing(&self) -> impl Iterator<Item = PageId> {
        let frames = self.writing.orphans(RELEASING);
        frames.map(|f| self.frames[f].page)
    }

    /// Orphans that are not being written.
    pub fn idle_orphans(&self) -> Vec<FrameId> {
        [KEPT, RELEASING]
            .into_iter()
            .flat_map(|list| self.writing.orphans(list))
            .filter(|f| !self.frames[*f].writing)
            .map(|f| f as FrameId)
            .collect()
    }
}

/// The dirty frozen frames in page order: gathered and sorted a piece at a time, then merged as they are asked for.
/// Whoever asks may wait between any two calls: a frozen frame stays where it is until it is written, and none is added.
#[derive(Default)]
pub(crate) struct FrozenPages {
    next: usize,
    /// Sorted lists, what is left of each from its end.
    pieces: Vec<Vec<(PageId, FrameId)>>,
    /// The first of each list.
    heads: BinaryHeap<Reverse<(PageId, FrameId, usize)>>,
}

impl FrozenPages {
    /// Looks at some more frames. False when there are none left.
    pub fn gather(&mut self, pool: &Pool) -> bool {
        let upto = pool.untouched.min(self.next + PIECE);
        let piece = self.next..upto;
        if piece.is_empty() {
            return false;
        }
        self.next = upto;
        let mut found: Vec<(PageId, FrameId)> = piece
            .filter(|f| {
                let s = &pool.frames[*f];
                s.dirty && s.epoch <= pool.writing.frozen
            })
            .map(|f| (pool.frames[f].page, f as FrameId))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        if let Some((page, frame)) = found.pop() {
            self.heads.push(Reverse((page, frame, self.pieces.len())));
            self.pieces.push(found);
        }
        true
    }

    /// Claims for writing the next `n` that still have to be written, as `Pool::claim_dirty` does.
    pub fn claim(&mut self, pool: &mut Pool, n: usize) -> Vec<FrameId> {
        let mut claimed = Vec::with_capacity(n);
        for _ in 0..PIECE {
            if claimed.len() == n {
                break;
            }
            let Some(Reverse((page, frame, piece))) = self.heads.pop() else {
                break;
            };
            if let Some((page, frame)) = self.pieces[piece].pop() {
                self.heads.push(Reverse((page, frame, piece)));
            }
            if pool.page_id(frame) == page && pool.claim_frame(frame) {
                claimed.push(frame);
            }
        }
        claimed
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }
}
