//! CREATE INDEX: its parts, INCLUDE and predicate over the table's row; REINDEX.
//!
//! Owns: what may be indexed: columns and immutable expressions, in which order, by which operator class. Asked by: `ddl`, and
//! ON CONFLICT, which names an index by its parts. Source: PostgreSQL 15, `ComputeIndexAttrs`, `transformIndexStmt`.

use super::super::{Binder, Clause, Cx, names, syntax, unsupported};
use super::name_of;
use super::parameters;
use super::table::{columns_scope, plain_definition};
use crate::parse::define::{Parameter, Reindexed};
use crate::parse::rename;
use crate::statement::Statement;
use engine::catalog::{Index, KeyPart, OpClass, PartOf, Relation as Found, SqlExpr, Table, system};
use engine::exec::cast;
use engine::exec::eval::fold;
use engine::exec::functions::Volatility;
use engine::plan::Expr;
use engine::plan::ddl::{Ddl, NewIndex};
use sqlparser::ast::{self, IndexColumn, IndexType};
use std::rc::Rc;
use types::{Error, Result, SqlState, limits};

impl<'a> Binder<'a> {
    pub(in crate::bind) fn create_index(&mut self, i: &'a ast::CreateIndex) -> Result<Statement> {
        match &i.using {
            None | Some(IndexType::BTree) => {}
            Some(_) => return Err(unsupported("this index method").with_hint("Use btree.")),
        }
        if !i.index_options.is_empty() || !i.alter_options.is_empty() || i.r#async {
            return Err(unsupported("an index's storage parameters"));
        }
        let with = i.with.iter().map(parameter);
        parameters::set(&with.collect::<Result<Vec<_>>>()?, parameters::Kind::Index)?;
        let table = self.indexed_table(&i.table_name)?;
        let count = i.columns.len() + i.include.len();
        if count > limits::INDEX_COLUMNS_MAX {
            let max = limits::INDEX_COLUMNS_MAX;
            return Err(Error::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("cannot use more than {max} columns in an index"),
            ));
        }
        let name = match &i.name {
            Some(n) => Some(names::qualified(n)?.1),
            None if i.if_not_exists => return Err(syntax("syntax error at or near \"on\"")),
            None => None,
        };
        let parts = i.columns.iter().map(|c| self.index_part(&table, c));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let include = i.include.iter().map(|c| self.ordinal(&table, c));
        let include = include.collect::<Result<Vec<_>>>()?;
        let predicate = match &i.predicate {
            Some(e) => Some(self.index_predicate(&table, e)?),
            None => None,
        };
        let index = Index {
            parts,
            include,
            unique: i.unique,
            nulls_not_distinct: i.unique && i.nulls_distinct == Some(false),
            predicate,
            ..Index::default()
        };
        Ok(Statement::Ddl(Ddl::CreateIndex {
            table: name_of(&table),
            since: table.since,
            new: Box::new(NewIndex { name, index }),
            if_not_exists: i.if_not_exists,
            concurrently: i.concurrently,
        }))
    }

    /// A part of a key: a column or an expression, with its order and operator class.
    pub(in crate::bind) fn index_part(
        &mut self,
        table: &Table,
        c: &'a IndexColumn,
    ) -> Result<KeyPart> {
        let options = &c.column.options;
        let descending = match options.sort {
            None | Some(ast::OrderBySort::Asc) => false,
            Some(ast::OrderBySort::Desc) => true,
            Some(_) => return Err(syntax("syntax error at or near \"USING\"")),
        };
        let of = match &c.column.expr {
            ast::Expr::Identifier(i) => PartOf::Column(self.ordinal(table, i)?),
            e => self.index_expr(table, e)?,
        };
        let mut part = KeyPart {
            of,
            descending,
            nulls_first: options.nulls_first.unwrap_or(descending),
            class: OpClass::Default,
        };
        if let Some(class) = &c.operator_class {
            let (_, name) = names::qualified(class)?;
            part.class = system::class_named(&name, part.ty(table)).unwrap_or_else(|| {
                Err(Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("operator class \"{name}\" does not exist for access method \"btree\""),
                ))
            })?;
        }
        Ok(part)
    }

    fn ordinal(&self, table: &Table, i: &ast::Ident) -> Result<usize> {
        let name = names::ident(i);
        table.column(&name).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" does not exist"),
            )
        })
    }

    fn index_expr(&mut self, table: &Table, e: &'a ast::Expr) -> Result<PartOf> {
        let scope = Rc::new(columns_scope(&table.columns, &table.name));
        let mut cx = Cx::new(scope, Clause::IndexExpression);
        let bound = self.expr(e, &mut cx)?;
        let expr = fold(bound, None);
        if let Expr::Column(c, _) = expr {
            return Ok(PartOf::Column(c));
        }
        plain_definition(&expr, "index expression")?;
        if !is_immutable(&expr) {
            return Err(mutable("index expression"));
        }
        let sql = rename::types_folded(&format!("({e})"));
        let sql = rename::unqualified(&sql, &table.name);
        Ok(PartOf::Expr(SqlExpr { sql, expr }))
    }

    /// Over the table's row.
    pub(in crate::bind) fn index_predicate(
        &mut self,
        table: &Table,
        e: &'a ast::Expr,
    ) -> Result<SqlExpr> {
        let scope = Rc::new(columns_scope(&table.columns, &table.name));
        let mut cx = Cx::new(scope, Clause::IndexPredicate);
        let bound = self.expr(e, &mut cx)?;
        let expr = fold(self.condition(bound, "WHERE")?, None);
        plain_definition(&expr, "index predicate")?;
        if !is_immutable(&expr) {
            return Err(mutable("index predicate"));
        }
        let sql = rename::types_folded(&format!("({e})"));
        let sql = rename::unqualified(&sql, &table.name);
        Ok(SqlExpr { sql, expr })
    }
}

impl Binder<'_> {
    pub(super) fn reindex(
        &self,
        what: Reindexed,
        name: &ast::ObjectName,
        concurrently: bool,
    ) -> Result<Statement> {
        let (schema, base) = self.qualified(name)?;
        let missing = || {
            Error::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{base}\" does not exist"),
            )
        };
        let wrong = |is: &str| {
            Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{base}\" is not {is}"),
            )
        };
        let all = || self.env.catalog.tables.values();
        let (tables, index) = match what {
            Reindexed::Index => match self.find(schema.as_deref(), &base) {
                Some(Found::Index(t, i)) => (vec![t.id], Some(i.id)),
                Some(Found::PrimaryKey(t)) => (vec![t.id], Some(t.primary_key_id)),
                Some(_) => return Err(wrong("an index")),
                None => return Err(missing()),
            },
            Reindexed::Table => match self.find(schema.as_deref(), &base) {
                Some(Found::Table(t)) => (vec![t.id], None),
                Some(_) => return Err(wrong("a table or materialized view")),
                None => return Err(missing()),
            },
            Reindexed::Schema => {
                if self.env.catalog.schema_oid(&base).is_none() {
                    return Err(names::unknown_schema(&base));
                }
                let own = all().filter(|t| t.schema == base);
                (own.map(|t| t.id).collect(), None)
            }
            Reindexed::Database => {
                if base != self.env.context.session.database {
                    return Err(Error::unsupported(
                        "can only reindex the currently open database",
                    ));
                }
                let lasting = all().filter(|t| !t.is_temporary());
                (lasting.map(|t| t.id).collect(), None)
            }
        };
        let alone = match what {
            _ if concurrently => Some("REINDEX CONCURRENTLY"),
            Reindexed::Schema => Some("REINDEX SCHEMA"),
            Reindexed::Database => Some("REINDEX DATABASE"),
            Reindexed::Index | Reindexed::Table => None,
        };
        Ok(Statement::Ddl(Ddl::Reindex {
            tables,
            index,
            alone,
        }))
    }
}

fn mutable(what: &str) -> Error {
    Error::new(
        SqlState::INVALID_OBJECT_DEFINITION,
        format!("functions in {what} must be marked IMMUTABLE"),
    )
}

/// Whether it depends on its row alone.
pub(super) fn is_immutable(e: &Expr) -> bool {
    !e.any(&mut |e| match e {
        Expr::Call { func, .. } => func.0.volatility != Volatility::Immutable,
        Expr::Cast { expr, to, .. } => !cast::is_immutable(expr.ty(), *to),
        _ => false,
    })
}

/// `WITH (fillfactor = n)`.
fn parameter(e: &ast::Expr) -> Result<Parameter> {
    let read = match e {
        ast::Expr::BinaryOp {
            left,
            op: ast::BinaryOperator::Eq,
            right,
        } => match &**left {
            ast::Expr::Identifier(key) => Parameter::of(key, right),
            _ => None,
        },
        _ => None,
    };
    read.ok_or_else(|| unsupported("this storage parameter"))
}
