//! UPDATE, DELETE and RETURNING.
//!
//! Owns: assignments. Source: `transformUpdateStmt`, `transformDeleteStmt`.

use super::insert::is_default;
use super::places::Place;
use super::scope::Scope;
use super::through::{Change, Target};
use super::{Binder, Clause, Cx, merge, rows, syntax};
use crate::statement::Statement;
use engine::catalog::triggers::Event;
use engine::catalog::{ColumnDef, Table};
use engine::plan::{Access, Assignment, Delete, Expr, Homes, MergeWord, Returning, Update};
use sqlparser::ast::{
    self, AssignmentTarget, FromTable, SelectItem, TableFactor, TableWithJoins, UpdateTableFromKind,
};
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result};

impl<'a> Binder<'a> {
    pub(super) fn update(&mut self, u: &'a ast::Update) -> Result<Statement> {
        if u.or.is_some() || u.output.is_some() || !u.order_by.is_empty() || u.limit.is_some() {
            return Err(syntax("syntax error in UPDATE"));
        }
        let from = match &u.from {
            None => None,
            Some(UpdateTableFromKind::AfterSet(items)) => Some(items.as_slice()),
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Err(syntax("syntax error at or near \"FROM\""));
            }
        };
        let (target, alias) = self.changed_table(&u.table, Change::Update)?;
        let table = target.table.clone();
        let sides = self.sides(target.scope(alias), from)?;
        let mut cx = Cx::new(sides.scope.clone(), Clause::Update);
        let assignments = self.assignments(&u.assignments, &target.named, &mut cx);
        let assignments = assignments.map_err(|e| target.explained(Change::Update, e))?;
        let filter = self.where_clause(u.selection.as_ref(), &mut cx)?;
        let filter = target.condition(filter);
        let returning = match &u.returning {
            Some(items) => Some(self.returning(items, sides.scope.clone())?),
            None => None,
        };
        let row_by_row = assignments.iter().map(|a| &a.expr).chain(&filter);
        if sides.source.is_some()
            || self.env.catalog.fires_on(table.id, Event::Update)
            || row_by_row.clone().any(merge::reads_row_inside)
            // What reads no row would be computed once.
            || row_by_row.clone().any(super::view::draws_values)
            || assignments.iter().any(|a| merge::is_packed(&a.expr))
        {
            let word = MergeWord::Update;
            return Ok(self.found_change(word, table, sides, filter, assignments, returning));
        }
        Ok(Statement::Update(Update {
            table,
            access: Access::Full,
            homes: Homes::new(),
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
        let (target, alias) = self.changed_table(table, Change::Delete)?;
        let table = target.table.clone();
        let sides = self.sides(target.scope(alias), d.using.as_deref())?;
        let mut cx = Cx::new(sides.scope.clone(), Clause::Where);
        let filter = self.where_clause(d.selection.as_ref(), &mut cx)?;
        let filter = target.condition(filter);
        let returning = match &d.returning {
            Some(items) => Some(self.returning(items, sides.scope.clone())?),
            None => None,
        };
        if sides.source.is_some()
            || self.env.catalog.fires_on(table.id, Event::Delete)
            || filter.iter().any(merge::reads_row_inside)
            || filter.iter().any(super::view::draws_values)
        {
            let word = MergeWord::Delete;
            return Ok(self.found_change(word, table, sides, filter, Vec::new(), returning));
        }
        Ok(Statement::Delete(Delete {
            table,
            access: Access::Full,
            homes: Homes::new(),
            filter,
            returning,
        }))
    }

    fn changed_table(
        &mut self,
        t: &'a TableWithJoins,
        change: Change,
    ) -> Result<(Target, Option<&'a ast::Ident>)> {
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
        let target = self.changed(name, change)?;
        Ok((target, alias.as_ref().map(|a| &a.name)))
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

    /// SET: one value a place, each place once.
    pub(super) fn assignments(
        &mut self,
        list: &'a [ast::Assignment],
        table: &Table,
        cx: &mut Cx,
    ) -> Result<Vec<Assignment>> {
        let mut out: Vec<Given> = Vec::with_capacity(list.len());
        for a in list {
            match &a.target {
                AssignmentTarget::ColumnName(name) => {
                    self.one_assignment(name, &a.value, table, cx, &mut out)?;
                }
                AssignmentTarget::Tuple(targets) => {
                    if let (Some(q), true) = (subquery_of(&a.value), targets.len() > 1) {
                        let values = self.packed_subquery(q, targets.len(), cx)?;
                        for (name, value) in targets.iter().zip(values) {
                            let place = self.place(table, name)?;
                            self.put_value(&place, value, table, cx, &mut out)?;
                        }
                        continue;
                    }
                    let Some(values) = rows::items(&a.value) else {
                        if let ([only], false) = (
                            targets.as_slice(),
                            matches!(a.value, ast::Expr::Subquery(_)),
                        ) {
                            self.one_assignment(only, &a.value, table, cx, &mut out)?;
                            continue;
                        }
                        return Err(Error::unsupported(
                            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
                        ));
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
        let assigned = out.into_iter().map(|g| Assignment {
            column: g.column,
            expr: g.expr,
        });
        Ok(assigned.collect())
    }

    fn one_assignment(
        &mut self,
        name: &ast::ObjectName,
        value: &'a ast::Expr,
        table: &Table,
        cx: &mut Cx,
        out: &mut Vec<Given>,
    ) -> Result<()> {
        let place = self.place(table, name)?;
        let mut inner = value;
        while let ast::Expr::Nested(x) = inner {
            inner = x;
        }
        if is_default(inner) && !std::ptr::eq(inner, value) {
            return Err(syntax("DEFAULT is not allowed in this context"));
        }
        let def = column_of(table, place.column)?;
        if !place.path.is_empty() {
            let value = self.part_value(&place, value, def, cx)?;
            return self.put_value(&place, value, table, cx, out);
        }
        refuse_again(&place, def, out)?;
        let expr = self.assigned(value, def, cx)?;
        out.push(Given {
            column: place.column,
            expr,
            whole: true,
        });
        Ok(())
    }

    /// A value in its place; other parts of the column may have theirs already.
    fn put_value(
        &mut self,
        place: &Place<'a>,
        value: Expr,
        table: &Table,
        cx: &mut Cx,
        out: &mut Vec<Given>,
    ) -> Result<()> {
        let column = place.column;
        let def = column_of(table, column)?;
        refuse_again(place, def, out)?;
        let known = out.iter().position(|g| g.column == column);
        let old = match known {
            Some(at) => out.remove(at).expr,
            None => Expr::Column(column, def.ty),
        };
        let given = Given {
            column,
            expr: self.put(place, old, value, def, cx)?,
            whole: place.path.is_empty(),
        };
        out.insert(known.unwrap_or(out.len()), given);
        Ok(())
    }

    /// RETURNING over the stored row, or it and those it was found by.
    pub(super) fn returning(
        &mut self,
        items: &'a [SelectItem],
        scope: Rc<Scope>,
    ) -> Result<Returning> {
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

/// What a column gets.
struct Given {
    column: usize,
    expr: Expr,
    /// Not a part of it alone.
    whole: bool,
}

/// 42601 for a column that has been given something, where that or this is all of it.
fn refuse_again(place: &Place, column: &ColumnDef, out: &[Given]) -> Result<()> {
    let again = |g: &Given| g.column == place.column && (g.whole || place.path.is_empty());
    match out.iter().any(again) {
        true => Err(syntax(format!(
            "multiple assignments to same column \"{}\"",
            column.name
        ))),
        false => Ok(()),
    }
}

fn column_of(table: &Table, column: usize) -> Result<&ColumnDef> {
    let def = table.columns.get(column);
    def.ok_or_else(|| Error::internal("a target column out of range"))
}

/// `(SELECT …)`, in any number of parentheses.
fn subquery_of(e: &ast::Expr) -> Option<&ast::Query> {
    match e {
        ast::Expr::Nested(inner) => subquery_of(inner),
        ast::Expr::Subquery(q) => Some(q),
        _ => None,
    }
}
