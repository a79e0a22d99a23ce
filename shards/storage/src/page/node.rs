//! Slotted nodes: the leaves and inner pages of a B+tree.
//!
//! Owns: the layout behind the header. Slots (16-bit offsets, in key order) grow up, cells grow down from the end:
//! leaf cell = key length, value length (top bit: the value is an overflow reference), key, value;
//! inner cell = key length, child, key. An inner node has one child more than keys; the first is in the header.
//! Asked by: the tree. Never: does I/O, allocates, or knows about other pages.
//! Bounds: a cell with its slot takes at most half of the room, so one split always makes enough of it.
//! A node that came from a disk has passed `validate`; offsets are trusted from then on.

use super::{HEADER, Kind, PAGE_BYTES, Page, PageId, get_u16, get_u32, kind, put_u16, put_u32};
use std::cmp::Ordering;

const LEVEL: usize = 25;
const COUNT: usize = 26;
const CELLS: usize = 28;
const GARBAGE: usize = 30;
const FIRST_CHILD: usize = 32;

/// Room for slots and cells.
pub(crate) const ROOM: usize = PAGE_BYTES - HEADER;
const SLOT: usize = 2;
const LEAF_FIXED: usize = 4;
const INNER_FIXED: usize = 6;
/// A leaf cell may take this much, its slot included.
pub(crate) const LEAF_CELL_MAX: usize = ROOM / 2;
const OVERFLOW_BIT: u16 = 0x8000;

const _: () = assert!(types::limits::CELL_KEY_BYTES_MAX + INNER_FIXED + SLOT <= ROOM / 3);
const _: () = assert!(
    types::limits::CELL_KEY_BYTES_MAX + LEAF_FIXED + SLOT + super::overflow::REF_BYTES_MAX
        <= LEAF_CELL_MAX
);

/// What a leaf cell stores behind its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stored<'a> {
    Inline(&'a [u8]),
    /// An encoded `OverflowRef`.
    Overflow(&'a [u8]),
}

impl Stored<'_> {
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    pub fn is_overflow(&self) -> bool {
        matches!(self, Stored::Overflow(_))
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Stored::Inline(b) | Stored::Overflow(b) => b,
        }
    }
}

/// Bytes a leaf cell takes with its slot.
pub(crate) fn leaf_cell_bytes(key: usize, stored: usize) -> usize {
    LEAF_FIXED + SLOT + key + stored
}

/// Bytes an inner cell takes with its slot.
pub(crate) fn inner_cell_bytes(key: usize) -> usize {
    INNER_FIXED + SLOT + key
}

/// Empties the node. Identity has been written by the caller.
pub(crate) fn init(page: &mut Page, level: u8) {
    page[LEVEL] = level;
    put_u16(page, COUNT, 0);
    put_u16(page, CELLS, PAGE_BYTES as u16);
    put_u16(page, GARBAGE, 0);
    put_u32(page, FIRST_CHILD, 0);
}

/// 0 is a leaf.
#[inline]
pub(crate) fn level(page: &Page) -> u8 {
    page[LEVEL]
}

#[inline]
pub(crate) fn count(page: &Page) -> usize {
    usize::from(get_u16(page, COUNT))
}

#[inline]
fn cell(page: &Page, i: usize) -> usize {
    usize::from(get_u16(page, HEADER + SLOT * i))
}

#[inline]
fn is_leaf(page: &Page) -> bool {
    page[LEVEL] == 0
}

#[inline]
fn fixed(page: &Page) -> usize {
    if is_leaf(page) {
        LEAF_FIXED
    } else {
        INNER_FIXED
    }
}

#[inline]
pub(crate) fn key(page: &Page, i: usize) -> &[u8] {
    let at = cell(page, i);
    let start = at + fixed(page);
    &page[start..start + usize::from(get_u16(page, at))]
}

pub(crate) fn stored(page: &Page, i: usize) -> Stored<'_> {
    let at = cell(page, i);
    let start = at + LEAF_FIXED + usize::from(get_u16(page, at));
    let length = get_u16(page, at + 2);
    let bytes = &page[start..start + usize::from(length & !OVERFLOW_BIT)];
    if length & OVERFLOW_BIT == 0 {
        Stored::Inline(bytes)
    } else {
        Stored::Overflow(bytes)
    }
}

/// Child `i` of an inner node, `0 ..= count`.
#[inline]
pub(crate) fn child(page: &Page, i: usize) -> PageId {
    PageId(match i {
        0 => get_u32(page, FIRST_CHILD),
        _ => get_u32(page, cell(page, i - 1) + 2),
    })
}

pub(crate) fn set_child(page: &mut Page, i: usize, child: PageId) {
    let at = match i {
        0 => FIRST_CHILD,
        _ => cell(page, i - 1) + 2,
    };
    put_u32(page, at, child.0);
}

fn cell_bytes_at(page: &Page, at: usize) -> usize {
    let key = usize::from(get_u16(page, at));
    if is_leaf(page) {
        LEAF_FIXED + key + usize::from(get_u16(page, at + 2) & !OVERFLOW_BIT)
    } else {
        INNER_FIXED + key
    }
}

/// Bytes of cell `i` with its slot.
pub(crate) fn cell_bytes(page: &Page, i: usize) -> usize {
    cell_bytes_at(page, cell(page, i)) + SLOT
}

/// Bytes that cells and slots take now.
pub(crate) fn used(page: &Page) -> usize {
    ROOM - room(page)
}

/// Bytes a new cell with its slot may take, after compaction if need be.
pub(crate) fn room(page: &Page) -> usize {
    gap(page) + usize::from(get_u16(page, GARBAGE))
}

fn gap(page: &Page) -> usize {
    usize::from(get_u16(page, CELLS)) - (HEADER + SLOT * count(page))
}

/// `Ok(i)`: the key is in cell i. `Err(i)`: it would be inserted there.
pub(crate) fn search(page: &Page, wanted: &[u8]) -> Result<usize, usize> {
    let n = count(page);
    // Ascending loads end at the last cell: one comparison instead of a binary search.
    if n == 0 {
        return Err(0);
    }
    match key(page, n - 1).cmp(wanted) {
        Ordering::Less => return Err(n),
        Ordering::Equal => return Ok(n - 1),
        Ordering::Greater => {}
    }
    let (mut low, mut high) = (0, n - 1);
    while low < high {
        let middle = (low + high) / 2;
        match key(page, middle).cmp(wanted) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Ok(middle),
            Ordering::Greater => high = middle,
        }
    }
    Err(low)
}

/// Which child of an inner node covers `wanted`: separators belong to their right side.
pub(crate) fn child_for(page: &Page, wanted: &[u8]) -> usize {
    match search(page, wanted) {
        Ok(i) => i + 1,
        Err(i) => i,
    }
}

/// Inserts at slot `i`. False, and nothing changed, when there is no room.
pub(crate) fn insert_leaf(page: &mut Page, i: usize, key: &[u8], value: Stored<'_>) -> bool {
    let bytes = value.bytes();
    let Some(at) = make_cell(page, i, LEAF_FIXED + key.len() + bytes.len()) else {
        return false;
    };
    let flag = match value {
        Stored::Inline(_) => 0,
        Stored::Overflow(_) => OVERFLOW_BIT,
    };
    put_u16(page, at, key.len() as u16);
    put_u16(page, at + 2, bytes.len() as u16 | flag);
    let middle = at + LEAF_FIXED + key.len();
    page[at + LEAF_FIXED..middle].copy_from_slice(key);
    page[middle..middle + bytes.len()].copy_from_slice(bytes);
    true
}

/// Replaces the value of cell `i`. False, and nothing changed, when there is no room.
pub(crate) fn replace_leaf(page: &mut Page, i: usize, value: Stored<'_>) -> bool {
    let at = cell(page, i);
    let old = cell_bytes_at(page, at);
    let key_bytes = usize::from(get_u16(page, at));
    let bytes = value.bytes();
    let new = LEAF_FIXED + key_bytes + bytes.len();
    if new <= old {
        let flag = match value {
            Stored::Inline(_) => 0,
            Stored::Overflow(_) => OVERFLOW_BIT,
        };
        put_u16(page, at + 2, bytes.len() as u16 | flag);
        let start = at + LEAF_FIXED + key_bytes;
        page[start..start + bytes.len()].copy_from_slice(bytes);
        let garbage = get_u16(page, GARBAGE) + (old - new) as u16;
        put_u16(page, GARBAGE, garbage);
        return true;
    }
    if room(page) + old < new {
        return false;
    }
    let mut kept = [0u8; types::limits::CELL_KEY_BYTES_MAX];
    kept[..key_bytes].copy_from_slice(key(page, i));
    remove(page, i);
    let done = insert_leaf(page, i, &kept[..key_bytes], value);
    debug_assert!(done, "room was checked");
    done
}

/// Inserts a separator at slot `i` with the child at its right. False, and nothing changed, when there is no room.
pub(crate) fn insert_inner(page: &mut Page, i: usize, key: &[u8], child: PageId) -> bool {
    let Some(at) = make_cell(page, i, INNER_FIXED + key.len()) else {
        return false;
    };
    put_u16(page, at, key.len() as u16);
    put_u32(page, at + 2, child.0);
    page[at + INNER_FIXED..at + INNER_FIXED + key.len()].copy_from_slice(key);
    true
}

/// Opens slot `i` and room for a cell of `bytes`; returns the cell's offset.
fn make_cell(page: &mut Page, i: usize, bytes: usize) -> Option<usize> {
    if gap(page) < bytes + SLOT {
        if room(page) < bytes + SLOT {
            return None;
        }
        compact(page);
    }
    let n = count(page);
    let at = usize::from(get_u16(page, CELLS)) - bytes;
    let slot = HEADER + SLOT * i;
    page.copy_within(slot..HEADER + SLOT * n, slot + SLOT);
    put_u16(page, slot, at as u16);
    put_u16(page, COUNT, n as u16 + 1);
    put_u16(page, CELLS, at as u16);
    Some(at)
}

/// Removes cell `i` (for an inner node: the separator and the child at its right).
pub(crate) fn remove(page: &mut Page, i: usize) {
    let n = count(page);
    let at = cell(page, i);
    let bytes = cell_bytes_at(page, at);
    if at == usize::from(get_u16(page, CELLS)) {
        put_u16(page, CELLS, (at + bytes) as u16);
    } else {
        let garbage = get_u16(page, GARBAGE) + bytes as u16;
        put_u16(page, GARBAGE, garbage);
    }
    let slot = HEADER + SLOT * i;
    page.copy_within(slot + SLOT..HEADER + SLOT * n, slot);
    put_u16(page, COUNT, n as u16 - 1);
    if n == 1 {
        put_u16(page, CELLS, PAGE_BYTES as u16);
        put_u16(page, GARBAGE, 0);
    }
}

/// Removes child `i` of an inner node and a separator beside it. The node must have a separator.
pub(crate) fn remove_child(page: &mut Page, i: usize) {
    if i == 0 {
        let next = child(page, 1);
        set_child(page, 0, next);
        remove(page, 0);
    } else {
        remove(page, i - 1);
    }
}

/// Appends cell `i` of `from` as the last cell of `to`, a node of the same level with enough room.
pub(crate) fn append_from(to: &mut Page, from: &Page, i: usize) {
    let source = cell(from, i);
    let bytes = cell_bytes_at(from, source);
    let n = count(to);
    let made = make_cell(to, n, bytes);
    debug_assert!(made.is_some(), "the caller counted the room");
    if let Some(at) = made {
        to[at..at + bytes].copy_from_slice(&from[source..source + bytes]);
    }
}

/// Rewrites the cells without the holes between them.
fn compact(page: &mut Page) {
    let old = *page;
    let mut at = PAGE_BYTES;
    for i in 0..count(&old) {
        let from = cell(&old, i);
        let bytes = cell_bytes_at(&old, from);
        at -= bytes;
        page[at..at + bytes].copy_from_slice(&old[from..from + bytes]);
        put_u16(page, HEADER + SLOT * i, at as u16);
    }
    put_u16(page, CELLS, at as u16);
    put_u16(page, GARBAGE, 0);
}

/// True when every slot and cell of a page from disk lies where it may, and the sums agree.
pub(super) fn validate(page: &Page) -> bool {
    let leaf = kind(page) == Some(Kind::Leaf);
    if leaf != is_leaf(page) {
        return false;
    }
    let n = count(page);
    let cells = usize::from(get_u16(page, CELLS));
    let slots_end = HEADER + SLOT * n;
    if slots_end > cells || cells > PAGE_BYTES {
        return false;
    }
    let mut total = usize::from(get_u16(page, GARBAGE));
    for i in 0..n {
        let at = cell(page, i);
        if at < cells || at + fixed(page) > PAGE_BYTES {
            return false;
        }
        let bytes = cell_bytes_at(page, at);
        if at + bytes > PAGE_BYTES
            || usize::from(get_u16(page, at)) > types::limits::CELL_KEY_BYTES_MAX
            || bytes + SLOT > LEAF_CELL_MAX
        {
            return false;
        }
        total += bytes;
    }
    total == PAGE_BYTES - cells
}
