//! The background writer: keeps the coldest frames clean, so that a statement that needs one need not write first.
//!
//! Owns: a task of the background queue, the one place that wakes it, and which writes were whose. It writes the dirty
//! ones among the coldest frames in page order, and sleeps when there are none until a good part of the clean ones
//! may have been used up. A page that is changed again after it was written has to be written again, so it leaves all
//! that is not cold to the checkpoint.
//! Asked by: the store, when it has taken frames. Never: outlives its store, writes after a fence, or runs while
//! nothing takes frames.
//! Bounds: one batch at a time, up to 256 pages. The cold frames are an eighth of the pool, at most 8192.

use crate::error::StorageError;
use crate::store::Store;
use runtime::{Notify, Task};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

const BATCH_MIN: usize = 16;
const BATCH_MAX: usize = 256;

/// On whose behalf pages are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// A statement that found no frame to take.
    Statement,
    Writer,
    Checkpoint,
}

/// Pages written, by whom.
#[derive(Default)]
pub(crate) struct Writes([Cell<u64>; 3]);

impl Writes {
    pub fn add(&self, by: By, pages: usize) {
        let counter = &self.0[by as usize];
        counter.set(counter.get() + pages as u64);
    }

    pub fn of(&self, by: By) -> u64 {
        self.0[by as usize].get()
    }

    pub fn all(&self) -> u64 {
        self.0.iter().map(Cell::get).sum()
    }
}

/// Dropped with the store, and its task with it.
#[derive(Default)]
pub(crate) struct Writer {
    work: Rc<Notify>,
    task: RefCell<Option<Task<()>>>,
    /// Times that it looked for something to write.
    pub turns: Rc<Cell<u64>>,
}

impl Writer {
    pub fn start(&self, store: &Weak<Store>) {
        let (store, work, turns) = (store.clone(), self.work.clone(), self.turns.clone());
        let task = runtime::spawn_background(async move {
            loop {
                let more = work.notified();
                turns.set(turns.get() + 1);
                // Held for one batch only: the store ends when nobody else has it.
                let wrote = match store.upgrade() {
                    Some(store) => store.clean_cold().await,
                    None => return,
                };
                match wrote {
                    Ok(true) => runtime::yield_if_needed().await,
                    Ok(false) => more.await,
                    // Fenced: nothing is written any more.
                    Err(_) => return,
                }
            }
        });
        *self.task.borrow_mut() = Some(task);
    }

    /// Ends the task. A write that it has begun goes on.
    pub async fn end(&self) {
        let task = self.task.borrow_mut().take();
        if let Some(task) = task {
            task.cancel().await;
        }
    }

    fn wake(&self) {
        if self.work.waiting() > 0 {
            self.work.notify_all();
        }
    }
}

impl Store {
    /// To be called after frames were taken.
    #[inline]
    pub(crate) fn wake_writer(&self) {
        if self.state.borrow().pool.wants_writer() {
            self.writer.wake();
        }
    }

    /// Writes a batch of cold dirty pages. False when there were none.
    async fn clean_cold(&self) -> Result<bool, StorageError> {
        self.fence.check()?;
        let claimed = {
            let mut state = self.state.borrow_mut();
            let batch = (state.pool.frames() / 16).clamp(BATCH_MIN, BATCH_MAX);
            state.pool.claim_cold(batch)
        };
        if claimed.is_empty() {
            return Ok(false);
        }
        self.write_frames(claimed, By::Writer).await?;
        Ok(true)
    }
}
