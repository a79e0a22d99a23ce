//! A page: 4 KiB with a checksum and an identity, so that a torn, stale or misplaced one is noticed.
//!
//! Owns: the header's bytes (drawn in docs/format.md), sealing before a write and checking after a read.
//! Asked by: the pool on every read and write back, the checkpoint for its own pages.
//! Never: does I/O, or panics over bytes that came from a disk: `verify` and the validation of each kind come first.
//! Bounds: page ids are 32 bits, so a partition's page file ends at 16 TiB.
//! Source: XXH3 (Collet), seeded with the store's id so that a page of another store does not pass.

pub(crate) mod node;
pub(crate) mod overflow;

use crate::error::StorageError;

/// Bytes of a page, of a frame and of the smallest I/O.
pub const PAGE_BYTES: usize = 4096;
/// Pages 0 and 1 are the superblock's two slots.
pub(crate) const FIRST_PAGE: u32 = 2;

pub(crate) type Page = [u8; PAGE_BYTES];

/// A page's number in the page file: it lies at byte `4096 * id`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageId(pub u32);

impl PageId {
    pub(crate) fn position(self) -> u64 {
        u64::from(self.0) * PAGE_BYTES as u64
    }
}

/// Header bytes in front of every page but the superblock's slots.
pub(crate) const HEADER: usize = 40;

mod at {
    pub const CHECKSUM: usize = 0;
    pub const ID: usize = 8;
    pub const OWNER: usize = 12;
    pub const EPOCH: usize = 16;
    pub const KIND: usize = 24;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    Leaf = 1,
    Inner = 2,
    /// Bytes of a value that does not fit its leaf.
    Overflow = 3,
    /// Page ids of a long value.
    OverflowIndex = 4,
    /// The list of trees, written by a checkpoint.
    Directory = 5,
    /// The bitmap of pages in use, written by a checkpoint.
    Map = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Leaf,
            2 => Kind::Inner,
            3 => Kind::Overflow,
            4 => Kind::OverflowIndex,
            5 => Kind::Directory,
            6 => Kind::Map,
            _ => return None,
        })
    }
}

#[inline]
pub(crate) fn get_u16(page: &Page, at: usize) -> u16 {
    u16::from_le_bytes([page[at], page[at + 1]])
}

#[inline]
pub(crate) fn put_u16(page: &mut Page, at: usize, value: u16) {
    page[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

#[inline]
pub(crate) fn get_u32(page: &Page, at: usize) -> u32 {
    u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]])
}

#[inline]
pub(crate) fn put_u32(page: &mut Page, at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[inline]
pub(crate) fn get_u64(page: &Page, at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&page[at..at + 8]);
    u64::from_le_bytes(bytes)
}

#[inline]
pub(crate) fn put_u64(page: &mut Page, at: usize, value: u64) {
    page[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Writes the identity of a page of `kind`. `owner` is the tree's id, 0 where no tree owns it.
pub(crate) fn identify(page: &mut Page, kind: Kind, id: PageId, owner: u32, epoch: u64) {
    put_u32(page, at::ID, id.0);
    put_u32(page, at::OWNER, owner);
    put_u64(page, at::EPOCH, epoch);
    page[at::KIND] = kind as u8;
}

/// Moves a page to another place: copy on write.
pub(crate) fn move_to(page: &mut Page, id: PageId, epoch: u64) {
    put_u32(page, at::ID, id.0);
    put_u64(page, at::EPOCH, epoch);
}

pub(crate) fn owner(page: &Page) -> u32 {
    get_u32(page, at::OWNER)
}

/// The checkpoint interval in which the page got its place.
pub(crate) fn epoch(page: &Page) -> u64 {
    get_u64(page, at::EPOCH)
}

pub(crate) fn kind(page: &Page) -> Option<Kind> {
    Kind::from_byte(page[at::KIND])
}

fn checksum(page: &Page, store: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&page[at::ID..], store)
}

/// Writes the checksum over all that follows it. The last thing done to a page before its write.
pub(crate) fn seal(page: &mut Page, store: u64) {
    let sum = checksum(page, store);
    put_u64(page, at::CHECKSUM, sum);
}

/// Checks that `bytes`, read from the place of `id`, are that page, whole, of a known kind and of sound structure.
pub(crate) fn verify(page: &Page, id: PageId, store: u64) -> Result<Kind, StorageError> {
    let sound = get_u64(page, at::CHECKSUM) == checksum(page, store);
    #[cfg(feature = "simulation")]
    let sound = sound || crate::planted::has(crate::planted::Planted::PageChecksum);
    if !sound {
        return Err(StorageError::page(id, "checksum mismatch"));
    }
    let found = get_u32(page, at::ID);
    if found != id.0 {
        return Err(StorageError::page(
            id,
            format!("it says it is page {found}"),
        ));
    }
    let Some(kind) = kind(page) else {
        let byte = page[at::KIND];
        return Err(StorageError::page(id, format!("unknown page kind {byte}")));
    };
    let sound = match kind {
        Kind::Leaf | Kind::Inner => node::validate(page),
        Kind::Overflow | Kind::OverflowIndex => overflow::validate(page),
        Kind::Directory | Kind::Map => true,
    };
    if !sound {
        return Err(StorageError::page(
            id,
            format!("malformed {kind:?} page with a valid checksum"),
        ));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Page {
        let mut page = [0u8; PAGE_BYTES];
        identify(&mut page, Kind::Map, PageId(7), 0, 3);
        page[1000] = 9;
        seal(&mut page, 42);
        page
    }

    #[test]
    fn a_sealed_page_verifies() {
        assert_eq!(verify(&sealed(), PageId(7), 42).unwrap(), Kind::Map);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let page = sealed();
        for bit in (0..PAGE_BYTES * 8).step_by(13) {
            let mut bad = page;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&bad, PageId(7), 42).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_page_at_the_wrong_place_or_of_another_store_is_noticed() {
        let page = sealed();
        assert!(verify(&page, PageId(8), 42).is_err());
        assert!(verify(&page, PageId(7), 43).is_err());
        assert!(verify(&[0; PAGE_BYTES], PageId(0), 0).is_err());
    }
}
