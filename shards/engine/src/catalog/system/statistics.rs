//! Rows of `pg_stats`.

use super::values::{array, int4, null, text, yes};
use crate::catalog::statistics::ColumnStatistics;
use crate::catalog::{ColumnDef, Table};
use crate::exec::Context;
use types::{Array, DataType, Row, Value};

/// A row for each column of the tables that were analyzed.
pub(super) fn columns(ctx: &Context) -> Vec<Row> {
    let mut rows = Vec::new();
    for (id, statistics) in &ctx.catalog.statistics {
        let Some(table) = ctx.catalog.table(*id) else {
            continue;
        };
        let columns = table.columns.iter().zip(&statistics.columns);
        rows.extend(columns.map(|(column, found)| row(table, column, found, ctx)));
    }
    rows
}

fn row(table: &Table, column: &ColumnDef, found: &ColumnStatistics, ctx: &Context) -> Row {
    let common = found.common.iter().map(|(v, _)| v.clone()).collect();
    let shares = found.common.iter().map(|(_, f)| Value::Float4(*f));
    vec![
        text(&table.schema),
        text(&table.name),
        text(&column.name),
        yes(false),
        Value::Float4(found.null_frac),
        int4(found.width as i32),
        Value::Float4(found.distinct),
        list(common, column.ty, ctx),
        match found.common.is_empty() {
            true => null(),
            false => array(DataType::Float4, shares.collect()),
        },
        list(found.bounds.clone(), column.ty, ctx),
        // Rows are spread by a hash of their key: there is no order on disk to compare with.
        null(),
        null(),
        null(),
        null(),
    ]
}

/// `{a,b}`, as PostgreSQL shows its anyarray; NULL when there is nothing in it.
fn list(items: Vec<Value>, element: DataType, ctx: &Context) -> Value {
    if items.is_empty() {
        return null();
    }
    let mut out = String::new();
    let array = Array { element, items };
    types::text::array::format(&array, element, &ctx.session.forms, &mut out);
    text(&out)
}
