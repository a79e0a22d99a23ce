//! The catalog on disk: one tree of partition 0.
//!
//! Owns: that tree's keys and values. `[0]` holds the header (version, next oid); `[1]` and a table's oid big-endian hold
//! the table, `[2]` and its oid its statistics, postcard-encoded. Versions and recovery are those of any other tree, so a change of the catalog commits
//! together with the rows of its transaction.

use super::{Catalog, Table};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use types::{Error, Result, SqlState, TableId, TreeId};

/// The catalog's tree.
pub const TREE: TreeId = TreeId(1);
/// What its locks are taken under; no table has this number.
pub const TABLE: TableId = TableId(0);
/// First tree a table or index may have; below it are the system's.
pub const FIRST_USER_TREE: TreeId = TreeId(super::model::FIRST_USER_OID);

/// The header's key.
pub const HEADER: &[u8] = &[0];

#[derive(Serialize, Deserialize)]
struct Header {
    version: u64,
    next_oid: u32,
}

/// A key, and its value unless it is to go.
pub type Cell = (Vec<u8>, Option<Vec<u8>>);

/// The cells a change writes: the header and each changed table (`None` = dropped).
pub fn encode(catalog: &Catalog, changed: &[TableId]) -> Result<Vec<Cell>> {
    let header = Header {
        version: catalog.version,
        next_oid: catalog.next_oid,
    };
    let mut cells = vec![(HEADER.to_vec(), Some(to_bytes(&header)?))];
    for id in changed {
        let value = catalog.table(*id).map(|t| to_bytes(&**t)).transpose()?;
        let gone = value.is_none();
        cells.push((table_key(*id), value));
        if let Some(statistics) = catalog.statistics.get(id) {
            cells.push((statistics_key(*id), Some(to_bytes(&**statistics)?)));
        } else if gone {
            cells.push((statistics_key(*id), None));
        }
    }
    Ok(cells)
}

/// Reads the catalog back from its live cells.
pub fn decode(partitions: u16, cells: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<Catalog> {
    let mut catalog = Catalog::empty(partitions);
    for (key, value) in cells {
        match key.first() {
            Some(0) => {
                let header: Header = from_bytes(&value)?;
                catalog.version = header.version;
                catalog.next_oid = header.next_oid;
            }
            Some(1) => {
                let table: Table = from_bytes(&value)?;
                catalog.tables.insert(table.id, Arc::new(table));
            }
            Some(2) => {
                let id = key[1..].try_into().map_err(|_| corrupt("unknown key"))?;
                let id = TableId(u32::from_be_bytes(id));
                catalog.statistics.insert(id, Arc::new(from_bytes(&value)?));
            }
            _ => return Err(corrupt("unknown key")),
        }
    }
    Ok(catalog)
}

/// The version in a header.
pub fn version(header: &[u8]) -> Result<u64> {
    from_bytes::<Header>(header).map(|h| h.version)
}

fn table_key(id: TableId) -> Vec<u8> {
    let mut key = vec![1];
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

fn statistics_key(id: TableId) -> Vec<u8> {
    let mut key = vec![2];
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    postcard::to_stdvec(value)
        .map_err(|e| Error::internal(format!("catalog entry not encoded: {e}")))
}

fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|e| corrupt(&e.to_string()))
}

fn corrupt(what: &str) -> Error {
    Error::new(
        SqlState::DATA_CORRUPTED,
        format!("the catalog cannot be read: {what}"),
    )
}
