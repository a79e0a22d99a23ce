//! Reading ahead of sequential scans.
//!
//! Owns: how far a scan is read ahead of, the reads under way, and where scans that paused will go on. A scan that
//! moves on to a next leaf has the leaves from there on read, twice as many each time; it looks again when half of
//! them are behind it, so that it does not reach the end of what is there. Neighbours are read in one go.
//! Asked by: `Store::scan`. Never: makes a scan fail or wait: a page that cannot be read is reported when the scan
//! comes to it; never writes a page back to have room.
//! Bounds: `WINDOW_MAX` leaves a scan and an eighth of the pool for all of them; pages that were read for a scan stay
//! pinned until it has used them or ends. `PAUSED_MAX` paused scans are remembered.

use crate::page::{self, PAGE_BYTES, Page, PageId};
use crate::pool::{Arrival, Pin};
use crate::store::Store;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use types::TreeId;

const WINDOW_MIN: usize = 2;
const WINDOW_MAX: usize = 64;
/// Of all frames, those that may be waiting to be used by a scan.
const FRAMES_FRACTION: usize = 8;
/// Pages between two wanted ones that are read along with them, to save a read.
const GAP_MAX: u32 = 2;
const PAUSED_MAX: usize = 16;

/// Pages that one scan is about to use.
type Held = Rc<RefCell<Vec<(PageId, Pin)>>>;

#[derive(Default)]
pub(crate) struct Ahead {
    /// Pages being read, for all scans.
    reading: Cell<usize>,
    /// Pages read since the store was opened.
    pub read: Cell<u64>,
    paused: RefCell<VecDeque<Paused>>,
}

/// A scan that broke off in a leaf and may go on there.
struct Paused {
    tree: TreeId,
    leaf: PageId,
    window: usize,
    steps: usize,
}

/// How far one scan is read ahead of.
pub(crate) struct Reader {
    tree: TreeId,
    window: usize,
    /// Leaves until it looks again.
    steps: usize,
    held: Held,
}

impl Reader {
    /// For a scan that begins at `from`, or goes on there.
    pub fn new(store: &Store, tree: TreeId, from: &[u8]) -> Reader {
        let mut paused = store.ahead.paused.borrow_mut();
        let mut known = None;
        if paused.iter().any(|p| p.tree == tree) {
            let leaf = store.state.borrow().leaf_at(tree, from);
            let here = paused
                .iter()
                .position(|p| p.tree == tree && Some(p.leaf) == leaf);
            known = here.and_then(|i| paused.remove(i));
        }
        let (window, steps) = known.map_or((0, 0), |p| (p.window, p.steps));
        Reader {
            tree,
            window,
            steps,
            held: Held::default(),
        }
    }

    /// The scan has moved on to the leaf that covers `from`.
    pub fn step(&mut self, store: &Store, from: &[u8]) {
        if self.steps > 0 {
            self.steps -= 1;
            return;
        }
        let most = store.ahead_max().min(WINDOW_MAX);
        self.window = (self.window * 2).max(WINDOW_MIN).min(most);
        let mut missing = SmallVec::new();
        let looked = {
            let state = store.state.borrow();
            let pool = &state.pool;
            self.held.borrow_mut().retain(|(id, _)| pool.is_ahead(*id));
            state.leaves_from(self.tree, from, self.window, &mut missing)
        };
        self.steps = looked / 2;
        store.read_ahead(missing, &self.held);
    }

    /// The scan broke off in the leaf that covers `from`.
    pub fn pause(self, store: &Store, from: &[u8]) {
        if self.window == 0 {
            return;
        }
        let Some(leaf) = store.state.borrow().leaf_at(self.tree, from) else {
            return;
        };
        let mut paused = store.ahead.paused.borrow_mut();
        if paused.len() == PAUSED_MAX {
            paused.pop_front();
        }
        paused.push_back(Paused {
            tree: self.tree,
            leaf,
            window: self.window,
            steps: self.steps,
        });
    }
}

/// Pages to be read in one go, announced in `loading`. Dropped, read or not, it lets others try.
struct Batch {
    store: Rc<Store>,
    /// With their tokens, in page order.
    pages: SmallVec<[(PageId, u64); 16]>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut state = self.store.state.borrow_mut();
        for (page, token) in &self.pages {
            if state.loading.get(page) == Some(token) {
                state.loading.remove(page);
            }
        }
        drop(state);
        let reading = &self.store.ahead.reading;
        reading.set(reading.get() - self.pages.len());
        self.store.loaded.notify_all();
    }
}

impl Store {
    fn ahead_max(&self) -> usize {
        self.state.borrow().pool.frames() / FRAMES_FRACTION
    }

    /// Begins to read those of the pages that nobody reads yet.
    fn read_ahead(&self, mut pages: SmallVec<[PageId; 16]>, held: &Held) {
        let Some(store) = self.this.upgrade() else {
            return;
        };
        let reading = &self.ahead.reading;
        let most = self.ahead_max();
        // In scan order until here: what comes first is wanted most.
        pages.truncate(most.saturating_sub(reading.get()));
        pages.sort_unstable();
        let mut batches: SmallVec<[Batch; 4]> = SmallVec::new();
        let mut state = self.state.borrow_mut();
        for id in pages {
            let new = id.0 >= page::FIRST_PAGE && state.space.is_used(id);
            if !new || state.loading.contains_key(&id) {
                continue;
            }
            let token = self.next_token();
            state.loading.insert(id, token);
            reading.set(reading.get() + 1);
            match batches.last_mut() {
                Some(last) if last.reaches(id) => last.pages.push((id, token)),
                _ => batches.push(Batch {
                    store: store.clone(),
                    pages: [(id, token)].into_iter().collect(),
                }),
            }
        }
        drop(state);
        for batch in batches {
            runtime::spawn(batch.read(held.clone())).detach();
        }
    }
}

impl Batch {
    fn reaches(&self, id: PageId) -> bool {
        let near = |(last, _): &(PageId, u64)| id.0 - last.0 <= GAP_MAX + 1;
        let first = self.pages[0].0;
        self.pages.last().is_some_and(near) && ((id.0 - first.0) as usize) < WINDOW_MAX
    }

    async fn read(self, held: Held) {
        let store = &self.store;
        let (Some((first, _)), Some((last, _))) = (self.pages.first(), self.pages.last()) else {
            return;
        };
        let bytes = (last.0 - first.0 + 1) as usize * PAGE_BYTES;
        // Whoever comes to a page that could not be read will say why.
        let Ok(buffer) = store.file.read_at(first.position(), bytes).await else {
            return;
        };
        let mut state = store.state.borrow_mut();
        for (id, token) in &self.pages {
            let at = (id.0 - first.0) as usize;
            let Some(bytes): Option<&Page> = buffer.as_chunks::<PAGE_BYTES>().0.get(at) else {
                break;
            };
            let wanted = state.loading.get(id) == Some(token);
            if !wanted || page::verify(bytes, *id, store.id).is_err() {
                continue;
            }
            let Some(frame) = state.pool.take(Some(*id)) else {
                break;
            };
            state.pool.fill(frame, bytes);
            state
                .pool
                .bind(frame, *id, page::epoch(bytes), Arrival::Ahead);
            let (reads, ahead) = (&store.counters.reads, &store.ahead.read);
            reads.set(reads.get() + 1);
            ahead.set(ahead.get() + 1);
            // With the scan gone there is nobody to keep it for.
            if Rc::strong_count(&held) > 1
                && let Some(pin) = state.pool.pin_page(*id)
            {
                held.borrow_mut().push((*id, pin));
            }
        }
        drop(state);
        store.wake_writer();
    }
}
