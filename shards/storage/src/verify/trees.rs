//! Every tree from its root: each page is the one its parent takes it for, keys are in order and within their bounds,
//! long values are whole, and the counts are those of the directory.
//!
//! Never: recurses: a tree's depth is bounded, but a damaged one leads anywhere; a page is entered once.

use super::pages::Image;
use super::{Contents, Progress, Report, read};
use crate::directory::Entry;
use crate::error::StorageError;
use crate::page::node::{self, Stored};
use crate::page::overflow::{self, OverflowRef};
use crate::page::{self, Kind, PAGE_BYTES, Page, PageId};
use crate::tree::Assembly;
use types::TreeId;

/// A node to visit: keys in it are at or above `lower` and below `upper`.
struct Visit {
    id: PageId,
    level: u8,
    lower: Option<Vec<u8>>,
    upper: Option<Vec<u8>>,
}

pub(super) async fn check(
    image: &mut Image,
    report: &mut Report,
    contents: &mut dyn Contents,
    progress: &mut Progress,
) -> Result<(), StorageError> {
    for entry in std::mem::take(&mut image.entries) {
        let mut walk = Walk {
            tree: entry.tree,
            image,
            report,
            contents,
            progress,
            cells: 0,
            long_values: 0,
            broken: false,
        };
        walk.run(&entry).await?;
        runtime::yield_if_needed().await;
    }
    Ok(())
}

struct Walk<'a> {
    tree: TreeId,
    image: &'a mut Image,
    report: &'a mut Report,
    contents: &'a mut dyn Contents,
    progress: &'a mut Progress,
    cells: u64,
    long_values: u64,
    /// Part of the tree could not be read.
    broken: bool,
}

impl Walk<'_> {
    async fn run(&mut self, entry: &Entry) -> Result<(), StorageError> {
        let mut ahead = vec![Visit {
            id: entry.info.root,
            level: entry.info.level,
            lower: None,
            upper: None,
        }];
        while let Some(visit) = ahead.pop() {
            let Some(page) = self.node(&visit).await? else {
                self.broken = true;
                continue;
            };
            self.check_keys(&visit, &page);
            if visit.level == 0 {
                self.leaf(&page, visit.id).await?;
            } else {
                ahead.extend(children(&visit, &page));
            }
            runtime::yield_if_needed().await;
        }
        self.report.trees += 1;
        self.report.cells += self.cells;
        self.report.long_values += self.long_values;
        let found = (self.cells, self.long_values);
        let said = (entry.info.cells, entry.info.overflows);
        if !self.broken && found != said {
            let what = format!(
                "the directory says {} cells with {} long values, there are {} and {}",
                said.0, said.1, found.0, found.1
            );
            self.report.add(true, format!("tree {}", self.tree), what);
        }
        Ok(())
    }

    /// A page that its parent refers to, if it is sound. What a page is by itself has been reported.
    async fn page(&mut self, id: PageId, kind: Kind) -> Result<Option<Box<Page>>, StorageError> {
        if !self.image.space.is_used(id) {
            self.report.page(
                id,
                format!("referred to by tree {}, but not in use", self.tree),
            );
            return Ok(None);
        }
        if !self.image.see(id) {
            self.report
                .page(id, format!("referred to twice, last by tree {}", self.tree));
            return Ok(None);
        }
        let Some(page) = read(&self.image.file, id).await? else {
            return Ok(None);
        };
        self.progress.add(PAGE_BYTES as u64, self.contents);
        if page::verify(&page, id, self.image.superblock.store).is_err() {
            return Ok(None);
        }
        if page::kind(&page) != Some(kind) || page::owner(&page) != self.tree.0 {
            let what = format!("not the {kind:?} page that tree {} takes it for", self.tree);
            self.report.page(id, what);
            return Ok(None);
        }
        Ok(Some(page))
    }

    async fn node(&mut self, visit: &Visit) -> Result<Option<Box<Page>>, StorageError> {
        let kind = match visit.level {
            0 => Kind::Leaf,
            _ => Kind::Inner,
        };
        let page = self.page(visit.id, kind).await?;
        Ok(page.filter(|page| {
            let sound = node::level(page) == visit.level;
            if !sound {
                let what = format!("a node of level {}, not {}", node::level(page), visit.level);
                self.report.page(visit.id, what);
            }
            sound
        }))
    }

    fn check_keys(&mut self, visit: &Visit, page: &Page) {
        let keys = || (0..node::count(page)).map(|i| node::key(page, i));
        if !keys().is_sorted_by(|a, b| a < b) {
            self.report.page(visit.id, "keys are not in order");
        }
        let below = visit
            .lower
            .as_deref()
            .is_some_and(|l| keys().any(|k| k < l));
        let above = visit
            .upper
            .as_deref()
            .is_some_and(|u| keys().any(|k| k >= u));
        if below || above {
            self.report
                .page(visit.id, "a key lies outside of the page's bounds");
        }
    }

    async fn leaf(&mut self, page: &Page, id: PageId) -> Result<(), StorageError> {
        for i in 0..node::count(page) {
            self.cells += 1;
            let key = node::key(page, i);
            let value = match node::stored(page, i) {
                Stored::Inline(value) => Ok(value.to_vec()),
                Stored::Overflow(bytes) => {
                    self.long_values += 1;
                    match OverflowRef::decode(bytes) {
                        Some(long) => match self.long_value(&long).await {
                            Err(e @ StorageError::Corrupt { .. }) => Err(e),
                            other => match other? {
                                Some(value) => Ok(value),
                                None => continue,
                            },
                        },
                        None => Err(StorageError::page(id, "malformed overflow reference")),
                    }
                }
            };
            match value {
                Ok(value) => {
                    if let Err(what) = self.contents.cell(self.tree, key, &value) {
                        self.report.page(id, what);
                    }
                }
                Err(e) => self.report.error(&e),
            }
        }
        Ok(())
    }

    /// `None` when one of its pages is broken, which has been reported.
    async fn long_value(&mut self, long: &OverflowRef) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(data) = self.data_pages(long).await? else {
            return Ok(None);
        };
        let mut assembly = Assembly::new(self.tree, long);
        for id in data {
            let Some(page) = self.page(id, Kind::Overflow).await? else {
                return Ok(None);
            };
            assembly.add(id, &page)?;
        }
        assembly.finish().map(Some)
    }

    async fn data_pages(
        &mut self,
        long: &OverflowRef,
    ) -> Result<Option<Vec<PageId>>, StorageError> {
        if long.is_direct() {
            return Ok(Some(long.pages.to_vec()));
        }
        let expected = overflow::data_pages(long.bytes as usize);
        let mut data = Vec::new();
        let mut ordinal = 0;
        let mut next = long.pages.first().copied();
        while let Some(id) = next {
            let Some(page) = self.page(id, Kind::OverflowIndex).await? else {
                return Ok(None);
            };
            next = overflow::index(&page, self.tree.0, long.value, ordinal, &mut data)
                .ok_or_else(|| StorageError::page(id, "not the index page of its value"))?;
            ordinal += 1;
        }
        if data.len() != expected {
            return Err(StorageError::page(
                long.pages[0],
                "an index of the wrong length",
            ));
        }
        Ok(Some(data))
    }
}

fn children(visit: &Visit, page: &Page) -> Vec<Visit> {
    let n = node::count(page);
    (0..=n)
        .map(|i| Visit {
            id: node::child(page, i),
            level: visit.level - 1,
            lower: match i {
                0 => visit.lower.clone(),
                _ => Some(node::key(page, i - 1).to_vec()),
            },
            upper: match i {
                _ if i == n => visit.upper.clone(),
                _ => Some(node::key(page, i).to_vec()),
            },
        })
        .collect()
}
