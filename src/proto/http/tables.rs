//! `GET /api/v1/tables` and `/api/v1/tables/{t}`: what the door says of its tables, as JSON.
//!
//! Owns: the JSON shape of a table. Asked by: `routes`. Never: keeps a catalog of its own.
//! Bounds: linear in the tables there are.

use super::error::Problem;
use crate::service::TableInfo;
use serde_json::{Value as Json, json};
use types::{Error, SqlState};

pub fn list(tables: &[TableInfo]) -> String {
    let tables: Vec<Json> = tables.iter().map(table).collect();
    json!({ "tables": tables }).to_string()
}

/// By `name` or `schema.name`; a bare name prefers the schema `public`.
pub fn one(tables: &[TableInfo], wanted: &str) -> Result<String, Problem> {
    let qualified = |t: &&TableInfo| {
        wanted
            .strip_prefix(t.schema.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            == Some(t.name.as_str())
    };
    tables
        .iter()
        .find(|t| t.name == wanted && t.schema == "public")
        .or_else(|| tables.iter().find(|t| t.name == wanted))
        .or_else(|| tables.iter().find(qualified))
        .map(|t| table(t).to_string())
        .ok_or_else(|| {
            let message = format!("relation \"{wanted}\" does not exist");
            Error::new(SqlState::UNDEFINED_TABLE, message).into()
        })
}

fn table(t: &TableInfo) -> Json {
    let columns: Vec<Json> = t
        .columns
        .iter()
        .map(|c| {
            json!({
                "name": c.name,
                "type": c.data_type,
                "nullable": c.nullable,
                "default": c.default,
            })
        })
        .collect();
    let indexes: Vec<Json> = t
        .indexes
        .iter()
        .map(|i| json!({ "name": i.name, "columns": i.columns, "unique": i.unique }))
        .collect();
    json!({
        "schema": t.schema,
        "name": t.name,
        "columns": columns,
        "primary_key": t.primary_key,
        "indexes": indexes,
    })
}
