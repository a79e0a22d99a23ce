//! The flusher: the one task that writes and syncs the log.
//!
//! Owns: the open segment. One flush writes the blocks from the last durable boundary to the end of what was appended
//! (the last one padded with zeros and written again by the next flush: only its appended part differs), then syncs.
//! Segments are flushed in order, each synced before the next is begun, so a record in a later segment proves all
//! earlier ones complete. Asked by: nobody; it waits for `Wal::work`. Never: retries.
//! Bounds: one write is up to 512 KiB, from one of the shard's general buffers.

use super::spare::Spare;
use super::{Wal, record};
use crate::error::StorageError;
use crate::page::PAGE_BYTES;
use runtime::{File, IoBuf, OpenMode};
use std::rc::Rc;
use types::Lsn;

const WRITE_BYTES_MAX: usize = runtime::IO_MAX;

/// Into a segment whose blocks were not written before: each of them may wait for the file system's journal.
const RAW_FLUSHES: u32 = 256;

/// What one flush has to do, taken from the buffer in one go.
struct Plan {
    start: u64,
    base: u64,
    /// Bytes of the chunk that this flush covers.
    upto: usize,
    /// First block that has something new.
    first: usize,
    lsn: u64,
}

impl Wal {
    pub(super) async fn flush_loop(self: Rc<Self>) {
        let mut open: Option<(u64, File)> = None;
        loop {
            let (busy, closing) = {
                let buffer = self.buffer.borrow();
                let waiting = buffer.end - buffer.durable;
                let busy = waiting > 0
                    && (buffer.wanted > buffer.durable
                        || waiting > self.buffer_bytes as u64 / 2
                        || buffer.closing);
                (busy, buffer.closing)
            };
            if !busy {
                if closing {
                    break;
                }
                self.work.notified().await;
                // Those who run in the same round may append to the same group.
                runtime::yield_now().await;
                continue;
            }
            if let Err(e) = self.flush(&mut open).await {
                self.fence.set(&e);
                break;
            }
            self.moved.notify_all();
        }
        if let Some((start, file)) = open
            && let Err(e) = self.trim(start, file).await
        {
            self.fence.set(&e);
        }
        self.moved.notify_all();
    }

    fn plan(&self) -> Option<Plan> {
        let mut buffer = self.buffer.borrow_mut();
        while buffer.chunks.len() > 1
            && buffer
                .chunks
                .front()
                .is_some_and(|c| c.durable == c.bytes.len())
        {
            buffer.chunks.pop_front();
        }
        let chunk = buffer.chunks.front()?;
        Some(Plan {
            start: chunk.start,
            base: chunk.base,
            upto: chunk.bytes.len(),
            first: chunk.durable / PAGE_BYTES * PAGE_BYTES,
            lsn: chunk.lsn_at(chunk.bytes.len()),
        })
    }

    async fn flush(self: &Rc<Self>, open: &mut Option<(u64, File)>) -> Result<(), StorageError> {
        let Some(plan) = self.plan() else {
            return Ok(());
        };
        let name = record::segment_name(Lsn(plan.start));
        let failed = |what: &str| format!("{what} {name}");
        let file = match open.take() {
            Some((start, file)) if start == plan.start => file,
            finished => {
                if let Some((start, file)) = finished {
                    self.trim(start, file).await?;
                }
                self.open_segment(plan.start).await?
            }
        };
        let begun = runtime::monotonic_ns();
        let alone = plan.upto - plan.first <= WRITE_BYTES_MAX;
        let mut at = plan.first;
        while at < plan.upto {
            let n = (plan.upto - at).min(WRITE_BYTES_MAX);
            let mut block = IoBuf::take(n.next_multiple_of(PAGE_BYTES)).await;
            self.copy_front(at, &mut block[..n]);
            block[n..].fill(0);
            let pos = plan.base + at as u64;
            let written = match alone {
                true => file.write_durable_at(pos, block).await,
                false => file.write_at(pos, block).await,
            };
            written.map_err(|e| StorageError::io(failed("write"), e))?;
            at += n;
        }
        if !alone {
            file.sync_data()
                .await
                .map_err(|e| StorageError::io(failed("sync"), e))?;
        }
        let took = runtime::monotonic_ns().saturating_sub(begun);
        let c = &self.counters;
        c.fsyncs.set(c.fsyncs.get() + 1);
        c.fsync_ns.set(c.fsync_ns.get() + took);
        c.fsync_ns_max.set(c.fsync_ns_max.get().max(took));
        c.written
            .set(c.written.get() + (plan.upto - plan.first) as u64);
        *open = Some((plan.start, file));
        self.settle(&plan);
        self.leave_raw();
        Ok(())
    }

    /// A busy log goes on to a segment whose blocks exist, once there is one.
    fn leave_raw(&self) {
        let Some(flushes) = self.raw.get() else {
            return;
        };
        self.raw.set(Some(flushes.saturating_add(1)));
        if flushes >= RAW_FLUSHES && self.spare.get() == Spare::Here {
            self.raw.set(None);
            self.switch();
        }
    }

    fn copy_front(&self, at: usize, out: &mut [u8]) {
        let buffer = self.buffer.borrow();
        if let Some(chunk) = buffer.chunks.front() {
            out.copy_from_slice(&chunk.bytes[at..at + out.len()]);
        }
    }

    /// What the plan covered is on disk: whole blocks leave the buffer.
    fn settle(&self, plan: &Plan) {
        let mut buffer = self.buffer.borrow_mut();
        if let Some(chunk) = buffer.chunks.front_mut() {
            let whole = plan.upto / PAGE_BYTES * PAGE_BYTES;
            chunk.bytes.drain(..whole);
            chunk.base += whole as u64;
            chunk.durable = plan.upto - whole;
        }
        buffer.durable = plan.lsn;
    }

    /// Opens a new segment: the spare one if there is one, else a file whose room is reserved.
    async fn open_segment(self: &Rc<Self>, start: u64) -> Result<File, StorageError> {
        let name = record::segment_name(Lsn(start));
        let failed = |e| StorageError::io(format!("open {name}"), e);
        let written_before = self.take_spare(&name).await.map_err(failed)?;
        self.raw.set((!written_before).then_some(0));
        let mode = OpenMode {
            create: true,
            truncate: false,
            direct: true,
        };
        let file = self.dir.open_file(&name, mode).await.map_err(failed)?;
        let room = self.room();
        match file.allocate(room).await {
            Ok(()) => {}
            Err(e) if runtime::io_error_is_disk_full(&e) => {
                return Err(StorageError::io(
                    format!("reserve {room} bytes for {name}"),
                    e,
                ));
            }
            // A file system that cannot reserve grows the file with each flush instead.
            Err(error) => tracing::debug!(%error, name, "no room reserved"),
        }
        self.dir
            .sync()
            .await
            .map_err(|e| StorageError::io("sync the directory", e))?;
        self.prepare_spare();
        Ok(file)
    }

    /// Cuts what was reserved and not used off a segment that gets no more records.
    async fn trim(&self, start: u64, file: File) -> Result<(), StorageError> {
        let name = record::segment_name(Lsn(start));
        let end = {
            let buffer = self.buffer.borrow();
            let next = buffer.segments.iter().find(|s| **s > start).copied();
            next.unwrap_or(buffer.durable)
        };
        let used = (end - start).next_multiple_of(PAGE_BYTES as u64) + PAGE_BYTES as u64;
        let io = |e| StorageError::io(format!("close {name}"), e);
        file.truncate(used).await.map_err(io)?;
        file.sync_data().await.map_err(io)?;
        file.close().await.map_err(io)
    }
}
