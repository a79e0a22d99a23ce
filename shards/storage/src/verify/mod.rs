//! Everything on a partition's disk, checked without changing a byte.
//!
//! Owns: the walk over superblock, map, directory, every page in use, every tree and every log record, and the list of
//! what is wrong, page by page. Asked by: the `verify` command, offline. Never: writes, mends, or stops at the first
//! finding, unless nothing can be read without what is broken.
//! Bounds: `FINDINGS_MAX` findings are kept, the rest is counted; one bit a page, and a tree's depth of pages.

mod log;
mod pages;
mod trees;

use crate::error::StorageError;
use crate::page::{PAGE_BYTES, Page, PageId};
use crate::superblock::Superblock;
use runtime::{Dir, File};
use types::{Lsn, TreeId};

/// Findings that a report lists.
pub const FINDINGS_MAX: usize = 1_000;

/// One thing that is not as it must be, or is worth knowing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// False for what a crash may leave and the next start mends.
    pub damage: bool,
    /// "page 7", "log at 0x1000", "superblock".
    pub place: String,
    pub what: String,
}

/// What a verification has looked at and found.
#[derive(Clone, Default, Debug)]
pub struct Report {
    pub pages: u64,
    pub pages_free: u64,
    pub trees: u64,
    pub cells: u64,
    pub long_values: u64,
    pub log_records: u64,
    pub log_bytes: u64,
    pub findings: Vec<Finding>,
    /// Damage, listed or not.
    pub damaged: u64,
}

impl Report {
    fn add(&mut self, damage: bool, place: String, what: impl Into<String>) {
        self.damaged += u64::from(damage);
        if self.findings.len() < FINDINGS_MAX {
            let what = what.into();
            self.findings.push(Finding {
                damage,
                place,
                what,
            });
        }
    }

    fn page(&mut self, id: PageId, what: impl Into<String>) {
        self.add(true, format!("page {}", id.0), what);
    }

    /// An error of storage, at the place it names.
    fn error(&mut self, error: &StorageError) {
        match error {
            StorageError::Corrupt { at, detail, .. } => self.add(true, at.to_string(), detail),
            other => self.add(true, "storage".into(), other.to_string()),
        }
    }
}

/// What the layer above knows of the bytes: asked about each cell and record. Says what is wrong.
pub trait Contents {
    fn cell(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<(), String>;
    fn record(&mut self, at: Lsn, payload: &[u8]) -> Result<(), String>;
    /// Bytes looked at so far, and how many there will be.
    fn progress(&mut self, done: u64, total: u64);
}

/// What a log read from the image on has shown.
#[derive(Clone, Debug)]
pub struct Log {
    pub store: u64,
    /// Where replay begins.
    pub redo: Lsn,
    /// The image has everything that was in the pages when the log had got here.
    pub image_end: Lsn,
    /// The engine's bytes of the image.
    pub meta: Vec<u8>,
    pub end: Lsn,
}

/// Calls `visit` with each record that a start would replay.
pub async fn log(dir: &Dir, visit: &mut dyn FnMut(Lsn, &[u8])) -> Result<Log, StorageError> {
    let mut report = Report::default();
    let Some(image) = pages::Image::open(dir, &mut report).await? else {
        let what = report
            .findings
            .iter()
            .map(|f| f.what.as_str())
            .collect::<Vec<_>>();
        return Err(StorageError::page(PageId(0), what.join("; ")));
    };
    let of = image.superblock;
    let end = log::read(dir, of.store, (of.redo, of.wal_end), visit).await?;
    Ok(Log {
        store: of.store,
        redo: of.redo,
        image_end: of.wal_end,
        meta: of.meta,
        end,
    })
}

/// Checks a log without an image: every record from `span.0` on, and that it reaches `span.1`.
pub async fn verify_log(
    dir: &Dir,
    store: u64,
    span: (Lsn, Lsn),
    contents: &mut dyn Contents,
) -> Result<Report, StorageError> {
    let mut report = Report::default();
    log::check_span(dir, store, span, &mut report, contents).await?;
    Ok(report)
}

/// Checks the partition in `dir`, which nobody may have open; its log must reach `upto`. An error only when its files
/// cannot be read at all.
pub async fn verify(
    dir: &Dir,
    upto: Lsn,
    contents: &mut dyn Contents,
) -> Result<Report, StorageError> {
    let mut report = Report::default();
    let Some(mut image) = pages::Image::open(dir, &mut report).await? else {
        return Ok(report);
    };
    let log_bytes = log::bytes(dir).await?;
    let total = u64::from(image.superblock.pages) * 2 * PAGE_BYTES as u64 + log_bytes;
    let mut progress = Progress { done: 0, total };
    image
        .check_pages(&mut report, &mut |n| progress.add(n, contents))
        .await?;
    let mut progress = Progress {
        done: total / 2 - log_bytes / 2,
        total,
    };
    trees::check(&mut image, &mut report, contents, &mut progress).await?;
    image.check_map(&mut report);
    log::check(dir, &image.superblock, upto, &mut report, contents).await?;
    contents.progress(total, total);
    Ok(report)
}

struct Progress {
    done: u64,
    total: u64,
}

impl Progress {
    fn add(&mut self, bytes: u64, contents: &mut dyn Contents) {
        self.done = (self.done + bytes).min(self.total);
        contents.progress(self.done, self.total);
    }
}

/// The page's bytes, `None` when the file ends before it.
async fn read(file: &File, id: PageId) -> Result<Option<Box<Page>>, StorageError> {
    let bytes = file
        .read_at(id.position(), PAGE_BYTES)
        .await
        .map_err(|e| StorageError::io(format!("read page {}", id.0), e))?;
    Ok(bytes.as_array::<PAGE_BYTES>().map(|page| Box::new(*page)))
}

fn epoch_is_sound(page: &Page, superblock: &Superblock) -> bool {
    crate::page::epoch(page) <= superblock.epoch
}
