//! What names can mean at one place: relations, their columns, and the merged columns of USING.
//!
//! Owns: lookup in one row. Never: looks further out (`Binder::column` walks the enclosing rows).

use super::names;
use engine::plan::Expr;
use std::sync::Arc;
use types::{Column, DataType, Error, RecordField, Result, SqlState, Value};

/// A column in sight: what it is called and how to read it from the row.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub name: String,
    pub expr: Expr,
    pub typmod: i32,
    pub table: u32,
    pub attnum: i16,
    /// Of records: what they are known to have.
    pub fields: Option<Arc<[RecordField]>>,
    /// In a text that is kept (`restate`): where its relation is named, from 1; 0 for what has no place or cannot be renamed.
    pub origin: u32,
}

/// A named item of FROM.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub alias: String,
    /// Of a table that no alias renames.
    pub schema: Option<String>,
    /// The table's own name, for the hint about its alias.
    pub table: Option<String>,
    pub columns: Vec<Entry>,
    /// Ordinals of its primary key among `columns`, for functional dependency in GROUP BY.
    pub key: Vec<usize>,
    /// `tableoid`, where it can be told whether an outer join has made it NULL.
    pub tableoid: Option<Entry>,
    /// An outer join may have put NULLs in the place of its row.
    pub padded: bool,
    /// A base table: asking for its system columns gets a clear refusal.
    pub base: bool,
    /// The type of its rows as values.
    pub row_type: DataType,
}

/// A row and the names of its columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub width: usize,
    pub relations: Vec<Relation>,
    /// What an unqualified name or `*` sees, in order; USING's columns once.
    pub visible: Vec<Entry>,
    /// `xmax` of what an INSERT returns, by which it is told whether ON CONFLICT has updated a row.
    pub xmax: Option<Entry>,
}

/// The outcome of looking in one row.
pub(super) enum Found<'s> {
    Column(&'s Entry),
    Nothing,
    /// The relation is here but has no such column.
    NoSuchColumn,
}

impl Relation {
    /// `tableoid` of rows that an outer join may have made up: those have no oid and no primary key.
    fn padded_tableoid(&self) -> Option<Entry> {
        let oid = self.tableoid.as_ref()?;
        if self.padded {
            return Some(oid.clone());
        }
        let key = self.key.first().and_then(|&at| self.columns.get(at));
        let key = match self.base {
            true => key?,
            false => self.columns.iter().find(|e| e.name == "oid")?,
        };
        let missing = Expr::IsNull(Box::new(key.expr.clone()));
        let expr = Expr::Case {
            branches: vec![(missing, Expr::Const(Value::Null, DataType::Oid))],
            otherwise: Some(Box::new(oid.expr.clone())),
            ty: DataType::Oid,
        };
        Some(Entry {
            expr,
            ..oid.clone()
        })
    }
}

impl Entry {
    pub fn of(column: &Column, ordinal: usize) -> Entry {
        Entry {
            name: column.name.clone(),
            expr: Expr::Column(ordinal, column.ty),
            typmod: column.typmod,
            table: column.table,
            attnum: column.attnum,
            fields: None,
            origin: 0,
        }
    }

    /// The oid of the table a row is of: the same for every row.
    pub fn tableoid(oid: u32) -> Entry {
        Entry::system("tableoid", Expr::Const(Value::Oid(oid), DataType::Oid))
    }

    fn system(name: &str, expr: Expr) -> Entry {
        Entry {
            name: name.into(),
            expr,
            typmod: -1,
            table: 0,
            attnum: 0,
            fields: None,
            origin: 0,
        }
    }

    pub fn column(&self) -> Column {
        Column {
            name: self.name.clone(),
            ty: self.expr.ty(),
            typmod: self.typmod,
            table: self.table,
            attnum: self.attnum,
        }
    }
}

impl Scope {
    /// One relation.
    pub fn single(relation: Relation) -> Scope {
        Scope {
            width: relation.columns.len(),
            visible: relation.columns.clone(),
            relations: vec![relation],
            xmax: None,
        }
    }

    /// The same rows, with whether they were updated behind their columns.
    pub fn with_xmax(mut self) -> Scope {
        let expr = Expr::Column(self.width, DataType::Int8);
        self.xmax = Some(Entry::system("xmax", expr));
        self
    }

    /// Every expression moved right by `by` columns: the right side of a join.
    pub fn shifted(mut self, by: usize) -> Scope {
        let shift = |e: &mut Entry| super::walk::shift_columns(&mut e.expr, by);
        for r in &mut self.relations {
            r.columns.iter_mut().chain(&mut r.tableoid).for_each(shift);
        }
        self.visible.iter_mut().for_each(shift);
        self
    }

    /// Rows of this side may be padded with NULL.
    pub fn made_nullable(mut self) -> Scope {
        for r in &mut self.relations {
            r.tableoid = r.padded_tableoid();
            r.padded = true;
        }
        self
    }

    pub fn unqualified(&self, name: &str) -> Result<Found<'_>> {
        let mut hits = self.visible.iter().filter(|e| e.name == name);
        match (hits.next(), hits.next()) {
            (Some(e), None) => Ok(Found::Column(e)),
            (None, _) => Ok(match self.relations.as_slice() {
                [only] => self
                    .system(only, name)
                    .map_or(Found::Nothing, Found::Column),
                _ => Found::Nothing,
            }),
            (Some(_), Some(_)) => Err(Error::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("column reference \"{name}\" is ambiguous"),
            )),
        }
    }

    /// The relation of that name; two of one name are ambiguous only where they are used.
    pub fn relation(&self, schema: Option<&str>, alias: &str) -> Result<Option<&Relation>> {
        let fits =
            |r: &&Relation| r.alias == alias && (schema.is_none() || r.schema.as_deref() == schema);
        let mut hits = self.relations.iter().filter(fits);
        match (hits.next(), hits.next()) {
            (Some(_), Some(_)) => Err(Error::new(
                SqlState::DUPLICATE_ALIAS,
                format!("table reference \"{alias}\" is ambiguous"),
            )),
            (hit, _) => Ok(hit),
        }
    }

    pub fn qualified(&self, schema: Option<&str>, alias: &str, name: &str) -> Result<Found<'_>> {
        let Some(relation) = self.relation(schema, alias)? else {
            return Ok(Found::Nothing);
        };
        let mut hits = relation.columns.iter().filter(|e| e.name == name);
        match (hits.next(), hits.next()) {
            (Some(e), None) => Ok(Found::Column(e)),
            (None, _) => {
                let system = self.system(relation, name);
                Ok(system.map_or(Found::NoSuchColumn, Found::Column))
            }
            (Some(_), Some(_)) => Err(Error::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("column reference \"{alias}.{name}\" is ambiguous"),
            )),
        }
    }

    /// A system column of a relation.
    fn system<'s>(&'s self, relation: &'s Relation, name: &str) -> Option<&'s Entry> {
        match name {
            "tableoid" => relation.tableoid.as_ref(),
            "xmax" => self.xmax.as_ref(),
            _ => None,
        }
    }

    /// 42712 when two items of FROM have one name.
    pub fn check_aliases(&self, other: &Scope) -> Result<()> {
        for r in &other.relations {
            let clash = |l: &&Relation| {
                l.alias == r.alias
                    && (l.schema.is_none() || r.schema.is_none() || l.schema == r.schema)
            };
            if self.relations.iter().any(|l| clash(&l)) {
                return Err(Error::new(
                    SqlState::DUPLICATE_ALIAS,
                    format!("table name \"{}\" specified more than once", r.alias),
                ));
            }
        }
        Ok(())
    }

    /// `t.a` for a column of the row, for errors.
    pub fn describe(&self, ordinal: usize) -> String {
        for r in &self.relations {
            for c in &r.columns {
                if matches!(c.expr, Expr::Column(i, _) if i == ordinal) {
                    return if r.alias.is_empty() {
                        c.name.clone()
                    } else {
                        format!("{}.{}", r.alias, c.name)
                    };
                }
            }
        }
        match self.visible.get(ordinal) {
            Some(e) => e.name.clone(),
            None => "?column?".into(),
        }
    }

    /// Typmod of a plain column of the row.
    pub fn typmod(&self, ordinal: usize) -> i32 {
        let all = self.relations.iter().flat_map(|r| &r.columns);
        let mut all = all.chain(&self.visible);
        all.find(|e| matches!(e.expr, Expr::Column(i, _) if i == ordinal))
            .map_or(-1, |e| e.typmod)
    }

    /// A base table is in sight, so `ctid` and its like would mean something in PostgreSQL.
    pub fn has_base_table(&self) -> bool {
        self.relations.iter().any(|r| r.base)
    }
}

/// PostgreSQL's hidden columns of every table.
pub(super) fn is_system_column(name: &str) -> bool {
    matches!(
        name,
        "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid"
    )
}

/// Aliases given to columns: `t(a, b)`; more than there are is an error.
pub(super) fn rename(
    entries: &mut [Entry],
    alias: &str,
    columns: &[sqlparser::ast::TableAliasColumnDef],
) -> Result<()> {
    if columns.len() > entries.len() {
        return Err(Error::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!(
                "table \"{alias}\" has {} columns available but {} columns specified",
                entries.len(),
                columns.len()
            ),
        ));
    }
    for (entry, column) in entries.iter_mut().zip(columns) {
        entry.name = names::ident(&column.name);
        entry.origin = 0;
    }
    Ok(())
}
