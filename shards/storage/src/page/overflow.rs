//! Values too long for a leaf: the reference in the leaf's cell and the pages it leads to.
//!
//! Owns: the bytes of an overflow reference, of an overflow page and of an overflow index page. A value is cut into
//! pages that are written once and never changed; each carries the value's identity (epoch and sequence number, never
//! used twice), its owner tree and its place in the value, so a page of another value is noticed.
//! Up to eight pages are named in the leaf; more are named in a chain of index pages.
//! Asked by: the tree. Never: does I/O.
//! Bounds: a value has at most `CELL_VALUE_BYTES_MAX` bytes: 4,145 pages and 5 index pages.

use super::{HEADER, Kind, PAGE_BYTES, Page, PageId, get_u16, get_u32, get_u64, identify};
use super::{owner, put_u16, put_u32, put_u64};
use smallvec::SmallVec;

const COUNT: usize = 26;
const NEXT: usize = 28;
const ORDINAL: usize = 32;
const SEQUENCE: usize = 36;
const VALUE_EPOCH: usize = 40;
const BODY: usize = 48;

const _: () = assert!(BODY >= HEADER);

/// Value bytes in one page.
pub(crate) const PAYLOAD: usize = PAGE_BYTES - BODY;
const IDS_PER_INDEX: usize = PAYLOAD / 4;
const DIRECT_MAX: usize = 8;
const REF_FIXED: usize = 16;
pub(crate) const REF_BYTES_MAX: usize = REF_FIXED + 4 * DIRECT_MAX;

/// A value's identity: no two values of a store ever share it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ValueId {
    pub epoch: u64,
    pub sequence: u32,
}

/// What a leaf stores in place of a long value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OverflowRef {
    pub bytes: u32,
    pub value: ValueId,
    /// The value's pages, or the first index page alone when there are more than eight.
    pub pages: SmallVec<[PageId; DIRECT_MAX]>,
}

/// Pages that hold `bytes` of a value.
pub(crate) fn data_pages(bytes: usize) -> usize {
    bytes.div_ceil(PAYLOAD)
}

/// Index pages that name `data` pages.
pub(crate) fn index_pages(data: usize) -> usize {
    if data <= DIRECT_MAX {
        0
    } else {
        data.div_ceil(IDS_PER_INDEX)
    }
}

impl OverflowRef {
    pub fn is_direct(&self) -> bool {
        data_pages(self.bytes as usize) <= DIRECT_MAX
    }

    pub fn encode(&self) -> SmallVec<[u8; REF_BYTES_MAX]> {
        let mut out = SmallVec::new();
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.value.epoch.to_le_bytes());
        out.extend_from_slice(&self.value.sequence.to_le_bytes());
        for page in &self.pages {
            out.extend_from_slice(&page.0.to_le_bytes());
        }
        out
    }

    /// `None` when the bytes are no reference.
    pub fn decode(bytes: &[u8]) -> Option<OverflowRef> {
        let (fixed, ids) = bytes.split_at_checked(REF_FIXED)?;
        let length = u32::from_le_bytes(fixed[0..4].try_into().ok()?);
        let epoch = u64::from_le_bytes(fixed[4..12].try_into().ok()?);
        let sequence = u32::from_le_bytes(fixed[12..16].try_into().ok()?);
        let pages: SmallVec<[PageId; DIRECT_MAX]> = ids
            .chunks_exact(4)
            .map(|c| PageId(u32::from_le_bytes([c[0], c[1], c[2], c[3]])))
            .collect();
        let data = data_pages(length as usize);
        let named = if data <= DIRECT_MAX { data } else { 1 };
        let sound = pages.len() == named
            && ids.len() == named * 4
            && named > 0
            && length as usize <= types::limits::CELL_VALUE_BYTES_MAX;
        sound.then_some(OverflowRef {
            bytes: length,
            value: ValueId { epoch, sequence },
            pages,
        })
    }
}

/// Where a page stands: its own place and epoch, its tree, its value and its number within the value.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub id: PageId,
    pub owner: u32,
    pub epoch: u64,
    pub value: ValueId,
    pub ordinal: u32,
}

fn begin(page: &mut Page, kind: Kind, who: &Identity, count: usize, next: u32) {
    page.fill(0);
    identify(page, kind, who.id, who.owner, who.epoch);
    put_u16(page, COUNT, count as u16);
    put_u32(page, NEXT, next);
    put_u32(page, ORDINAL, who.ordinal);
    put_u32(page, SEQUENCE, who.value.sequence);
    put_u64(page, VALUE_EPOCH, who.value.epoch);
}

/// Fills a page with a value's bytes, at most `PAYLOAD`.
pub(crate) fn fill(page: &mut Page, who: &Identity, payload: &[u8]) {
    begin(page, Kind::Overflow, who, payload.len(), 0);
    page[BODY..BODY + payload.len()].copy_from_slice(payload);
}

/// Fills an index page with page ids, at most `IDS_PER_INDEX`.
pub(crate) fn fill_index(page: &mut Page, who: &Identity, ids: &[PageId], next: Option<PageId>) {
    let next = next.map_or(0, |p| p.0);
    begin(page, Kind::OverflowIndex, who, ids.len(), next);
    for (i, id) in ids.iter().enumerate() {
        put_u32(page, BODY + 4 * i, id.0);
    }
}

/// Groups page ids as index pages name them.
pub(crate) fn index_groups(ids: &[PageId]) -> impl Iterator<Item = &[PageId]> {
    ids.chunks(IDS_PER_INDEX)
}

fn belongs(page: &Page, kind: Kind, tree: u32, value: ValueId, ordinal: u32) -> bool {
    super::kind(page) == Some(kind)
        && owner(page) == tree
        && get_u32(page, ORDINAL) == ordinal
        && get_u32(page, SEQUENCE) == value.sequence
        && get_u64(page, VALUE_EPOCH) == value.epoch
}

/// The bytes of page `ordinal` of a value, `None` when the page is not that.
pub(crate) fn payload(page: &Page, tree: u32, value: ValueId, ordinal: u32) -> Option<&[u8]> {
    belongs(page, Kind::Overflow, tree, value, ordinal)
        .then(|| &page[BODY..BODY + usize::from(get_u16(page, COUNT))])
}

/// Appends the ids of index page `ordinal` to `out` and returns the next index page.
/// `None` when the page is not that.
pub(crate) fn index(
    page: &Page,
    tree: u32,
    value: ValueId,
    ordinal: u32,
    out: &mut Vec<PageId>,
) -> Option<Option<PageId>> {
    if !belongs(page, Kind::OverflowIndex, tree, value, ordinal) {
        return None;
    }
    let n = usize::from(get_u16(page, COUNT));
    out.extend((0..n).map(|i| PageId(get_u32(page, BODY + 4 * i))));
    let next = get_u32(page, NEXT);
    Some((next != 0).then_some(PageId(next)))
}

/// True when the count of a page from disk fits the page.
pub(super) fn validate(page: &Page) -> bool {
    let n = usize::from(get_u16(page, COUNT));
    match super::kind(page) {
        Some(Kind::Overflow) => n <= PAYLOAD,
        _ => n <= IDS_PER_INDEX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(bytes: u32, pages: u32) -> OverflowRef {
        OverflowRef {
            bytes,
            value: ValueId {
                epoch: 5,
                sequence: 6,
            },
            pages: (10..10 + pages).map(PageId).collect(),
        }
    }

    #[test]
    fn references_survive_encoding() {
        for r in [
            reference(1, 1),
            reference((8 * PAYLOAD) as u32, 8),
            reference(1 << 20, 1),
        ] {
            assert_eq!(OverflowRef::decode(&r.encode()), Some(r));
        }
    }

    #[test]
    fn malformed_references_are_refused() {
        let good = reference(5000, 2).encode();
        for cut in 0..good.len() {
            assert_eq!(OverflowRef::decode(&good[..cut]), None, "{cut} bytes");
        }
        assert_eq!(OverflowRef::decode(&reference(5000, 3).encode()), None);
        assert_eq!(OverflowRef::decode(&reference(u32::MAX, 1).encode()), None);
        assert_eq!(OverflowRef::decode(&reference(0, 0).encode()), None);
    }

    #[test]
    fn a_page_of_another_value_is_not_read() {
        let value = ValueId {
            epoch: 1,
            sequence: 2,
        };
        let who = Identity {
            id: PageId(9),
            owner: 3,
            epoch: 1,
            value,
            ordinal: 4,
        };
        let mut page = [0; PAGE_BYTES];
        fill(&mut page, &who, b"abc");
        assert_eq!(payload(&page, 3, value, 4), Some(&b"abc"[..]));
        let other = ValueId {
            epoch: 1,
            sequence: 3,
        };
        assert_eq!(payload(&page, 3, other, 4), None);
        assert_eq!(payload(&page, 3, value, 5), None);
        assert_eq!(payload(&page, 2, value, 4), None);
    }
}
