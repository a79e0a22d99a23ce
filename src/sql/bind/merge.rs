//! Changes of rows that a query finds: UPDATE … FROM, DELETE … USING, subqueries over the row that is changed, and MERGE.
//!
//! Owns: the two rows such a change is about. Its expressions are over the target's row, then the source's; the query that
//! finds them has the source's row first, so that few rows of it can look the target's up by key.
//! Source: PostgreSQL 15, `transformUpdateStmt`, `transformDeleteStmt`, `transformMergeStmt`.

use super::scope::Scope;
use super::{Binder, Clause, Cx, syntax};
use crate::planner::renamed;
use crate::statement::Statement;
use engine::catalog::Table;
use engine::plan::{
    Act, Assignment, Expr, Join, JoinKind, Keep, Merge, MergeWord, Plan, Returning, SortKey, When,
};
use sqlparser::ast::{self, MergeAction, MergeClauseKind, MergeInsertKind, MergeUpdateKind};
use std::rc::Rc;
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState, Value};

/// The other side of a change, and the names of both.
pub(super) struct Sides {
    pub source: Option<(Plan, usize)>,
    pub scope: Rc<Scope>,
}

impl<'a> Binder<'a> {
    /// The target and the items of FROM or USING.
    pub(super) fn sides(
        &mut self,
        own: Scope,
        items: Option<&'a [ast::TableWithJoins]>,
    ) -> Result<Sides> {
        let Some(items) = items else {
            return Ok(Sides {
                source: None,
                scope: Rc::new(own),
            });
        };
        let (plan, scope) = self.from(items)?;
        own.check_aliases(&scope)?;
        Ok(Sides {
            source: Some((plan, scope.width)),
            scope: Rc::new(beside(&own, scope)),
        })
    }

    pub(super) fn merge_statement(&mut self, m: &'a ast::Merge) -> Result<Statement> {
        if !m.into || m.output.is_some() {
            return Err(syntax("syntax error in MERGE"));
        }
        let ast::TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = &m.table
        else {
            return Err(syntax("syntax error after MERGE INTO"));
        };
        let table = self.base_table(name)?;
        let alias = alias.as_ref().map(|a| &a.name);
        let own = self.table_scope(&table, alias);
        let (plan, scope) = self.factor(&m.source)?;
        if own.check_aliases(&scope).is_err() {
            let name = own.relations.first().map_or("", |r| r.alias.as_str());
            return Err(Error::new(
                SqlState::DUPLICATE_ALIAS,
                format!("name \"{name}\" specified more than once"),
            )
            .with_detail("The name is used both as MERGE target table and data source."));
        }
        let width = scope.width;
        let source_only = Scope {
            width: own.width + width,
            ..scope.clone().shifted(own.width)
        };
        let both = Rc::new(beside(&own, scope));
        let mut cx = Cx::new(both.clone(), Clause::JoinOn);
        let on = self.expr(&m.on, &mut cx)?;
        let on = self.condition(on, "JOIN/ON")?;
        let source_only = Rc::new(source_only);
        let mut whens = Vec::with_capacity(m.clauses.len());
        for clause in &m.clauses {
            let scope = match clause.clause_kind {
                MergeClauseKind::Matched => &both,
                MergeClauseKind::NotMatched => &source_only,
                MergeClauseKind::NotMatchedByTarget | MergeClauseKind::NotMatchedBySource => {
                    return Err(syntax("syntax error at or near \"BY\""));
                }
            };
            let when = self.when(clause, &table, scope.clone());
            whens.push(when.map_err(|e| out_of_sight(e, &own))?);
        }
        reachable(&whens)?;
        let inner = whens.iter().all(|w| w.matched);
        let kind = if inner {
            JoinKind::Inner
        } else {
            JoinKind::Left
        };
        let found = found(&table, Some((plan, width)), Some(&on), kind, &[]);
        let mut merge = Merge {
            word: MergeWord::Merge,
            table,
            source: found,
            width,
            matches: Some(on),
            computed: Vec::new(),
            whens,
            returning: None,
        };
        narrow(&mut merge);
        sort_by_address(&mut merge);
        Ok(Statement::Merge(merge))
    }

    fn when(
        &mut self,
        clause: &'a ast::MergeClause,
        table: &Table,
        scope: Rc<Scope>,
    ) -> Result<When> {
        let mut cx = Cx::new(scope, Clause::MergeWhen);
        let condition = match &clause.predicate {
            Some(e) => {
                let e = self.expr(e, &mut cx)?;
                Some(self.condition(e, "MERGE WHEN AND")?)
            }
            None => None,
        };
        let matched = clause.clause_kind == MergeClauseKind::Matched;
        cx.clause = Clause::Update;
        let act = match &clause.action {
            MergeAction::DoNothing { .. } => Act::Nothing,
            MergeAction::Delete { .. } => Act::Delete,
            MergeAction::Update(update) => {
                let MergeUpdateKind::Set(list) = &update.kind else {
                    return Err(syntax("syntax error at or near \"*\""));
                };
                if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                    return Err(syntax("syntax error at or near \"WHERE\""));
                }
                Act::Update(self.assignments(list, table, &mut cx)?)
            }
            MergeAction::Insert(insert) => {
                if insert.insert_predicate.is_some() {
                    return Err(syntax("syntax error at or near \"WHERE\""));
                }
                let MergeInsertKind::Values(values) = &insert.kind else {
                    return Err(syntax("syntax error after INSERT"));
                };
                let targets = self.insert_places(table, &insert.columns)?;
                let [row] = values.rows.as_slice() else {
                    return Err(syntax("syntax error in MERGE"));
                };
                cx.clause = Clause::Values;
                let named = !insert.columns.is_empty();
                Act::Insert(self.insert_row(&row.content, table, &targets, named, &mut cx)?)
            }
        };
        let fits = match act {
            Act::Nothing => true,
            Act::Update(_) | Act::Delete => matched,
            Act::Insert(_) => !matched,
        };
        if !fits {
            return Err(syntax("syntax error in MERGE"));
        }
        Ok(When {
            matched,
            condition,
            act,
        })
    }

    /// An UPDATE or DELETE as a change of rows that a query finds.
    pub(super) fn found_change(
        &mut self,
        word: MergeWord,
        table: Arc<Table>,
        sides: Sides,
        matches: Option<Expr>,
        assignments: Vec<Assignment>,
        returning: Option<Returning>,
    ) -> Statement {
        let width = sides.source.as_ref().map_or(0, |(_, width)| *width);
        let mut computed = Vec::new();
        let base = table.columns.len() + width;
        let assignments = assignments.into_iter().map(|a| Assignment {
            column: a.column,
            expr: hoisted(a.expr, base, &mut computed),
        });
        let act = match word {
            MergeWord::Delete => Act::Delete,
            MergeWord::Update | MergeWord::Merge => Act::Update(assignments.collect()),
        };
        let when = When {
            matched: true,
            condition: None,
            act,
        };
        let repeats = sides.source.is_some();
        let inner = JoinKind::Inner;
        let source = found(&table, sides.source, matches.as_ref(), inner, &computed);
        let mut merge = Merge {
            word,
            table,
            source,
            width,
            matches,
            computed,
            whens: vec![when],
            returning,
        };
        narrow(&mut merge);
        sort_by_address(&mut merge);
        if repeats {
            let input = Box::new(std::mem::take(&mut merge.source));
            let keys = vec![Expr::Column(0, DataType::Bytea)];
            merge.source = Plan::DistinctOn { input, keys };
        }
        Statement::Merge(merge)
    }

    /// `(SELECT a, b …)` for several columns: one value that holds them all, and what each of them is.
    pub(super) fn packed_subquery(
        &mut self,
        q: &'a ast::Query,
        columns: usize,
        cx: &mut Cx,
    ) -> Result<Vec<Expr>> {
        let (rel, correlated) = self.subquery(q, cx)?;
        if rel.columns.len() != columns {
            return Err(syntax("number of columns does not match number of values"));
        }
        let types: Vec<DataType> = rel.columns.iter().map(|c| c.ty).collect();
        let items = types.iter().enumerate();
        let items = items.map(|(i, ty)| Expr::Column(i, *ty)).collect();
        let plan = Plan::Project {
            input: Box::new(rel.plan),
            exprs: vec![Expr::Array(items, DataType::UnknownArray)],
        };
        let packed = Expr::Subquery {
            plan: Arc::new(plan),
            kind: engine::plan::SubqueryKind::Scalar,
            correlated,
            ty: DataType::UnknownArray,
        };
        let item = |(i, ty): (usize, DataType)| Expr::Subscript {
            array: Box::new(packed.clone()),
            index: Box::new(Expr::Const(Value::Int4(i as i32 + 1), DataType::Int4)),
            ty,
        };
        Ok(types.into_iter().enumerate().map(item).collect())
    }
}

/// The target's columns, then the source's.
fn beside(own: &Scope, source: Scope) -> Scope {
    let source = source.shifted(own.width);
    let mut scope = own.clone();
    scope.width += source.width;
    scope.relations.extend(source.relations);
    scope.visible.extend(source.visible);
    scope
}

/// The query: the address of each target's row, the source's columns, and what is computed.
fn found(
    table: &Arc<Table>,
    source: Option<(Plan, usize)>,
    matches: Option<&Expr>,
    kind: JoinKind,
    computed: &[Expr],
) -> Plan {
    let own = table.columns.len();
    let width = source.as_ref().map_or(0, |(_, width)| *width);
    let place = move |i: usize| if i < own { width + i } else { i - own };
    let mut target = Plan::scan(table.clone());
    if let Plan::Scan(scan) = &mut target {
        scan.addressed = true;
    }
    let matches = matches.map(|e| renamed(e, &place));
    let types: Vec<DataType> = match &source {
        Some((plan, _)) => crate::planner::types(plan),
        None => Vec::new(),
    };
    let outer = kind == JoinKind::Left;
    let mut plan = match source {
        None => target,
        Some((left, left_width)) => Plan::Join(Box::new(Join {
            kind,
            left,
            right: target,
            left_width,
            right_width: own + 1,
            left_keys: Vec::new(),
            right_keys: Vec::new(),
            filter: matches.clone().filter(|_| outer),
            lateral: false,
            keep: Keep::Either,
        })),
    };
    if let Some(predicate) = matches.filter(|_| !outer) {
        let input = Box::new(plan);
        plan = Plan::Filter { input, predicate };
    }
    let mut exprs = vec![Expr::Column(width + own, DataType::Bytea)];
    let ty = |i: usize| types.get(i).copied().unwrap_or(DataType::Unknown);
    exprs.extend((0..width).map(|i| Expr::Column(i, ty(i))));
    exprs.extend(computed.iter().map(|e| renamed(e, &place)));
    Plan::Project {
        input: Box::new(plan),
        exprs,
    }
}

/// Columns of the source that nothing reads behind the query are not kept.
fn narrow(merge: &mut Merge) {
    let own = merge.table.columns.len();
    let read: std::collections::BTreeSet<usize> =
        merge.exprs().into_iter().flat_map(Expr::columns).collect();
    if let Plan::Project { exprs, .. } = &mut merge.source {
        let columns = exprs.iter_mut().skip(1).take(merge.width).enumerate();
        for (_, e) in columns.filter(|(i, _)| !read.contains(&(own + i))) {
            *e = Expr::Const(Value::Null, e.ty());
        }
    }
}

/// Also so that all rows are found before the first is changed.
fn sort_by_address(merge: &mut Merge) {
    let input = Box::new(std::mem::take(&mut merge.source));
    let key = SortKey {
        expr: Expr::Column(0, DataType::Bytea),
        descending: false,
        nulls_first: false,
    };
    merge.source = Plan::Sort {
        input,
        keys: vec![key],
        top: None,
    };
}

/// A value that needs subqueries becomes a column behind the two rows, computed while they are found.
fn hoisted(e: Expr, base: usize, computed: &mut Vec<Expr>) -> Expr {
    let has_subquery = |e: &Expr| e.any(&mut |e| matches!(e, Expr::Subquery { .. }));
    match e {
        e if !has_subquery(&e) => e,
        Expr::Subscript { array, index, ty } => Expr::Subscript {
            array: Box::new(hoisted(*array, base, computed)),
            index,
            ty,
        },
        Expr::Cast {
            expr,
            to,
            typmod,
            explicit,
        } => Expr::Cast {
            expr: Box::new(hoisted(*expr, base, computed)),
            to,
            typmod,
            explicit,
        },
        // Values that one subquery computes, in parts of columns: it is to run once.
        Expr::Call { func, args, ty } if args.iter().any(is_packed) => Expr::Call {
            func,
            args: args
                .into_iter()
                .map(|e| hoisted(e, base, computed))
                .collect(),
            ty,
        },
        e => {
            let ty = e.ty();
            let known = computed.iter().position(|c| super::walk::same(c, &e));
            let at = known.unwrap_or_else(|| {
                computed.push(e);
                computed.len() - 1
            });
            Expr::Column(base + at, ty)
        }
    }
}

/// NOT MATCHED sees the source alone.
fn out_of_sight(e: Error, target: &Scope) -> Error {
    let name = target.relations.first().map_or("", |r| r.alias.as_str());
    if e.message() != format!("missing FROM-clause entry for table \"{name}\"") {
        return e;
    }
    let found = Error::new(
        e.code(),
        format!("invalid reference to FROM-clause entry for table \"{name}\""),
    )
    .with_detail(format!(
        "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
    ));
    match e.position() {
        Some(at) => found.at(at),
        None => found,
    }
}

/// 42601 for a WHEN behind one of its kind that takes everything.
fn reachable(whens: &[When]) -> Result<()> {
    for matched in [true, false] {
        let mut of = whens.iter().filter(|w| w.matched == matched);
        if of.any(|w| w.condition.is_none()) && of.next().is_some() {
            return Err(syntax(
                "unreachable WHEN clause specified after unconditional WHEN clause",
            ));
        }
    }
    Ok(())
}

/// Whether the value is of one row and must be looked for in each.
pub(super) fn reads_row_inside(e: &Expr) -> bool {
    e.any(&mut |e| {
        matches!(
            e,
            Expr::Subquery {
                correlated: true,
                ..
            }
        )
    })
}

/// The packed row of a subquery for several columns.
pub(super) fn is_packed(e: &Expr) -> bool {
    e.any(&mut |e| {
        matches!(
            e,
            Expr::Subquery {
                ty: DataType::UnknownArray,
                ..
            }
        )
    })
}
