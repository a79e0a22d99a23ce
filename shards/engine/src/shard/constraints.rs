//! What a row must satisfy before it is written: NOT NULL, CHECK, and the size a row and a key may have. Checks that call functions are
//! the router's: it looks at them before it sends the row.

use super::entries::pick;
use crate::catalog::model::OF_VIEW;
use crate::catalog::{Check, Index, Table, system};
use crate::exec::Context;
use crate::exec::eval::{self, Env};
use types::{DataType, Error, Result, Row, SqlState, Value, limits};

/// 23502 or 23514 with PostgreSQL's words: domains first, as they are of the values before those are of a row.
pub fn check(table: &Table, row: &Row, ctx: &Context) -> Result<()> {
    for (column, value) in table.columns.iter().zip(row) {
        if column.declared != 0 {
            ctx.catalog.hold_to_domain(column.declared, value, ctx)?;
        }
    }
    for (column, value) in table.columns.iter().zip(row) {
        if column.not_null && value.is_null() {
            let message = format!(
                "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                column.name, table.name
            );
            return Err(Error::new(SqlState::NOT_NULL_VIOLATION, message)
                .with_detail(failing(table, row, ctx))
                .with_table(&table.schema, &table.name)
                .with_column(&column.name));
        }
    }
    for c in table.checks.iter().filter(|c| !c.calls()) {
        // A CHECK that is NULL is satisfied.
        if eval::eval(&c.expr, row, &Env { ctx, outer: &[] })? == Value::Bool(false) {
            return Err(violated(table, c, row, ctx));
        }
    }
    Ok(())
}

/// 23514, or 44000 where it is the option of a view.
pub fn violated(table: &Table, check: &Check, row: &Row, ctx: &Context) -> Error {
    if let Some(view) = check.name.strip_prefix(OF_VIEW) {
        let message = format!("new row violates check option for view \"{view}\"");
        return Error::new(SqlState::WITH_CHECK_OPTION_VIOLATION, message)
            .with_detail(failing(table, row, ctx));
    }
    let message = format!(
        "new row for relation \"{}\" violates check constraint \"{}\"",
        table.name, check.name
    );
    Error::new(SqlState::CHECK_VIOLATION, message)
        .with_detail(failing(table, row, ctx))
        .with_table(&table.schema, &table.name)
        .with_constraint(&check.name)
}

fn failing(table: &Table, row: &Row, ctx: &Context) -> String {
    format!("Failing row contains ({}).", list(row, &table.types(), ctx))
}

/// Values as PostgreSQL's details show them.
pub fn list(values: &[Value], types: &[DataType], ctx: &Context) -> String {
    let show = |(v, ty): (&Value, &DataType)| {
        let mut out = String::new();
        match v {
            Value::Null => out.push_str("null"),
            v => types::text::format(v, *ty, &ctx.session.forms, &mut out),
        }
        shorten(out)
    };
    values
        .iter()
        .zip(types)
        .map(show)
        .collect::<Vec<_>>()
        .join(", ")
}

fn shorten(mut s: String) -> String {
    const LONGEST: usize = 64;
    if s.len() > LONGEST {
        let cut = (0..=LONGEST)
            .rev()
            .find(|i| s.is_char_boundary(*i))
            .unwrap_or(0);
        s.truncate(cut);
        s.push_str("...");
    }
    s
}

/// 23505 with PostgreSQL's words; `detail` is the key's.
pub fn duplicate(table: &Table, constraint: &str, detail: &str) -> Error {
    Error::new(
        SqlState::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{constraint}\""),
    )
    .with_detail(format!("{detail} already exists."))
    .with_table(&table.schema, &table.name)
    .with_constraint(constraint)
}

/// 23505 of a row whose primary key another one has.
pub fn key_taken(table: &Table, row: &Row, ctx: &Context) -> Error {
    let values = pick(row, &table.primary_key);
    let forms = &ctx.session.forms;
    let detail = key_detail(table, &table.primary_key, &values, forms);
    duplicate(table, &table.primary_key_name, &detail)
}

/// `Key (a, b)=(1, 2)`
pub fn key_detail(
    table: &Table,
    columns: &[usize],
    values: &[Value],
    forms: &types::text::Forms,
) -> String {
    let names = columns.iter().filter_map(|c| table.columns.get(*c));
    let names = names.map(|c| c.name.clone()).collect();
    shown(names, table.types_of(columns), values, forms)
}

/// The same of an index.
pub fn index_detail(
    table: &Table,
    index: &Index,
    values: &[Value],
    forms: &types::text::Forms,
) -> String {
    let name = |p| system::part_text(table, p);
    let names = index.parts.iter().map(name).collect();
    shown(names, index.types(table), values, forms)
}

fn shown(
    names: Vec<String>,
    types: Vec<DataType>,
    values: &[Value],
    forms: &types::text::Forms,
) -> String {
    let show = |(v, ty): (&Value, DataType)| {
        let mut out = String::new();
        match v {
            Value::Null => out.push_str("null"),
            v => types::text::format(v, ty, forms, &mut out),
        }
        out
    };
    let values: Vec<String> = values.iter().zip(types).map(show).collect();
    format!("Key ({})=({})", names.join(", "), values.join(", "))
}

/// 54000 for an encoded row over the ceiling.
pub fn row_size(bytes: &[u8]) -> Result<()> {
    if bytes.len() > limits::ROW_BYTES_MAX {
        return Err(Error::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "row is too big: size {}, maximum size {}",
                bytes.len(),
                limits::ROW_BYTES_MAX
            ),
        ));
    }
    Ok(())
}
