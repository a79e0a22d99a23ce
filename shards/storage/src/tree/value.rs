//! Long values: which pages they are in, and their bytes when all of those are resident.
//!
//! Owns: the walk over a value's pages. Asked by: put and delete (what to free), get and scan (what to return).
//! Never: trusts a page to belong to the value: identity and order are checked, and lengths must add up.

use super::{Stall, State};
use crate::error::StorageError;
use crate::page::overflow::{self, OverflowRef};
use crate::page::{Page, PageId};
use types::TreeId;

fn broken(id: PageId) -> StorageError {
    StorageError::page(id, "not the page of the value that its leaf refers to")
}

/// Collects a long value's bytes, page by page in order.
pub(crate) struct Assembly<'a> {
    tree: TreeId,
    long: &'a OverflowRef,
    bytes: Vec<u8>,
    ordinal: u32,
}

impl<'a> Assembly<'a> {
    pub fn new(tree: TreeId, long: &'a OverflowRef) -> Assembly<'a> {
        Assembly {
            tree,
            long,
            bytes: Vec::with_capacity(long.bytes as usize),
            ordinal: 0,
        }
    }

    pub fn add(&mut self, id: PageId, page: &Page) -> Result<(), StorageError> {
        let payload = overflow::payload(page, self.tree.0, self.long.value, self.ordinal)
            .ok_or_else(|| broken(id))?;
        if self.bytes.len() + payload.len() > self.long.bytes as usize {
            return Err(broken(id));
        }
        self.bytes.extend_from_slice(payload);
        self.ordinal += 1;
        Ok(())
    }

    pub fn finish(self) -> Result<Vec<u8>, StorageError> {
        if self.bytes.len() == self.long.bytes as usize {
            Ok(self.bytes)
        } else {
            Err(broken(self.long.pages[0]))
        }
    }
}

impl State {
    /// The data pages of a long value. `Miss` when an index page is not resident.
    pub fn data_pages(&self, tree: TreeId, long: &OverflowRef) -> Result<Vec<PageId>, Stall> {
        let (data, _) = self.split_pages(tree, long)?;
        Ok(data)
    }

    fn split_pages(
        &self,
        tree: TreeId,
        long: &OverflowRef,
    ) -> Result<(Vec<PageId>, Vec<PageId>), Stall> {
        if long.is_direct() {
            return Ok((long.pages.to_vec(), Vec::new()));
        }
        let expected = overflow::data_pages(long.bytes as usize);
        let mut data = Vec::with_capacity(expected);
        let mut indexes = Vec::new();
        let mut next = long.pages.first().copied();
        while let Some(id) = next {
            let frame = self.pool.lookup(id).ok_or(Stall::Miss(id))?;
            let page = self.pool.page(frame);
            let ordinal = indexes.len() as u32;
            indexes.push(id);
            next = overflow::index(page, tree.0, long.value, ordinal, &mut data)
                .ok_or_else(|| broken(id))?;
            if data.len() > expected || indexes.len() > overflow::index_pages(expected) {
                return Err(broken(id).into());
            }
        }
        if data.len() != expected {
            return Err(broken(long.pages[0]).into());
        }
        Ok((data, indexes))
    }

    /// Appends all pages of a long value with the epoch they were placed in.
    pub(super) fn value_pages(
        &self,
        tree: TreeId,
        long: &OverflowRef,
        out: &mut Vec<(PageId, u64)>,
    ) -> Result<(), Stall> {
        let (data, indexes) = self.split_pages(tree, long)?;
        let born = long.value.epoch;
        out.extend(data.into_iter().chain(indexes).map(|id| (id, born)));
        Ok(())
    }

    /// A page of a long value that is not resident.
    pub fn missing_page(&self, tree: TreeId, long: &OverflowRef) -> Result<Option<PageId>, Stall> {
        match self.data_pages(tree, long) {
            Ok(pages) => Ok(pages.into_iter().find(|id| self.pool.find(*id).is_none())),
            Err(Stall::Miss(id)) => Ok(Some(id)),
            Err(other) => Err(other),
        }
    }

    /// The bytes of a long value whose pages are all resident, else `Stall::Value`.
    pub(super) fn assemble(&self, tree: TreeId, long: &OverflowRef) -> Result<Vec<u8>, Stall> {
        let pages = match self.data_pages(tree, long) {
            Ok(pages) => pages,
            Err(Stall::Miss(_)) => return Err(Stall::Value(tree, long.clone())),
            Err(other) => return Err(other),
        };
        let mut assembly = Assembly::new(tree, long);
        for id in pages {
            let Some(frame) = self.pool.lookup(id) else {
                return Err(Stall::Value(tree, long.clone()));
            };
            assembly.add(id, self.pool.page(frame))?;
        }
        Ok(assembly.finish()?)
    }
}
