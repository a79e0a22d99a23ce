//! The image's own pages, and each page in use for itself.
//!
//! Owns: superblock, map and directory as a start would read them, and the bitmap of pages that something refers to.
//! Never: follows a tree.

use super::{Report, epoch_is_sound, read};
use crate::directory::{self, Entry};
use crate::error::StorageError;
use crate::open::PAGE_FILE;
use crate::page::{self, FIRST_PAGE, PAGE_BYTES, Page, PageId};
use crate::space::{MapReader, Space};
use crate::superblock::{SLOTS, Slot, Superblock};
use runtime::{Dir, File, OpenMode};

/// Pages that are read at once.
const RUN: u32 = 128;

pub(super) struct Image {
    pub file: File,
    pub superblock: Superblock,
    pub space: Space,
    pub entries: Vec<Entry>,
    /// Pages that something refers to.
    seen: Vec<u64>,
}

impl Image {
    /// `None`, with a finding, when there is no image to check.
    pub async fn open(dir: &Dir, report: &mut Report) -> Result<Option<Image>, StorageError> {
        let mode = OpenMode {
            create: false,
            truncate: false,
            direct: true,
        };
        let io = |e| StorageError::io(format!("open {PAGE_FILE}"), e);
        let file = dir.open_file(PAGE_FILE, mode).await.map_err(io)?;
        let Some(superblock) = choose(&file, report).await? else {
            return Ok(None);
        };
        let mut image = Image {
            seen: vec![0; (superblock.pages as usize).div_ceil(64)],
            file,
            superblock,
            space: Space::new(),
            entries: Vec::new(),
        };
        for slot in SLOTS {
            image.see(slot);
        }
        match image.read_lists().await {
            Ok(()) => Ok(Some(image)),
            Err(e @ StorageError::Corrupt { .. }) => {
                report.error(&e);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    async fn read_lists(&mut self) -> Result<(), StorageError> {
        let mut map = MapReader::new(self.superblock.pages);
        let mut next = Some(self.superblock.map);
        while let Some(id) = next {
            let page = self.own_page(id).await?;
            next = map.take(id, &page)?;
        }
        self.space = map.finish(self.superblock.map)?;
        let mut next = Some(self.superblock.directory);
        while let Some(id) = next {
            let page = self.own_page(id).await?;
            next = directory::decode(id, &page, &mut self.entries)?;
        }
        Ok(())
    }

    async fn own_page(&mut self, id: PageId) -> Result<Box<Page>, StorageError> {
        if id.0 < FIRST_PAGE || id.0 >= self.superblock.pages || !self.see(id) {
            return Err(StorageError::page(id, "a chain leads astray"));
        }
        let Some(page) = read(&self.file, id).await? else {
            return Err(StorageError::page(id, "the file ends before it"));
        };
        self.superblock.verify_own(&page, id)?;
        Ok(page)
    }

    /// Marks a page as referred to. False when it was already.
    pub fn see(&mut self, id: PageId) -> bool {
        let bit = 1u64 << (id.0 % 64);
        match self.seen.get_mut((id.0 / 64) as usize) {
            Some(word) => {
                let fresh = *word & bit == 0;
                *word |= bit;
                fresh
            }
            None => false,
        }
    }

    fn is_seen(&self, id: PageId) -> bool {
        let word = self.seen.get((id.0 / 64) as usize);
        word.is_some_and(|w| w & 1 << (id.0 % 64) != 0)
    }

    /// Every page in use by itself: checksum, identity, structure.
    pub async fn check_pages(
        &self,
        report: &mut Report,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), StorageError> {
        let mut first = FIRST_PAGE;
        while first < self.superblock.pages {
            let n = RUN.min(self.superblock.pages - first);
            let ids = || (first..first + n).map(PageId);
            if ids().any(|id| self.space.is_used(id)) {
                let bytes = self
                    .file
                    .read_at(PageId(first).position(), n as usize * PAGE_BYTES)
                    .await
                    .map_err(|e| StorageError::io(format!("read page {first}"), e))?;
                let (pages, _) = bytes.as_chunks::<PAGE_BYTES>();
                for (at, id) in ids().enumerate().filter(|(_, id)| self.space.is_used(*id)) {
                    self.check_page(id, pages.get(at), report);
                }
            }
            progress(u64::from(n) * PAGE_BYTES as u64);
            first += n;
            runtime::yield_if_needed().await;
        }
        report.pages = u64::from(self.space.used());
        report.pages_free = u64::from(self.space.free());
        Ok(())
    }

    fn check_page(&self, id: PageId, page: Option<&Page>, report: &mut Report) {
        let Some(page) = page else {
            return report.page(id, "in use, but the file ends before it");
        };
        match page::verify(page, id, self.superblock.store) {
            Err(e) => report.error(&e),
            Ok(_) if !epoch_is_sound(page, &self.superblock) => {
                report.page(id, "younger than the image it belongs to");
            }
            Ok(_) => {}
        }
    }

    /// The map against what was referred to.
    pub fn check_map(&self, report: &mut Report) {
        // Where a tree could not be read to its end, what hangs below was not seen: that is not the map's fault.
        if report.damaged > 0 {
            return;
        }
        for id in (FIRST_PAGE..self.superblock.pages).map(PageId) {
            match (self.space.is_used(id), self.is_seen(id)) {
                (true, false) => report.page(id, "in use by the map, but nothing refers to it"),
                (false, true) => report.page(id, "referred to, but free by the map"),
                _ => {}
            }
        }
    }
}

async fn choose(file: &File, report: &mut Report) -> Result<Option<Superblock>, StorageError> {
    let mut slots = [Slot::Blank, Slot::Blank];
    for (id, slot) in SLOTS.into_iter().zip(&mut slots) {
        *slot = match read(file, id).await? {
            Some(page) => Superblock::decode(&page),
            None => Slot::Invalid,
        };
        if matches!(slot, Slot::Invalid) {
            let what = "not valid: torn by a crash, or damaged; the other slot counts";
            report.add(false, format!("superblock slot {}", id.0), what);
        }
    }
    match Superblock::choose(slots) {
        Ok(Some(superblock)) => Ok(Some(superblock)),
        Ok(None) => {
            report.add(true, "superblock".into(), "neither slot was ever written");
            Ok(None)
        }
        Err(e) => {
            report.error(&e);
            Ok(None)
        }
    }
}
