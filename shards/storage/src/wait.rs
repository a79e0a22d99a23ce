//! From synchronous steps to calls that wait.
//!
//! Owns: the loop that tries a step, brings in what it stalled on and tries again, and the sweep of dropped trees.
//! Asked by: every call of the store that may wait. Never: holds a borrow of the state across an `.await`.
//! Bounds: a call pins the pages it has fetched, so that it gets on; when the pool runs out it lets them go. A page
//! missed `MISSES_MAX` times in a row is reported: no parent that is in order refers to a page that is not in use.

use crate::error::StorageError;
use crate::page::PageId;
use crate::pool::Pin;
use crate::store::Store;
use crate::tree::{Stall, State, Walk};

const MISSES_MAX: u32 = 1000;

impl Store {
    pub(crate) fn next_token(&self) -> u64 {
        self.token.set(self.token.get() + 1);
        self.token.get()
    }

    /// Corrupt bytes end the service of the whole partition: what else is wrong nobody knows.
    pub(crate) fn noticed(&self, error: StorageError) -> StorageError {
        if matches!(error, StorageError::Corrupt { .. }) {
            self.fence.set(&error);
        }
        error
    }

    /// Asks until the step is done, bringing in what it misses in between.
    pub(crate) async fn drive<T>(
        &self,
        mut attempt: impl FnMut(&mut State) -> Result<T, Stall>,
    ) -> Result<T, StorageError> {
        let mut waits = Waits::new();
        loop {
            let outcome = {
                let _changing = self.fence.while_changing();
                attempt(&mut self.state.borrow_mut())
            };
            self.wake_writer();
            match outcome {
                Ok(done) => return Ok(done),
                Err(stall) => self.relieve(stall, &mut waits).await?,
            }
        }
    }

    pub(crate) async fn relieve(
        &self,
        stall: Stall,
        waits: &mut Waits,
    ) -> Result<(), StorageError> {
        match stall {
            Stall::Miss(id) => {
                waits.count(id)?;
                let pin = self.fetch_pinned(id, waits.pins.is_empty()).await;
                let held = pin.map(|pin| waits.pins.extend(pin));
                waits.let_go_if_exhausted(held)
            }
            Stall::Frames(n) => {
                let room = self.make_room(n, waits.pins.is_empty()).await;
                waits.let_go_if_exhausted(room)
            }
            Stall::Grow(pages) => self.grow(pages).await,
            Stall::Error(e) => Err(self.noticed(e)),
            Stall::Value(_, long) => Err(StorageError::page(
                long.pages[0],
                "a change met a value it does not read",
            )),
        }
    }

    /// Frees the pages of dropped trees, those of an earlier run among them.
    pub(crate) async fn sweep(&self) -> Result<(), StorageError> {
        while self.sweeping.get() {
            self.swept.notified().await;
        }
        let _sweeping = Sweeping::begin(self);
        loop {
            let first = self.state.borrow().doomed.first().copied();
            let Some((tree, info)) = first else {
                return Ok(());
            };
            let mut walk = Walk::new(tree, info);
            while self.drive(|state| walk.step(state)).await? {
                runtime::yield_if_needed().await;
            }
            walk.finish(&mut self.state.borrow_mut());
        }
    }
}

/// What a waiting call holds on to, so that it gets on: the pages it has fetched.
pub(crate) struct Waits {
    pub pins: Vec<Pin>,
    page: PageId,
    times: u32,
}

impl Waits {
    pub fn new() -> Waits {
        Waits {
            pins: Vec::new(),
            page: PageId(0),
            times: 0,
        }
    }

    /// A call that finds no frame lets go of its own before it waits for those of others.
    fn let_go_if_exhausted(
        &mut self,
        outcome: Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        match outcome {
            Err(StorageError::PoolExhausted { .. }) if !self.pins.is_empty() => {
                self.pins.clear();
                Ok(())
            }
            other => other,
        }
    }

    fn count(&mut self, id: PageId) -> Result<(), StorageError> {
        self.times = if id == self.page { self.times + 1 } else { 0 };
        self.page = id;
        if self.times > MISSES_MAX {
            return Err(StorageError::page(id, "referred to, but not in use"));
        }
        Ok(())
    }
}

/// One sweep at a time, however the last one ended.
struct Sweeping<'a>(&'a Store);

impl<'a> Sweeping<'a> {
    fn begin(store: &'a Store) -> Sweeping<'a> {
        store.sweeping.set(true);
        Sweeping(store)
    }
}

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        self.0.sweeping.set(false);
        self.0.swept.notify_all();
    }
}
