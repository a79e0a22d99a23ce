//! What a statement in a body in PL/pgSQL finds around it: NEW, OLD, records and variables.
//!
//! Owns: names that no item of FROM has. They are parameters of the statement, so that it is planned once and run with the values of
//! each row. Asked by: name look-up, after the statement's own rows. Never: reads a body (`program` does).
//! Source: PostgreSQL 15, `pl_comp.c` (`plpgsql_post_column_ref`), with `variable_conflict` at `error`.

use super::scope::Relation;
use super::{Binder, Cx, names};
use crate::parse::star::STAR;
use engine::exec::functions::records::made_of;
use engine::plan::Expr;
use sqlparser::ast;
use types::{DataType, Error, Result, SqlState};

impl<'a> Binder<'a> {
    /// The variable of that name.
    pub(super) fn variable(&self, name: &str) -> Option<Expr> {
        let visible = &self.around.as_ref()?.visible;
        let found = visible.iter().find(|e| e.name == name);
        found.map(|e| e.expr.clone())
    }

    /// A column of NEW or OLD, or a variable by the name of its function.
    pub(super) fn row_field(&self, row: &str, name: &str) -> Option<Result<Expr>> {
        let relation = self.row_around(row)?;
        if relation.row_type == DataType::Unknown {
            return Some(Err(super::program::not_assigned(row)));
        }
        let found = relation.columns.iter().find(|e| e.name == name);
        Some(
            found
                .map(|e| e.expr.clone())
                .ok_or_else(|| no_field(row, name)),
        )
    }

    /// TG_ARGV.
    pub(super) fn is_argv(&self, e: &Expr) -> bool {
        let Expr::Param(slot, _) = e else {
            return false;
        };
        let is = |v: Expr| matches!(v, Expr::Param(n, _) if n == *slot);
        self.variable("tg_argv").is_some_and(is)
    }

    /// NEW, OLD, or the variables of the function of that name.
    pub(super) fn row_around(&self, name: &str) -> Option<&Relation> {
        let around = self.around.as_ref()?;
        around.relations.iter().find(|r| r.alias == name)
    }

    /// The columns of `t.*` where a list is written: of VALUES, or of a row.
    pub(super) fn columns_of_row(
        &mut self,
        e: &'a ast::Expr,
        cx: &Cx,
    ) -> Result<Option<Vec<Expr>>> {
        let (schema, alias) = match e {
            ast::Expr::QualifiedWildcard(name, _) => names::qualified(name)?,
            ast::Expr::CompoundIdentifier(parts) => match starred(parts) {
                Some((schema, alias)) => (schema.map(names::ident), names::ident(alias)),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let columns = |e: Expr| made_of(&e).map(|(_, values)| values.to_vec());
        Ok(self
            .row_named(schema.as_deref(), &alias, cx)?
            .and_then(columns))
    }
}

/// `t.*` or `s.t.*` among the arguments of a call.
pub(super) fn starred(parts: &[ast::Ident]) -> Option<(Option<&ast::Ident>, &ast::Ident)> {
    match parts {
        [alias, star] if star.value == STAR => Some((None, alias)),
        [schema, alias, star] | [_, schema, alias, star] if star.value == STAR => {
            Some((Some(schema), alias))
        }
        _ => None,
    }
}

pub(super) fn ambiguous(name: &str) -> Error {
    Error::new(
        SqlState::AMBIGUOUS_COLUMN,
        format!("column reference \"{name}\" is ambiguous"),
    )
    .with_detail("It could refer to either a PL/pgSQL variable or a table column.")
}

pub(super) fn no_field(row: &str, name: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_COLUMN,
        format!("record \"{row}\" has no field \"{name}\""),
    )
}
