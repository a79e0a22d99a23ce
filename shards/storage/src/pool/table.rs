//! Which number belongs to a page: the pool's frames and the policies' memory of pages that have gone.
//!
//! Owns: an open table of fixed size. Linear probing; a removal moves later entries of the run back, so there are no
//! gravestones and the table never has to be built anew, which would stop the shard for as long as it is large.
//! Asked by: the pool on every touch, and the policies' ghosts. Never: grows.
//! Bounds: 8 bytes a slot, two to four slots an entry; zeroed by the system when first touched.
//! Source: Knuth, The Art of Computer Programming 3, 6.4, algorithms L and R.

use crate::page::PageId;

/// Page and number in one word; 0 is an empty slot, since no frame holds page 0.
pub(crate) struct PageTable {
    slots: Vec<u64>,
    mask: usize,
    shift: u32,
    len: usize,
    max: usize,
}

impl PageTable {
    /// Holds up to `max` entries.
    pub fn new(max: usize) -> PageTable {
        let slots = (max * 2).next_power_of_two().max(16);
        PageTable {
            slots: vec![0; slots],
            mask: slots - 1,
            shift: 64 - slots.trailing_zeros(),
            len: 0,
            max,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn home(&self, page: u32) -> usize {
        let mut h = u64::from(page).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        h ^= h >> 32;
        (h.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> self.shift) as usize
    }

    /// The slot of the page, or the empty one where it would go.
    #[inline]
    fn slot(&self, page: u32) -> usize {
        let mut at = self.home(page);
        loop {
            let entry = self.slots[at];
            if entry == 0 || (entry >> 32) as u32 == page {
                return at;
            }
            at = (at + 1) & self.mask;
        }
    }

    #[inline]
    pub fn get(&self, page: PageId) -> Option<u32> {
        let entry = self.slots[self.slot(page.0)];
        (entry != 0).then_some(entry as u32)
    }

    /// Returns the number that the page had before. A full table takes no new page.
    pub fn insert(&mut self, page: PageId, number: u32) -> Option<u32> {
        debug_assert!(page.0 != 0);
        let at = self.slot(page.0);
        let before = self.slots[at];
        if before == 0 {
            debug_assert!(self.len < self.max, "the table is full");
            if self.len == self.max {
                return None;
            }
            self.len += 1;
        }
        self.slots[at] = u64::from(page.0) << 32 | u64::from(number);
        (before != 0).then_some(before as u32)
    }

    pub fn remove(&mut self, page: PageId) -> Option<u32> {
        let mut hole = self.slot(page.0);
        let gone = self.slots[hole];
        if gone == 0 {
            return None;
        }
        self.len -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let entry = self.slots[at];
            if entry == 0 {
                break;
            }
            let home = self.home((entry >> 32) as u32);
            // It may fill the hole unless its home lies behind the hole, going round.
            if (at.wrapping_sub(home) & self.mask) >= (at.wrapping_sub(hole) & self.mask) {
                self.slots[hole] = entry;
                hole = at;
            }
        }
        self.slots[hole] = 0;
        Some(gone as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_answers_as_a_map_does(ops in prop::collection::vec((1u32..60, any::<bool>(), any::<u32>()), 1..600)) {
            let mut table = PageTable::new(64);
            let mut model = BTreeMap::new();
            for (page, put, number) in ops {
                if put {
                    prop_assert_eq!(table.insert(PageId(page), number), model.insert(page, number));
                } else {
                    prop_assert_eq!(table.remove(PageId(page)), model.remove(&page));
                }
                prop_assert_eq!(table.len(), model.len());
                for page in 1..60 {
                    prop_assert_eq!(table.get(PageId(page)), model.get(&page).copied());
                }
            }
        }
    }
}
