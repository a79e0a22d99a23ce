//! The buffer pool: frames of 4 KiB that hold pages of the page file.
//!
//! Owns: the arena, which page is in which frame, which frames are dirty, being written or pinned, and the counters.
//! Asked by: the tree (synchronously, over what is resident), the store's fetch and write-back, the checkpoint.
//! Never: does I/O itself, and never gives up a frame whose bytes are nowhere else: dirty frames are written first.
//! Bounds: one arena of `Options::pool_bytes`, allocated at the start and touched lazily; everything else is less than
//! 200 bytes a frame, allocated once. When nothing can be given up the caller gets no frame and has to write back
//! first. No call looks at all frames, but `set_policy`.

mod cold;
mod pins;
pub mod policy;
mod table;
mod writing;

pub(crate) use pins::Pin;
pub(crate) use writing::FrozenPages;

use crate::page::{PAGE_BYTES, Page, PageId};
use pins::Pins;
use policy::{EvictionPolicy, Policy};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
pub(crate) use table::PageTable;

pub(crate) type FrameId = u32;

#[derive(Clone, Copy, Debug)]
struct Frame {
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

/// How a page came into its frame: what its first lookup means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// It was looked up before, or made here.
    Known,
    /// Read because it was missed: the first lookup is the use that it was read for.
    Missed,
    /// Read ahead of a scan.
    Ahead,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub hits: Cell<u64>,
    pub misses: Cell<u64>,
    pub evictions: u64,
    pub ahead_used: Cell<u64>,
}

pub(crate) struct Pool {
    /// The frames' pages, one after the other. Zeroed by the system when a page is first touched: a pool costs no
    /// memory and no time before it is used.
    arena: Vec<u8>,
    frames: Vec<Frame>,
    arrivals: Vec<Cell<Arrival>>,
    table: PageTable,
    /// Empty frames that were used before.
    spare: Vec<FrameId>,
    /// Frames from here on were never used.
    untouched: usize,
    name: Policy,
    policy: Box<dyn EvictionPolicy>,
    pins: Rc<Pins>,
    writing: writing::Writing,
    /// Frames taken since the writer last found nothing more to do.
    taken: usize,
    pub counters: Counters,
}

impl Pool {
    pub fn new(frames: usize, policy: Policy) -> Pool {
        Pool {
            arena: vec![0; frames * PAGE_BYTES],
            frames: vec![EMPTY; frames],
            arrivals: vec![Cell::new(Arrival::Known); frames],
            table: PageTable::new(frames),
            spare: Vec::with_capacity(frames),
            untouched: 0,
            name: policy,
            policy: policy.build(frames),
            pins: Pins::new(frames),
            writing: writing::Writing::new(frames),
            taken: 0,
            counters: Counters::default(),
        }
    }

    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    pub fn policy(&self) -> Policy {
        self.name
    }

    /// Changes the policy. Frames carry over from the coldest to the hottest; what was known of pages that have gone
    /// is forgotten. Looks at every frame once.
    pub fn set_policy(&mut self, policy: Policy) {
        let mut order = Vec::with_capacity(self.table.len());
        let frames = &self.frames;
        self.policy.visit(&mut |f| {
            order.push((f, frames[f].page));
            ControlFlow::Continue(())
        });
        self.name = policy;
        self.policy = policy.build(self.frames.len());
        self.policy.adopt(&order);
    }

    /// The frame of a page the tree is about to use.
    #[inline]
    pub fn lookup(&self, page: PageId) -> Option<FrameId> {
        let frame = self.table.get(page)?;
        if self.arrivals[frame as usize].get() == Arrival::Known {
            self.policy.touched(frame as usize);
        } else if !self.first_use(frame) {
            return Some(frame);
        }
        self.counters.hits.set(self.counters.hits.get() + 1);
        Some(frame)
    }

    /// True when it is a hit.
    #[cold]
    fn first_use(&self, frame: FrameId) -> bool {
        let ahead = self.arrivals[frame as usize].replace(Arrival::Known) == Arrival::Ahead;
        let used = &self.counters.ahead_used;
        used.set(used.get() + u64::from(ahead));
        ahead
    }

    /// The frame of a page, without counting it as a use.
    pub fn find(&self, page: PageId) -> Option<FrameId> {
        self.table.get(page)
    }

    /// True when the page was read ahead and has not been used.
    pub fn is_ahead(&self, page: PageId) -> bool {
        let frame = self.find(page);
        frame.is_some_and(|f| self.arrivals[f as usize].get() == Arrival::Ahead)
    }

    #[inline]
    pub fn page(&self, frame: FrameId) -> &Page {
        &self.arena.as_chunks().0[frame as usize]
    }

    #[inline]
    pub fn epoch(&self, frame: FrameId) -> u64 {
        self.frames[frame as usize].epoch
    }

    pub fn page_id(&self, frame: FrameId) -> PageId {
        self.frames[frame as usize].page
    }

    pub fn pin(&self, frame: FrameId) -> Pin {
        self.pins.pin(frame)
    }

    /// Pins the page's frame across a wait, unless half of the pool is pinned already: then it may be given up, and
    /// whoever needs it fetches it again.
    pub fn pin_page(&self, page: PageId) -> Option<Pin> {
        let frame = self.find(page)?;
        (self.pins.total() < self.frames.len() / 2).then(|| self.pin(frame))
    }

    /// Told when a frame is unpinned or emptied.
    pub fn pins(&self) -> Rc<Pins> {
        self.pins.clone()
    }

    /// Frames that are empty.
    pub fn free(&self) -> usize {
        self.spare.len() + (self.frames.len() - self.untouched)
    }

    /// Makes sure that `take` gives `n` frames. False when fewer can be given up without a write.
    pub fn reserve(&mut self, n: usize) -> bool {
        self.reserve_for(n, None)
    }

    fn reserve_for(&mut self, n: usize, coming: Option<PageId>) -> bool {
        if self.free() >= n {
            return true;
        }
        for frame in self.pins.take_back() {
            self.policy.restored(frame as usize);
        }
        while self.free() < n {
            let (frames, pins) = (&self.frames, &self.pins);
            let victim = self.policy.victim(coming, &mut |f| {
                let s = &frames[f];
                !s.dirty && !s.writing && pins.may_go(f)
            });
            let Some(victim) = victim else {
                // As if all had been taken: the writer is wanted.
                self.taken = self.frames.len();
                return false;
            };
            let page = self.frames[victim].page;
            self.counters.evictions += 1;
            self.table.remove(page);
            self.frames[victim] = EMPTY;
            self.policy.evicted(victim, page);
            self.spare.push(victim as FrameId);
        }
        true
    }

    /// An empty frame, `None` when `reserve` would say false. `coming` is the page that is to be read into it.
    pub fn take(&mut self, coming: Option<PageId>) -> Option<FrameId> {
        if !self.reserve_for(1, coming) {
            return None;
        }
        self.taken += 1;
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
    pub fn bind(&mut self, frame: FrameId, page: PageId, epoch: u64, arrival: Arrival) {
        debug_assert!(page.0 != 0);
        let before = self.table.insert(page, frame);
        debug_assert!(before.is_none(), "page {} twice in the pool", page.0);
        self.frames[frame as usize] = Frame {
            page,
            epoch,
            ..EMPTY
        };
        self.arrivals[frame as usize].set(arrival);
        self.policy.admitted(frame as usize, page);
    }

    /// Fills an empty frame's bytes; used right before or after `bind`.
    pub fn fill(&mut self, frame: FrameId, bytes: &Page) {
        self.arena.as_chunks_mut::<PAGE_BYTES>().0[frame as usize].copy_from_slice(bytes);
    }

    /// The page is gone from the trees and its bytes are needed by nobody.
    pub fn discard(&mut self, frame: FrameId) {
        let state = self.frames[frame as usize];
        if !state.orphan {
            self.table.remove(state.page);
        }
        self.empty(frame);
    }

    fn empty(&mut self, frame: FrameId) {
        self.set_dirty(frame, false);
        self.set_writing(frame, false);
        self.writing.forget_orphan(frame);
        self.frames[frame as usize] = EMPTY;
        self.policy.removed(frame as usize);
        self.spare.push(frame);
        self.pins.tell();
    }
}

#[cfg(test)]
mod tests;
