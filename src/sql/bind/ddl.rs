//! Definitions: CREATE TABLE, CREATE INDEX, ALTER TABLE … ADD key, DROP.
//!
//! Owns: what a definition must satisfy before the catalog is asked: names, types, keys, checks. Never: looks whether the
//! name is taken (the catalog's writer decides that). `WITH (fillfactor = n)` is the one storage parameter taken: PostgreSQL
//! itself calls it a hint about free space in pages, and pages here choose their own. Source: `parse_utilcmd.c`.

mod table;

use super::{Binder, names, syntax, unsupported};
use crate::sql::statement::Statement;
use engine::plan::Ddl;
use sqlparser::ast::{
    self, AlterTableOperation, IndexColumn, IndexType, ObjectType, TableConstraint,
};
use types::{Error, Result, SqlState, limits};

impl<'a> Binder<'a> {
    pub(super) fn create_index(&mut self, i: &'a ast::CreateIndex) -> Result<Statement> {
        match &i.using {
            None | Some(IndexType::BTree) => {}
            Some(_) => return Err(unsupported("this index method").with_hint("Use btree.")),
        }
        if i.predicate.is_some() {
            return Err(unsupported("a partial index"));
        }
        if !i.include.is_empty() {
            return Err(unsupported("INCLUDE columns"));
        }
        if i.nulls_distinct == Some(false) {
            return Err(unsupported("NULLS NOT DISTINCT"));
        }
        if i.concurrently {
            return Err(unsupported("CREATE INDEX CONCURRENTLY"));
        }
        if !i.with.is_empty() || !i.index_options.is_empty() || !i.alter_options.is_empty() {
            return Err(unsupported("an index's storage parameters"));
        }
        let table = self.base_table(&i.table_name)?;
        let columns = index_columns(&i.columns)?;
        for c in &columns {
            if table.column(c).is_none() {
                return Err(Error::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{c}\" does not exist"),
                ));
            }
        }
        let name = match &i.name {
            Some(n) => Some(own_name(n)?),
            None if i.if_not_exists => {
                return Err(syntax("syntax error at or near \"on\""));
            }
            None => None,
        };
        Ok(Statement::Ddl(Ddl::CreateIndex {
            name,
            table: table.name.clone(),
            columns,
            unique: i.unique,
            if_not_exists: i.if_not_exists,
        }))
    }

    pub(super) fn alter_table(&mut self, a: &'a ast::AlterTable) -> Result<Statement> {
        let [AlterTableOperation::AddConstraint { constraint, .. }] = a.operations.as_slice()
        else {
            return Err(unsupported("this ALTER TABLE"));
        };
        if a.if_exists {
            return Err(unsupported("ALTER TABLE IF EXISTS"));
        }
        let table = self.base_table(&a.name)?;
        let known = |columns: &[String]| {
            for c in columns {
                if table.column(c).is_none() {
                    return Err(table::no_key_column(c));
                }
            }
            Ok(())
        };
        let ddl = match constraint {
            TableConstraint::PrimaryKey(k) => {
                if table.has_key() {
                    return Err(table::second_key(&table.name));
                }
                let columns = index_columns(&k.columns)?;
                known(&columns)?;
                Ddl::AddPrimaryKey {
                    table: table.name.clone(),
                    name: k.name.as_ref().map(names::ident),
                    columns,
                }
            }
            TableConstraint::Unique(k) => {
                let columns = index_columns(&k.columns)?;
                known(&columns)?;
                Ddl::AddUnique {
                    table: table.name.clone(),
                    name: k.name.as_ref().map(names::ident),
                    columns,
                }
            }
            TableConstraint::ForeignKey(_) => return Err(unsupported("FOREIGN KEY")),
            _ => return Err(unsupported("this ALTER TABLE")),
        };
        Ok(Statement::Ddl(ddl))
    }

    pub(super) fn drop(&mut self, s: &'a ast::Statement) -> Result<Statement> {
        let ast::Statement::Drop {
            object_type,
            if_exists,
            names: list,
            purge: false,
            temporary: false,
            table: None,
            ..
        } = s
        else {
            return Err(syntax("syntax error in DROP"));
        };
        let names = list.iter().map(own_name).collect::<Result<Vec<_>>>()?;
        let if_exists = *if_exists;
        match object_type {
            ObjectType::Table => Ok(Statement::Ddl(Ddl::DropTable { names, if_exists })),
            ObjectType::Index => Ok(Statement::Ddl(Ddl::DropIndex { names, if_exists })),
            other => Err(unsupported(&format!("DROP {other}"))),
        }
    }
}

/// A name in `public`, the one schema where things can be made or dropped.
pub(super) fn own_name(name: &ast::ObjectName) -> Result<String> {
    let (schema, base) = names::qualified(name)?;
    match schema.as_deref() {
        None | Some("public") => Ok(base),
        Some("pg_catalog" | "information_schema") => Err(Error::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied to change \"{base}\": system catalogs cannot be modified"),
        )),
        Some(other) => Err(names::unknown_schema(other)),
    }
}

/// Plain columns in ascending order, each at most once.
pub(super) fn index_columns(columns: &[IndexColumn]) -> Result<Vec<String>> {
    if columns.len() > limits::INDEX_COLUMNS_MAX {
        return Err(Error::new(
            SqlState::TOO_MANY_COLUMNS,
            format!(
                "cannot use more than {} columns in an index",
                limits::INDEX_COLUMNS_MAX
            ),
        ));
    }
    let mut out: Vec<String> = Vec::with_capacity(columns.len());
    for c in columns {
        let ast::Expr::Identifier(i) = &c.column.expr else {
            return Err(unsupported("an index on an expression"));
        };
        let options = &c.column.options;
        let ascending = matches!(options.sort, None | Some(ast::OrderBySort::Asc));
        if !ascending || options.nulls_first == Some(true) {
            return Err(unsupported("a descending index column")
                .with_hint("An ascending index serves both directions."));
        }
        if c.operator_class.is_some() {
            return Err(unsupported("an operator class"));
        }
        let name = names::ident(i);
        if out.contains(&name) {
            return Err(Error::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" appears twice in a key or index"),
            ));
        }
        out.push(name);
    }
    Ok(out)
}
