//! What a statement in the body of a trigger's function finds around it: NEW, OLD and variables.
//!
//! Owns: names that no item of FROM has. They are parameters of the statement, so that it is planned once and run with the values of
//! each row. Asked by: name look-up, after the statement's own rows. Never: reads a body (`trigger` does).
//! Source: PostgreSQL 15, `pl_comp.c` (`plpgsql_post_column_ref`), with `variable_conflict` at `error`.

use super::scope::{Found, Relation};
use super::{Binder, Cx, names};
use engine::plan::Expr;
use sqlparser::ast;
use types::{Error, Result, SqlState};

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

    /// The columns of a row that is named as a whole: `t.*`, and NEW and OLD.
    pub(super) fn columns_of_row(
        &mut self,
        e: &'a ast::Expr,
        cx: &Cx,
    ) -> Result<Option<Vec<Expr>>> {
        let (schema, alias) = match e {
            ast::Expr::Nested(inner) => return self.columns_of_row(inner, cx),
            ast::Expr::QualifiedWildcard(name, _) => names::qualified(name)?,
            ast::Expr::Identifier(i) => {
                let name = names::ident(i);
                if !matches!(cx.scope.unqualified(&name)?, Found::Nothing) {
                    return Ok(None);
                }
                (None, name)
            }
            _ => return Ok(None),
        };
        let columns = |r: &Relation| r.columns.iter().map(|e| e.expr.clone()).collect();
        if let Some(relation) = cx.scope.relation(schema.as_deref(), &alias)? {
            relation.columns.iter().for_each(|e| self.saw(e));
            return Ok(Some(columns(relation)));
        }
        Ok(self.row_around(&alias).map(columns))
    }
}

/// Whether the left operand of a node is a row by its form: `t.*`, and NEW and OLD where rows are told apart.
pub(super) fn names_row(left: &ast::Expr, node: &ast::Expr) -> bool {
    use ast::Expr as E;
    match left {
        E::Nested(inner) => matches!(**inner, E::QualifiedWildcard(..)),
        E::QualifiedWildcard(..) => true,
        E::Identifier(i) => {
            let name = &i.value;
            matches!(node, E::IsDistinctFrom(..) | E::IsNotDistinctFrom(..))
                && i.quote_style.is_none()
                && (name.eq_ignore_ascii_case("new") || name.eq_ignore_ascii_case("old"))
        }
        _ => false,
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
