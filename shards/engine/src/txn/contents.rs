//! What the engine knows of a store's bytes, for their verification.
//!
//! Owns: the check of each cell (a version, with a payload or a deletion) and of each log record. Asked by:
//! `storage::verify`, through the command of that name. Never: decodes a row: which columns it has only a started server
//! knows, as the catalog may be ahead of the last checkpoint.

use super::{record, staged, versions};
use storage::verify::Contents;
use types::{Lsn, TreeId};

/// Checks contents, and hands progress on.
pub struct Known<'f> {
    pub progress: &'f mut dyn FnMut(u64, u64),
}

impl Contents for Known<'_> {
    fn cell(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<(), String> {
        if versions::payload(value).is_none() {
            return Err(format!("a cell of tree {tree} has an impossible value"));
        }
        // What a transaction staged was never committed, and has no version.
        if tree.0 < staged::FIRST_TREE && versions::split(key).is_none() {
            return Err(format!("a cell of tree {tree} is not a version"));
        }
        Ok(())
    }

    fn record(&mut self, _at: Lsn, payload: &[u8]) -> Result<(), String> {
        record::decode(payload)
            .map(drop)
            .map_err(|e| e.message().to_owned())
    }

    fn progress(&mut self, done: u64, total: u64) {
        (self.progress)(done, total);
    }
}
