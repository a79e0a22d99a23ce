//! INSERT: source rows widened to whole table rows.
//!
//! Owns: column lists, defaults, assignment casts. Source: `transformInsertStmt`.

use super::places::Place;
use super::query::Rel;
use super::through::Change;
use super::{Binder, Clause, Cx, names, syntax};
use crate::parse::Overriding;
use crate::statement::Statement;
use engine::catalog::change::identity_value;
use engine::catalog::{ColumnDef, Table};
use engine::exec::cast::CastContext;
use engine::plan::{Expr, Insert, Plan};
use sqlparser::ast::{self, OnInsert, SetExpr, TableObject};
use std::rc::Rc;
use types::{Error, Result, SqlState, Value};

/// A value of VALUES: as it is written, or a column of `t.*`.
enum Item<'a> {
    Written(&'a ast::Expr),
    Column(Expr),
}

impl<'a> Binder<'a> {
    pub(super) fn insert(&mut self, i: &'a ast::Insert) -> Result<Statement> {
        refuse_others(i)?;
        let TableObject::TableName(name) = &i.table else {
            return Err(syntax("syntax error after INSERT INTO"));
        };
        let target = self.changed(name, Change::Insert)?;
        let targets = match i.columns.as_slice() {
            [] => Ok(target.places()),
            columns => self.insert_places(&target.named, columns),
        };
        let targets = targets.map_err(|e| target.explained(Change::Insert, e))?;
        let table = target.table.clone();
        let source = match &i.source {
            None => Plan::Values {
                rows: vec![self.whole_row(
                    &table,
                    &[],
                    Vec::new(),
                    &mut Cx::new(Rc::default(), Clause::Values),
                )?],
            },
            Some(q) => self.insert_source(q, &target.named, &targets, !i.columns.is_empty())?,
        };
        let alias = i.table_alias.as_ref().map(|a| &a.alias);
        let source = generated(&table, source);
        let on_conflict = match &i.on {
            None => None,
            Some(OnInsert::OnConflict(c)) => Some(self.on_conflict(c, &target, alias)?),
            Some(_) => return Err(syntax("syntax error after VALUES")),
        };
        let returning = match &i.returning {
            Some(items) => {
                let scope = target.scope(alias).with_xmax();
                Some(self.returning(items, Rc::new(scope))?)
            }
            None => None,
        };
        Ok(Statement::Insert(Insert {
            table,
            source,
            on_conflict,
            returning,
        }))
    }

    /// The named columns and parts of columns; all columns when none is named.
    pub(super) fn insert_places(
        &self,
        table: &Table,
        columns: &[ast::ObjectName],
    ) -> Result<Vec<Place<'a>>> {
        if columns.is_empty() {
            return Ok((0..table.columns.len()).map(Place::whole).collect());
        }
        let mut out: Vec<Place> = Vec::with_capacity(columns.len());
        for name in columns {
            let place = self.place(table, name)?;
            let whole = |p: &Place| p.path.is_empty();
            let again = |p: &Place| p.column == place.column && (whole(p) || whole(&place));
            if out.iter().any(again) {
                let shown = names::first_ident(name).map(names::ident);
                return Err(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!(
                        "column \"{}\" specified more than once",
                        shown.unwrap_or_default()
                    ),
                ));
            }
            out.push(place);
        }
        Ok(out)
    }

    fn insert_source(
        &mut self,
        q: &'a ast::Query,
        table: &Table,
        targets: &[Place<'a>],
        named: bool,
    ) -> Result<Plan> {
        if let SetExpr::Values(values) = &*q.body
            && q.with.is_none()
            && q.order_by.is_none()
            && q.limit_clause.is_none()
            && q.fetch.is_none()
        {
            return self.insert_values(values, table, targets, named);
        }
        self.depth += 1;
        let rel = self.query_in(q, true);
        self.depth -= 1;
        let rel = rel?;
        check_width(rel.columns.len(), targets.len(), named)?;
        self.widen(rel, table, targets)
    }

    fn insert_values(
        &mut self,
        values: &'a ast::Values,
        table: &Table,
        targets: &[Place<'a>],
        named: bool,
    ) -> Result<Plan> {
        let width = values.rows.first().map_or(0, |r| r.content.len());
        let mut cx = Cx::new(Rc::default(), Clause::Values);
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            if row.content.len() != width {
                return Err(syntax("VALUES lists must all be the same length"));
            }
            rows.push(self.insert_row(&row.content, table, targets, named, &mut cx)?);
        }
        Ok(Plan::Values { rows })
    }

    /// One row of VALUES as a row of the table.
    pub(super) fn insert_row(
        &mut self,
        values: &'a [ast::Expr],
        table: &Table,
        targets: &[Place<'a>],
        named: bool,
        cx: &mut Cx,
    ) -> Result<Vec<Expr>> {
        let mut items = Vec::with_capacity(values.len());
        for e in values {
            match self.columns_of_row(e, cx) {
                Ok(Some(columns)) => {
                    items.extend(columns.into_iter().map(Item::Column));
                }
                _ => items.push(Item::Written(e)),
            }
        }
        check_width(items.len(), targets.len(), named)?;
        let mut given = Vec::with_capacity(items.len());
        for (item, target) in items.into_iter().zip(targets) {
            let Some(column) = table.columns.get(target.column) else {
                return Err(Error::internal("a target column out of range"));
            };
            given.push(match item {
                Item::Written(e) if !target.path.is_empty() => {
                    self.part_value(target, e, column, cx)?
                }
                Item::Written(e) => self.assigned(e, column, cx)?,
                Item::Column(e) if !target.path.is_empty() => e,
                Item::Column(e) => {
                    if self.takes_own(column) {
                        self.default_of(column)
                    } else {
                        if self.overriding != Overriding::System || column.generated.is_some() {
                            refuse_own_value(column, false)?;
                        }
                        self.assign(e, column)?
                    }
                }
            });
        }
        self.whole_row(table, targets, given, cx)
    }

    /// A value for a column: DEFAULT or an expression, cast to the column's type.
    pub(super) fn assigned(
        &mut self,
        e: &'a ast::Expr,
        column: &ColumnDef,
        cx: &mut Cx,
    ) -> Result<Expr> {
        if is_default(e) {
            return Ok(self.default_of(column));
        }
        let update = cx.clause == Clause::Update;
        if !update && self.takes_own(column) {
            return Ok(self.default_of(column));
        }
        if self.overriding != Overriding::System || update || column.generated.is_some() {
            refuse_own_value(column, update)?;
        }
        let bound = self.expr(e, cx)?;
        let out = self.assign(bound, column);
        match literal_span(e) {
            Some(span) => out.map_err(|e| self.at(e, span)),
            None => out,
        }
    }

    /// OVERRIDING USER VALUE: an identity column has its own value, whatever is given.
    fn takes_own(&self, column: &ColumnDef) -> bool {
        self.overriding == Overriding::User && column.identity.is_some()
    }

    /// INSERT … SELECT: the query's columns cast in place, then spread over the table's row.
    fn widen(&mut self, mut rel: Rel, table: &Table, targets: &[Place<'a>]) -> Result<Plan> {
        let mut cx = Cx::new(Rc::default(), Clause::Values);
        let columns: Vec<&ColumnDef> = targets
            .iter()
            .filter_map(|t| table.columns.get(t.column))
            .collect();
        // What is still untyped takes the column's type where it is written, so that its text is read as that type.
        let types: Vec<types::DataType> = rel
            .columns
            .iter()
            .zip(columns.iter().zip(targets))
            .map(|(c, (d, place))| match c.ty {
                types::DataType::Unknown => self.type_in(place, d),
                ty => ty,
            })
            .collect();
        self.coerce_outputs(&mut rel, &types, CastContext::Assignment)?;
        for d in &columns {
            if self.takes_own(d) {
                continue;
            }
            if self.overriding != Overriding::System || d.generated.is_some() {
                refuse_own_value(d, false)?;
            }
        }
        let mut given = Vec::with_capacity(columns.len());
        for (i, (c, (d, place))) in (rel.columns.iter())
            .zip(columns.iter().zip(targets))
            .enumerate()
        {
            if !place.path.is_empty() {
                given.push(Expr::Column(i, c.ty));
                continue;
            }
            if self.takes_own(d) {
                given.push(self.default_of(d));
                continue;
            }
            let e = Expr::Column(i, c.ty);
            let same = c.ty == d.ty && c.typmod == d.typmod;
            given.push(if same { e } else { self.assign(e, d)? });
        }
        Ok(Plan::Project {
            input: Box::new(rel.plan),
            exprs: self.whole_row(table, targets, given, &mut cx)?,
        })
    }

    /// A value for a part of a column.
    pub(super) fn part_value(
        &mut self,
        place: &Place<'a>,
        e: &'a ast::Expr,
        column: &ColumnDef,
        cx: &mut Cx,
    ) -> Result<Expr> {
        if is_default(e) {
            return Err(place.no_default());
        }
        refuse_own_value(column, cx.clause == Clause::Update)?;
        self.expr(e, cx)
    }

    /// The table's row: given values in their places, defaults elsewhere.
    fn whole_row(
        &mut self,
        table: &Table,
        targets: &[Place<'a>],
        given: Vec<Expr>,
        cx: &mut Cx,
    ) -> Result<Vec<Expr>> {
        let mut row: Vec<Option<Expr>> = table.columns.iter().map(|_| None).collect();
        for (target, e) in targets.iter().zip(given) {
            let at = target.column;
            let (Some(slot), Some(column)) = (row.get_mut(at), table.columns.get(at)) else {
                continue;
            };
            *slot = Some(match target.path.is_empty() {
                true => e,
                false => {
                    let old = slot.take();
                    let old = old.unwrap_or(Expr::Const(Value::Null, column.ty));
                    self.put(target, old, e, column, cx)?
                }
            });
        }
        let columns = row.into_iter().zip(&table.columns);
        Ok(columns
            .map(|(e, c)| e.unwrap_or_else(|| self.default_of(c)))
            .collect())
    }

    fn default_of(&self, column: &ColumnDef) -> Expr {
        match (&column.default, &column.identity) {
            (Some(d), _) => d.expr.clone(),
            (None, Some(i)) => identity_value(i.sequence, column.ty),
            (None, None) => self.env.catalog.implied_value(column),
        }
    }
}

/// Generated columns are computed from the others.
fn generated(table: &Table, source: Plan) -> Plan {
    if table.columns.iter().all(|c| c.generated.is_none()) {
        return source;
    }
    let columns = table.columns.iter().enumerate();
    let exprs = columns.map(|(at, c)| match &c.generated {
        Some(g) => g.expr.clone(),
        None => Expr::Column(at, c.ty),
    });
    Plan::Project {
        exprs: exprs.collect(),
        input: Box::new(source),
    }
}

/// 428C9 for a value that only the column itself may have.
pub(super) fn refuse_own_value(column: &ColumnDef, update: bool) -> Result<()> {
    let always = column.identity.is_some_and(|i| i.always);
    let detail = match (column.generated.is_some(), always) {
        (true, _) => format!("Column \"{}\" is a generated column.", column.name),
        (_, true) => format!(
            "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
            column.name
        ),
        _ => return Ok(()),
    };
    let message = match update {
        true => format!("column \"{}\" can only be updated to DEFAULT", column.name),
        false => format!(
            "cannot insert a non-DEFAULT value into column \"{}\"",
            column.name
        ),
    };
    let e = Error::new(SqlState::GENERATED_ALWAYS, message).with_detail(detail);
    Err(match update || column.generated.is_some() {
        true => e,
        false => e.with_hint("Use OVERRIDING SYSTEM VALUE to override."),
    })
}

/// The word DEFAULT where a value stands.
pub(super) fn is_default(e: &ast::Expr) -> bool {
    matches!(e, ast::Expr::Identifier(i)
        if i.quote_style.is_none() && i.value.eq_ignore_ascii_case("default"))
}

fn check_width(given: usize, targets: usize, named: bool) -> Result<()> {
    if given > targets {
        return Err(syntax("INSERT has more expressions than target columns"));
    }
    if named && given < targets {
        return Err(syntax("INSERT has more target columns than expressions"));
    }
    Ok(())
}

fn literal_span(e: &ast::Expr) -> Option<sqlparser::tokenizer::Span> {
    match e {
        ast::Expr::Value(v) => Some(v.span),
        ast::Expr::Identifier(i) => Some(i.span),
        _ => None,
    }
}

fn refuse_others(i: &ast::Insert) -> Result<()> {
    let foreign = i.or.is_some()
        || i.ignore
        || !i.into
        || i.overwrite
        || !i.assignments.is_empty()
        || i.partitioned.is_some()
        || !i.after_columns.is_empty()
        || i.has_table_keyword
        || i.output.is_some()
        || i.replace_into
        || i.priority.is_some()
        || i.insert_alias.is_some()
        || i.settings.is_some()
        || i.format_clause.is_some()
        || i.multi_table_insert_type.is_some();
    if foreign {
        return Err(syntax("syntax error in INSERT"));
    }
    Ok(())
}
