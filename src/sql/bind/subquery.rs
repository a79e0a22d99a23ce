//! Subqueries in expressions, and columns of the rows around them.
//!
//! Owns: the stack of enclosing rows: `Expr::Outer` counts it. Source: `parse_sub_select` and `colNameToVar`.

use super::query::Rel;
use super::scope::{Found, Scope, is_system_column};
use super::{Binder, Cx, Frame, names, syntax, unsupported, walk};
use crate::parse::plpgsql::Conflict;
use engine::exec::cast::CastContext;
use engine::exec::resolve;
use engine::plan::{Expr, FuncRef, SubqueryKind};
use sqlparser::ast;
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState};

impl<'a> Binder<'a> {
    /// Binds a query whose row is inside this one's; true when it refers to this row or one further out.
    pub(super) fn subquery(&mut self, q: &'a ast::Query, cx: &Cx) -> Result<(Rel, bool)> {
        self.banned(Some("a subquery"), |b| b.inside(cx.frame(), |b| b.query(q)))
    }

    /// Runs `f` with one more enclosing row.
    pub(super) fn inside<T>(
        &mut self,
        frame: Frame,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, bool)> {
        self.frames.push(frame);
        let out = f(self);
        let crossed = self.frames.pop().is_some_and(|f| f.crossed.get());
        Ok((out?, crossed))
    }

    pub(super) fn scalar_subquery(&mut self, q: &'a ast::Query, cx: &mut Cx) -> Result<Expr> {
        let (rel, correlated) = self.subquery(q, cx)?;
        let ty = one_column(&rel)?;
        Ok(Expr::Subquery {
            plan: Arc::new(rel.plan),
            kind: SubqueryKind::Scalar,
            correlated,
            ty,
        })
    }

    pub(super) fn array_subquery(&mut self, q: &'a ast::Query, cx: &mut Cx) -> Result<Expr> {
        let (rel, correlated) = self.subquery(q, cx)?;
        let element = one_column(&rel)?;
        let ty = element
            .array()
            .ok_or_else(|| unsupported("an array of arrays"))?;
        Ok(Expr::Subquery {
            plan: Arc::new(rel.plan),
            kind: SubqueryKind::Array,
            correlated,
            ty,
        })
    }

    pub(super) fn exists(&mut self, q: &'a ast::Query, negated: bool, cx: &mut Cx) -> Result<Expr> {
        let (rel, correlated) = self.subquery(q, cx)?;
        let exists = Expr::Subquery {
            plan: Arc::new(rel.plan),
            kind: SubqueryKind::Exists,
            correlated,
            ty: DataType::Bool,
        };
        Ok(if negated {
            Expr::Not(Box::new(exists))
        } else {
            exists
        })
    }

    /// `left IN (SELECT …)`: `= ANY`; NOT IN is `<> ALL`.
    pub(super) fn in_subquery(
        &mut self,
        left: Expr,
        q: &'a ast::Query,
        negated: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let symbol = if negated { "<>" } else { "=" };
        self.quantified_subquery(left, symbol, q, negated, cx)
    }

    pub(super) fn quantified_subquery(
        &mut self,
        left: Expr,
        symbol: &str,
        q: &'a ast::Query,
        all: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let (mut rel, correlated) = self.subquery(q, cx)?;
        if rel.columns.len() > 1 {
            return Err(syntax("subquery has too many columns"));
        }
        let column = one_column(&rel)?;
        let found = resolve::operator(symbol, Some(left.ty()), column)?;
        if found.ret != DataType::Bool {
            return Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("operator {symbol} must return type boolean to be used with a subquery"),
            ));
        }
        let [l, r] = found.arg_types.as_slice() else {
            return Err(Error::internal(
                "an infix operator of other than two operands",
            ));
        };
        let (l, r) = (*l, *r);
        let left = self.coerce_arg(left, l)?;
        self.coerce_output(&mut rel, 0, r, CastContext::Implicit)?;
        Ok(Expr::Subquery {
            plan: Arc::new(rel.plan),
            kind: SubqueryKind::Quantified {
                left: Box::new(left),
                op: FuncRef(found.func),
                all,
            },
            correlated,
            ty: DataType::Bool,
        })
    }

    /// An unqualified column of this row or the nearest enclosing one that has it.
    pub(super) fn column(&mut self, name: &str, i: &ast::Ident, cx: &Cx) -> Result<Expr> {
        let look = |scope: &Scope| match scope.unqualified(name)? {
            Found::Column(e) => {
                self.saw(e);
                self.note_column(e, std::slice::from_ref(i), scope);
                Ok(Some(e.expr.clone()))
            }
            _ => Ok(None),
        };
        if let Some(e) = self
            .look_outwards(cx, look)
            .map_err(|e| self.at(e, i.span))?
        {
            return match (self.variable(name), self.conflict) {
                (Some(_), Conflict::Error) => Err(self.at(super::around::ambiguous(name), i.span)),
                (Some(variable), Conflict::Variable) => Ok(variable),
                (Some(_), Conflict::Column) | (None, _) => Ok(e),
            };
        }
        if let Some(e) = self.variable(name) {
            return Ok(e);
        }
        let row = self.row_named(None, name, cx);
        if let Some(e) = row.map_err(|e| self.at(e, i.span))? {
            return Ok(e);
        }
        if let Some(e) = self.argument_named(None, name) {
            return Ok(e);
        }
        if is_system_column(name) && cx.scope.has_base_table() {
            return Err(self.at(unsupported(&format!("system column {name}")), i.span));
        }
        let e = Error::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" does not exist"),
        );
        Err(self.at(e, i.span))
    }

    /// `t.c` or `s.t.c`.
    pub(super) fn compound(&mut self, parts: &[ast::Ident], cx: &mut Cx) -> Result<Expr> {
        if let Some((schema, alias)) = super::around::starred(parts) {
            let (schema, name) = (schema.map(names::ident), names::ident(alias));
            let row = self.row_named(schema.as_deref(), &name, cx)?;
            return row.ok_or_else(|| self.at(self.missing_from(&name, cx), alias.span));
        }
        let folded: Vec<String> = parts.iter().map(names::ident).collect();
        let (schema, table, name) = self.in_parts(&folded)?;
        let span = parts.first().map(|i| i.span);
        let position = |b: &Self, e| match span {
            Some(s) => b.at(e, s),
            None => e,
        };
        let mut relation_seen = false;
        let mut base = false;
        let mut look = |scope: &Scope| match scope.qualified(schema, table, name)? {
            // The nearest of that name hides those further out.
            _ if relation_seen => Ok(None),
            Found::Column(e) => {
                self.saw(e);
                self.note_column(e, parts, scope);
                Ok(Some(e.expr.clone()))
            }
            Found::NoSuchColumn => {
                relation_seen = true;
                base = scope.has_base_table();
                Ok(None)
            }
            Found::Nothing => Ok(None),
        };
        match self.look_outwards(cx, &mut look) {
            Ok(Some(e)) => return Ok(e),
            Ok(None) if !relation_seen && schema.is_none() => {
                if let Some(e) = self.argument_named(Some(table), name) {
                    return Ok(e);
                }
                if let Some(found) = self.row_field(table, name) {
                    return found.map_err(|e| position(self, e));
                }
            }
            Ok(None) => {}
            Err(e) => return Err(position(self, e)),
        }
        if !relation_seen
            && let Some(row) = self.argument_named(schema, table)
            && let Ok(field) = self.field_of(row, name, cx)
        {
            return Ok(field);
        }
        if relation_seen && base && is_system_column(name) {
            return Err(unsupported(&format!("system column {name}")));
        }
        if relation_seen {
            let e = Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column {table}.{name} does not exist"),
            );
            return Err(position(self, e));
        }
        Err(position(self, self.missing_from(table, cx)))
    }

    /// The schema, table and name of a column.
    fn in_parts<'n>(&self, folded: &'n [String]) -> Result<(Option<&'n str>, &'n str, &'n str)> {
        Ok(match folded {
            [t, c] => (None, t.as_str(), c.as_str()),
            [s, t, c] => (Some(s.as_str()), t.as_str(), c.as_str()),
            [d, s, t, c] if *d == self.env.context.session.database => {
                (Some(s.as_str()), t.as_str(), c.as_str())
            }
            [_, _, _, _] => {
                return Err(Error::unsupported(format!(
                    "cross-database references are not implemented: {}",
                    folded.join(".")
                )));
            }
            _ => {
                return Err(syntax(format!(
                    "improper qualified name (too many dotted names): {}",
                    folded.join(".")
                )));
            }
        })
    }

    /// 42P01 for a name that no item of FROM has, with a hint where an alias hides it.
    pub(super) fn missing_from(&self, table: &str, cx: &Cx) -> Error {
        let hidden = cx
            .scope
            .relations
            .iter()
            .find(|r| r.table.as_deref() == Some(table) && r.alias != table);
        match hidden {
            Some(r) => Error::new(
                SqlState::UNDEFINED_TABLE,
                format!("invalid reference to FROM-clause entry for table \"{table}\""),
            )
            .with_hint(format!(
                "Perhaps you meant to reference the table alias \"{}\".",
                r.alias
            )),
            None => Error::new(
                SqlState::UNDEFINED_TABLE,
                format!("missing FROM-clause entry for table \"{table}\""),
            ),
        }
    }

    /// Looks in this row, then in the enclosing ones; what is found further out is marked as crossing.
    pub(super) fn look_outwards(
        &self,
        cx: &Cx,
        mut look: impl FnMut(&Scope) -> Result<Option<Expr>>,
    ) -> Result<Option<Expr>> {
        if let Some(e) = look(&cx.scope)? {
            return Ok(Some(e));
        }
        for (i, frame) in self.frames.iter().rev().enumerate() {
            if let Some(e) = look(&frame.scope)? {
                let crossed = self.frames.iter().rev().take(i + 1);
                crossed.for_each(|f| f.crossed.set(true));
                return Ok(Some(walk::lift(&e, i + 1)));
            }
        }
        Ok(None)
    }
}

fn one_column(rel: &Rel) -> Result<DataType> {
    match rel.columns.as_slice() {
        [c] => Ok(c.ty),
        _ => Err(syntax("subquery must return only one column")),
    }
}
