//! Indexes of user tables, their rows in `pg_index` and `pg_attribute`, and the statements that would make them.
//!
//! Owns: how parts, operator classes, orders and predicates are shown. Asked by: `relations`, `describe`, functions such as
//! `pg_get_indexdef`, and the details of 23505. Source: PostgreSQL 15, `ruleutils.c` (`pg_get_indexdef_worker`).

use super::types::{collation, opclass};
use super::values::{array, int2, null, oid, text, yes};
use crate::catalog::{Catalog, KeyPart, OpClass, PartOf, SqlExpr, Table};
use crate::exec::Context;
use crate::exec::eval::columns_used;
use crate::exec::functions::quote_identifier;
use crate::plan::Expr;
use crate::plan::print::{self, Printer};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{DataType, Row, Value};

/// A primary key's or a secondary index.
pub struct IndexInfo<'a> {
    pub oid: u32,
    pub name: &'a str,
    pub table: &'a Arc<Table>,
    pub parts: Vec<KeyPart>,
    pub include: &'a [usize],
    pub unique: bool,
    pub nulls_not_distinct: bool,
    pub primary: bool,
    /// It backs a PRIMARY KEY or UNIQUE constraint of the same name.
    pub constraint: bool,
    pub predicate: Option<&'a SqlExpr>,
    pub valid: bool,
    /// Its tree; a primary key's is the table's.
    pub tree: u32,
}

impl IndexInfo<'_> {
    /// Ordinals of its key's columns.
    pub fn columns(&self) -> Vec<usize> {
        self.parts.iter().filter_map(KeyPart::column).collect()
    }

    /// Ordinals of all columns that it reads.
    pub fn uses(&self) -> BTreeSet<usize> {
        let mut out: BTreeSet<usize> = self.include.iter().copied().collect();
        for part in &self.parts {
            out.extend(columns_used(&part.expr(self.table)));
        }
        if let Some(predicate) = self.predicate {
            out.extend(columns_used(&predicate.expr));
        }
        out
    }

    /// Name, type and typmod of each of its columns, those of INCLUDE last.
    pub fn attributes(&self) -> Vec<(String, DataType, i32)> {
        let mut out = Vec::new();
        let names = part_names(self.table, &self.parts);
        for (part, name) in self.parts.iter().zip(names) {
            let column = part.column().and_then(|c| self.table.columns.get(c));
            let typmod = column.map_or(-1, |c| c.typmod);
            out.push((name, part.ty(self.table), typmod));
        }
        for c in self
            .include
            .iter()
            .filter_map(|c| self.table.columns.get(*c))
        {
            out.push((c.name.clone(), c.ty, c.typmod));
        }
        out
    }

    /// Its row in `pg_index`.
    pub fn row(&self) -> Row {
        let table = self.table;
        let types: Vec<DataType> = self.parts.iter().map(|p| p.ty(table)).collect();
        let columns = self.parts.iter().map(KeyPart::column);
        let number = |c: Option<usize>| {
            let column = c.and_then(|c| table.columns.get(c));
            int2(column.map_or(0, |c| c.number))
        };
        let numbers = columns.chain(self.include.iter().map(|c| Some(*c)));
        let numbers: Vec<Value> = numbers.map(number).collect();
        let flags = |p: &KeyPart| int2(i16::from(p.descending) | (i16::from(p.nulls_first) << 1));
        let classes = self.parts.iter().zip(&types);
        let classes = classes.map(|(p, ty)| oid(class_oid(p.class, *ty)));
        let names = names(table);
        let exprs: Vec<String> = self
            .parts
            .iter()
            .filter_map(|p| match &p.of {
                PartOf::Column(_) => None,
                PartOf::Expr(e) => Some(expr_text(&names, e)),
            })
            .collect();
        let predicate = self.predicate.map(|p| expr_text(&names, p));
        vec![
            oid(self.oid),
            oid(table.id.0),
            int2(numbers.len() as i16),
            int2(self.parts.len() as i16),
            yes(self.unique),
            yes(self.nulls_not_distinct),
            yes(self.primary),
            yes(false),
            yes(true),
            yes(false),
            yes(self.valid),
            yes(false),
            yes(true),
            yes(true),
            yes(false),
            array(DataType::Int2, numbers),
            array(
                DataType::Oid,
                types.iter().map(|t| oid(collation(*t))).collect(),
            ),
            array(DataType::Oid, classes.collect()),
            array(DataType::Int2, self.parts.iter().map(flags).collect()),
            match exprs.is_empty() {
                true => null(),
                false => text(&exprs.join(", ")),
            },
            predicate.map_or(null(), |p| text(&p)),
        ]
    }
}

fn class_oid(class: OpClass, ty: DataType) -> u32 {
    match class {
        OpClass::Default => opclass(ty),
        OpClass::Varchar => super::types::VARCHAR_OPS,
        OpClass::TextPattern => super::types::TEXT_PATTERN_OPS,
        OpClass::VarcharPattern => super::types::VARCHAR_PATTERN_OPS,
        OpClass::BpcharPattern => super::types::BPCHAR_PATTERN_OPS,
    }
}

/// Every index, table by table.
pub fn indexes(catalog: &Catalog) -> impl Iterator<Item = IndexInfo<'_>> {
    catalog.tables.values().flat_map(table_indexes)
}

pub(super) fn table_indexes(table: &Arc<Table>) -> impl Iterator<Item = IndexInfo<'_>> {
    let ascending = |columns: &[usize]| columns.iter().map(|c| KeyPart::ascending(*c)).collect();
    let primary = table.has_key().then(|| IndexInfo {
        oid: table.primary_key_id.0,
        name: &table.primary_key_name,
        table,
        parts: ascending(&table.primary_key),
        include: &[],
        unique: true,
        nulls_not_distinct: false,
        primary: true,
        constraint: true,
        predicate: None,
        valid: true,
        tree: table.tree.0,
    });
    let secondary = table.indexes.iter().map(move |i| IndexInfo {
        oid: i.id.0,
        name: &i.name,
        table,
        parts: i.parts.clone(),
        include: &i.include,
        unique: i.unique,
        nulls_not_distinct: i.nulls_not_distinct,
        primary: false,
        constraint: i.constraint,
        predicate: i.predicate.as_ref(),
        valid: !i.invalid,
        tree: i.tree.0,
    });
    primary.into_iter().chain(secondary)
}

pub(super) fn index(ctx: &Context) -> Vec<Row> {
    indexes(&ctx.catalog).map(|i| i.row()).collect()
}

/// What the parts are called as columns of the index, each differently: the columns themselves, or after the expressions.
/// Source: `ChooseIndexColumnNames`.
pub fn part_names(table: &Table, parts: &[KeyPart]) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(parts.len());
    for part in parts {
        let base = called(table, &part.expr(table));
        let mut name = base.clone();
        let mut n = 0;
        while out.contains(&name) {
            n += 1;
            name = format!("{base}{n}");
        }
        out.push(name);
    }
    out
}

fn called(table: &Table, e: &Expr) -> String {
    match e {
        Expr::Column(c, _) => table.columns.get(*c).map_or("expr", |c| &c.name).to_owned(),
        Expr::Cast { expr, .. } => called(table, expr),
        Expr::Call { func, .. } if func.0.operator.is_empty() => func.0.sql.to_owned(),
        Expr::Coalesce(..) => "coalesce".to_owned(),
        Expr::NullIf { .. } => "nullif".to_owned(),
        Expr::Case { .. } => "case".to_owned(),
        _ => "expr".to_owned(),
    }
}

fn names(table: &Table) -> Vec<String> {
    let name = |c: &crate::catalog::ColumnDef| quote_identifier(&c.name).into_owned();
    table.columns.iter().map(name).collect()
}

/// As it is bound, where that text says the same; else as it was written.
fn expr_text(names: &[String], e: &SqlExpr) -> String {
    match print::reads_back(&e.expr) {
        true => Printer::new(names).print(&e.expr),
        false if is_enclosed(&e.sql) => e.sql.clone(),
        false => format!("({})", e.sql),
    }
}

/// One pair of brackets is around all of it.
fn is_enclosed(sql: &str) -> bool {
    let (mut depth, mut quoted) = (0, None);
    let end = sql.len().saturating_sub(1);
    for (at, c) in sql.bytes().enumerate() {
        match (quoted, c) {
            (Some(q), c) if q == c => quoted = None,
            (None, b'\'' | b'"') => quoted = Some(c),
            (None, b'(') => depth += 1,
            (None, b')') => depth -= 1,
            _ => {}
        }
        if depth == 0 && quoted.is_none() {
            return at == end && c == b')';
        }
    }
    false
}

/// A part as conditions and details show it.
pub fn part_text(table: &Table, part: &KeyPart) -> String {
    let names = names(table);
    match &part.of {
        PartOf::Column(c) => names.get(*c).cloned().unwrap_or_default(),
        PartOf::Expr(e) => expr_text(&names, e),
    }
}

/// A part as CREATE INDEX lists it; `whole`: with its operator class and order.
pub fn part_definition(table: &Table, part: &KeyPart, whole: bool) -> String {
    let text = part_text(table, part);
    let mut out = match &part.of {
        PartOf::Column(_) => text,
        PartOf::Expr(e) if !print::reads_back(&e.expr) => text,
        PartOf::Expr(e) => match &e.expr {
            Expr::Call { func, .. } if func.0.operator.is_empty() => text,
            Expr::Coalesce(..) | Expr::NullIf { .. } | Expr::Extreme { .. } => text,
            _ => format!("({text})"),
        },
    };
    if !whole {
        return out;
    }
    if let Some(class) = part.class.name() {
        out.push(' ');
        out.push_str(class);
    }
    match (part.descending, part.nulls_first) {
        (false, false) => {}
        (false, true) => out.push_str(" NULLS FIRST"),
        (true, true) => out.push_str(" DESC"),
        (true, false) => out.push_str(" DESC NULLS LAST"),
    }
    out
}

/// As `pg_get_indexdef` prints it; `qualified` puts the schema before the table's name.
pub fn index_definition(i: &IndexInfo<'_>, qualified: bool) -> String {
    let unique = if i.unique { "UNIQUE " } else { "" };
    let schema = if qualified {
        format!("{}.", quote_identifier(&i.table.schema))
    } else {
        String::new()
    };
    let parts = i.parts.iter().map(|p| part_definition(i.table, p, true));
    let mut out = format!(
        "CREATE {unique}INDEX {} ON {schema}{} USING btree ({})",
        quote_identifier(i.name),
        quote_identifier(&i.table.name),
        parts.collect::<Vec<_>>().join(", ")
    );
    if !i.include.is_empty() {
        let list = super::describe::column_list(i.table, i.include);
        out.push_str(&format!(" INCLUDE ({list})"));
    }
    if i.nulls_not_distinct {
        out.push_str(" NULLS NOT DISTINCT");
    }
    if let Some(predicate) = i.predicate {
        let names = names(i.table);
        out.push_str(" WHERE ");
        out.push_str(&expr_text(&names, predicate));
    }
    out
}
