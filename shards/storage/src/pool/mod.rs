//! The buffer pool: frames of 4 KiB that hold pages of the page file.
//!
//! Owns: the arena, which page is in which frame, which frames are dirty, being written or pinned, and the counters.
//! Asked by: the tree (synchronously, over what is resident), the store's fetch and write-back, the checkpoint.
//! Never: does I/O itself, and never gives up a frame whose bytes are nowhere else: dirty frames are written first.
//! Bounds: one arena of `Options::pool_bytes`, allocated at the start and touched lazily; everything else is a few
//! bytes a frame. When nothing can be given up the caller gets no frame and has to write back first.

pub mod policy;

use crate::page::{PAGE_BYTES, Page, PageId};
use hashbrown::HashMap;
use policy::{EvictionPolicy, Policy};
use std::cell::Cell;
use std::rc::Rc;

pub(crate) type FrameId = u32;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// `PageId(0)`, a superblock slot and never a frame's page, when the frame is empty.
    page: PageId,
    /// The page's epoch, copied out of its header.
    epoch: u64,
    dirty: bool,
    /// A copy of the frame is on its way to the disk.
    writing: bool,
    /// No longer what the trees refer to, kept until the frozen image has it or its write has ended.
    orphan: bool,
    /// The page may be reused as soon as the write ends.
    release: bool,
}

const EMPTY: Frame = Frame {
    page: PageId(0),
    epoch: 0,
    dirty: false,
    writing: false,
    orphan: false,
    release: false,
};

struct Pins {
    counts: Box<[Cell<u32>]>,
    total: Cell<usize>,
}

/// Keeps a page's frame from being given up. Dropping it unpins.
pub(crate) struct Pin {
    pins: Rc<Pins>,
    frame: usize,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let count = &self.pins.counts[self.frame];
        count.set(count.get() - 1);
        self.pins.total.set(self.pins.total.get() - 1);
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    pub hits: Cell<u64>,
    pub misses: Cell<u64>,
    pub evictions: u64,
    pub writes: u64,
}

pub(crate) struct Pool {
    /// The frames' pages, one after the other. Zeroed by the system when a page is first touched: a pool costs no
    /// memory and no time before it is used.
    arena: Vec<u8>,
    frames: Vec<Frame>,
    table: HashMap<PageId, FrameId>,
    /// Empty frames that were used before.
    spare: Vec<FrameId>,
    /// Frames from here on were never used.
    untouched: usize,
    dirty: usize,
    policy: Box<dyn EvictionPolicy>,
    pins: Rc<Pins>,
    pub counters: Counters,
}

impl Pool {
    pub fn new(frames: usize, policy: Policy) -> Pool {
        Pool {
            arena: vec![0; frames * PAGE_BYTES],
            frames: vec![EMPTY; frames],
            table: HashMap::new(),
            spare: Vec::new(),
            untouched: 0,
            dirty: 0,
            policy: policy.build(frames),
            pins: Rc::new(Pins {
                counts: (0..frames).map(|_| Cell::new(0)).collect(),
                total: Cell::new(0),
            }),
            counters: Counters::default(),
        }
    }

    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    pub fn dirty(&self) -> usize {
        self.dirty
    }

    /// The frame of a page the tree is about to use.
    #[inline]
    pub fn lookup(&self, page: PageId) -> Option<FrameId> {
        let frame = *self.table.get(&page)?;
        self.counters.hits.set(self.counters.hits.get() + 1);
        self.policy.touched(frame as usize);
        Some(frame)
    }

    /// The frame of a page, without counting it as a use.
    pub fn find(&self, page: PageId) -> Option<FrameId> {
        self.table.get(&page).copied()
    }

    #[inline]
    pub fn page(&self, frame: FrameId) -> &Page {
        &self.arena.as_chunks().0[frame as usize]
    }

    /// To change the page's bytes. It has to be written before the frame can be given up.
    #[inline]
    pub fn page_mut(&mut self, frame: FrameId) -> &mut Page {
        let state = &mut self.frames[frame as usize];
        self.dirty += usize::from(!state.dirty);
        state.dirty = true;
        &mut self.arena.as_chunks_mut().0[frame as usize]
    }

    #[inline]
    pub fn epoch(&self, frame: FrameId) -> u64 {
        self.frames[frame as usize].epoch
    }

    pub fn page_id(&self, frame: FrameId) -> PageId {
        self.frames[frame as usize].page
    }

    pub fn is_dirty(&self, frame: FrameId) -> bool {
        self.frames[frame as usize].dirty
    }

    pub fn is_writing(&self, frame: FrameId) -> bool {
        self.frames[frame as usize].writing
    }

    pub fn pin(&self, frame: FrameId) -> Pin {
        let count = &self.pins.counts[frame as usize];
        count.set(count.get() + 1);
        self.pins.total.set(self.pins.total.get() + 1);
        Pin {
            pins: self.pins.clone(),
            frame: frame as usize,
        }
    }

    /// Pins the page's frame across a wait, unless half of the pool is pinned already: then it may be given up, and
    /// whoever needs it fetches it again.
    pub fn pin_page(&self, page: PageId) -> Option<Pin> {
        let frame = self.find(page)?;
        (self.pins.total.get() < self.frames.len() / 2).then(|| self.pin(frame))
    }

    /// Makes sure that `take` gives `n` frames. False when fewer can be given up without a write.
    pub fn reserve(&mut self, n: usize) -> bool {
        while self.spare.len() + (self.frames.len() - self.untouched) < n {
            let (frames, pins) = (&self.frames, &self.pins);
            let victim = self.policy.victim(&mut |f| {
                let s = &frames[f];
                s.page.0 != 0 && !s.dirty && !s.writing && !s.orphan && pins.counts[f].get() == 0
            });
            let Some(victim) = victim else {
                return false;
            };
            self.counters.evictions += 1;
            self.table.remove(&self.frames[victim].page);
            self.empty(victim as FrameId);
        }
        true
    }

    /// An empty frame, `None` when `reserve` would say false.
    pub fn take(&mut self) -> Option<FrameId> {
        if !self.reserve(1) {
            return None;
        }
        if let Some(frame) = self.spare.pop() {
            return Some(frame);
        }
        let frame = self.untouched;
        self.untouched += 1;
        Some(frame as FrameId)
    }

    /// Gives back a frame that `take` gave and nothing was bound to, or whose page has gone.
    pub fn give_back(&mut self, frame: FrameId) {
        self.spare.push(frame);
    }

    /// Names the page in an empty frame. It is clean until `page_mut`.
    pub fn bind(&mut self, frame: FrameId, page: PageId, epoch: u64) {
        debug_assert!(page.0 != 0);
        let before = self.table.insert(page, frame);
        debug_assert!(before.is_none(), "page {} twice in the pool", page.0);
        self.frames[frame as usize] = Frame {
            page,
            epoch,
            ..EMPTY
        };
        self.policy.admitted(frame as usize);
    }

    /// Fills an empty frame's bytes; used right before or after `bind`.
    pub fn fill(&mut self, frame: FrameId, bytes: &Page) {
        self.arena.as_chunks_mut::<PAGE_BYTES>().0[frame as usize].copy_from_slice(bytes);
    }

    /// Renames the page in a frame whose bytes under the old name are on disk or needed by nobody.
    pub fn rename(&mut self, frame: FrameId, page: PageId, epoch: u64) {
        let state = &mut self.frames[frame as usize];
        self.table.remove(&state.page);
        state.page = page;
        state.epoch = epoch;
        self.table.insert(page, frame);
    }

    /// The page is gone from the trees and its bytes are needed by nobody.
    pub fn discard(&mut self, frame: FrameId) {
        let state = self.frames[frame as usize];
        if !state.orphan {
            self.table.remove(&state.page);
        }
        self.empty(frame);
    }

    fn empty(&mut self, frame: FrameId) {
        let state = &mut self.frames[frame as usize];
        self.dirty -= usize::from(state.dirty);
        *state = EMPTY;
        self.policy.removed(frame as usize);
        self.spare.push(frame);
    }

    /// The page is gone from the trees, but the frame stays until its bytes are on disk. With `release` the page may
    /// be reused right after.
    pub fn orphan(&mut self, frame: FrameId, release: bool) {
        let state = &mut self.frames[frame as usize];
        self.table.remove(&state.page);
        state.orphan = true;
        state.release = release;
    }

    /// A copy of the frame is being written from now on: changes made after this make it dirty again.
    pub fn begin_write(&mut self, frame: FrameId) -> &mut Page {
        let state = &mut self.frames[frame as usize];
        self.dirty -= usize::from(state.dirty);
        state.dirty = false;
        state.writing = true;
        self.counters.writes += 1;
        &mut self.arena.as_chunks_mut().0[frame as usize]
    }

    /// The write ended. Returns the page when it may be reused now.
    pub fn end_write(&mut self, frame: FrameId) -> Option<PageId> {
        let state = &mut self.frames[frame as usize];
        state.writing = false;
        let Frame {
            page,
            orphan,
            release,
            dirty,
            ..
        } = *state;
        // A frozen page that changed after this write began still has to be written once more.
        if orphan && (release || !dirty) {
            self.empty(frame);
        }
        (orphan && release).then_some(page)
    }

    /// The write did not happen: the frame is as dirty as before.
    pub fn abandon_write(&mut self, frame: FrameId) {
        let state = &mut self.frames[frame as usize];
        state.writing = false;
        self.dirty += usize::from(!state.dirty);
        state.dirty = true;
    }

    /// Claims up to `n` dirty frames for writing, coldest first. `begin_write` or `abandon_write` has to follow for each.
    pub fn claim_dirty(&mut self, n: usize) -> Vec<FrameId> {
        let mut chosen: Vec<FrameId> = Vec::with_capacity(n);
        while chosen.len() < n {
            let frames = &self.frames;
            let victim = self
                .policy
                .victim(&mut |f| frames[f].dirty && !frames[f].writing);
            match victim {
                Some(frame) => {
                    self.frames[frame].writing = true;
                    chosen.push(frame as FrameId);
                }
                None => break,
            }
        }
        chosen
    }

    /// Claims for writing those of `wanted` that still hold their page, dirty.
    pub fn claim(&mut self, wanted: &[(PageId, FrameId)]) -> Vec<FrameId> {
        let mut claimed = Vec::with_capacity(wanted.len());
        for (page, frame) in wanted {
            let state = &mut self.frames[*frame as usize];
            if state.page == *page && state.dirty && !state.writing {
                state.writing = true;
                claimed.push(*frame);
            }
        }
        claimed
    }

    /// Dirty frames of pages no younger than `epoch`, in page order: what a checkpoint has to write.
    pub fn dirty_upto(&self, epoch: u64) -> Vec<(PageId, FrameId)> {
        let mut found: Vec<_> = self.frames[..self.untouched]
            .iter()
            .enumerate()
            .filter(|(_, f)| f.dirty && f.epoch <= epoch)
            .map(|(i, f)| (f.page, i as FrameId))
            .collect();
        found.sort_unstable();
        found
    }

    /// Writes of pages no younger than `epoch` that are on their way.
    pub fn writing_upto(&self, epoch: u64) -> bool {
        self.frames[..self.untouched]
            .iter()
            .any(|f| f.writing && f.epoch <= epoch)
    }

    /// Pages that will be reusable when their write ends.
    pub fn releasing(&self) -> impl Iterator<Item = PageId> {
        self.frames[..self.untouched]
            .iter()
            .filter(|f| f.orphan && f.release)
            .map(|f| f.page)
    }

    /// Orphans that are not being written.
    pub fn idle_orphans(&self) -> Vec<FrameId> {
        (0..self.untouched as FrameId)
            .filter(|f| {
                let s = &self.frames[*f as usize];
                s.orphan && !s.writing
            })
            .collect()
    }
}
