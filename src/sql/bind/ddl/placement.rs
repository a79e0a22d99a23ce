//! PARTITION BY HASH: which columns of the key say where a row is.
//!
//! Owns: what is asked of them. They have to be in the primary key, so that a key is enough to find its row; unlike
//! PostgreSQL's partitions, other unique constraints need not have them, as their entries have places of their own.
//! Source: PostgreSQL 15 manual, CREATE TABLE; `ComputePartitionAttrs`, `DefineIndex`.

use super::super::names;
use crate::parse::define::TableDef;
use engine::plan::CreateTable;
use types::{Error, Result, SqlState};

/// Reads them for a table that has its columns and its key.
pub(super) fn place(table: &mut CreateTable, def: &TableDef) -> Result<()> {
    for name in &def.placement {
        let name = names::ident(name);
        let Some(at) = table.columns.iter().position(|c| c.name == name) else {
            return Err(Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" named in partition key does not exist"),
            ));
        };
        if table.placement.contains(&at) {
            return Err(Error::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" appears twice in partition key"),
            ));
        }
        table.placement.push(at);
        let Some(key) = &table.primary_key else {
            return Err(Error::unsupported("PARTITION BY HASH needs a primary key")
                .with_hint("Rows of a table without one stay where they came in."));
        };
        if !key.columns.contains(&at) {
            return Err(Error::unsupported(
                "unique constraint on partitioned table must include all partitioning columns",
            )
            .with_detail(format!(
                "PRIMARY KEY constraint on table \"{}\" lacks column \"{name}\" which is part of the partition key.",
                table.name
            )));
        }
    }
    Ok(())
}
