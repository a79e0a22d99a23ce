//! The segment after the next: a file whose blocks exist before they are needed.
//!
//! Owns: one spare file. A flush into blocks that were never written makes the file system change its metadata, and
//! fdatasync then waits for its journal: about twice as long. So the next segment is filled with zeros in the
//! background, or is an old segment that a checkpoint no longer needs: its records name positions that do not come
//! again, so none of them is ever taken for a new one.
//! Asked by: the flusher when it begins a segment, and the checkpoint when it ends one. Never: is needed: without a
//! spare a segment is made on the spot, and ends after `RAW_FLUSHES` when there is one. Bounds: one file of one segment's size.

use super::{Wal, record};
use crate::error::StorageError;
use crate::page::PAGE_BYTES;
use runtime::{IoBuf, OpenMode};
use std::io;
use std::rc::Rc;
use types::Lsn;

/// Whether there is a spare segment. Its file is renamed to and from by three parties that know nothing of each other, and a
/// rename takes its time: whoever begins one says so first, and only from `None` or from `Here`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spare {
    None,
    /// It is being filled, or an old segment is being renamed.
    Coming,
    Here,
    /// It is being renamed to the next segment.
    Going,
}

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
        if self.spare.get() != Spare::None {
            return;
        }
        self.spare.set(Spare::Coming);
        let wal = self.clone();
        let task = runtime::spawn_background(async move {
            let filled = wal.fill_spare().await;
            wal.spare_has_come(filled.is_ok());
            if let Err(error) = filled {
                // The next segment is made on the spot, and reports what is wrong then.
                tracing::debug!(%error, "no spare log segment");
            }
        });
        *self.preparing.borrow_mut() = Some(task);
    }

    pub(super) fn spare_has_come(&self, is_here: bool) {
        self.spare.set(match is_here {
            true => Spare::Here,
            false => Spare::None,
        });
    }

    /// Makes the spare segment the one of that name, if it is there. Whether it was.
    pub(super) async fn take_spare(&self, name: &str) -> io::Result<bool> {
        if self.spare.get() != Spare::Here {
            return Ok(false);
        }
        self.spare.set(Spare::Going);
        let taken = self.dir.rename(SPARE, name).await;
        self.spare.set(Spare::None);
        taken.map(|()| true)
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
        let done = if long && self.spare.get() == Spare::None {
            self.spare.set(Spare::Coming);
            let kept = self.dir.rename(&name, SPARE).await;
            self.spare_has_come(kept.is_ok());
            kept
        } else {
            self.dir.remove(&name).await
        };
        done.map_err(|e| StorageError::io(format!("delete {name}"), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fence::Fence;
    use crate::options::Options;
    use runtime::Dir;
    use std::path::Path;

    async fn wal(path: &Path) -> Rc<Wal> {
        let dir = Dir::open_or_create(path).await.unwrap();
        Wal::new(dir, 1, &Options::default(), Rc::new(Fence::default()))
    }

    fn make(path: &Path, start: u64) {
        std::fs::write(path.join(record::segment_name(Lsn(start))), [0; PAGE_BYTES]).unwrap();
    }

    fn is_there(path: &Path, name: &str) -> bool {
        path.join(name).exists()
    }

    #[test]
    fn an_old_segment_becomes_the_spare_one_only_when_there_is_none_on_its_way() {
        let path = tempfile::tempdir().unwrap();
        let path = path.path();
        runtime::block_on({
            let path = path.to_owned();
            async move {
                let wal = wal(&path).await;
                let long = wal.segment_bytes;
                for (start, state) in [(1, Spare::Coming), (2, Spare::Going), (3, Spare::Here)] {
                    make(&path, start);
                    wal.spare.set(state);
                    wal.retire(start, start + long).await.unwrap();
                    assert_eq!(wal.spare.get(), state);
                    assert!(!is_there(&path, SPARE), "{state:?}");
                }
                wal.spare.set(Spare::None);
                make(&path, 4);
                wal.retire(4, 4 + long).await.unwrap();
                assert_eq!(wal.spare.get(), Spare::Here);
                assert!(is_there(&path, SPARE));
                wal.take_spare("next").await.unwrap();
                assert_eq!(wal.spare.get(), Spare::None);
                assert!(is_there(&path, "next") && !is_there(&path, SPARE));
            }
        });
    }

    #[test]
    fn what_is_promised_is_there_whoever_is_faster() {
        let path = tempfile::tempdir().unwrap();
        runtime::block_on({
            let path = path.path().to_owned();
            async move {
                let wal = wal(&path).await;
                let long = wal.segment_bytes;
                for round in 0..200 {
                    let start = 1 + round * 10;
                    (0..4).for_each(|n| make(&path, start + n));
                    let retired = runtime::spawn({
                        let wal = wal.clone();
                        async move {
                            for n in 0..4 {
                                wal.retire(start + n, start + n + long).await.unwrap();
                            }
                        }
                    });
                    for n in 0..4 {
                        let name = format!("next-{round}-{n}");
                        wal.take_spare(&name).await.unwrap();
                        runtime::yield_now().await;
                    }
                    retired.await;
                    assert_eq!(wal.spare.get() == Spare::Here, is_there(&path, SPARE));
                }
            }
        });
    }
}
