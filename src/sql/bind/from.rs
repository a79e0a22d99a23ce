//! FROM: tables, subqueries, functions and joins.
//!
//! Owns: which names an item brings and which of its neighbours it may see (LATERAL). Never: chooses how rows are found
//! or joins ordered; the planner does. Source: `parse_clause.c`, `parse_relation.c`.

mod function;
mod join;
mod record;

use super::scope::{Entry, Relation, Scope, rename};
use super::{Binder, names, syntax, unsupported};
use engine::catalog::{Relation as Found, Table, TableKind};
use engine::exec::functions::absent;
use engine::plan::{Plan, SystemTable};
use sqlparser::ast::{self, TableAlias, TableFactor, TableWithJoins};
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState};

/// What a function lends: rows, their columns, and what one of them is as a value. Where that is no row, it is the only column.
pub(super) type Lent = (Plan, Vec<Column>, DataType);

/// A bound item of FROM and the names it brings.
pub(super) type Source = (Plan, Scope);

impl<'a> Binder<'a> {
    /// The whole FROM clause; without one a single row of no columns.
    pub(super) fn from(&mut self, items: &'a [TableWithJoins]) -> Result<Source> {
        let mut out: Option<Source> = None;
        for item in items {
            out = Some(match out {
                None => self.table_with_joins(item)?,
                Some(left) => self.cross(left, item)?,
            });
        }
        Ok(out.unwrap_or_else(|| (Plan::OneRow, Scope::default())))
    }

    pub(super) fn factor(&mut self, f: &'a TableFactor) -> Result<Source> {
        self.count_relation()?;
        match f {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample,
                index_hints,
            } => {
                if sample.is_some() {
                    return Err(unsupported("TABLESAMPLE"));
                }
                if !(with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty()) {
                    return Err(syntax("syntax error after the table's name"));
                }
                self.table(name, alias.as_ref())
            }
            TableFactor::Table {
                name,
                alias,
                args: Some(args),
                with_ordinality,
                ..
            } => self.table_function(name, &args.args, *with_ordinality, alias.as_ref()),
            TableFactor::Function {
                name,
                args,
                alias,
                with_ordinality,
                ..
            } => self.table_function(name, args, *with_ordinality, alias.as_ref()),
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_ordinality,
                ..
            } => self.unnest(array_exprs, *with_ordinality, alias.as_ref()),
            TableFactor::Derived {
                subquery,
                alias,
                sample: None,
                ..
            } => self.derived(subquery, alias.as_ref()),
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => self.nested(table_with_joins, alias.as_ref()),
            TableFactor::XmlTable { .. } => Err(unsupported("XMLTABLE")),
            TableFactor::JsonTable { .. } => Err(unsupported("JSON_TABLE")),
            _ => Err(unsupported("this item of FROM")),
        }
    }

    fn table(&mut self, name: &'a ast::ObjectName, alias: Option<&TableAlias>) -> Result<Source> {
        let (schema, base) = self.qualified(name)?;
        if schema.is_none()
            && let Some(index) = self.ctes.iter().rposition(|c| c.name == base)
        {
            let own = self.self_reference(index).map_err(|e| {
                let first = names::first_ident(name);
                first.map_or(e.clone(), |i| self.at(e, i.span))
            })?;
            let rel = match own {
                Some(rel) => rel,
                None => self.cte(index)?,
            };
            return self.derived_rel(rel.plan, &rel.columns, &base, alias);
        }
        let found = self.relation(schema.as_deref(), &base, alias);
        let (plan, mut relation) = found.map_err(|e| match names::first_ident(name) {
            Some(i) => self.at(e, i.span),
            None => e,
        })?;
        self.note_relation(name, alias, &mut relation);
        Ok((plan, Scope::single(relation)))
    }

    /// A table or system relation by name.
    pub(super) fn relation(
        &mut self,
        schema: Option<&str>,
        name: &str,
        alias: Option<&TableAlias>,
    ) -> Result<(Plan, Relation)> {
        let shown = match schema {
            Some(s) => format!("{s}.{name}"),
            None => name.to_string(),
        };
        let searched = schema.unwrap_or("");
        let system = match searched {
            "" | "pg_catalog" | "information_schema" => system_columns(searched, name),
            _ => None,
        };
        let (plan, mut relation) = if let Some(columns) = system {
            let of = if searched.is_empty() {
                "pg_catalog"
            } else {
                searched
            };
            let plan = Plan::System(SystemTable {
                schema: of.to_string(),
                name: name.to_string(),
            });
            let columns = columns.iter().enumerate();
            let columns = columns.map(|(i, c)| Entry::of(c, i)).collect();
            let oid = engine::catalog::system::find(of, name).map(|r| r.oid);
            let mut relation = named(of, name, columns);
            relation.tableoid = oid.map(Entry::tableoid);
            (plan, relation)
        } else {
            match self.find(schema, name) {
                Some(Found::Table(table)) => {
                    self.own_or_lasting(&table)?;
                    self.table_source(schema, name, &table)?
                }
                Some(Found::View(view)) => self.view_source(schema, name, &view)?,
                Some(Found::Sequence(sequence)) => self.sequence_source(&sequence),
                Some(Found::Index(..) | Found::PrimaryKey(_)) | None => {
                    return Err(self.no_relation(schema, name, &shown));
                }
            }
        };
        if let Some(alias) = alias {
            apply_alias(&mut relation, alias)?;
        }
        Ok((plan, relation))
    }

    pub(super) fn no_relation(&self, schema: Option<&str>, name: &str, shown: &str) -> Error {
        match self.find(schema, name) {
            Some(found) => {
                let kind = match found {
                    Found::Index(..) | Found::PrimaryKey(_) => "indexes",
                    Found::View(_) => "views",
                    Found::Sequence(_) => "sequences",
                    Found::Table(_) => "tables",
                };
                Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("cannot open relation \"{name}\""),
                )
                .with_detail(format!("This operation is not supported for {kind}."))
            }
            None => {
                let system = schema.is_none_or(|s| s == "pg_catalog");
                let absent = system.then(|| absent::relation(name)).flatten();
                absent.unwrap_or_else(|| {
                    let message = format!("relation \"{shown}\" does not exist");
                    Error::new(SqlState::UNDEFINED_TABLE, message)
                })
            }
        }
    }

    /// A table or materialized view by name, for CREATE INDEX.
    pub(super) fn indexed_table(&self, name: &ast::ObjectName) -> Result<Arc<Table>> {
        let (schema, base) = self.qualified(name)?;
        match self.find(schema.as_deref(), &base) {
            Some(Found::Table(table)) => Ok(table),
            _ => self.base_table(name),
        }
    }

    /// A base table by name, for statements that change or copy it.
    /// 0A000 for the temporary table of another session.
    pub(super) fn own_or_lasting(&self, table: &engine::catalog::Table) -> Result<()> {
        let own = || engine::catalog::path::temporary(self.env.context);
        if !table.is_temporary() || table.schema == own() {
            return Ok(());
        }
        Err(Error::unsupported(
            "cannot access temporary tables of other sessions",
        ))
    }

    pub(super) fn base_table(&self, name: &ast::ObjectName) -> Result<Arc<engine::catalog::Table>> {
        let (schema, base) = self.qualified(name)?;
        let searched = schema.as_deref().unwrap_or("");
        if matches!(searched, "" | "pg_catalog" | "information_schema")
            && system_columns(searched, &base).is_some()
        {
            return Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{base}\" is a system catalog"),
            ));
        }
        match self.find(schema.as_deref(), &base) {
            Some(Found::Table(t)) => {
                self.own_or_lasting(&t)?;
                return changeable(t);
            }
            Some(Found::View(v)) => return Err(not_updatable(&v.name)),
            Some(Found::Sequence(s)) => {
                return Err(Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("cannot change sequence \"{}\"", s.name),
                ));
            }
            Some(Found::Index(..) | Found::PrimaryKey(_)) | None => {}
        }
        let shown = match &schema {
            Some(s) => format!("{s}.{base}"),
            None => base.clone(),
        };
        let e = self.no_relation(schema.as_deref(), &base, &shown);
        Err(match names::first_ident(name) {
            Some(i) => self.at(e, i.span),
            None => e,
        })
    }

    fn derived(&mut self, q: &'a ast::Query, alias: Option<&TableAlias>) -> Result<Source> {
        if alias.is_none() {
            return Err(syntax("subquery in FROM must have an alias")
                .with_hint("For example, FROM (SELECT ...) [AS] foo."));
        }
        let rel = self.query(q)?;
        self.derived_rel(rel.plan, &rel.columns, "", alias)
    }

    fn derived_rel(
        &mut self,
        plan: Plan,
        columns: &[Column],
        name: &str,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        let mut relation = Relation {
            alias: name.to_string(),
            schema: None,
            table: None,
            columns: self.entries(&plan, columns),
            key: Vec::new(),
            tableoid: None,
            padded: false,
            base: false,
            row_type: DataType::Record,
        };
        if let Some(alias) = alias {
            apply_alias(&mut relation, alias)?;
        }
        Ok((plan, Scope::single(relation)))
    }

    /// `(a JOIN b …) [AS j]`: an alias hides the names inside.
    fn nested(&mut self, t: &'a TableWithJoins, alias: Option<&TableAlias>) -> Result<Source> {
        let (plan, scope) = self.table_with_joins(t)?;
        let Some(alias) = alias else {
            return Ok((plan, scope));
        };
        let mut relation = Relation {
            alias: String::new(),
            schema: None,
            table: None,
            columns: scope.visible.clone(),
            key: Vec::new(),
            tableoid: None,
            padded: false,
            base: false,
            row_type: DataType::Record,
        };
        apply_alias(&mut relation, alias)?;
        let visible = relation.columns.clone();
        let scope = Scope {
            width: scope.width,
            relations: vec![relation],
            visible,
            xmax: None,
        };
        Ok((plan, scope))
    }

    /// A scope in which a statement's own table stands alone.
    pub(super) fn table_scope(
        &self,
        table: &engine::catalog::Table,
        alias: Option<&ast::Ident>,
    ) -> Rc<Scope> {
        let mut relation = of_table(table);
        if let Some(alias) = alias {
            relation.alias = names::ident(alias);
            relation.schema = None;
        }
        Rc::new(Scope::single(relation))
    }
}

/// A base table's columns and key.
/// A materialized view has the rows of its query, and no others.
pub(super) fn changeable(table: Arc<Table>) -> Result<Arc<Table>> {
    match table.kind {
        TableKind::Materialized { .. } => Err(Error::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("cannot change materialized view \"{}\"", table.name),
        )),
        TableKind::Ordinary | TableKind::Temporary(_) => Ok(table),
    }
}

fn not_updatable(view: &str) -> Error {
    Error::unsupported(format!(
        "changing rows through view \"{view}\" is not supported"
    ))
    .with_hint("Change the rows of the tables that it reads.")
}

pub(super) fn of_table(table: &engine::catalog::Table) -> Relation {
    let columns = table.schema();
    let columns = columns.iter().enumerate().map(|(i, c)| Entry::of(c, i));
    Relation {
        key: table.primary_key.clone(),
        tableoid: Some(Entry::tableoid(table.id.0)),
        base: true,
        row_type: DataType::Composite(table.id.0),
        ..named(&table.schema, &table.name, columns.collect())
    }
}

pub(super) fn named(schema: &str, name: &str, columns: Vec<Entry>) -> Relation {
    Relation {
        alias: name.to_string(),
        schema: Some(schema.to_string()),
        table: Some(name.to_string()),
        columns,
        key: Vec::new(),
        tableoid: None,
        padded: false,
        base: false,
        row_type: DataType::Record,
    }
}

fn apply_alias(relation: &mut Relation, alias: &TableAlias) -> Result<()> {
    relation.alias = names::ident(&alias.name);
    relation.schema = None;
    rename(&mut relation.columns, &relation.alias, &alias.columns)
}

/// The column WITH ORDINALITY adds.
fn ordinality() -> Column {
    Column::new("ordinality", DataType::Int8)
}

/// Columns of a system relation; an empty schema searches `pg_catalog`.
fn system_columns(schema: &str, name: &str) -> Option<Vec<Column>> {
    let columns = engine::catalog::system::columns(schema, name)?;
    Some(columns.iter().map(|c| Column::new(c.name, c.ty)).collect())
}
