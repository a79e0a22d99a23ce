//! The bytes of one simulated file.
//!
//! Owns: shared pages, the size, and which sectors of a torn write arrive. Asked by: `image`. Never: waits or fails.
//! Bounds: a page that was never written costs nothing; a copy of a sheet costs a pointer a page.

use super::random::Random;
use std::rc::Rc;

const PAGE: usize = 4096;
/// What a device writes as a whole.
pub(super) const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(super) struct Sheet {
    pages: Vec<Option<Rc<Leaf>>>,
    size: u64,
}

#[derive(Clone)]
struct Leaf {
    bytes: [u8; PAGE],
    sum: u64,
}

/// Which sectors of a write arrive.
pub(super) enum Sectors {
    All,
    /// By their order within the write.
    Only(Vec<bool>),
}

impl Sectors {
    /// A beginning, an end, or any of them.
    pub fn torn(at: u64, len: usize, random: &mut Random) -> Sectors {
        let n = sectors(at, len);
        let cut = random.below(n as u64 + 1) as usize;
        let kind = random.below(3);
        let arrives = (0..n).map(|i| match kind {
            0 => i < cut,
            1 => i >= cut,
            _ => random.below(2) == 0,
        });
        Sectors::Only(arrives.collect())
    }

    fn has(&self, i: usize) -> bool {
        match self {
            Sectors::All => true,
            Sectors::Only(these) => these.get(i).copied().unwrap_or(false),
        }
    }
}

/// Sectors that a write touches.
fn sectors(at: u64, len: usize) -> usize {
    let first = at / SECTOR as u64;
    ((at + len as u64).div_ceil(SECTOR as u64) - first) as usize
}

impl Sheet {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `out` from `at` on; what lies behind the end is zero. Returns how many bytes the file has there.
    pub fn read(&self, at: u64, out: &mut [u8]) -> usize {
        let there = self.size.saturating_sub(at).min(out.len() as u64) as usize;
        out.fill(0);
        let mut done = 0;
        while done < there {
            let (page, from) = place(at + done as u64);
            let n = (PAGE - from).min(there - done);
            if let Some(Some(leaf)) = self.pages.get(page) {
                out[done..done + n].copy_from_slice(&leaf.bytes[from..from + n]);
            }
            done += n;
        }
        there
    }

    /// Grows to hold the last byte that arrives.
    pub fn write(&mut self, at: u64, bytes: &[u8], sectors: &Sectors) {
        let first = at / SECTOR as u64;
        let mut done = 0;
        while done < bytes.len() {
            let here = at + done as u64;
            let n = (SECTOR - (here % SECTOR as u64) as usize).min(bytes.len() - done);
            if sectors.has((here / SECTOR as u64 - first) as usize) {
                self.put(here, &bytes[done..done + n]);
            }
            done += n;
        }
        self.seal(at, bytes.len());
    }

    /// Within one sector.
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let (page, from) = place(at);
        if self.pages.len() <= page {
            self.pages.resize(page + 1, None);
        }
        let blank = || {
            Rc::new(Leaf {
                bytes: [0; PAGE],
                sum: 0,
            })
        };
        let leaf = Rc::make_mut(self.pages[page].get_or_insert_with(blank));
        leaf.bytes[from..from + bytes.len()].copy_from_slice(bytes);
        self.size = self.size.max(at + bytes.len() as u64);
    }

    /// Sums the pages of a range anew.
    fn seal(&mut self, at: u64, len: usize) {
        let last = place(at + len as u64).0;
        let touched = self.pages.iter_mut().take(last + 1).skip(place(at).0);
        for leaf in touched.flatten() {
            let leaf = Rc::make_mut(leaf);
            leaf.sum = sum(&leaf.bytes);
        }
    }

    pub fn resize(&mut self, len: u64) {
        if len < self.size {
            let (page, from) = place(len);
            self.pages.truncate(page + usize::from(from > 0));
            if from > 0
                && let Some(Some(leaf)) = self.pages.get_mut(page)
            {
                Rc::make_mut(leaf).bytes[from..].fill(0);
                self.seal(len, 1);
            }
        }
        self.size = len;
    }

    pub fn fold(&self, into: &mut Random) {
        into.mix(self.size);
        for (i, leaf) in self.pages.iter().enumerate() {
            // A page of zeros is no page.
            if let Some(leaf) = leaf.as_ref().filter(|l| l.sum != 0) {
                into.mix(i as u64);
                into.mix(leaf.sum);
            }
        }
    }
}

fn place(at: u64) -> (usize, usize) {
    ((at / PAGE as u64) as usize, (at % PAGE as u64) as usize)
}

/// 0 for zeros.
fn sum(bytes: &[u8; PAGE]) -> u64 {
    let words = bytes.as_chunks::<8>().0;
    if words.iter().all(|w| *w == [0; 8]) {
        return 0;
    }
    let mut state = Random::new(7);
    words.iter().for_each(|w| state.mix(u64::from_le_bytes(*w)));
    state.draw() | 1
}
