//! Making a durable image of all trees while they go on changing.
//!
//! Owns: the order of a checkpoint. Freeze, in one go: the epoch advances, so every later change goes to a new place;
//! what is dirty, the list of trees and the map of pages are taken as they are. Then, in a task of its own: write the
//! frozen pages in page order, the directory and the map; sync; make the log durable up to the freeze; write the
//! superblock's two slots, syncing after each. Only then pages that the last image alone used become free, and old log segments go.
//! Asked by: the engine, and `open` for the first image. Never: overwrites a page of the last durable image.
//! Bounds: one at a time. A failure at any step fences the store and leaves the last image valid.

use crate::directory::{self, Entry};
use crate::error::StorageError;
use crate::page::{self, Page, PageId};
use crate::pool::FrozenPages;
use crate::space::Space;
use crate::store::Store;
use crate::superblock::{META_BYTES_MAX, SLOTS, Superblock};
use crate::tree::{Stall, State};
use crate::writer::By;
use runtime::oneshot;
use std::rc::Rc;
use types::Lsn;

/// Frames handed to the device at a time.
const BATCH: usize = 256;
/// Pages released between two looks at the clock.
const RELEASE_RUN: usize = 4096;

/// The last durable image.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub superblock: Superblock,
    /// Its directory and map pages.
    pub pages: Vec<PageId>,
}

impl Last {
    /// Of a store that has no image yet.
    pub fn none(store: u64) -> Last {
        Last {
            superblock: Superblock {
                store,
                generation: 0,
                epoch: 0,
                redo: Lsn(0),
                wal_end: Lsn(0),
                pages: 0,
                map: PageId(0),
                directory: PageId(0),
                meta: Vec::new(),
            },
            pages: Vec::new(),
        }
    }
}

/// What a freeze has taken.
pub(crate) struct Frozen {
    superblock: Superblock,
    /// Directory and map pages, sealed, in page order.
    own: Vec<(PageId, Page)>,
    /// Pages that only the last image refers to.
    freed: Vec<PageId>,
}

impl Store {
    /// True when the log since the last checkpoint is long, or most of the pool is dirty and the log worth a checkpoint.
    pub fn checkpoint_due(&self) -> bool {
        if self.checkpointing.get() || !self.wal.is_ready() {
            return false;
        }
        let since = self
            .wal
            .end()
            .saturating_sub(self.last.borrow().superblock.wal_end.0);
        let limit = self.options.checkpoint_wal_bytes;
        let state = self.state.borrow();
        since > limit || (since > limit / 8 && state.pool.dirty() > state.pool.frames() / 4 * 3)
    }

    /// Writes a checkpoint with everything that was changed before this call; later changes may be in it too.
    /// Replay after it begins at `redo`, the start of a record or the log's end. `meta` is kept with it.
    pub async fn checkpoint(&self, redo: Lsn, meta: &[u8]) -> Result<(), StorageError> {
        if meta.len() > META_BYTES_MAX {
            return Err(StorageError::MetaTooLong {
                bytes: meta.len(),
                max: META_BYTES_MAX,
            });
        }
        if !self.wal.is_ready() {
            return Err(StorageError::NotReplayed);
        }
        let frozen = loop {
            self.fence.check()?;
            if self.checkpointing.get() {
                self.checkpointed.notified().await;
                continue;
            }
            let frozen = self.freeze(&mut self.state.borrow_mut(), redo, meta);
            match frozen {
                Ok(frozen) => break frozen,
                Err(Stall::Grow(pages)) => self.grow(pages).await?,
                Err(Stall::Error(e)) => return Err(e),
                Err(Stall::Miss(_) | Stall::Frames(_) | Stall::Value(..)) => {}
            }
        };
        self.checkpointing.set(true);
        let Some(store) = self.this.upgrade() else {
            return Err(StorageError::Closed);
        };
        let (done, outcome) = oneshot::channel();
        runtime::spawn_background(async move {
            let result = store.finish(frozen).await;
            // The caller may have given up waiting.
            let _ = done.send(result);
        })
        .detach();
        outcome.await.unwrap_or(Err(StorageError::Closed))?;
        // Dropped trees of an earlier run; those of this one are swept by who dropped them.
        if !self.sweeping.get() && !self.state.borrow().doomed.is_empty() {
            self.sweep().await?;
        }
        Ok(())
    }

    async fn finish(self: Rc<Self>, frozen: Frozen) -> Result<(), StorageError> {
        let begun = runtime::monotonic_ns();
        let result = self.write_image(&frozen).await;
        match &result {
            Ok(()) => self.adopt(frozen).await,
            Err(e) => self.fence.set(e),
        }
        let took = runtime::monotonic_ns().saturating_sub(begun);
        self.counters.checkpoint_ns.set(took);
        self.state.borrow_mut().freezing = false;
        self.checkpointing.set(false);
        self.checkpointed.notify_all();
        result?;
        let redo = self.last.borrow().superblock.redo;
        self.wal
            .delete_below(redo)
            .await
            .inspect_err(|e| self.fence.set(e))
    }

    /// Takes the image. Synchronous: either all of it happens or nothing.
    pub(crate) fn freeze(
        &self,
        state: &mut State,
        redo: Lsn,
        meta: &[u8],
    ) -> Result<Frozen, Stall> {
        let last = self.last.borrow();
        let mut entries: Vec<Entry> = Vec::new();
        let alive = state.trees.iter().map(|(tree, info)| (*tree, *info, false));
        let doomed = state.doomed.iter().map(|(tree, info)| (*tree, *info, true));
        for (tree, info, doomed) in alive.chain(doomed) {
            entries.push(Entry { tree, info, doomed });
        }
        entries.sort_unstable_by_key(|e| (e.tree, e.doomed, e.info.root));
        let directory_pages = directory::pages(entries.len());
        // The map may need a page more once these are placed.
        let map_pages = Space::map_pages(state.space.pages() + directory_pages as u32 + 64) + 1;
        state.room_for(directory_pages + map_pages)?;
        let epoch = state.epoch;
        let directory = place(state, directory_pages)?;
        let mut map = Vec::new();
        while map.len() < Space::map_pages(state.space.pages()) {
            map.extend(place(state, 1)?);
        }
        state.freed.extend_from_slice(&last.pages);
        let freed = std::mem::take(&mut state.freed);
        let mut image = state.space.clone();
        let unwanted = freed.iter().copied().chain(state.pending.iter().copied());
        let held = state.held.iter().flat_map(|h| h.waiting.iter().copied());
        for id in unwanted.chain(state.pool.releasing()).chain(held) {
            image.release(id);
        }
        state.pool.freeze(epoch);
        state.epoch += 1;
        state.sequence = 0;
        state.freezing = true;
        let mut own = Vec::new();
        let mut keep = |id: PageId, mut page: Page| {
            page::seal(&mut page, self.id);
            own.push((id, page));
        };
        directory::encode(&entries, &directory, epoch, &mut keep);
        image.encode(&map, epoch, &mut keep);
        own.sort_unstable_by_key(|(id, _)| *id);
        Ok(Frozen {
            superblock: Superblock {
                store: self.id,
                generation: last.superblock.generation + 1,
                epoch,
                redo,
                wal_end: Lsn(self.wal.end()),
                pages: image.pages(),
                map: map[0],
                directory: directory[0],
                meta: meta.to_vec(),
            },
            own,
            freed,
        })
    }

    pub(crate) async fn write_image(&self, frozen: &Frozen) -> Result<(), StorageError> {
        self.write_frozen().await?;
        self.write_pages(frozen.own.iter().map(|(id, page)| (*id, page)))
            .await?;
        let sync = |what: &'static str| move |e| StorageError::io(format!("sync {what}"), e);
        self.file.sync_data().await.map_err(sync("the page file"))?;
        self.wal.durable(frozen.superblock.wal_end).await?;
        let page = frozen.superblock.encode();
        for slot in SLOTS {
            self.write_pages([(slot, &page)].into_iter()).await?;
            self.file
                .sync_data()
                .await
                .map_err(sync("the superblock"))?;
        }
        Ok(())
    }

    /// Writes every frozen page that is not on disk yet.
    async fn write_frozen(&self) -> Result<(), StorageError> {
        loop {
            let mut pages = FrozenPages::default();
            while pages.gather(&self.state.borrow().pool) {
                runtime::yield_if_needed().await;
            }
            while !pages.is_empty() {
                let claimed = pages.claim(&mut self.state.borrow_mut().pool, BATCH);
                if !claimed.is_empty() {
                    self.write_frames(claimed, By::Checkpoint).await?;
                }
                runtime::yield_if_needed().await;
            }
            let waiting = {
                let state = self.state.borrow();
                match state.pool.frozen_left() {
                    (0, 0) => return Ok(()),
                    (_, 0) => continue,
                    _ => self.written.notified(),
                }
            };
            waiting.await;
            self.fence.check()?;
        }
    }

    /// The image is durable: it is the one that counts from now on.
    pub(crate) async fn adopt(&self, frozen: Frozen) {
        let superblock = frozen.superblock;
        *self.last.borrow_mut() = Last {
            superblock,
            pages: frozen.own.iter().map(|(id, _)| *id).collect(),
        };
        {
            let mut state = self.state.borrow_mut();
            state.freezing = false;
            for frame in state.pool.idle_orphans() {
                state.pool.discard(frame);
            }
        }
        for run in frozen.freed.chunks(RELEASE_RUN) {
            {
                let mut state = self.state.borrow_mut();
                for id in run {
                    state.let_go(*id);
                }
            }
            runtime::yield_if_needed().await;
        }
        self.cut_end().await;
        self.state.borrow_mut().space.rewind();
        let checkpoints = &self.counters.checkpoints;
        checkpoints.set(checkpoints.get() + 1);
    }
}

fn place(state: &mut State, n: usize) -> Result<Vec<PageId>, StorageError> {
    (0..n)
        .map(|_| {
            let id = state.space.allocate()?;
            state.forget(id);
            Ok(id)
        })
        .collect()
}
