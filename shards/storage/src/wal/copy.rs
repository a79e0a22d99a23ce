//! Copies of the log: for backups, and for the archive.
//!
//! Owns: the reading of segments that are still there, up to a durable position. What lies behind it in the last block is
//! left out, so a copy never holds half a record that another write was about to make whole.
//! Asked by: the store. Never: reads what is not durable. Bounds: 256 KiB at a time.

use super::{Wal, record};
use crate::error::StorageError;
use crate::page::PAGE_BYTES;
use crate::store::Store;
use record::SEGMENT_HEADER;
use runtime::{Dir, File, IoBuf, OpenMode, ReadBuf};
use types::Lsn;

const PART: usize = 256 * 1024;

impl Wal {
    /// Nothing from `from` on is deleted until this is called with the highest position there is.
    pub fn hold(&self, from: Lsn) {
        self.held.set(from.0);
    }

    /// The first position that is still there.
    pub fn begins(&self) -> u64 {
        let buffer = self.buffer.borrow();
        buffer.segments.front().copied().unwrap_or(buffer.end)
    }

    /// Segments with something between the two positions, and where each ends, `upto` at the latest.
    fn between(&self, from: u64, upto: u64) -> Vec<(u64, u64)> {
        let buffer = self.buffer.borrow();
        let ends = buffer.segments.iter().skip(1).copied().chain([buffer.end]);
        buffer
            .segments
            .iter()
            .copied()
            .zip(ends)
            .filter(|(start, end)| *start < upto && *end > from)
            .map(|(start, end)| (start, end.min(upto)))
            .collect()
    }

    /// Writes what the segment at `start` has before `end` as `name` in `to`. Durable, but for its name.
    pub(super) async fn copy_segment(
        &self,
        start: u64,
        end: u64,
        to: &Dir,
        name: &str,
    ) -> Result<u64, StorageError> {
        let own = record::segment_name(Lsn(start));
        let read = |e| StorageError::io(format!("read {own}"), e);
        let write = |e| StorageError::io(format!("write a copy of {own}"), e);
        let mode = OpenMode {
            create: false,
            truncate: false,
            direct: true,
        };
        let from = self.dir.open_file(&own, mode).await.map_err(read)?;
        let mode = OpenMode {
            create: true,
            truncate: true,
            direct: true,
        };
        let copy = to.open_file(name, mode).await.map_err(write)?;
        let length = end - start + SEGMENT_HEADER as u64;
        let mut at = 0;
        while at < length {
            let part = part(&from, at, length).await.map_err(read)?;
            let block = padded(&part, at, length).await;
            let n = block.len() as u64;
            copy.write_at(at, block).await.map_err(write)?;
            at += n;
            runtime::yield_if_needed().await;
        }
        copy.sync_data().await.map_err(write)?;
        copy.close().await.map_err(write)?;
        from.close().await.map_err(read)?;
        Ok(length)
    }
}

/// The next bytes of a segment, up to `length`.
pub(super) async fn part(file: &File, at: u64, length: u64) -> std::io::Result<ReadBuf> {
    let left = (length - at).min(PART as u64) as usize;
    let whole = left.next_multiple_of(PAGE_BYTES);
    let bytes = file.read_at(at, whole).await?.keep();
    match bytes.len() < left {
        true => Err(std::io::ErrorKind::UnexpectedEof.into()),
        false => Ok(bytes),
    }
}

/// As whole blocks, with zeros behind `length`.
async fn padded(bytes: &[u8], at: u64, length: u64) -> IoBuf {
    let left = bytes.len().min((length - at) as usize);
    let mut block = IoBuf::take(left.next_multiple_of(PAGE_BYTES)).await;
    block[..left].copy_from_slice(&bytes[..left]);
    block[left..].fill(0);
    block
}

impl Store {
    /// The first position of the log that is still there.
    pub fn wal_begin(&self) -> Lsn {
        Lsn(self.wal.begins())
    }

    /// The next record begins a segment.
    pub fn switch_segment(&self) {
        self.wal.switch();
    }

    /// Copies the segments from the one with `from` on into `to`, as far as `upto`, which must be durable. The log must
    /// be held meanwhile. `tell` hears of the bytes and says whether to go on.
    pub async fn copy_log(
        &self,
        from: Lsn,
        upto: Lsn,
        to: &Dir,
        tell: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, StorageError> {
        let mut done = 0;
        for (start, end) in self.wal.between(from.0, upto.0) {
            let name = record::segment_name(Lsn(start));
            done += self.wal.copy_segment(start, end, to, &name).await?;
            if !tell(done) {
                return Ok(false);
            }
        }
        to.sync()
            .await
            .map_err(|e| StorageError::io("sync the copy's directory", e))?;
        Ok(true)
    }
}
