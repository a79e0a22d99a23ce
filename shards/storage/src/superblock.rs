//! The superblock: the one place that says which checkpoint counts.
//!
//! Owns: the bytes of the two slots (pages 0 and 1) and the choice between them: the valid one of the higher
//! generation. A checkpoint writes and syncs the first, then the second: a torn write leaves the other one valid, and
//! between checkpoints both are the same, so one that rots costs nothing.
//! Asked by: open and checkpoint. Never: does I/O.
//! Bounds: engine metadata up to `META_BYTES_MAX`.

use crate::error::StorageError;
use crate::page::{
    self, PAGE_BYTES, Page, PageId, get_u16, get_u32, get_u64, put_u16, put_u32, put_u64,
};
use types::Lsn;

const MAGIC: &[u8; 8] = b"RDBSPAGE";
/// Version of every byte this crate writes: page file, log and superblock.
pub const FORMAT: u32 = 1;
/// Engine bytes kept with a checkpoint.
pub const META_BYTES_MAX: usize = 1024;

mod at {
    pub const MAGIC: usize = 0;
    pub const FORMAT: usize = 8;
    pub const PAGE_BYTES: usize = 12;
    pub const CHECKSUM: usize = 16;
    pub const STORE: usize = 24;
    pub const GENERATION: usize = 32;
    pub const EPOCH: usize = 40;
    pub const REDO: usize = 48;
    pub const WAL_END: usize = 56;
    pub const PAGES: usize = 64;
    pub const MAP: usize = 68;
    pub const DIRECTORY: usize = 72;
    pub const META_LENGTH: usize = 76;
    pub const META: usize = 80;
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Superblock {
    /// Drawn when the store was created; seeds every checksum.
    pub store: u64,
    pub generation: u64,
    /// The frozen epoch: no page of the image is of a later one.
    pub epoch: u64,
    pub redo: Lsn,
    /// The log reached at least this far, durably, when the checkpoint was written.
    pub wal_end: Lsn,
    pub pages: u32,
    pub map: PageId,
    pub directory: PageId,
    pub meta: Vec<u8>,
}

pub(crate) enum Slot {
    Valid(Superblock),
    /// Never written.
    Blank,
    /// Torn or damaged.
    Invalid,
    Newer(u32),
}

/// Where the superblock is, in the order of writing.
pub(crate) const SLOTS: [PageId; 2] = [PageId(0), PageId(1)];

impl Superblock {
    pub fn encode(&self) -> Page {
        let mut page = [0; PAGE_BYTES];
        page[at::MAGIC..at::MAGIC + 8].copy_from_slice(MAGIC);
        put_u32(&mut page, at::FORMAT, FORMAT);
        put_u32(&mut page, at::PAGE_BYTES, PAGE_BYTES as u32);
        put_u64(&mut page, at::STORE, self.store);
        put_u64(&mut page, at::GENERATION, self.generation);
        put_u64(&mut page, at::EPOCH, self.epoch);
        put_u64(&mut page, at::REDO, self.redo.0);
        put_u64(&mut page, at::WAL_END, self.wal_end.0);
        put_u32(&mut page, at::PAGES, self.pages);
        put_u32(&mut page, at::MAP, self.map.0);
        put_u32(&mut page, at::DIRECTORY, self.directory.0);
        put_u16(&mut page, at::META_LENGTH, self.meta.len() as u16);
        page[at::META..at::META + self.meta.len()].copy_from_slice(&self.meta);
        let sum = checksum(&page);
        put_u64(&mut page, at::CHECKSUM, sum);
        page
    }

    pub fn decode(page: &Page) -> Slot {
        if page.iter().all(|b| *b == 0) {
            return Slot::Blank;
        }
        if &page[at::MAGIC..at::MAGIC + 8] != MAGIC {
            return Slot::Invalid;
        }
        // Before the checksum: a newer format may sum differently.
        let format = get_u32(page, at::FORMAT);
        if format > FORMAT {
            return Slot::Newer(format);
        }
        let meta = usize::from(get_u16(page, at::META_LENGTH));
        if get_u64(page, at::CHECKSUM) != checksum(page)
            || get_u32(page, at::PAGE_BYTES) != PAGE_BYTES as u32
            || meta > META_BYTES_MAX
        {
            return Slot::Invalid;
        }
        Slot::Valid(Superblock {
            store: get_u64(page, at::STORE),
            generation: get_u64(page, at::GENERATION),
            epoch: get_u64(page, at::EPOCH),
            redo: Lsn(get_u64(page, at::REDO)),
            wal_end: Lsn(get_u64(page, at::WAL_END)),
            pages: get_u32(page, at::PAGES),
            map: PageId(get_u32(page, at::MAP)),
            directory: PageId(get_u32(page, at::DIRECTORY)),
            meta: page[at::META..at::META + meta].to_vec(),
        })
    }

    /// Checks a page of the image's map or directory. Each image has pages of its own for them: one of another epoch is
    /// what was there before.
    pub fn verify_own(&self, page: &Page, id: PageId) -> Result<(), StorageError> {
        page::verify(page, id, self.store)?;
        let epoch = page::epoch(page);
        if epoch != self.epoch {
            let detail = format!("it is of epoch {epoch}, the image of {}", self.epoch);
            return Err(StorageError::page(id, detail));
        }
        Ok(())
    }

    /// The slot that counts, `None` when neither was ever written.
    pub fn choose(slots: [Slot; 2]) -> Result<Option<Superblock>, StorageError> {
        let mut best: Option<Superblock> = None;
        let mut blank = 0;
        for slot in slots {
            match slot {
                Slot::Newer(found) => {
                    return Err(StorageError::NewerFormat {
                        found,
                        supported: FORMAT,
                    });
                }
                Slot::Valid(s) if best.as_ref().is_none_or(|b| s.generation > b.generation) => {
                    best = Some(s);
                }
                Slot::Blank => blank += 1,
                Slot::Valid(_) | Slot::Invalid => {}
            }
        }
        if best.is_none() && blank < 2 {
            return Err(StorageError::page(
                PageId(0),
                "neither slot of the superblock is valid",
            ));
        }
        Ok(best)
    }
}

fn checksum(page: &Page) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    hash.update(&page[..at::CHECKSUM]);
    hash.update(&page[at::STORE..]);
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(generation: u64) -> Superblock {
        Superblock {
            store: 1,
            generation,
            epoch: 2,
            redo: Lsn(3),
            wal_end: Lsn(4),
            pages: 5,
            map: PageId(6),
            directory: PageId(7),
            meta: vec![8; META_BYTES_MAX],
        }
    }

    fn chosen(a: &Page, b: &Page) -> Result<Option<u64>, StorageError> {
        let slots = [Superblock::decode(a), Superblock::decode(b)];
        Superblock::choose(slots).map(|s| s.map(|s| s.generation))
    }

    #[test]
    fn the_newest_valid_slot_wins_and_a_torn_one_loses() {
        let (old, new) = (sample(8).encode(), sample(9).encode());
        assert_eq!(chosen(&old, &new).unwrap(), Some(9));
        assert_eq!(chosen(&new, &old).unwrap(), Some(9));
        for byte in 0..PAGE_BYTES {
            let mut torn = new;
            torn[byte] ^= 1;
            match chosen(&old, &torn) {
                Ok(found) => assert_eq!(found, Some(8), "byte {byte}"),
                Err(StorageError::NewerFormat { .. }) => assert!((8..12).contains(&byte)),
                Err(e) => panic!("byte {byte}: {e}"),
            }
        }
    }

    #[test]
    fn blank_slots_are_a_new_store_and_two_bad_ones_are_not() {
        let blank = [0; PAGE_BYTES];
        let bad = [1; PAGE_BYTES];
        assert_eq!(chosen(&blank, &blank).unwrap(), None);
        assert_eq!(chosen(&blank, &sample(1).encode()).unwrap(), Some(1));
        assert!(chosen(&bad, &bad).is_err());
        assert!(chosen(&bad, &blank).is_err());
    }

    #[test]
    fn a_newer_format_is_said_so() {
        let mut page = sample(1).encode();
        put_u32(&mut page, at::FORMAT, FORMAT + 1);
        let e = chosen(&page, &[0; PAGE_BYTES]).unwrap_err();
        assert!(matches!(e, StorageError::NewerFormat { found: 2, .. }));
    }
}
