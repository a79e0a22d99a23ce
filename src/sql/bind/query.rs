//! Queries: WITH, ORDER BY over a whole query, LIMIT, and what a query's rows look like to the place it stands in.
//!
//! Owns: `Rel`, the scope of WITH names. Never: binds a SELECT block itself (`select` does). Source: `parse_cte.c`,
//! `parse_clause.c`.

use super::agg::sort_key;
use super::lock::Locking;
use super::scope::{Entry, Scope};
use super::{Binder, Clause, Cte, Cx, names, syntax, with};
use crate::statement::Statement;
use engine::exec::cast::CastContext;
use engine::plan::{Expr, Given, Merge, MergeWord, Plan, Query, SortKey, WithScan};
use sqlparser::ast::{self, LimitClause, OrderByKind, SetExpr};
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState, limits};

/// A bound query: rows and their description.
#[derive(Debug)]
pub(super) struct Rel {
    pub plan: Plan,
    pub columns: Vec<Column>,
}

impl<'a> Binder<'a> {
    /// A query whose rows go to the client.
    pub(super) fn top_query(&mut self, q: &'a ast::Query) -> Result<Query> {
        let rel = self.query(q)?;
        if rel.columns.len() > limits::RESULT_COLUMNS_MAX {
            return Err(Error::new(
                SqlState::TOO_MANY_COLUMNS,
                format!(
                    "target lists can have at most {} entries",
                    limits::RESULT_COLUMNS_MAX
                ),
            ));
        }
        Ok(Query {
            plan: rel.plan,
            columns: Arc::new(rel.columns),
        })
    }

    /// A query none of whose columns stays untyped.
    pub(super) fn query(&mut self, q: &'a ast::Query) -> Result<Rel> {
        self.query_in(q, false)
    }

    /// `keep_unknown`: untyped literals and parameters of a plain SELECT stay so, for INSERT and UNION to give them types.
    pub(super) fn query_in(&mut self, q: &'a ast::Query, keep_unknown: bool) -> Result<Rel> {
        if q.for_clause.is_some()
            || q.settings.is_some()
            || q.format_clause.is_some()
            || !q.pipe_operators.is_empty()
        {
            return Err(syntax("syntax error after the query"));
        }
        let before = self.ctes.len();
        self.depth += 1;
        let out = self.query_with(q, keep_unknown, before);
        self.depth -= 1;
        self.ctes.truncate(before);
        out
    }

    fn query_with(&mut self, q: &'a ast::Query, keep_unknown: bool, before: usize) -> Result<Rel> {
        if let Some(with) = &q.with {
            self.with(with, true, self.depth == 1)?;
        }
        let mut rel = self.query_body(q, keep_unknown)?;
        let queries = self.ctes.split_off(before);
        rel.plan = self.placed(rel.plan, queries)?;
        Ok(rel)
    }

    /// A change that WITH queries precede.
    pub(super) fn with_before(
        &mut self,
        q: &'a ast::Query,
        inner: &'a ast::Statement,
    ) -> Result<Statement> {
        if q.order_by.is_some() || q.limit_clause.is_some() || q.fetch.is_some() {
            return Err(syntax("syntax error after the statement"));
        }
        let before = self.ctes.len();
        if let Some(with) = &q.with {
            self.with(with, false, self.depth == 0)?;
        }
        let out = self.statement(inner);
        self.ctes.truncate(before);
        out
    }

    /// The statement behind the changes in its WITH.
    pub(super) fn with_changes(&mut self, statement: Statement) -> Statement {
        let changes = std::mem::take(&mut self.changes);
        match (changes.is_empty(), statement) {
            (true, statement) => statement,
            (false, Statement::Explain { statement, options }) => Statement::Explain {
                statement: Box::new(Statement::With {
                    changes,
                    main: statement,
                }),
                options,
            },
            (false, main) => Statement::With {
                changes,
                main: Box::new(main),
            },
        }
    }

    /// A change in WITH: it is carried out once, whoever reads it.
    fn change_in_with(
        &mut self,
        name: &str,
        query: &'a ast::Query,
        inner: &'a ast::Statement,
    ) -> Result<(usize, Option<Vec<Column>>)> {
        self.depth += 1;
        let change = self.with_before(query, inner);
        self.depth -= 1;
        let change = change?;
        if let Statement::Merge(Merge {
            word: MergeWord::Merge,
            ..
        }) = change
        {
            return Err(unsupported_merge());
        }
        let columns = change.returning().map(|r| r.columns.to_vec());
        self.changes.push((name.to_string(), change));
        Ok((self.changes.len() - 1, columns))
    }

    /// Brings WITH queries in sight; `share`: each runs once, however often it is read. `top`: it is the statement's own, where
    /// changes may stand.
    pub(super) fn with(&mut self, with: &'a ast::With, share: bool, top: bool) -> Result<()> {
        let first = self.ctes.len();
        // A change beside it is carried out by itself, and reads what it reads by itself.
        let alone = |c: &ast::Cte| super::changed_by(&c.query).is_none();
        let share = share && with.cte_tables.iter().all(alone);
        for cte in &with.cte_tables {
            let name = names::ident(&cte.alias.name);
            if self.ctes.iter().skip(first).any(|c| c.name == name) {
                return Err(Error::new(
                    SqlState::DUPLICATE_ALIAS,
                    format!("WITH query name \"{name}\" specified more than once"),
                ));
            }
            let change = match super::changed_by(&cte.query) {
                None => None,
                Some(_) if !top => {
                    return Err(Error::unsupported(
                        "WITH clause containing a data-modifying statement must be at the top level",
                    ));
                }
                Some(inner) => Some(self.change_in_with(&name, &cte.query, inner)?),
            };
            let is_change = change.is_some();
            let columns = cte.alias.columns.iter().map(|c| names::ident(&c.name));
            let columns = columns.collect();
            self.ctes.push(Cte {
                name,
                columns,
                query: &cte.query,
                change,
                ctes_before: self.ctes.len(),
                frames_before: self.frames.len(),
                recursive: with.recursive,
                materialized: cte.materialized,
                shared: None,
                work: None,
            });
            let index = self.ctes.len() - 1;
            if share && !is_change {
                self.share(index)?;
            } else if !is_change {
                // PostgreSQL checks a WITH query even when nothing reads it.
                self.cte(index)?;
            }
        }
        Ok(())
    }

    /// A scan of a WITH query that is bound already, else the query, bound as if it stood where it was written.
    pub(super) fn cte(&mut self, index: usize) -> Result<Rel> {
        let Some(cte) = self.ctes.get(index) else {
            return Err(Error::internal("a WITH query out of sight"));
        };
        if let Some(shared) = &cte.shared {
            let scan = WithScan {
                id: shared.id,
                name: cte.name.clone(),
                types: shared.columns.iter().map(|c| c.ty).collect(),
            };
            return Ok(Rel {
                plan: Plan::WithScan(scan),
                columns: shared.columns.clone(),
            });
        }
        let (query, columns, name) = (cte.query, cte.columns.clone(), cte.name.clone());
        let recursive = cte.recursive;
        let ctes_before = cte.ctes_before + usize::from(recursive);
        let frames_before = cte.frames_before;
        let change = cte.change.clone();
        let mut rel = match change {
            Some((slot, given)) => returned(slot, given, &name)?,
            None => {
                let later_ctes = self.ctes.split_off(ctes_before);
                let later_frames = self.frames.split_off(frames_before.min(self.frames.len()));
                let out = match recursive {
                    true => self.recursive(index),
                    false => self.query(query),
                };
                self.ctes.extend(later_ctes);
                let between = later_frames.len();
                self.frames.extend(later_frames);
                let mut rel = out?;
                if between > 0 && with::deepen(&mut rel.plan, between)? {
                    self.frames.iter().for_each(|f| f.crossed.set(true));
                }
                rel
            }
        };
        if columns.len() > rel.columns.len() {
            return Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!(
                    "WITH query \"{name}\" has {} columns available but {} columns specified",
                    rel.columns.len(),
                    columns.len()
                ),
            ));
        }
        for (column, name) in rel.columns.iter_mut().zip(columns) {
            column.name = name;
        }
        Ok(rel)
    }

    fn query_body(&mut self, q: &'a ast::Query, keep_unknown: bool) -> Result<Rel> {
        let order = self.order_items(q)?;
        let limited = q.limit_clause.is_some() || q.fetch.is_some();
        let keep = keep_unknown && order.is_empty() && !limited;
        let keep_targets = keep_unknown && q.locks.is_empty();
        let mut body = &*q.body;
        while let SetExpr::Query(inner) = body {
            if inner.with.is_some()
                || inner.order_by.is_some()
                || inner.limit_clause.is_some()
                || inner.fetch.is_some()
                || !inner.locks.is_empty()
            {
                break;
            }
            body = &inner.body;
        }
        let mut rel = match body {
            SetExpr::Select(s) => {
                let locking = (!q.locks.is_empty()).then_some(Locking {
                    clauses: &q.locks,
                    limited,
                });
                self.select(s, order, keep_targets, locking)?
            }
            _ if !q.locks.is_empty() => {
                let clauses = &q.locks;
                let locking = Locking { clauses, limited };
                return Err(locking.not_with("UNION/INTERSECT/EXCEPT, VALUES or parentheses"));
            }
            _ => {
                let rel = self.set_expr(body, keep)?;
                let free = matches!(body, SetExpr::Values(_));
                self.order_output(rel, order, free)?
            }
        };
        if limited {
            rel.plan = self.limited(rel.plan, q)?;
        }
        Ok(rel)
    }

    fn order_items(&self, q: &'a ast::Query) -> Result<&'a [ast::OrderByExpr]> {
        let Some(order) = &q.order_by else {
            return Ok(&[]);
        };
        if order.interpolate.is_some() {
            return Err(syntax("syntax error at or near \"interpolate\""));
        }
        match &order.kind {
            OrderByKind::Expressions(list) => Ok(list),
            OrderByKind::All(_) => Err(syntax("syntax error at or near \"all\"")),
        }
    }

    /// ORDER BY over a set operation, VALUES or a parenthesized query: only over its columns.
    fn order_output(&mut self, rel: Rel, order: &'a [ast::OrderByExpr], free: bool) -> Result<Rel> {
        if order.is_empty() {
            return Ok(rel);
        }
        let entries = rel.columns.iter().enumerate();
        let visible: Vec<Entry> = entries.map(|(i, c)| Entry::of(c, i)).collect();
        let scope = Rc::new(Scope {
            width: rel.columns.len(),
            relations: Vec::new(),
            visible,
            xmax: None,
        });
        let mut cx = Cx::new(scope, Clause::OrderBy);
        let mut keys: Vec<SortKey> = Vec::with_capacity(order.len());
        for item in order {
            let expr = match ordinal(&item.expr, "ORDER BY", rel.columns.len())? {
                Some(i) => {
                    let ty = rel.columns.get(i).map_or(DataType::Text, |c| c.ty);
                    Expr::Column(i, ty)
                }
                None => self.expr(&item.expr, &mut cx)?,
            };
            if !free && !matches!(expr, Expr::Column(..)) {
                return Err(Error::unsupported("invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                    .with_detail("Only result column names can be used, not expressions or functions.")
                    .with_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause."));
            }
            keys.push(sort_key(expr, &item.options)?);
        }
        Ok(Rel {
            plan: Plan::Sort {
                input: Box::new(rel.plan),
                keys,
                top: None,
            },
            columns: rel.columns,
        })
    }

    fn limited(&mut self, plan: Plan, q: &'a ast::Query) -> Result<Plan> {
        let (mut limit, mut offset) = (None, None);
        match &q.limit_clause {
            Some(LimitClause::LimitOffset {
                limit: l,
                offset: o,
                limit_by,
            }) => {
                if !limit_by.is_empty() {
                    return Err(syntax("syntax error at or near \"by\""));
                }
                limit = l.as_ref();
                offset = o.as_ref().map(|o| &o.value);
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => {
                return Err(syntax("LIMIT #,# syntax is not supported")
                    .with_hint("Use separate LIMIT and OFFSET clauses."));
            }
            None => {}
        }
        let mut one_row = None;
        let with_ties = q.fetch.as_ref().is_some_and(|f| f.with_ties);
        if let Some(fetch) = &q.fetch {
            if fetch.percent || limit.is_some() {
                return Err(syntax("syntax error at or near \"fetch\""));
            }
            limit = fetch.quantity.as_ref();
            if limit.is_none() {
                one_row = Some(Expr::Const(types::Value::Int8(1), DataType::Int8));
            }
        }
        let limit = match limit {
            Some(e) => Some(self.row_count(e, "LIMIT")?),
            None => one_row,
        };
        let offset = match offset {
            Some(e) => Some(self.row_count(e, "OFFSET")?),
            None => None,
        };
        if let (true, Some(limit)) = (with_ties, &limit) {
            return self.with_ties(plan, limit, offset.as_ref());
        }
        Ok(Plan::Limit {
            input: Box::new(plan),
            limit,
            offset,
        })
    }

    fn row_count(&mut self, e: &'a ast::Expr, construct: &str) -> Result<Expr> {
        let mut cx = Cx::new(Rc::default(), Clause::Limit);
        let e = self.expr(e, &mut cx)?;
        self.must_be(e, DataType::Int8, construct)
    }

    /// One output column of a query becomes `ty`: in place where its expression is at hand, else by a projection on top.
    pub(super) fn coerce_output(
        &mut self,
        rel: &mut Rel,
        index: usize,
        ty: DataType,
        how: CastContext,
    ) -> Result<()> {
        let mut types: Vec<DataType> = rel.columns.iter().map(|c| c.ty).collect();
        if let Some(t) = types.get_mut(index) {
            *t = ty;
        }
        self.coerce_outputs(rel, &types, how)
    }

    /// All output columns become these types; an impossible one is the caller's error to word (`None` from `coerce`).
    pub(super) fn coerce_outputs(
        &mut self,
        rel: &mut Rel,
        types: &[DataType],
        how: CastContext,
    ) -> Result<()> {
        if rel.columns.iter().zip(types).all(|(c, t)| c.ty == *t) {
            return Ok(());
        }
        for (at, (c, ty)) in rel.columns.iter_mut().zip(types).enumerate() {
            if c.ty == DataType::Unknown && self.typed(&mut rel.plan, at, *ty, how)? {
                c.ty = *ty;
            }
        }
        let mut lists: Vec<&mut Vec<Expr>> = match &mut rel.plan {
            Plan::Project { exprs, .. } => vec![exprs],
            Plan::Values { rows } => rows.iter_mut().collect(),
            _ => {
                let columns = rel.columns.iter().enumerate();
                let exprs = columns.map(|(i, c)| Expr::Column(i, c.ty)).collect();
                let input = Box::new(std::mem::take(&mut rel.plan));
                rel.plan = Plan::Project { input, exprs };
                match &mut rel.plan {
                    Plan::Project { exprs, .. } => vec![exprs],
                    _ => Vec::new(),
                }
            }
        };
        for list in &mut lists {
            for (e, ty) in list.iter_mut().zip(types) {
                let from = e.ty();
                let bound = std::mem::replace(e, super::expr::boolean(false));
                *e = self.coerce(bound, *ty, -1, how)?.ok_or_else(|| {
                    Error::new(
                        SqlState::CANNOT_COERCE,
                        format!("cannot cast type {from} to {ty}"),
                    )
                })?;
            }
        }
        for (c, ty) in rel.columns.iter_mut().zip(types) {
            if c.ty != *ty {
                (c.ty, c.typmod, c.table, c.attnum) = (*ty, -1, 0, 0);
            }
        }
        Ok(())
    }
}

impl Binder<'_> {
    /// Gives an output without a type, a literal or parameter, this one where it is written: below an ORDER BY or LIMIT.
    fn typed(
        &mut self,
        plan: &mut Plan,
        at: usize,
        ty: DataType,
        how: CastContext,
    ) -> Result<bool> {
        match plan {
            Plan::Limit { input, .. } | Plan::Sort { input, .. } => self.typed(input, at, ty, how),
            Plan::Project { input, exprs } => {
                let Some(e) = exprs.get_mut(at) else {
                    return Ok(false);
                };
                if let Expr::Column(below, DataType::Unknown) = *e {
                    let done = self.typed(input, below, ty, how)?;
                    if done {
                        *e = Expr::Column(below, ty);
                    }
                    return Ok(done);
                }
                let bound = std::mem::replace(e, super::expr::boolean(false));
                let cast = self.coerce(bound, ty, -1, how)?;
                *e = cast.ok_or_else(|| {
                    let message = format!("cannot cast type unknown to {ty}");
                    Error::new(SqlState::CANNOT_COERCE, message)
                })?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// What a change in WITH has returned.
fn returned(slot: usize, columns: Option<Vec<Column>>, name: &str) -> Result<Rel> {
    let Some(columns) = columns else {
        return Err(Error::unsupported(format!(
            "WITH query \"{name}\" does not have a RETURNING clause"
        )));
    };
    let given = Given {
        name: name.to_string(),
        slot,
        columns: columns.clone(),
    };
    Ok(Rel {
        plan: Plan::Given(given),
        columns,
    })
}

/// PostgreSQL 15 has no MERGE in WITH.
fn unsupported_merge() -> Error {
    Error::unsupported("MERGE not supported in WITH query")
}

/// `ORDER BY 2`: the 0-based column; `None` for anything but a number.
pub(super) fn ordinal(e: &ast::Expr, clause: &str, columns: usize) -> Result<Option<usize>> {
    let ast::Expr::Value(v) = super::select::unnested(e) else {
        return Ok(None);
    };
    match &v.value {
        ast::Value::Number(n, _) => match n.parse::<usize>() {
            Ok(n) if (1..=columns).contains(&n) => Ok(Some(n - 1)),
            Ok(n) => Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!("{clause} position {n} is not in select list"),
            )),
            Err(_) => Err(syntax(format!("non-integer constant in {clause}"))),
        },
        ast::Value::Placeholder(_) | ast::Value::Null => Ok(None),
        _ => Err(syntax(format!("non-integer constant in {clause}"))),
    }
}
