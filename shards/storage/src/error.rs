//! What can go wrong with bytes on a disk, and how a client hears of it.
//!
//! Owns: `StorageError`, its kinds and their SQLSTATE. Asked by: every file of this crate; the engine matches on it.
//! Never: carries a table or column name.
//! Bounds: details are short texts, never page contents.

use crate::page::PageId;
use std::io;
use types::{Lsn, SqlState};

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused a read, write or sync. For a write or a sync the store is fenced as well.
    #[error("could not {op}: {source}")]
    Io { op: String, source: io::Error },
    /// Bytes read back are not the bytes that were written.
    #[error("data corrupted in {what} at {at}: {detail}")]
    Corrupt {
        what: &'static str,
        at: Place,
        detail: String,
    },
    /// An earlier write failed, so what is on disk is unknown, or bytes were found damaged: nothing is written until the
    /// process restarts.
    #[error("storage is out of service: {reason}")]
    Fenced { reason: String },
    #[error("key of {bytes} bytes exceeds the maximum of {max}")]
    KeyTooLong { bytes: usize, max: usize },
    #[error("value of {bytes} bytes exceeds the maximum of {max}")]
    ValueTooLong { bytes: usize, max: usize },
    #[error("log record of {bytes} bytes exceeds the maximum of {max}")]
    RecordTooLong { bytes: usize, max: usize },
    #[error("checkpoint metadata of {bytes} bytes exceeds the maximum of {max}")]
    MetaTooLong { bytes: usize, max: usize },
    /// The file system has no room for the page file to grow. Nothing was changed.
    #[error("no space left for the page file")]
    DiskFull,
    /// Every frame is pinned or cannot be written back.
    #[error("all {frames} frames of the buffer pool are in use")]
    PoolExhausted { frames: usize },
    #[error("the data is in format {found}, this program reads formats up to {supported}")]
    NewerFormat { found: u32, supported: u32 },
    /// The log tail of the last run has not been read to its end yet, so nothing may be appended behind it.
    #[error("the write-ahead log has not been replayed to its end")]
    NotReplayed,
    /// A panic left pages half changed.
    #[error("a panic interrupted a change")]
    Interrupted,
    #[error("the store is closed")]
    Closed,
}

/// Where corrupt bytes were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Page(PageId),
    Lsn(Lsn),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Page(page) => write!(f, "page {}", page.0),
            Place::Lsn(lsn) => write!(f, "lsn {:#x}", lsn.0),
        }
    }
}

impl StorageError {
    pub(crate) fn io(op: impl Into<String>, source: io::Error) -> StorageError {
        StorageError::Io {
            op: op.into(),
            source,
        }
    }

    pub(crate) fn page(page: PageId, detail: impl Into<String>) -> StorageError {
        StorageError::Corrupt {
            what: "the page file",
            at: Place::Page(page),
            detail: detail.into(),
        }
    }

    pub(crate) fn wal(lsn: Lsn, detail: impl Into<String>) -> StorageError {
        StorageError::Corrupt {
            what: "the write-ahead log",
            at: Place::Lsn(lsn),
            detail: detail.into(),
        }
    }
}

impl From<StorageError> for types::Error {
    fn from(e: StorageError) -> types::Error {
        let code = match &e {
            StorageError::Io { .. } => SqlState::IO_ERROR,
            StorageError::Corrupt { .. } => SqlState::DATA_CORRUPTED,
            StorageError::Fenced { .. } => SqlState::IO_ERROR,
            StorageError::KeyTooLong { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            StorageError::ValueTooLong { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            StorageError::RecordTooLong { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            StorageError::MetaTooLong { .. } => SqlState::INTERNAL_ERROR,
            StorageError::DiskFull => SqlState::DISK_FULL,
            StorageError::PoolExhausted { .. } => SqlState::OUT_OF_MEMORY,
            StorageError::NewerFormat { .. } => SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            StorageError::Interrupted => SqlState::INTERNAL_ERROR,
            StorageError::NotReplayed => SqlState::CANNOT_CONNECT_NOW,
            StorageError::Closed => SqlState::ADMIN_SHUTDOWN,
        };
        types::Error::new(code, e.to_string())
    }
}
