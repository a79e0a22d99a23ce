//! B+trees over resident pages.
//!
//! Owns: the trees' roots, the walk from a root to a leaf, copy on write, and the giving and freeing of pages.
//! Asked by: the store, which fetches what `Stall` names and asks again.
//! Never: awaits or does I/O. A change first makes sure that all it needs is resident and free, then cannot fail.
//! A page of an older epoch may belong to a checkpoint and is never changed: it gets a new place, and so do its
//! ancestors. So a page of the current epoch has none but such ancestors, and checking the leaf is enough.
//! Bounds: depth up to `DEPTH_MAX`; a change needs at most 2 x depth + 3 free frames.
//! Source: Bayer and Unterauer 1977, "Prefix B-trees" (separators); Rodeh 2008, "B-trees, shadowing, and clones".

mod delete;
mod drop;
mod measure;
mod put;
mod read;
mod relocate;
mod split;
mod value;

pub(crate) use drop::Walk;
pub use read::First;
pub(crate) use read::{Ready, Visit};
pub(crate) use relocate::Relocation;
pub(crate) use value::Assembly;

use crate::error::StorageError;
use crate::hold::Held;
use crate::page::node::{self, Stored};
use crate::page::overflow::OverflowRef;
use crate::page::{self, Kind, PAGE_BYTES, PageId};
use crate::pool::{Arrival, FrameId, Pool};
use crate::space::Space;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use types::TreeId;

/// Inner levels of a tree, plus one. Three children a node at the least would need 3^16 leaves to get there.
pub(crate) const DEPTH_MAX: u8 = 16;

/// A tree as the directory keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tree {
    pub root: PageId,
    /// Level of the root; 0 is a leaf.
    pub level: u8,
    pub cells: u64,
    /// Cells whose value is in overflow pages.
    pub overflows: u64,
}

/// Why a synchronous step could not be done. Nothing was changed.
#[derive(Debug)]
pub(crate) enum Stall {
    /// The page has to be fetched.
    Miss(PageId),
    /// A value's pages are not all resident.
    Value(TreeId, OverflowRef),
    /// So many frames have to be freed, by writing dirty ones back.
    Frames(usize),
    /// The page file has to grow by so many pages.
    Grow(u32),
    Error(StorageError),
}

impl From<StorageError> for Stall {
    fn from(e: StorageError) -> Stall {
        Stall::Error(e)
    }
}

/// Everything that the synchronous steps work on: one partition's pages in memory.
pub(crate) struct State {
    pub pool: Pool,
    pub space: Space,
    pub trees: HashMap<TreeId, Tree>,
    /// Dropped trees whose pages have not been freed yet.
    pub doomed: Vec<(TreeId, Tree)>,
    /// Pages placed now carry this epoch; no durable checkpoint refers to them.
    pub epoch: u64,
    /// True while a checkpoint writes the pages of the epoch before.
    pub freezing: bool,
    /// Pages that a durable or running checkpoint may refer to and the trees no longer do.
    pub freed: Vec<PageId>,
    /// An image older than the last one that is still being copied.
    pub held: Option<Held>,
    /// Pages freed since the store was opened.
    pub frees: u64,
    /// Pages of values that no leaf refers to yet.
    pub pending: HashSet<PageId>,
    /// Reads on their way, with a token that tells one read of a page from the next.
    pub loading: HashMap<PageId, u64>,
    /// Pages the file system has promised room for.
    pub grown: u32,
    pub sequence: u32,
}

pub(crate) struct Step {
    pub frame: FrameId,
    /// Which child was taken.
    pub child: usize,
}

/// Frames from the root down. Valid until the next change of the pool.
pub(crate) struct Path {
    pub inner: SmallVec<[Step; 8]>,
    pub leaf: FrameId,
}

impl Path {
    fn frame(&self, depth: usize) -> FrameId {
        self.inner.get(depth).map_or(self.leaf, |step| step.frame)
    }

    fn depth(&self) -> usize {
        self.inner.len()
    }
}

impl State {
    pub fn new(pool: Pool, space: Space, epoch: u64) -> State {
        State {
            pool,
            space,
            trees: HashMap::new(),
            doomed: Vec::new(),
            epoch,
            freezing: false,
            freed: Vec::new(),
            held: None,
            frees: 0,
            pending: HashSet::new(),
            loading: HashMap::new(),
            grown: 0,
            sequence: 0,
        }
    }

    /// The frame of a tree's page, checked to be the page that its parent takes it for.
    #[inline]
    fn resident(&self, id: PageId, tree: TreeId, level: u8) -> Result<FrameId, Stall> {
        let frame = self.pool.lookup(id).ok_or(Stall::Miss(id))?;
        let page = self.pool.page(frame);
        let kind = match level {
            0 => Kind::Leaf,
            _ => Kind::Inner,
        };
        if page::kind(page) != Some(kind)
            || page::owner(page) != tree.0
            || node::level(page) != level
        {
            return Err(StorageError::page(
                id,
                format!("not a node of tree {tree} at level {level}"),
            )
            .into());
        }
        Ok(frame)
    }

    fn descend(&self, tree: TreeId, info: &Tree, key: &[u8]) -> Result<Path, Stall> {
        let mut inner = SmallVec::new();
        let mut id = info.root;
        for level in (1..=info.level).rev() {
            let frame = self.resident(id, tree, level)?;
            let page = self.pool.page(frame);
            let child = node::child_for(page, key);
            inner.push(Step { frame, child });
            id = node::child(page, child);
        }
        let leaf = self.resident(id, tree, 0)?;
        Ok(Path { inner, leaf })
    }

    /// Makes sure that `frames` frames and `pages` pages can be had, without giving up a frame of the path.
    pub fn reserve(
        &mut self,
        path: Option<&Path>,
        frames: usize,
        pages: usize,
    ) -> Result<(), Stall> {
        let pins: SmallVec<[_; 9]> = path
            .into_iter()
            .flat_map(|path| (0..=path.depth()).map(|d| self.pool.pin(path.frame(d))))
            .collect();
        let enough = self.pool.reserve(frames);
        drop(pins);
        if !enough {
            return Err(Stall::Frames(frames));
        }
        self.room_for(pages)
    }

    /// Makes sure that `pages` pages can be had.
    pub fn room_for(&self, pages: usize) -> Result<(), Stall> {
        let pages = pages as u32;
        let room = self.space.free() + self.grown.saturating_sub(self.space.pages());
        if room < pages {
            return Err(Stall::Grow(pages));
        }
        Ok(())
    }

    /// A frame for a new page. The caller has reserved both.
    pub fn place(&mut self) -> Result<(PageId, FrameId), StorageError> {
        let frames = self.pool.frames();
        let frame = self
            .pool
            .take(None)
            .ok_or(StorageError::PoolExhausted { frames })?;
        match self.space.allocate() {
            Ok(id) => {
                self.forget(id);
                self.pool.bind(frame, id, self.epoch, Arrival::Known);
                Ok((id, frame))
            }
            Err(e) => {
                self.pool.give_back(frame);
                Err(e)
            }
        }
    }

    /// A read of the page that is on its way, or a copy of what it was, is of no use to anyone.
    pub fn forget(&mut self, id: PageId) {
        self.loading.remove(&id);
        if let Some(frame) = self.pool.find(id) {
            self.pool.discard(frame);
        }
    }

    fn new_node(&mut self, tree: TreeId, level: u8) -> Result<(PageId, FrameId), StorageError> {
        let (id, frame) = self.place()?;
        let kind = match level {
            0 => Kind::Leaf,
            _ => Kind::Inner,
        };
        let epoch = self.epoch;
        let page = self.pool.page_mut(frame);
        *page = [0; PAGE_BYTES];
        page::identify(page, kind, id, tree.0, epoch);
        node::init(page, level);
        Ok((id, frame))
    }

    /// Frames and pages that `make_current` will need.
    fn copies(&self, path: &Path) -> usize {
        if self.pool.epoch(path.leaf) == self.epoch {
            return 0;
        }
        (0..=path.depth())
            .filter(|d| self.pool.epoch(path.frame(*d)) != self.epoch)
            .count()
    }

    /// Gives every page of the path that an older checkpoint may refer to a new place, root first.
    fn make_current(&mut self, tree: TreeId, path: &mut Path) -> Result<(), StorageError> {
        if self.pool.epoch(path.leaf) == self.epoch {
            return Ok(());
        }
        for depth in 0..=path.depth() {
            let frame = path.frame(depth);
            if self.pool.epoch(frame) == self.epoch {
                continue;
            }
            let (id, moved) = self.copy_page(frame)?;
            match path.inner.get_mut(depth) {
                Some(step) => step.frame = moved,
                None => path.leaf = moved,
            }
            match depth.checked_sub(1) {
                Some(above) => {
                    let Step { frame, child } = path.inner[above];
                    node::set_child(self.pool.page_mut(frame), child, id);
                }
                None => {
                    if let Some(info) = self.trees.get_mut(&tree) {
                        info.root = id;
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives the page in a frame a new place in the current epoch.
    fn copy_page(&mut self, frame: FrameId) -> Result<(PageId, FrameId), StorageError> {
        let old = self.pool.page_id(frame);
        let needed = self.pool.is_writing(frame) || (self.freezing && self.pool.is_dirty(frame));
        let (id, moved) = if needed {
            // The bytes under the old name are still to be written: they keep their frame until then.
            let (id, moved) = self.place()?;
            let bytes = *self.pool.page(frame);
            self.pool.fill(moved, &bytes);
            self.pool.supersede(frame, moved);
            (id, moved)
        } else {
            let id = self.space.allocate()?;
            self.forget(id);
            self.pool.rename(frame, id, self.epoch);
            (id, frame)
        };
        self.loading.remove(&old);
        self.freed.push(old);
        let epoch = self.epoch;
        page::move_to(self.pool.page_mut(moved), id, epoch);
        Ok((id, moved))
    }

    /// The trees no longer refer to the page. `born` is the epoch in which it was placed, or an earlier one.
    pub fn free_page(&mut self, id: PageId, born: u64) {
        self.frees += 1;
        let now = born == self.epoch;
        let mut writing = false;
        self.loading.remove(&id);
        if let Some(frame) = self.pool.find(id) {
            writing = self.pool.is_writing(frame);
            let frozen = self.freezing && self.pool.epoch(frame) != self.epoch;
            if writing || (frozen && self.pool.is_dirty(frame)) {
                self.pool.orphan(frame, now);
            } else {
                self.pool.discard(frame);
            }
        }
        match (now, writing) {
            (true, false) => self.space.release(id),
            (true, true) => {}
            (false, _) => self.freed.push(id),
        }
    }

    /// The last durable image does not have the page; if an image that is held does, it waits for that one's end.
    pub fn let_go(&mut self, id: PageId) {
        match &mut self.held {
            Some(held) if held.has(id) => held.waiting.push(id),
            _ => self.release(id),
        }
    }

    /// No durable checkpoint refers to the page any more: it may be reused.
    pub fn release(&mut self, id: PageId) {
        self.forget(id);
        self.space.release(id);
    }
}

fn overflow_of(stored: Stored<'_>, at: PageId) -> Result<Option<OverflowRef>, StorageError> {
    match stored {
        Stored::Inline(_) => Ok(None),
        Stored::Overflow(bytes) => OverflowRef::decode(bytes)
            .map(Some)
            .ok_or_else(|| StorageError::page(at, "malformed overflow reference")),
    }
}
