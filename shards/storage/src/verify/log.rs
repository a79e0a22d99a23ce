//! The log as the next start would read it.
//!
//! Never: cuts or deletes what lies behind its end.

use super::{Contents, Report};
use crate::error::StorageError;
use crate::fence::Fence;
use crate::options::Options;
use crate::superblock::Superblock;
use crate::wal::replay::{Replay, segments};
use crate::wal::{Wal, record};
use runtime::{Dir, OpenMode};
use std::rc::Rc;
use types::Lsn;

/// Bytes of all segments.
pub(super) async fn bytes(dir: &Dir) -> Result<u64, StorageError> {
    let mut total = 0;
    for start in segments(dir).await? {
        let name = record::segment_name(Lsn(start));
        let io = |e| StorageError::io(format!("open {name}"), e);
        let mode = OpenMode {
            create: false,
            truncate: false,
            direct: true,
        };
        let file = dir.open_file(&name, mode).await.map_err(io)?;
        total += file.size().await.map_err(io)?;
        file.close().await.map_err(io)?;
    }
    Ok(total)
}

pub(super) async fn check(
    dir: &Dir,
    superblock: &Superblock,
    report: &mut Report,
    contents: &mut dyn Contents,
) -> Result<(), StorageError> {
    let options = Options::default();
    let wal = Wal::new(
        dir.clone(),
        superblock.store,
        options.segment_bytes(),
        options.wal_buffer_bytes,
        Rc::new(Fence::default()),
    );
    let begun = Replay::begin(&wal, superblock.redo, superblock.wal_end).await;
    let mut replay = match begun {
        Ok(replay) => replay.read_only(),
        Err(e @ StorageError::Corrupt { .. }) => {
            report.error(&e);
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    loop {
        match replay.next().await {
            Ok(Some((at, payload))) => {
                report.log_records += 1;
                report.log_bytes += (record::HEADER + payload.len()) as u64;
                if let Err(what) = contents.record(at, &payload) {
                    report.add(true, format!("lsn {:#x}", at.0), what);
                }
            }
            Ok(None) => return Ok(()),
            Err(e @ StorageError::Corrupt { .. }) => {
                report.error(&e);
                return Ok(());
            }
            Err(e) => return Err(e),
        }
        runtime::yield_if_needed().await;
    }
}
