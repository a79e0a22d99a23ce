//! UPDATE, DELETE and RETURNING.
//!
//! Owns: assignments. Source: `transformUpdateStmt`, `transformDeleteStmt`.

use super::insert::is_default;
use super::{Binder, Clause, Cx, names, rows, syntax, unsupported};
use crate::sql::statement::Statement;
use engine::catalog::Table;
use engine::plan::{Access, Assignment, Delete, Expr, Returning, Update};
use sqlparser::ast::{self, AssignmentTarget, FromTable, SelectItem, TableFactor, TableWithJoins};
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, SqlState};

impl<'a> Binder<'a> {
    pub(super) fn update(&mut self, u: &'a ast::Update) -> Result<Statement> {
        if u.or.is_some() || u.output.is_some() || !u.order_by.is_empty() || u.limit.is_some() {
            return Err(syntax("syntax error in UPDATE"));
        }
        if u.from.is_some() {
            return Err(
                unsupported("UPDATE … FROM").with_hint("Use a subquery in SET and WHERE instead.")
            );
        }
        let (table, alias) = self.changed_table(&u.table)?;
        let mut cx = Cx::new(self.table_scope(&table, alias), Clause::Update);
        let assignments = self.assignments(&u.assignments, &table, &mut cx)?;
        let filter = self.where_clause(u.selection.as_ref(), &mut cx)?;
        let returning = match &u.returning {
            Some(items) => Some(self.returning(items, &table, alias)?),
            None => None,
        };
        Ok(Statement::Update(Update {
            table,
            access: Access::Full,
            filter,
            assignments,
            returning,
        }))
    }

    pub(super) fn delete(&mut self, d: &'a ast::Delete) -> Result<Statement> {
        let foreign = !d.tables.is_empty()
            || d.output.is_some()
            || !d.order_by.is_empty()
            || d.limit.is_some();
        let FromTable::WithFromKeyword(from) = &d.from else {
            return Err(syntax("syntax error in DELETE"));
        };
        let [table] = from.as_slice() else {
            return Err(syntax("syntax error in DELETE"));
        };
        if foreign {
            return Err(syntax("syntax error in DELETE"));
        }
        if d.using.is_some() {
            return Err(unsupported("DELETE … USING").with_hint("Use a subquery in WHERE instead."));
        }
        let (table, alias) = self.changed_table(table)?;
        let mut cx = Cx::new(self.table_scope(&table, alias), Clause::Where);
        let filter = self.where_clause(d.selection.as_ref(), &mut cx)?;
        let returning = match &d.returning {
            Some(items) => Some(self.returning(items, &table, alias)?),
            None => None,
        };
        Ok(Statement::Delete(Delete {
            table,
            access: Access::Full,
            filter,
            returning,
        }))
    }

    fn changed_table(
        &mut self,
        t: &'a TableWithJoins,
    ) -> Result<(Arc<Table>, Option<&'a ast::Ident>)> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = &t.relation
        else {
            return Err(syntax("syntax error after the table's name"));
        };
        if !t.joins.is_empty() {
            return Err(syntax("syntax error after the table's name"));
        }
        let table = self.base_table(name)?;
        Ok((table, alias.as_ref().map(|a| &a.name)))
    }

    fn where_clause(&mut self, e: Option<&'a ast::Expr>, cx: &mut Cx) -> Result<Option<Expr>> {
        cx.clause = Clause::Where;
        match e {
            Some(e) => {
                let e = self.expr(e, cx)?;
                self.condition(e, "WHERE").map(Some)
            }
            None => Ok(None),
        }
    }

    /// SET: one value a column, each column once.
    pub(super) fn assignments(
        &mut self,
        list: &'a [ast::Assignment],
        table: &Table,
        cx: &mut Cx,
    ) -> Result<Vec<Assignment>> {
        let mut out: Vec<Assignment> = Vec::with_capacity(list.len());
        for a in list {
            match &a.target {
                AssignmentTarget::ColumnName(name) => {
                    self.one_assignment(name, &a.value, table, cx, &mut out)?;
                }
                AssignmentTarget::Tuple(targets) => {
                    let Some(values) = rows::items(&a.value) else {
                        if let ([only], false) = (
                            targets.as_slice(),
                            matches!(a.value, ast::Expr::Subquery(_)),
                        ) {
                            self.one_assignment(only, &a.value, table, cx, &mut out)?;
                            continue;
                        }
                        return Err(unsupported("assigning a subquery's row to several columns"));
                    };
                    if values.len() != targets.len() {
                        return Err(syntax("number of columns does not match number of values"));
                    }
                    for (name, value) in targets.iter().zip(values) {
                        self.one_assignment(name, value, table, cx, &mut out)?;
                    }
                }
            }
        }
        Ok(out)
    }

    fn one_assignment(
        &mut self,
        name: &ast::ObjectName,
        value: &'a ast::Expr,
        table: &Table,
        cx: &mut Cx,
        out: &mut Vec<Assignment>,
    ) -> Result<()> {
        let column = self.target_column(table, name)?;
        if out.iter().any(|a| a.column == column) {
            let shown = names::first_last(name).unwrap_or_default();
            return Err(syntax(format!(
                "multiple assignments to same column \"{shown}\""
            )));
        }
        let Some(def) = table.columns.get(column) else {
            return Err(Error::internal("a target column out of range"));
        };
        let mut inner = value;
        while let ast::Expr::Nested(x) = inner {
            inner = x;
        }
        if is_default(inner) && !std::ptr::eq(inner, value) {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "DEFAULT is not allowed in this context",
            ));
        }
        let expr = self.assigned(value, def, cx)?;
        out.push(Assignment { column, expr });
        Ok(())
    }

    /// RETURNING over the stored row.
    pub(super) fn returning(
        &mut self,
        items: &'a [SelectItem],
        table: &Table,
        alias: Option<&ast::Ident>,
    ) -> Result<Returning> {
        let scope: Rc<_> = self.table_scope(table, alias);
        let mut cx = Cx::new(scope, Clause::Returning);
        let targets = self.targets(items, &mut cx)?;
        let mut exprs = Vec::with_capacity(targets.len());
        let mut columns = Vec::with_capacity(targets.len());
        for t in targets {
            let e = self.settle_unknown(t.expr)?;
            let mut column = t.column;
            column.ty = e.ty();
            exprs.push(e);
            columns.push(column);
        }
        Ok(Returning {
            exprs,
            columns: Arc::new(columns),
        })
    }
}
