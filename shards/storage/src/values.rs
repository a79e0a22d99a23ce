//! Long values between the caller and the pool.
//!
//! Owns: the writing of a value's pages before its leaf names them, and the reading of a value that is not wholly
//! resident, page by page, so that a value may be longer than the pool.
//! Asked by: put, get and scan. Never: leaves pages behind: a write given up half way frees what it placed.
//! Bounds: `READ_AHEAD` pages are read at a time.

use crate::error::StorageError;
use crate::page::PageId;
use crate::page::overflow::{self, Identity, OverflowRef, PAYLOAD, ValueId};
use crate::store::Store;
use crate::tree::{Assembly, Stall, State};
use futures_util::future::join_all;
use smallvec::SmallVec;
use types::TreeId;

const READ_AHEAD: usize = 32;
/// A page that had to be fetched this often is not lost to eviction: the value is gone or broken.
const FETCHES_MAX: usize = 16;

/// Pages of a value that no leaf names yet. Dropping it frees them.
pub(crate) struct Unattached<'a> {
    store: &'a Store,
    value: ValueId,
    pages: Vec<PageId>,
}

impl Unattached<'_> {
    /// A leaf names the value now.
    pub fn attach(&mut self, state: &mut State) {
        for id in self.pages.drain(..) {
            state.pending.remove(&id);
        }
    }
}

impl Drop for Unattached<'_> {
    fn drop(&mut self) {
        if self.pages.is_empty() {
            return;
        }
        let mut state = self.store.state.borrow_mut();
        for id in self.pages.drain(..) {
            state.pending.remove(&id);
            state.free_page(id, self.value.epoch);
        }
    }
}

impl Store {
    /// Writes a value into pages of its own.
    pub(crate) async fn write_value(
        &self,
        tree: TreeId,
        value: &[u8],
    ) -> Result<(OverflowRef, Unattached<'_>), StorageError> {
        let id = {
            let mut state = self.state.borrow_mut();
            state.sequence = state.sequence.wrapping_add(1);
            ValueId {
                epoch: state.epoch,
                sequence: state.sequence,
            }
        };
        let mut owned = Unattached {
            store: self,
            value: id,
            pages: Vec::new(),
        };
        let mut data: Vec<PageId> = Vec::new();
        let mut chunks = value.chunks(PAYLOAD).peekable();
        self.drive(|state| {
            while let Some(chunk) = chunks.peek() {
                let ordinal = data.len() as u32;
                let page = place(state, tree, id, ordinal, |page, who| {
                    overflow::fill(page, who, chunk);
                })?;
                owned.pages.push(page);
                data.push(page);
                chunks.next();
            }
            Ok(())
        })
        .await?;
        let mut long = OverflowRef {
            bytes: value.len() as u32,
            value: id,
            pages: SmallVec::new(),
        };
        if overflow::index_pages(data.len()) == 0 {
            long.pages.extend(data);
            return Ok((long, owned));
        }
        // From the last index page to the first: each names the next.
        let groups: Vec<&[PageId]> = overflow::index_groups(&data).collect();
        let mut left = groups.len();
        let mut next = None;
        self.drive(|state| {
            while left > 0 {
                let ordinal = left as u32 - 1;
                let page = place(state, tree, id, ordinal, |page, who| {
                    overflow::fill_index(page, who, groups[left - 1], next);
                })?;
                owned.pages.push(page);
                next = Some(page);
                left -= 1;
            }
            Ok(())
        })
        .await?;
        long.pages.extend(next);
        Ok((long, owned))
    }

    /// Reads a value that a stall named. `None` when the cell under `key` has got another one meanwhile.
    pub(crate) async fn read_value(
        &self,
        tree: TreeId,
        key: &[u8],
        long: &OverflowRef,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        match self.read_pages(tree, long).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) => {
                let now = self.drive(|state| state.long_value(tree, key)).await?;
                if now == Some(long.value) {
                    Err(e)
                } else {
                    Ok(None)
                }
            }
        }
    }

    async fn read_pages(&self, tree: TreeId, long: &OverflowRef) -> Result<Vec<u8>, StorageError> {
        let ids = self.drive(|state| state.data_pages(tree, long)).await?;
        let mut assembly = Assembly::new(tree, long);
        for group in ids.chunks(READ_AHEAD) {
            let mut pins = Vec::new();
            for pin in join_all(group.iter().map(|id| self.fetch_pinned(*id, true))).await {
                pins.push(pin?);
            }
            for id in group {
                self.add_page(*id, &mut assembly).await?;
            }
        }
        assembly.finish()
    }

    async fn add_page(&self, id: PageId, assembly: &mut Assembly<'_>) -> Result<(), StorageError> {
        for _ in 0..FETCHES_MAX {
            {
                let state = self.state.borrow();
                if let Some(frame) = state.pool.lookup(id) {
                    return assembly.add(id, state.pool.page(frame));
                }
            }
            drop(self.fetch_pinned(id, true).await?);
        }
        Err(StorageError::page(id, "a value's page is not in use"))
    }
}

fn place(
    state: &mut State,
    tree: TreeId,
    value: ValueId,
    ordinal: u32,
    fill: impl FnOnce(&mut crate::page::Page, &Identity),
) -> Result<PageId, Stall> {
    state.reserve(None, 1, 1)?;
    let (id, frame) = state.place()?;
    state.pending.insert(id);
    let who = Identity {
        id,
        owner: tree.0,
        epoch: state.epoch,
        value,
        ordinal,
    };
    fill(state.pool.page_mut(frame), &who);
    Ok(id)
}
