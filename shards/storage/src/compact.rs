//! Giving room in the page file back.
//!
//! Owns: the moving of pages from the file's end to free places ahead of it, and the cutting of the end once a checkpoint
//! has made it free. Asked by: the engine, for VACUUM and when much of the file is free.
//! Never: writes a page by itself: it gives pages of older epochs a new place, as any change of them would.
//! Bounds: one leaf at a time, yielding in between. Reads inner nodes, and only those leaves that have to move.

use crate::error::StorageError;
use crate::page::PageId;
use crate::store::Store;
use crate::tree::Relocation;
use types::TreeId;

/// Free pages below which nothing is moved (512 KiB).
const FREE_MIN: u32 = 128;
/// A file more than so many times as long as what it holds is shortened even while it is written to.
const BUSY_TIMES: u32 = 4;
/// Log bytes between two looks up to which a partition is quiet.
const QUIET_BYTES: u64 = 256 << 10;
/// Free pages that the file keeps at its end: a quarter of those in use, for the copies of the pages that change next,
/// and at least 256 KiB.
const SLACK_SHARE: u32 = 4;
const SLACK_MIN: u32 = 64;

impl Store {
    /// True when a third of the file or more is free, enough has been freed since the last compaction, and
    /// little was written since the last time this was asked.
    pub fn compaction_due(&self) -> bool {
        let end = self.wal.end();
        let quiet = end - self.asked_at.replace(end) <= QUIET_BYTES;
        if self.checkpointing.get() || !self.wal.is_ready() {
            return false;
        }
        let state = self.state.borrow();
        // The next checkpoint makes those free that it finds freed.
        let live = state.space.used().saturating_sub(state.freed.len() as u32);
        let free = state.grown.saturating_sub(live);
        free >= FREE_MIN.max(live / 2)
            && state.frees - self.compacted_at.get() >= u64::from(FREE_MIN.max(live / 2))
            && (quiet || state.grown > BUSY_TIMES * live)
    }

    /// Moves pages to the front, as far as they may move: those placed since the last checkpoint stay. Returns how many
    /// leaves and long values it moved.
    pub async fn compact(&self) -> Result<u64, StorageError> {
        self.fence.check()?;
        self.compacted_at.set(self.state.borrow().frees);
        let mut moved = 0;
        for tree in self.trees() {
            moved += self.compact_tree(tree).await?;
        }
        Ok(moved)
    }

    async fn compact_tree(&self, tree: TreeId) -> Result<u64, StorageError> {
        let mut from = Some(Vec::new());
        let mut moved = 0;
        while let Some(key) = from {
            self.fence.check()?;
            let target = {
                let state = self.state.borrow();
                if state.space.free() == 0 {
                    return Ok(moved);
                }
                PageId(state.space.used())
            };
            let step: Relocation = self
                .drive(|state| state.relocate(tree, &key, target))
                .await?;
            moved += u64::from(step.moved);
            for long in step.long {
                if let Some(value) = self.get(tree, &long).await? {
                    self.put(tree, &long, &value).await?;
                    moved += 1;
                }
            }
            from = step.next;
            runtime::yield_if_needed().await;
        }
        Ok(moved)
    }

    /// Cuts free pages off the end of the file. A file that cannot be cut stays as it is.
    pub(crate) async fn cut_end(&self) {
        let _resizing = self.resize().await;
        let pages = {
            let mut state = self.state.borrow_mut();
            state.space.cut_end();
            let slack = (state.space.used() / SLACK_SHARE).max(SLACK_MIN);
            let keep = state.space.pages().max(state.space.used() + slack);
            if state.grown <= keep {
                return;
            }
            state.grown = keep;
            keep
        };
        if let Err(error) = self.file.truncate(PageId(pages).position()).await {
            tracing::warn!(%error, pages, "the end of the page file was not cut off");
        }
    }
}
