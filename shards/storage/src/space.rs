//! Which pages of the page file are in use.
//!
//! Owns: the bitmap in memory and its encoding as a chain of map pages that a checkpoint writes.
//! Asked by: the tree (a new place for a changed page), the checkpoint. Never: does I/O; never decides when a page
//! may be reused: whoever releases one knows that no durable checkpoint and no write in flight refers to it.
//! Bounds: one bit a page, 32 KiB a GiB of page file. Freed pages are reused, lowest first after each checkpoint; free
//! ones at the end are forgotten and cut off.

use crate::error::StorageError;
use crate::page::{FIRST_PAGE, HEADER, Kind, PAGE_BYTES, Page, PageId};
use crate::page::{get_u16, get_u32, identify, put_u16, put_u32};

const WORD: u32 = 64;
const COUNT: usize = 26;
const NEXT: usize = 28;
const BODY: usize = HEADER;
const WORDS_PER_PAGE: usize = (PAGE_BYTES - BODY) / 8;
/// The last id is kept free of use so that sums of ids stay in range.
const PAGES_MAX: u32 = u32::MAX - WORD;

#[derive(Clone, Debug)]
pub(crate) struct Space {
    words: Vec<u64>,
    /// Pages below this number exist in the file's address space.
    pages: u32,
    used: u32,
    /// Every page below this word is in use, or was when the search last passed.
    cursor: usize,
}

impl Space {
    /// A file with nothing but the superblock's slots.
    pub fn new() -> Space {
        Space {
            words: vec![(1 << FIRST_PAGE) - 1],
            pages: FIRST_PAGE,
            used: FIRST_PAGE,
            cursor: 0,
        }
    }

    pub fn pages(&self) -> u32 {
        self.pages
    }

    pub fn used(&self) -> u32 {
        self.used
    }

    pub fn free(&self) -> u32 {
        self.pages - self.used
    }

    pub fn is_used(&self, id: PageId) -> bool {
        let bit = 1u64 << (id.0 % WORD);
        id.0 < self.pages
            && self
                .words
                .get((id.0 / WORD) as usize)
                .is_some_and(|w| w & bit != 0)
    }

    /// A place that nothing refers to; past the end when there is no free one. `DiskFull` at 16 TiB.
    pub fn allocate(&mut self) -> Result<PageId, StorageError> {
        if self.free() > 0
            && let Some(id) = self.first_free()
        {
            self.set(id);
            return Ok(id);
        }
        if self.pages >= PAGES_MAX {
            return Err(StorageError::DiskFull);
        }
        let id = PageId(self.pages);
        self.pages += 1;
        if self.words.len() * WORD as usize <= id.0 as usize {
            self.words.push(0);
        }
        self.set(id);
        Ok(id)
    }

    fn first_free(&mut self) -> Option<PageId> {
        let n = self.words.len();
        for step in 0..=n {
            let at = (self.cursor + step) % n;
            let word = self.words[at];
            if word != u64::MAX {
                let id = at as u32 * WORD + word.trailing_ones();
                if id < self.pages {
                    self.cursor = at;
                    return Some(PageId(id));
                }
            }
        }
        None
    }

    fn set(&mut self, id: PageId) {
        self.words[(id.0 / WORD) as usize] |= 1 << (id.0 % WORD);
        self.used += 1;
    }

    /// Takes a page out of use. A page that is not in use stays so.
    pub fn release(&mut self, id: PageId) {
        if id.0 >= FIRST_PAGE && self.is_used(id) {
            self.words[(id.0 / WORD) as usize] &= !(1 << (id.0 % WORD));
            self.used -= 1;
        }
    }

    /// Forgets the free pages at the end of the file. Returns how many there were.
    pub fn cut_end(&mut self) -> u32 {
        let before = self.pages;
        while self.words.len() > 1 && self.words.last() == Some(&0) {
            self.words.pop();
        }
        let last = self.words.last().copied().unwrap_or_default();
        let whole = (self.words.len() as u32 - 1) * WORD;
        self.pages = (whole + WORD - last.leading_zeros()).min(before);
        self.cursor = 0;
        before - self.pages
    }

    /// The next search begins at the start of the file, so that it fills from there.
    pub fn rewind(&mut self) {
        self.cursor = 0;
    }

    /// Map pages that a map of `pages` pages takes.
    pub fn map_pages(pages: u32) -> usize {
        (pages.div_ceil(WORD) as usize).div_ceil(WORDS_PER_PAGE)
    }

    /// Encodes the map into the pages `ids`, as many as `map_pages` says.
    pub fn encode(&self, ids: &[PageId], epoch: u64, mut write: impl FnMut(PageId, Page)) {
        debug_assert_eq!(ids.len(), Space::map_pages(self.pages));
        for (i, (id, words)) in ids
            .iter()
            .zip(self.words.chunks(WORDS_PER_PAGE))
            .enumerate()
        {
            let mut page = [0; PAGE_BYTES];
            identify(&mut page, Kind::Map, *id, 0, epoch);
            put_u16(&mut page, COUNT, words.len() as u16);
            put_u32(&mut page, NEXT, ids.get(i + 1).map_or(0, |next| next.0));
            for (j, word) in words.iter().enumerate() {
                page[BODY + 8 * j..BODY + 8 * j + 8].copy_from_slice(&word.to_le_bytes());
            }
            write(*id, page);
        }
    }
}

/// Reads a chain of map pages back, page by page.
pub(crate) struct MapReader {
    pages: u32,
    words: Vec<u64>,
}

impl MapReader {
    pub fn new(pages: u32) -> MapReader {
        MapReader {
            pages,
            words: Vec::new(),
        }
    }

    /// Takes a verified page; returns the next one of the chain.
    pub fn take(&mut self, id: PageId, page: &Page) -> Result<Option<PageId>, StorageError> {
        let n = usize::from(get_u16(page, COUNT));
        let missing = (self.pages.div_ceil(WORD) as usize).saturating_sub(self.words.len());
        if crate::page::kind(page) != Some(Kind::Map) || n == 0 || n != missing.min(WORDS_PER_PAGE)
        {
            return Err(StorageError::page(id, "not the expected map page"));
        }
        for bytes in page[BODY..BODY + 8 * n].as_chunks::<8>().0 {
            self.words.push(u64::from_le_bytes(*bytes));
        }
        let next = get_u32(page, NEXT);
        let last = n == missing;
        if last != (next == 0) {
            return Err(StorageError::page(id, "map chain of the wrong length"));
        }
        Ok((!last).then_some(PageId(next)))
    }

    pub fn finish(self, first: PageId) -> Result<Space, StorageError> {
        let tail = self.pages % WORD;
        let stray = tail != 0 && self.words.last().is_some_and(|w| w >> tail != 0);
        let slots = (1u64 << FIRST_PAGE) - 1;
        if stray || self.words.first().is_none_or(|w| w & slots != slots) {
            return Err(StorageError::page(first, "impossible map"));
        }
        Ok(Space {
            used: self.words.iter().map(|w| w.count_ones()).sum(),
            words: self.words,
            pages: self.pages,
            cursor: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn round_trip(space: &Space) -> Space {
        let ids: Vec<PageId> = (0..Space::map_pages(space.pages) as u32)
            .map(|i| PageId(1000 + i))
            .collect();
        let mut written = Vec::new();
        space.encode(&ids, 1, |id, page| written.push((id, page)));
        let mut reader = MapReader::new(space.pages);
        let mut next = Some(ids[0]);
        for (id, page) in &written {
            assert_eq!(next, Some(*id));
            next = reader.take(*id, page).unwrap();
        }
        assert_eq!(next, None);
        reader.finish(ids[0]).unwrap()
    }

    proptest! {
        #[test]
        fn no_page_is_given_twice_and_released_ones_come_back(ops in prop::collection::vec(any::<u16>(), 1..400)) {
            let mut space = Space::new();
            let mut held = BTreeSet::new();
            for op in ops {
                if op % 3 == 0 && !held.is_empty() {
                    let id = *held.iter().nth(op as usize % held.len()).unwrap();
                    held.remove(&id);
                    space.release(id);
                    space.release(id);
                } else {
                    let id = space.allocate().unwrap();
                    prop_assert!(id.0 >= FIRST_PAGE);
                    prop_assert!(held.insert(id));
                }
                prop_assert_eq!(space.used() as usize, held.len() + FIRST_PAGE as usize);
            }
            prop_assert!(held.iter().all(|id| space.is_used(*id)));
            let back = round_trip(&space);
            prop_assert_eq!(back.words, space.words);
            prop_assert_eq!(back.used, space.used);
        }
    }

    #[test]
    fn the_file_grows_only_when_nothing_is_free() {
        let mut space = Space::new();
        let ids: Vec<_> = (0..1000).map(|_| space.allocate().unwrap()).collect();
        for id in &ids[..500] {
            space.release(*id);
        }
        let pages = space.pages();
        for _ in 0..500 {
            space.allocate().unwrap();
        }
        assert_eq!((space.pages(), space.free()), (pages, 0));
    }

    #[test]
    fn the_end_is_cut_to_the_last_page_in_use_and_grows_again() {
        let mut space = Space::new();
        let ids: Vec<_> = (0..1000).map(|_| space.allocate().unwrap()).collect();
        for id in &ids[300..] {
            space.release(*id);
        }
        assert_eq!(space.cut_end(), 700);
        assert_eq!((space.pages(), space.free()), (302, 0));
        assert_eq!(space.cut_end(), 0);
        assert_eq!(space.allocate().unwrap(), PageId(302));
        assert_eq!(round_trip(&space).words, space.words);
        for id in &ids[..300] {
            space.release(*id);
        }
        space.release(PageId(302));
        space.cut_end();
        assert_eq!((space.pages(), space.used()), (FIRST_PAGE, FIRST_PAGE));
    }

    #[test]
    fn a_map_of_many_pages_survives_encoding() {
        let mut space = Space::new();
        for _ in 0..100_000 {
            space.allocate().unwrap();
        }
        space.release(PageId(70_000));
        assert!(Space::map_pages(space.pages()) > 2);
        let back = round_trip(&space);
        assert_eq!(back.words, space.words);
        assert!(!back.is_used(PageId(70_000)));
    }
}
