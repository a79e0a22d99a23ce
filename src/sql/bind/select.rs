//! One SELECT block: targets, WHERE, GROUP BY, HAVING, DISTINCT, ORDER BY.
//!
//! Owns: the order of the operators of a block and the hidden columns that ORDER BY needs. Never: optimizes; scans are
//! full, filters stand above them. Source: `transformSelectStmt`, `parse_clause.c`.

use super::agg::needs_equality;
use super::agg::{Collected, sort_key};
use super::group::{Grouping, Groups};
use super::lock::{Locking, locked};
use super::query::{Rel, ordinal};
use super::scope::Scope;
use super::targets::Target;
use super::{Binder, Clause, Cx, names, syntax, walk, window, with};
use engine::exec::aggregates;
use engine::plan::{Expr, Plan, SortKey, TableFunction};
use sqlparser::ast::{self, GroupByExpr};
use std::rc::Rc;
use types::{Column, DataType, Error, Result, SqlState};

/// A block while it is put together.
pub(super) struct Block {
    pub targets: Vec<Target>,
    /// Targets from here on are hidden.
    pub shown: usize,
    pub keys: Vec<SortKey>,
    /// Targets of DISTINCT ON.
    pub distinct_on: Option<Vec<usize>>,
    pub distinct: bool,
    having: Option<Expr>,
}

/// What stands between the rows or groups and the select list, and how wide the row below it is.
struct Above {
    width: usize,
    series: Vec<TableFunction>,
    windows: window::Collector,
}

impl<'a> Binder<'a> {
    pub(super) fn select(
        &mut self,
        s: &'a ast::Select,
        order: &'a [ast::OrderByExpr],
        keep_unknown: bool,
        locking: Option<Locking<'_>>,
    ) -> Result<Rel> {
        refuse_others(s, std::mem::take(&mut self.into))?;
        let (mut plan, scope) = self.from(&s.from)?;
        let self_read = with::reads_work(&plan);
        let mut cx = Cx::new(Rc::new(scope), Clause::Where);
        if let Some(e) = &s.selection {
            let e = self.expr(e, &mut cx)?;
            let predicate = self.condition(e, "WHERE")?;
            let input = Box::new(plan);
            plan = Plan::Filter { input, predicate };
        }
        cx.aggregates = Some(Collected::default());
        cx.clause = Clause::Select;
        cx.series = Some(Vec::new());
        cx.windows = Some(window::Collector::default());
        self.named_windows(&s.named_window, &mut cx)?;
        let targets = self.select_list(s, &mut cx)?;
        let series = cx.series.take().unwrap_or_default();
        let mut block = Block {
            shown: targets.len(),
            targets,
            keys: Vec::new(),
            distinct_on: None,
            distinct: false,
            having: None,
        };
        let mut groups = self.group_items(&s.group_by, &mut block, &mut cx)?;
        let grouped = group_is_written(&s.group_by);
        if let Some(e) = &s.having {
            cx.clause = Clause::Having;
            let windows = cx.windows.take();
            let e = self.expr(e, &mut cx)?;
            cx.windows = windows;
            block.having = Some(self.condition(e, "HAVING")?);
        }
        cx.clause = Clause::OrderBy;
        self.order_items_of(order, &mut block, &mut cx)?;
        self.distinct_items(s, &mut block, &mut cx)?;
        if !keep_unknown || block.distinct || block.distinct_on.is_some() {
            self.settle_targets(&mut block)?;
        }
        let windows = cx.windows.take().unwrap_or_default();
        let found = cx.aggregates.take().unwrap_or_default().take();
        let (calls, grouping) = (found.calls, found.grouping);
        let aggregates = !calls.is_empty() || grouping || grouped || block.having.is_some();
        if self_read && !calls.is_empty() {
            return Err(with::aggregate_in_step());
        }
        if let Some(locking) = locking {
            locking.check(&block, aggregates, !windows.is_empty(), !series.is_empty())?;
            return locked(plan, &cx.scope, block, locking);
        }
        let mut above = Above {
            width: cx.scope.width,
            series,
            windows,
        };
        plan = grouped_by_rows(plan, &mut groups, &mut block, &mut above)?;
        if aggregates {
            plan = self.aggregated(plan, groups, calls, &cx.scope, &mut block, &mut above)?;
        }
        plan = self.under_targets(plan, above, &mut block)?;
        Ok(assemble(plan, block))
    }

    fn select_list(&mut self, s: &'a ast::Select, cx: &mut Cx) -> Result<Vec<Target>> {
        let targets = self.targets(&s.projection, cx)?;
        self.note_list(s, &cx.scope);
        Ok(targets)
    }

    fn settle_targets(&mut self, block: &mut Block) -> Result<()> {
        for t in &mut block.targets {
            let e = std::mem::replace(&mut t.expr, super::expr::boolean(false));
            t.expr = self.settle_unknown(e)?;
            t.column.ty = t.expr.ty();
        }
        let mut types = block.targets.iter().map(|t| t.expr.ty());
        match block.distinct {
            true => types.try_for_each(needs_equality),
            false => Ok(()),
        }
    }

    /// Windows, then functions that give rows: what is computed between the groups and the select list.
    fn under_targets(
        &mut self,
        mut plan: Plan,
        mut above: Above,
        block: &mut Block,
    ) -> Result<Plan> {
        if !above.windows.is_empty() {
            let keys = block.keys.iter().filter_map(|k| match &k.expr {
                Expr::Column(i, _) => block.targets.get(*i),
                _ => None,
            });
            let named_first: Vec<Expr> = keys.map(|t| t.expr.clone()).collect();
            let targets = block.targets.iter_mut().map(|t| &mut t.expr);
            let windows = std::mem::take(&mut above.windows);
            (plan, above.width) =
                self.windowed(plan, above.width, windows, &named_first, targets)?;
        }
        let targets = block.targets.iter_mut().map(|t| &mut t.expr);
        super::series::joined(plan, above.width, above.series, targets)
    }

    /// An ordinal, a column of FROM, else the alias of a target, else an expression.
    pub(super) fn group_item(
        &mut self,
        e: &'a ast::Expr,
        block: &mut Block,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let item = unnested(e);
        let target = match ordinal(item, "GROUP BY", block.shown)? {
            Some(i) => Some(i),
            None => match item {
                ast::Expr::Identifier(i) => {
                    let name = names::ident(i);
                    let here = cx.scope.visible.iter().any(|e| e.name == name);
                    if here {
                        None
                    } else {
                        self.alias(&name, i, block, "GROUP BY")?
                    }
                }
                _ => None,
            },
        };
        if let Some(i) = target.and_then(|i| block.targets.get_mut(i)) {
            let e = std::mem::replace(&mut i.expr, super::expr::boolean(false));
            i.expr = self.settle_unknown(e)?;
            i.column.ty = i.expr.ty();
            let e = i.expr.clone();
            if super::agg::is_read(&e) {
                return Err(Error::new(
                    SqlState::GROUPING_ERROR,
                    "aggregate functions are not allowed in GROUP BY",
                ));
            }
            if window::has_call(&e) {
                return Err(Error::new(
                    SqlState::WINDOWING_ERROR,
                    "window functions are not allowed in GROUP BY",
                ));
            }
            return Ok(e);
        }
        let (aggregates, windows) = (cx.aggregates.take(), cx.windows.take());
        cx.clause = Clause::GroupBy;
        let bound = self.expr(e, cx);
        (cx.aggregates, cx.windows) = (aggregates, windows);
        let bound = bound?;
        self.settle_unknown(bound)
    }

    /// The shown target of that name, where there is one.
    fn alias(
        &mut self,
        name: &str,
        i: &ast::Ident,
        block: &Block,
        clause: &str,
    ) -> Result<Option<usize>> {
        let shown = block.targets.iter().take(block.shown).enumerate();
        let mut hits = shown.filter(|(_, t)| t.column.name == name);
        let Some((first, target)) = hits.next() else {
            return Ok(None);
        };
        self.note_output_named();
        for (_, other) in hits {
            if !walk::same(&other.expr, &target.expr) {
                let e = Error::new(
                    SqlState::AMBIGUOUS_COLUMN,
                    format!("{clause} \"{name}\" is ambiguous"),
                );
                return Err(self.at(e, i.span));
            }
        }
        Ok(Some(first))
    }

    fn order_items_of(
        &mut self,
        order: &'a [ast::OrderByExpr],
        block: &mut Block,
        cx: &mut Cx,
    ) -> Result<()> {
        for item in order {
            if item.with_fill.is_some() {
                return Err(syntax("syntax error in ORDER BY"));
            }
            let i = self.sort_target(&item.expr, block, cx, "ORDER BY")?;
            let ty = block.targets.get(i).map_or(DataType::Text, |t| t.expr.ty());
            block
                .keys
                .push(sort_key(Expr::Column(i, ty), &item.options)?);
        }
        Ok(())
    }

    /// The target to sort by: an ordinal, an alias, an equal target, else a hidden one.
    fn sort_target(
        &mut self,
        e: &'a ast::Expr,
        block: &mut Block,
        cx: &mut Cx,
        clause: &str,
    ) -> Result<usize> {
        let item = unnested(e);
        let known = match ordinal(item, clause, block.shown)? {
            Some(i) => Some(i),
            None => match item {
                ast::Expr::Identifier(i) => self.alias(&names::ident(i), i, block, clause)?,
                _ => None,
            },
        };
        if let Some(i) = known {
            if let Some(t) = block.targets.get_mut(i) {
                let e = std::mem::replace(&mut t.expr, super::expr::boolean(false));
                t.expr = self.settle_unknown(e)?;
                t.column.ty = t.expr.ty();
            }
            return Ok(i);
        }
        let bound = self.expr(e, cx)?;
        let bound = self.settle_unknown(bound)?;
        if let Some(i) = block
            .targets
            .iter()
            .position(|t| walk::same(&t.expr, &bound))
        {
            return Ok(i);
        }
        block.targets.push(Target {
            column: Column::new("?column?", bound.ty()),
            expr: bound,
        });
        Ok(block.targets.len() - 1)
    }

    fn distinct_items(&mut self, s: &'a ast::Select, block: &mut Block, cx: &mut Cx) -> Result<()> {
        match &s.distinct {
            None | Some(ast::Distinct::All) => Ok(()),
            Some(ast::Distinct::Distinct) => {
                if block.targets.len() > block.shown {
                    return Err(Error::new(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                    ));
                }
                block.distinct = true;
                Ok(())
            }
            Some(ast::Distinct::On(items)) => {
                let mut on: Vec<usize> = Vec::with_capacity(items.len());
                for item in items {
                    let i = self.sort_target(item, block, cx, "SELECT DISTINCT ON")?;
                    if !on.contains(&i) {
                        on.push(i);
                    }
                }
                block.distinct_on = Some(on);
                order_starts_with_on(block)
            }
        }
    }

    /// Puts the aggregation between the rows and everything above, and rewrites what is above to read its output.
    fn aggregated(
        &mut self,
        input: Plan,
        groups: Groups,
        calls: Vec<engine::plan::AggregateCall>,
        scope: &Scope,
        block: &mut Block,
        above: &mut Above,
    ) -> Result<Plan> {
        let below = above.width;
        let mut grouping = Grouping::new(groups, scope);
        for t in &mut block.targets {
            grouping.rewrite(&mut t.expr)?;
        }
        above.windows.regroup(&mut grouping)?;
        let series_args = above.series.iter_mut().flat_map(|s| &mut s.args);
        for arg in series_args {
            grouping.rewrite(arg)?;
        }
        if let Some(h) = &mut block.having {
            grouping.rewrite(h)?;
        }
        for call in &calls {
            let direct = aggregates::direct_args(&call.func, call.args.len()).unwrap_or(0);
            for arg in call.args.iter().take(direct) {
                grouping.rewrite(&mut arg.clone()).map_err(|e| {
                    e.with_detail("Direct arguments of an ordered-set aggregate must use only grouped columns.")
                })?;
            }
        }
        let mut number = |e: &mut Expr| grouping.number_aggregates(e);
        block
            .targets
            .iter_mut()
            .try_for_each(|t| number(&mut t.expr))?;
        block.having.iter_mut().try_for_each(&mut number)?;
        let mut series_args = above.series.iter_mut().flat_map(|s| &mut s.args);
        series_args.try_for_each(&mut number)?;
        above.windows.number_aggregates(&grouping)?;
        above.width = grouping.width() + calls.len();
        self.relies_on_keys(&grouping.keys_of);
        let plan = grouping.over(input, below, calls);
        Ok(match block.having.take() {
            Some(predicate) => Plan::Filter {
                input: Box::new(plan),
                predicate,
            },
            None => plan,
        })
    }
}

/// The rows of functions that GROUP BY goes by come before the groups.
fn grouped_by_rows(
    plan: Plan,
    groups: &mut Groups,
    block: &mut Block,
    above: &mut Above,
) -> Result<Plan> {
    if !super::series::are_all_in(&above.series, &groups.exprs)? {
        return Ok(plan);
    }
    let functions = std::mem::take(&mut above.series);
    let wide: usize = functions.iter().map(|f| f.columns.len()).sum();
    let targets = block.targets.iter_mut().map(|t| &mut t.expr);
    let targets = targets.chain(&mut groups.exprs);
    let plan = super::series::joined(plan, above.width, functions, targets)?;
    above.width += wide;
    Ok(plan)
}

/// Projection, DISTINCT, sorting, and the hidden columns off again.
fn assemble(input: Plan, block: Block) -> Rel {
    let shown = block.shown;
    let hidden = block.targets.len() > shown;
    let (exprs, mut columns): (Vec<Expr>, Vec<Column>) = block
        .targets
        .into_iter()
        .map(|t| (t.expr, t.column))
        .unzip();
    let mut keys = block.keys;
    let on: Option<Vec<Expr>> = block.distinct_on.map(|on| {
        let key = |i| Expr::Column(i, exprs.get(i).map_or(DataType::Text, Expr::ty));
        on.into_iter().map(key).collect()
    });
    if let Some(on) = &on {
        let sorted = |e: &&Expr| keys.iter().any(|k| walk::same(&k.expr, e));
        let missing: Vec<Expr> = on.iter().filter(|e| !sorted(e)).cloned().collect();
        keys.extend(missing.into_iter().map(|expr| SortKey {
            expr,
            descending: false,
            nulls_first: false,
        }));
    }
    let mut plan = Plan::Project {
        input: Box::new(input),
        exprs,
    };
    if block.distinct {
        plan = Plan::Distinct {
            input: Box::new(plan),
        };
    }
    if !keys.is_empty() {
        plan = Plan::Sort {
            input: Box::new(plan),
            keys,
            top: None,
        };
    }
    if let Some(keys) = on {
        plan = Plan::DistinctOn {
            input: Box::new(plan),
            keys,
        };
    }
    columns.truncate(shown);
    if hidden {
        let shown = columns.iter().enumerate();
        let exprs = shown.map(|(i, c)| Expr::Column(i, c.ty)).collect();
        plan = Plan::Project {
            input: Box::new(plan),
            exprs,
        };
    }
    Rel { plan, columns }
}

/// ORDER BY must sort by all of DISTINCT ON before anything else.
fn order_starts_with_on(block: &Block) -> Result<()> {
    let Some(on) = &block.distinct_on else {
        return Ok(());
    };
    let is_on = |k: &SortKey| matches!(&k.expr, Expr::Column(i, _) if on.contains(i));
    let first_other = block.keys.iter().position(|k| !is_on(k));
    let last_on = block.keys.iter().rposition(is_on);
    let mut seen: Vec<usize> = Vec::new();
    for k in block
        .keys
        .iter()
        .take(first_other.unwrap_or(block.keys.len()))
    {
        if let Expr::Column(i, _) = &k.expr
            && !seen.contains(i)
        {
            seen.push(*i);
        }
    }
    let mixed = matches!((first_other, last_on), (Some(f), Some(l)) if l > f);
    if mixed || (first_other.is_some() && seen.len() < on.len()) {
        return Err(Error::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
        ));
    }
    Ok(())
}

/// Parentheses around a whole item mean nothing.
pub(super) fn unnested(mut e: &ast::Expr) -> &ast::Expr {
    while let ast::Expr::Nested(inner) = e {
        e = inner;
    }
    e
}

fn group_is_written(g: &GroupByExpr) -> bool {
    match g {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(items, _) => !items.is_empty(),
    }
}

/// Clauses of other dialects, and those of PostgreSQL that are not there.
fn refuse_others(s: &ast::Select, into: bool) -> Result<()> {
    if s.into.is_some() && !into {
        return Err(Error::new(
            SqlState::SYNTAX_ERROR,
            "SELECT ... INTO is not allowed here",
        ));
    }
    let foreign = s.top.is_some()
        || s.exclude.is_some()
        || !s.lateral_views.is_empty()
        || s.prewhere.is_some()
        || !s.connect_by.is_empty()
        || !s.cluster_by.is_empty()
        || !s.distribute_by.is_empty()
        || !s.sort_by.is_empty()
        || s.qualify.is_some()
        || s.value_table_mode.is_some()
        || s.select_modifiers.is_some()
        || !matches!(s.flavor, ast::SelectFlavor::Standard);
    if foreign {
        return Err(syntax("syntax error in SELECT"));
    }
    Ok(())
}
