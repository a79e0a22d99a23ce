//! Holding a durable image while later checkpoints go on, and copying it.
//!
//! Owns: which pages and which part of the log stay as they are because a copy of them is being made. Pages that a later
//! checkpoint would give back and the held image has wait until it is let go of; the log is kept from the image's redo
//! position on. Asked by: the engine, for a backup. Never: writes to the store's own files. A crash ends every hold: the
//! map of a later image has the waiting pages as free already.
//! Bounds: one image a store; 4 bytes a waiting page, and the room in the page file that all that is changed meanwhile takes.

use crate::error::StorageError;
use crate::open::PAGE_FILE;
use crate::page::{self, FIRST_PAGE, PAGE_BYTES, PageId};
use crate::space::{MapReader, Space};
use crate::store::Store;
use crate::superblock::{SLOTS, Superblock};
use runtime::{Dir, IoBuf, OpenMode, ReadBuf};
use types::Lsn;

/// Pages that are read and written at once.
const RUN: u32 = 64;

/// What the state of the trees knows of a held image.
pub(crate) struct Held {
    /// Not known while the map is read: then every page may be one of the image's.
    map: Option<Space>,
    pub waiting: Vec<PageId>,
}

impl Held {
    pub fn has(&self, id: PageId) -> bool {
        self.map.as_ref().is_none_or(|map| map.is_used(id))
    }
}

/// A held image.
pub struct Image {
    superblock: Superblock,
    map: Space,
}

impl Image {
    /// Where replay over it begins.
    pub fn redo(&self) -> Lsn {
        self.superblock.redo
    }

    /// Pages in use.
    pub fn pages(&self) -> u64 {
        u64::from(self.map.used())
    }
}

impl Store {
    /// The store's identity, in every page and log segment.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Holds the last durable image until `let_go`. `None` when one is held already.
    pub async fn hold(&self) -> Result<Option<Image>, StorageError> {
        loop {
            self.fence.check()?;
            if !self.checkpointing.get() {
                break;
            }
            self.checkpointed.notified().await;
        }
        {
            let mut state = self.state.borrow_mut();
            if state.held.is_some() {
                return Ok(None);
            }
            state.held = Some(Held {
                map: None,
                waiting: Vec::new(),
            });
        }
        let superblock = self.last.borrow().superblock.clone();
        self.wal.hold(superblock.redo);
        match self.read_map(&superblock).await {
            Ok(map) => {
                let mut state = self.state.borrow_mut();
                let waiting = match &mut state.held {
                    Some(held) => {
                        held.map = Some(map.clone());
                        std::mem::take(&mut held.waiting)
                    }
                    None => Vec::new(),
                };
                waiting.into_iter().for_each(|id| state.let_go(id));
                Ok(Some(Image { superblock, map }))
            }
            Err(e) => {
                self.let_go();
                Err(self.noticed(e))
            }
        }
    }

    /// Keeps the log from `from` on until `let_go`, without an image.
    pub fn hold_log(&self, from: Lsn) {
        self.wal.hold(from);
    }

    /// Ends the hold: what waited for it is free.
    pub fn let_go(&self) {
        self.wal.hold(Lsn(u64::MAX));
        let mut state = self.state.borrow_mut();
        let held = state.held.take();
        for id in held.into_iter().flat_map(|h| h.waiting) {
            state.release(id);
        }
    }

    async fn read_map(&self, superblock: &Superblock) -> Result<Space, StorageError> {
        let mut map = MapReader::new(superblock.pages);
        let mut next = Some(superblock.map);
        while let Some(id) = next {
            let bytes = self.read_run(id, 1).await?;
            let Some(page) = bytes.as_array::<PAGE_BYTES>() else {
                return Err(StorageError::page(id, "the file ends before it"));
            };
            superblock.verify_own(page, id)?;
            next = map.take(id, page)?;
        }
        map.finish(superblock.map)
    }

    async fn read_run(&self, first: PageId, n: u32) -> Result<ReadBuf, StorageError> {
        self.file
            .read_at(first.position(), n as usize * PAGE_BYTES)
            .await
            // What is read waits for a buffer to be written from, and must not count while it does.
            .map(ReadBuf::keep)
            .map_err(|e| StorageError::io(format!("read page {}", first.0), e))
    }

    /// Writes the held image into `to` as a page file of its own, each page checked on its way. `tell` hears how many
    /// pages are done and says whether to go on. Durable when it returns `true`.
    pub async fn copy_image(
        &self,
        image: &Image,
        to: &Dir,
        tell: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, StorageError> {
        let mode = OpenMode {
            create: true,
            truncate: true,
            direct: true,
        };
        let io = |e| StorageError::io("write the copy of the page file", e);
        let file = to.open_file(PAGE_FILE, mode).await.map_err(io)?;
        let (mut id, mut done) = (FIRST_PAGE, 0);
        while id < image.superblock.pages {
            let used = |id: u32| image.map.is_used(PageId(id));
            let n = (id..image.superblock.pages)
                .take(RUN as usize)
                .take_while(|id| used(*id))
                .count() as u32;
            if n == 0 {
                id += 1;
                continue;
            }
            let bytes = self.read_run(PageId(id), n).await?;
            self.check_run(image, PageId(id), n, &bytes)
                .map_err(|e| self.noticed(e))?;
            let mut copy = IoBuf::take(bytes.len()).await;
            copy.copy_from_slice(&bytes);
            file.write_at(PageId(id).position(), copy)
                .await
                .map_err(io)?;
            done += u64::from(n);
            id += n;
            if !tell(done) {
                return Ok(false);
            }
            runtime::yield_if_needed().await;
        }
        file.sync_data().await.map_err(io)?;
        for slot in SLOTS {
            let page = image.superblock.encode();
            file.write_at(slot.position(), IoBuf::copied(&page))
                .await
                .map_err(io)?;
        }
        file.sync_data().await.map_err(io)?;
        file.close().await.map_err(io)?;
        Ok(true)
    }

    fn check_run(
        &self,
        image: &Image,
        first: PageId,
        n: u32,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        let (pages, _) = bytes.as_chunks::<PAGE_BYTES>();
        for i in 0..n {
            let id = PageId(first.0 + i);
            let Some(page) = pages.get(i as usize) else {
                return Err(StorageError::page(id, "the file ends before it"));
            };
            page::verify(page, id, self.id)?;
            if page::epoch(page) > image.superblock.epoch {
                return Err(StorageError::page(
                    id,
                    "younger than the image it belongs to",
                ));
            }
        }
        Ok(())
    }
}
