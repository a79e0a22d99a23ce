//! Pages that have gone, remembered for a while: what tells a page that comes back from a new one.
//!
//! Owns: the remembered pages, in lists from the youngest to the oldest. Asked by: the policies that keep a history.
//! Never: knows a frame. Bounds: `max` pages, about 40 bytes each; over it the oldest of the list is forgotten.

use super::list::Links;
use crate::page::PageId;
use crate::pool::table::PageTable;

pub(super) struct Ghosts {
    table: PageTable,
    links: Links,
    entries: Vec<(PageId, u8)>,
    lens: Vec<usize>,
    /// Slots that are not in use.
    spare: Vec<u32>,
    max: usize,
}

impl Ghosts {
    pub fn new(max: usize, lists: usize) -> Ghosts {
        Ghosts {
            table: PageTable::new(max),
            links: Links::new(max, lists),
            entries: vec![(PageId(0), 0); max],
            lens: vec![0; lists],
            spare: (0..max as u32).rev().collect(),
            max,
        }
    }

    pub fn len(&self, list: usize) -> usize {
        self.lens[list]
    }

    /// The list that remembers the page.
    pub fn list(&self, page: PageId) -> Option<usize> {
        let slot = self.table.get(page)?;
        Some(usize::from(self.entries[slot as usize].1))
    }

    /// Remembers a page as the youngest of the list. Returns its slot, below `max`.
    pub fn put(&mut self, list: usize, page: PageId) -> Option<usize> {
        self.take(page);
        if self.table.len() == self.max {
            let longest = (0..self.lens.len()).max_by_key(|l| self.lens[*l])?;
            self.forget_oldest(longest);
        }
        let slot = self.spare.pop()? as usize;
        self.entries[slot] = (page, list as u8);
        self.links.push_hot(list, slot);
        self.lens[list] += 1;
        self.table.insert(page, slot as u32);
        Some(slot)
    }

    /// Forgets a page: its list and its slot.
    pub fn take(&mut self, page: PageId) -> Option<(usize, usize)> {
        let slot = self.table.remove(page)? as usize;
        let list = usize::from(self.entries[slot].1);
        self.links.unlink(slot);
        self.lens[list] -= 1;
        self.spare.push(slot as u32);
        Some((list, slot))
    }

    /// Returns the slot of the page that was forgotten.
    pub fn forget_oldest(&mut self, list: usize) -> Option<usize> {
        let slot = self.links.coldest(list)?;
        self.take(self.entries[slot].0).map(|(_, slot)| slot)
    }

    /// Forgets the oldest of the list until it has no more than `n`.
    pub fn trim(&mut self, list: usize, n: usize) {
        while self.lens[list] > n && self.forget_oldest(list).is_some() {}
    }

    /// Forgets the page in a slot.
    pub fn forget_slot(&mut self, slot: usize) {
        self.take(self.entries[slot].0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut ghosts = Ghosts::new(3, 2);
        for page in 1..=4 {
            ghosts.put(0, PageId(page));
        }
        assert_eq!(ghosts.list(PageId(1)), None);
        assert_eq!(ghosts.len(0), 3);
        assert_eq!(ghosts.take(PageId(3)).map(|(list, _)| list), Some(0));
        ghosts.put(1, PageId(9));
        assert_eq!(ghosts.list(PageId(9)), Some(1));
        ghosts.trim(0, 1);
        assert_eq!(ghosts.list(PageId(2)), None);
        assert_eq!(ghosts.list(PageId(4)), Some(0));
        assert_eq!(ghosts.take(PageId(2)), None);
    }
}
