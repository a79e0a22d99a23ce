//! The segment after the next: a file whose blocks exist before they are needed.
//!
//! Owns: one spare file. A flush into blocks that were never written makes the file system change its metadata, and
//! fdatasync then waits for its journal: about twice as long. So the next segment is filled with zeros in the
//! background, or is an old segment that a checkpoint no longer needs: its records name positions that do not come
//! again, so none of them is ever taken for a new one.
//! Asked by: the flusher when it begins a segment, and the checkpoint when it ends one. Never: is needed: without a
//! spare a segment is made on the spot. Bounds: one file of one segment's size.

use super::{Wal, record};
use crate::error::StorageError;
use crate::page::PAGE_BYTES;
use runtime::{IoBuf, OpenMode};
use std::io;
use std::rc::Rc;
use types::Lsn;

pub(super) const SPARE: &str = "wal-spare";
const UNFINISHED: &str = "wal-spare.new";
const FILL_BYTES: u64 = 512 * 1024;

impl Wal {
    /// Bytes that a segment's file gets at the start.
    pub(super) fn room(&self) -> u64 {
        self.segment_bytes.next_multiple_of(PAGE_BYTES as u64) + PAGE_BYTES as u64
    }

    /// Begins to fill a spare segment if there is none.
    pub(super) fn prepare_spare(self: &Rc<Self>) {
        let busy = self
            .preparing
            .borrow()
            .as_ref()
            .is_some_and(|t| !t.is_finished());
        if busy || self.spare.get() {
            return;
        }
        let wal = self.clone();
        let task = runtime::spawn_background(async move {
            match wal.fill_spare().await {
                Ok(()) => wal.spare.set(true),
                // The next segment is made on the spot, and reports what is wrong then.
                Err(error) => tracing::debug!(%error, "no spare log segment"),
            }
        });
        *self.preparing.borrow_mut() = Some(task);
    }

    async fn fill_spare(&self) -> io::Result<()> {
        let mode = OpenMode {
            create: true,
            truncate: true,
            direct: true,
        };
        let file = self.dir.open_file(UNFINISHED, mode).await?;
        let room = self.room();
        let mut zeros = IoBuf::take(FILL_BYTES as usize).await;
        zeros.fill(0);
        let mut at = 0;
        while at < room {
            zeros.truncate((room - at) as usize);
            let n = zeros.len() as u64;
            zeros = file.write_at(at, zeros).await?;
            at += n;
        }
        drop(zeros);
        file.sync_data().await?;
        file.close().await?;
        self.dir.rename(UNFINISHED, SPARE).await
    }

    /// Deletes a segment, or keeps it as the spare one.
    pub(super) async fn retire(&self, start: u64, next: u64) -> Result<(), StorageError> {
        let name = record::segment_name(Lsn(start));
        let long = next - start >= self.segment_bytes / 4 * 3 && next - start <= self.segment_bytes;
        let preparing = self
            .preparing
            .borrow()
            .as_ref()
            .is_some_and(|t| !t.is_finished());
        let done = if long && !preparing && !self.spare.get() {
            let kept = self.dir.rename(&name, SPARE).await;
            self.spare.set(kept.is_ok());
            kept
        } else {
            self.dir.remove(&name).await
        };
        done.map_err(|e| StorageError::io(format!("delete {name}"), e))
    }
}
