//! Opening a partition's directory, or laying out a new one.
//!
//! Owns: the choice between the two, and the reading of the last durable image: superblock, map and directory. Tree
//! pages are read when they are needed. Asked by: the engine at start. Never: writes to a store whose image it has not
//! found sound, or into a directory that holds a log without a page file.
//! Bounds: reads the map (32 KiB a GiB of pages) and the directory.

use crate::ahead::Ahead;
use crate::checkpoint::Last;
use crate::directory;
use crate::error::StorageError;
use crate::fence::Fence;
use crate::options::Options;
use crate::page::{self, PAGE_BYTES, Page, PageId};
use crate::pool::Pool;
use crate::space::{MapReader, Space};
use crate::store::{Store, StoreCounters};
use crate::superblock::{SLOTS, Slot, Superblock};
use crate::tree::State;
use crate::wal::replay::{Replay, segments};
use crate::wal::{Wal, record};
use crate::writer::Writer;
use runtime::{Dir, File, Notify, OpenMode};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use types::Lsn;

pub(crate) const PAGE_FILE: &str = "data.pages";
/// A page file no longer than this, without a log, is one whose creation was cut short.
const UNBORN_BYTES: u64 = 4 * PAGE_BYTES as u64;

impl Store {
    /// Opens the directory's store or creates one. The caller holds the directory's lock, applies what the replay
    /// gives, and can append once the replay has come to its end.
    pub async fn open(dir: Dir, options: Options) -> Result<(Rc<Store>, Replay), StorageError> {
        let mode = OpenMode {
            create: true,
            truncate: false,
            direct: true,
        };
        let io = |e| StorageError::io(format!("open {PAGE_FILE}"), e);
        let file = dir.open_file(PAGE_FILE, mode).await.map_err(io)?;
        // A killed process may have left a superblock that is read back and not durable. If it counts now it must also
        // count after a power failure: from here on the pages that only an older one refers to are written over.
        file.sync_data().await.map_err(io)?;
        let size = file.size().await.map_err(io)?;
        let log = segments(&dir).await?;
        let found = match Superblock::choose(read_slots(&file, size).await?) {
            Err(StorageError::Corrupt { .. }) if log.is_empty() && size <= UNBORN_BYTES => None,
            other => other?,
        };
        match found {
            Some(superblock) => Store::open_image(dir, file, size, options, superblock).await,
            None if log.is_empty() => Store::create(dir, file, options).await,
            None => Err(StorageError::page(
                PageId(0),
                "there is a log, but no superblock",
            )),
        }
    }

    async fn create(
        dir: Dir,
        file: File,
        options: Options,
    ) -> Result<(Rc<Store>, Replay), StorageError> {
        let id = runtime::random_u64();
        let pool = Pool::new(options.frames(), options.policy);
        let mut state = State::new(pool, Space::new(), 1);
        state.grown = u32::MAX;
        let store = Store::assemble(dir.clone(), file, options, id, state, Last::none(id));
        let start = Lsn(record::FIRST_LSN);
        let frozen = match store.freeze(&mut store.state.borrow_mut(), start, &[]) {
            Ok(frozen) => frozen,
            Err(_) => return Err(StorageError::DiskFull),
        };
        store.write_image(&frozen).await?;
        store.adopt(frozen).await;
        store.state.borrow_mut().grown = 0;
        dir.sync()
            .await
            .map_err(|e| StorageError::io("sync the directory", e))?;
        let replay = Replay::begin(&store.wal, start, start).await?;
        Ok((store, replay))
    }

    async fn open_image(
        dir: Dir,
        file: File,
        size: u64,
        options: Options,
        superblock: Superblock,
    ) -> Result<(Rc<Store>, Replay), StorageError> {
        let mut own = Vec::new();
        let mut map = MapReader::new(superblock.pages);
        let mut next = Some(superblock.map);
        while let Some(id) = next {
            let page = read_own(&file, id, &superblock, &mut own).await?;
            next = map.take(id, &page)?;
        }
        let mut space = map.finish(superblock.map)?;
        // A checkpoint cuts the file's end off after its superblock is written.
        space.cut_end();
        let pool = Pool::new(options.frames(), options.policy);
        let mut state = State::new(pool, space, superblock.epoch + 1);
        state.grown = u32::try_from(size / PAGE_BYTES as u64).unwrap_or(u32::MAX);
        let mut entries = Vec::new();
        let mut next = Some(superblock.directory);
        while let Some(id) = next {
            let page = read_own(&file, id, &superblock, &mut own).await?;
            next = directory::decode(id, &page, &mut entries)?;
        }
        for entry in entries {
            if !state.space.is_used(entry.info.root) {
                return Err(StorageError::page(
                    entry.info.root,
                    format!("root of tree {}, but not in use", entry.tree),
                ));
            }
            if entry.doomed {
                state.doomed.push((entry.tree, entry.info));
            } else {
                state.trees.insert(entry.tree, entry.info);
            }
        }
        let (redo, known) = (superblock.redo, superblock.wal_end);
        let id = superblock.store;
        let last = Last {
            superblock,
            pages: own,
        };
        let store = Store::assemble(dir, file, options, id, state, last);
        let replay = Replay::begin(&store.wal, redo, known).await?;
        Ok((store, replay))
    }

    fn assemble(
        dir: Dir,
        file: File,
        options: Options,
        id: u64,
        state: State,
        last: Last,
    ) -> Rc<Store> {
        let fence = Rc::new(Fence::default());
        let wal = Wal::new(dir, id, &options, fence.clone());
        let store = Rc::new_cyclic(|this| Store {
            this: this.clone(),
            id,
            state: RefCell::new(state),
            file,
            wal,
            fence,
            options,
            loaded: Notify::new(),
            written: Notify::new(),
            checkpointing: Cell::new(false),
            checkpointed: Notify::new(),
            resizing: Cell::new(false),
            resized: Notify::new(),
            compacted_at: Cell::new(0),
            asked_at: Cell::new(0),
            sweeping: Cell::new(false),
            swept: Notify::new(),
            last: RefCell::new(last),
            token: Cell::new(0),
            counters: StoreCounters::default(),
            writer: Writer::default(),
            ahead: Ahead::default(),
        });
        store.writer.start(&store.this);
        store
    }
}

async fn read_slots(file: &File, size: u64) -> Result<[Slot; 2], StorageError> {
    let mut slots = [Slot::Blank, Slot::Blank];
    for (id, slot) in SLOTS.into_iter().zip(&mut slots) {
        if size > id.position() {
            let page = read(file, id).await?;
            // A file that ends within a slot was cut short while it was created.
            *slot = page.map_or(Slot::Invalid, |page| Superblock::decode(&page));
        }
    }
    Ok(slots)
}

async fn read(file: &File, id: PageId) -> Result<Option<Box<Page>>, StorageError> {
    let bytes = file
        .read_at(id.position(), PAGE_BYTES)
        .await
        .map_err(|e| StorageError::io(format!("read page {}", id.0), e))?;
    Ok(bytes.as_array::<PAGE_BYTES>().map(|page| Box::new(*page)))
}

/// Reads a page of the map or the directory, whose chains must not lead in a circle or out of the image.
async fn read_own(
    file: &File,
    id: PageId,
    superblock: &Superblock,
    own: &mut Vec<PageId>,
) -> Result<Box<Page>, StorageError> {
    if id.0 < page::FIRST_PAGE || id.0 >= superblock.pages || own.contains(&id) {
        return Err(StorageError::page(id, "a chain leads astray"));
    }
    let Some(page) = read(file, id).await? else {
        return Err(StorageError::page(id, "the file ends before it"));
    };
    superblock.verify_own(&page, id)?;
    own.push(id);
    Ok(page)
}
