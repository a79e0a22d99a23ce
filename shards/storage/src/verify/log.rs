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
    upto: Lsn,
    report: &mut Report,
    contents: &mut dyn Contents,
) -> Result<(), StorageError> {
    let known = superblock.wal_end.max(upto);
    let span = (superblock.redo, known);
    check_span(dir, superblock.store, span, report, contents).await
}

/// Checks the log from the first position on; it must reach the second.
pub(super) async fn check_span(
    dir: &Dir,
    store: u64,
    span: (Lsn, Lsn),
    report: &mut Report,
    contents: &mut dyn Contents,
) -> Result<(), StorageError> {
    let mut wrong = Vec::new();
    let mut visit = |at: Lsn, payload: &[u8]| {
        report.log_records += 1;
        report.log_bytes += (record::HEADER + payload.len()) as u64;
        if let Err(what) = contents.record(at, payload) {
            wrong.push((at, what));
        }
    };
    let read = read(dir, store, span, &mut visit).await;
    for (at, what) in wrong {
        report.add(true, format!("lsn {:#x}", at.0), what);
    }
    match read {
        Err(e @ StorageError::Corrupt { .. }) => {
            report.error(&e);
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Calls `visit` with each record from the first position on; returns where the log ends. It must reach the second.
pub(super) async fn read(
    dir: &Dir,
    store: u64,
    (from, known): (Lsn, Lsn),
    visit: &mut dyn FnMut(Lsn, &[u8]),
) -> Result<Lsn, StorageError> {
    let options = Options::default();
    let fence = Rc::new(Fence::default());
    let wal = Wal::new(dir.clone(), store, &options, fence);
    let mut replay = Replay::begin(&wal, from, known).await?.read_only();
    while let Some((at, payload)) = replay.next().await? {
        visit(at, &payload);
        runtime::yield_if_needed().await;
    }
    Ok(replay.position())
}
