//! Pages between the file and the pool.
//!
//! Owns: the reading of a missing page (once, however many wait for it), the writing back of dirty frames, and the
//! growing of the file. Asked by: the store whenever a step stalls; the checkpoint writes through here too.
//! Never: lets a write be cancelled half way. Writes run in tasks of their own, because a second write of a page must
//! not overtake a first one that its caller gave up.
//! Bounds: a batch is up to 256 frames; one write is a run of up to 64 neighbouring pages. What is read and written
//! passes through the shard's general buffers; who has to wait for one holds none.

use crate::error::StorageError;
use crate::page::{self, PAGE_BYTES, Page, PageId};
use crate::pool::{Arrival, FrameId, Pin};
use crate::store::Store;
use crate::writer::By;
use futures_util::future::join_all;
use runtime::{Instant, IoBuf, ReadBuf, oneshot};
use std::io;
use std::ops::Range;

const BATCH_MIN: usize = 16;
const BATCH_MAX: usize = 256;
const RUN_MAX: usize = 64;
/// The file grows by an eighth of itself, within these (1 MiB and 64 MiB).
const GROW_MIN: u32 = 256;
const GROW_MAX: u32 = 16 * 1024;

/// A read on its way. Dropped, finished or not, it lets the next one try.
struct Loading<'a> {
    store: &'a Store,
    page: PageId,
    token: u64,
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut state = self.store.state.borrow_mut();
        if state.loading.get(&self.page) == Some(&self.token) {
            state.loading.remove(&self.page);
        }
        drop(state);
        self.store.loaded.notify_all();
    }
}

/// The file's length is being changed.
pub(crate) struct Resizing<'a>(&'a Store);

impl Drop for Resizing<'_> {
    fn drop(&mut self) {
        self.0.resizing.set(false);
        self.0.resized.notify_all();
    }
}

/// Neighbouring pages: the first, and which of the pages that are to be written they are.
pub(crate) struct Run {
    first: PageId,
    of: Range<usize>,
}

/// Packs pages, given in page order, into runs.
pub(crate) fn runs(pages: impl Iterator<Item = PageId>) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for (at, id) in pages.enumerate() {
        match out.last_mut() {
            Some(run) if run.of.len() < RUN_MAX && run.first.0 + run.of.len() as u32 == id.0 => {
                run.of.end += 1;
            }
            _ => out.push(Run {
                first: id,
                of: at..at + 1,
            }),
        }
    }
    out
}

impl Store {
    /// Brings the page that a `Miss` named into the pool. A page that was freed meanwhile is not an error: the caller
    /// asks again and finds another way.
    pub async fn fetch(&self, miss: PageId) -> Result<(), StorageError> {
        self.fetch_pinned(miss, true).await.map(drop)
    }

    /// As `fetch`, and pins the page. A caller that holds pins is not `patient`: others may wait for those.
    pub(crate) async fn fetch_pinned(
        &self,
        id: PageId,
        patient: bool,
    ) -> Result<Option<Pin>, StorageError> {
        loop {
            let waiting = {
                let mut state = self.state.borrow_mut();
                if state.pool.find(id).is_some() {
                    return Ok(state.pool.pin_page(id));
                }
                if id.0 < page::FIRST_PAGE || id.0 >= state.space.pages() {
                    return Err(StorageError::page(
                        id,
                        "referred to, but outside of the file",
                    ));
                }
                if !state.space.is_used(id) {
                    return Ok(None);
                }
                if state.loading.contains_key(&id) {
                    Some(self.loaded.notified())
                } else {
                    let token = self.next_token();
                    state.loading.insert(id, token);
                    None
                }
            };
            match waiting {
                Some(waiting) => waiting.await,
                None => return self.load(id, patient).await,
            }
        }
    }

    /// Reads a page that this task has announced in `loading`.
    async fn load(&self, id: PageId, patient: bool) -> Result<Option<Pin>, StorageError> {
        let token = self.state.borrow().loading.get(&id).copied();
        let Some(token) = token else {
            return Ok(None);
        };
        let _loading = Loading {
            store: self,
            page: id,
            token,
        };
        let read = match self.read_page(id).await {
            Ok(read) => read,
            // The page was freed while it was read, and may even be cut off the file.
            Err(_) if self.state.borrow().loading.get(&id) != Some(&token) => return Ok(None),
            Err(e) => return Err(self.noticed(e)),
        };
        self.counters.reads.set(self.counters.reads.get() + 1);
        let page = whole_page(&read, id)?;
        if let Some(pin) = self.place(id, token, page)? {
            return Ok(pin);
        }
        // Making room may write, and that wants buffers: this one goes back first.
        let page = Box::new(*page);
        drop(read);
        loop {
            self.make_room(1, patient).await?;
            if let Some(pin) = self.place(id, token, &page)? {
                return Ok(pin);
            }
        }
    }

    /// Puts a page that was read into a frame. None: there is no frame to take. Some without a pin: the page was freed
    /// while it was read, and what was read may be anything.
    fn place(
        &self,
        id: PageId,
        token: u64,
        bytes: &Page,
    ) -> Result<Option<Option<Pin>>, StorageError> {
        let mut state = self.state.borrow_mut();
        if state.loading.get(&id) != Some(&token) {
            return Ok(Some(None));
        }
        page::verify(bytes, id, self.id).map_err(|e| self.noticed(e))?;
        let Some(frame) = state.pool.take(Some(id)) else {
            return Ok(None);
        };
        let misses = &state.pool.counters.misses;
        misses.set(misses.get() + 1);
        state.pool.fill(frame, bytes);
        state
            .pool
            .bind(frame, id, page::epoch(bytes), Arrival::Missed);
        let pin = state.pool.pin_page(id);
        drop(state);
        self.wake_writer();
        Ok(Some(pin))
    }

    /// Reads the bytes at a page's place, unchecked.
    pub(crate) async fn read_page(&self, id: PageId) -> Result<ReadBuf, StorageError> {
        let read = self.file.read_at(id.position(), PAGE_BYTES).await;
        read.map_err(|e| StorageError::io(format!("read page {}", id.0), e))
    }

    /// Makes sure that `n` frames can be had, writing dirty ones back as needed. When all are pinned it waits for
    /// `Options::frame_wait`, if it is `patient`.
    pub(crate) async fn make_room(&self, n: usize, patient: bool) -> Result<(), StorageError> {
        let mut until = None;
        loop {
            let claimed = {
                let mut state = self.state.borrow_mut();
                if state.pool.reserve(n) {
                    return Ok(());
                }
                self.fence.check()?;
                let frames = state.pool.frames();
                let batch = (frames / 16).clamp(BATCH_MIN, BATCH_MAX).max(n);
                state.pool.claim_dirty(batch)
            };
            if !claimed.is_empty() {
                self.write_frames(claimed, By::Statement).await?;
                continue;
            }
            let (frames, writing, pins) = {
                let pool = &self.state.borrow().pool;
                (pool.frames(), pool.writing(), pool.pins())
            };
            if writing > 0 {
                self.written.notified().await;
                continue;
            }
            let now = Instant::now();
            let left = until
                .get_or_insert(now + self.options.frame_wait)
                .duration_since(now);
            let freed = pins.freed().notified();
            if !patient || left.is_zero() || runtime::timeout(left, freed).await.is_err() {
                return Err(StorageError::PoolExhausted { frames });
            }
        }
    }

    /// Writes frames that have been claimed. A failure fences the store.
    pub(crate) async fn write_frames(
        &self,
        mut claimed: Vec<FrameId>,
        by: By,
    ) -> Result<(), StorageError> {
        let Some(store) = self.this.upgrade() else {
            return Err(StorageError::Closed);
        };
        let (done, outcome) = oneshot::channel();
        claimed.sort_unstable_by_key(|f| self.state.borrow().pool.page_id(*f));
        let write = async move {
            let result = store.write_claimed(&claimed, by).await;
            // Nobody may be waiting any more; the frames' states say what happened.
            let _ = done.send(result);
        };
        match by {
            By::Statement => runtime::spawn(write).detach(),
            By::Writer | By::Checkpoint => runtime::spawn_background(write).detach(),
        }
        outcome.await.unwrap_or(Err(StorageError::Closed))
    }

    async fn write_claimed(&self, claimed: &[FrameId], by: By) -> Result<(), StorageError> {
        let runs = {
            let pool = &self.state.borrow().pool;
            runs(claimed.iter().map(|f| pool.page_id(*f)))
        };
        let copy = |of: Range<usize>, bytes: &mut [u8]| {
            let mut state = self.state.borrow_mut();
            let pages = bytes.as_chunks_mut::<PAGE_BYTES>().0;
            for (frame, to) in claimed[of].iter().zip(pages) {
                page::seal(state.pool.begin_write(*frame), self.id);
                *to = *state.pool.page(*frame);
            }
        };
        let result = match self.fence.check() {
            Ok(()) => self.write_runs(runs, copy).await,
            Err(e) => Err(e),
        };
        {
            let mut state = self.state.borrow_mut();
            for frame in claimed {
                if result.is_ok() {
                    if let Some(page) = state.pool.end_write(*frame) {
                        state.release(page);
                    }
                } else {
                    state.pool.abandon_write(*frame);
                }
            }
        }
        self.counters.writes.add(by, claimed.len());
        self.written.notify_all();
        result.inspect_err(|e| self.fence.set(e))
    }

    /// Writes pages that are at hand, given in page order.
    pub(crate) async fn write_pages<'a>(
        &self,
        pages: impl Iterator<Item = (PageId, &'a Page)>,
    ) -> Result<(), StorageError> {
        let (ids, pages): (Vec<PageId>, Vec<&Page>) = pages.unzip();
        let copy = |of: Range<usize>, bytes: &mut [u8]| {
            let to = bytes.as_chunks_mut::<PAGE_BYTES>().0;
            for (from, to) in pages[of].iter().zip(to) {
                *to = **from;
            }
        };
        self.write_runs(runs(ids.into_iter()), copy).await
    }

    /// Writes runs, all at once as far as there are buffers; `copy` fills each when it has its buffer.
    async fn write_runs(
        &self,
        runs: Vec<Run>,
        copy: impl Fn(Range<usize>, &mut [u8]),
    ) -> Result<(), StorageError> {
        let copy = &copy;
        let writes = runs.into_iter().map(|run| async move {
            let mut bytes = IoBuf::take(run.of.len() * PAGE_BYTES).await;
            copy(run.of, &mut bytes);
            self.file
                .write_at(run.first.position(), bytes)
                .await
                .map_err(|e| StorageError::io(format!("write page {}", run.first.0), e))
        });
        for outcome in join_all(writes).await {
            outcome?;
        }
        Ok(())
    }

    /// Has the file system promise room for `pages` more pages.
    pub(crate) async fn grow(&self, pages: u32) -> Result<(), StorageError> {
        let _resizing = self.resize().await;
        let (need, target) = {
            let state = self.state.borrow();
            let need = state.space.pages().saturating_add(pages);
            let step = (state.grown / 8).clamp(GROW_MIN, GROW_MAX);
            (need, need.max(state.grown.saturating_add(step)))
        };
        self.fence.check()?;
        let reached = match self.reserve_file(target).await {
            Ok(()) => target,
            Err(e) if runtime::io_error_is_disk_full(&e) => match self.reserve_file(need).await {
                Ok(()) => need,
                Err(_) => return Err(StorageError::DiskFull),
            },
            // A file system that cannot promise room says so when a page is written.
            Err(error) => {
                tracing::debug!(%error, "no room reserved for the page file");
                target
            }
        };
        let mut state = self.state.borrow_mut();
        state.grown = state.grown.max(reached);
        Ok(())
    }

    /// Growing and cutting the file must not overtake each other: one at a time.
    pub(crate) async fn resize(&self) -> Resizing<'_> {
        while self.resizing.replace(true) {
            self.resized.notified().await;
        }
        Resizing(self)
    }

    async fn reserve_file(&self, pages: u32) -> io::Result<()> {
        self.file.allocate(PageId(pages).position()).await
    }
}

fn whole_page(read: &ReadBuf, id: PageId) -> Result<&Page, StorageError> {
    let page = read.as_array::<PAGE_BYTES>();
    page.ok_or_else(|| StorageError::page(id, "the file ends before it"))
}
