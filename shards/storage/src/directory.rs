//! The list of trees as a checkpoint keeps it.
//!
//! Owns: the bytes of directory pages: a chain, each with up to 144 entries of 28 bytes. A dropped tree whose pages
//! are not freed yet is kept as doomed, so that a crash does not lose its pages.
//! Asked by: checkpoint and open. Never: does I/O.

use crate::error::StorageError;
use crate::page::{self, HEADER, Kind, PAGE_BYTES, Page, PageId};
use crate::page::{get_u16, get_u32, get_u64, put_u16, put_u32, put_u64};
use crate::tree::{DEPTH_MAX, Tree};
use types::TreeId;

const COUNT: usize = 26;
const NEXT: usize = 28;
const ENTRY: usize = 28;
pub(crate) const ENTRIES_PER_PAGE: usize = (PAGE_BYTES - HEADER) / ENTRY;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub tree: TreeId,
    pub info: Tree,
    pub doomed: bool,
}

/// Pages that a directory of `entries` takes; an empty one takes a page too.
pub(crate) fn pages(entries: usize) -> usize {
    entries.div_ceil(ENTRIES_PER_PAGE).max(1)
}

/// Encodes the entries into the pages `ids`, as many as `pages` says.
pub(crate) fn encode(
    entries: &[Entry],
    ids: &[PageId],
    epoch: u64,
    mut write: impl FnMut(PageId, Page),
) {
    for (i, id) in ids.iter().enumerate() {
        let from = entries.len().min(i * ENTRIES_PER_PAGE);
        let upto = entries.len().min(from + ENTRIES_PER_PAGE);
        let mut page = [0; PAGE_BYTES];
        page::identify(&mut page, Kind::Directory, *id, 0, epoch);
        put_u16(&mut page, COUNT, (upto - from) as u16);
        put_u32(&mut page, NEXT, ids.get(i + 1).map_or(0, |n| n.0));
        for (slot, entry) in entries[from..upto].iter().enumerate() {
            let at = HEADER + slot * ENTRY;
            put_u32(&mut page, at, entry.tree.0);
            put_u32(&mut page, at + 4, entry.info.root.0);
            page[at + 8] = entry.info.level;
            page[at + 9] = u8::from(entry.doomed);
            put_u64(&mut page, at + 12, entry.info.cells);
            put_u64(&mut page, at + 20, entry.info.overflows);
        }
        write(*id, page);
    }
}

/// Appends a verified page's entries; returns the next page of the chain.
pub(crate) fn decode(
    id: PageId,
    page: &Page,
    out: &mut Vec<Entry>,
) -> Result<Option<PageId>, StorageError> {
    let n = usize::from(get_u16(page, COUNT));
    if page::kind(page) != Some(Kind::Directory) || n > ENTRIES_PER_PAGE {
        return Err(StorageError::page(id, "not the expected directory page"));
    }
    for slot in 0..n {
        let at = HEADER + slot * ENTRY;
        let level = page[at + 8];
        if level >= DEPTH_MAX {
            return Err(StorageError::page(id, format!("a tree of {level} levels")));
        }
        out.push(Entry {
            tree: TreeId(get_u32(page, at)),
            info: Tree {
                root: PageId(get_u32(page, at + 4)),
                level,
                cells: get_u64(page, at + 12),
                overflows: get_u64(page, at + 20),
            },
            doomed: page[at + 9] != 0,
        });
    }
    let next = get_u32(page, NEXT);
    Ok((next != 0).then_some(PageId(next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_any_length_is_read_back() {
        for n in [0, 1, ENTRIES_PER_PAGE, ENTRIES_PER_PAGE + 1, 1000] {
            let entries: Vec<Entry> = (0..n as u32)
                .map(|i| Entry {
                    tree: TreeId(i),
                    info: Tree {
                        root: PageId(i + 9),
                        level: (i % 5) as u8,
                        cells: u64::from(i) << 33,
                        overflows: u64::from(i),
                    },
                    doomed: i % 7 == 0,
                })
                .collect();
            let ids: Vec<PageId> = (0..pages(n) as u32).map(|i| PageId(50 + i)).collect();
            let mut written = Vec::new();
            encode(&entries, &ids, 3, |id, page| written.push((id, page)));
            let mut back = Vec::new();
            let mut next = Some(ids[0]);
            for (id, page) in &written {
                assert_eq!(next, Some(*id));
                next = decode(*id, page, &mut back).unwrap();
            }
            assert_eq!((back, next), (entries, None));
        }
    }
}
