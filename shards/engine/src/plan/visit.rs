//! Walking expressions and plans.
//!
//! Owns: what the direct parts of an expression and of an operator are, in evaluation order, and which rows of enclosing
//! queries a plan reads. Asked by: exec (subqueries), the planner, EXPLAIN. Never: changes anything by itself.
//! A subquery's plan is not a part of the expression that holds it: who cares about those descends by `Expr::Subquery`.

use super::{
    Access, AggregateCall, Bitmap, Expr, KeyRange, Plan, SortKey, SubqueryKind, Window, WindowCall,
};
use crate::exec::functions::Volatility;
use std::collections::BTreeSet;

/// Expands once for `&` and once for `&mut`: the lists of parts must never differ.
macro_rules! expr_parts {
    ($name:ident, $iter:ident, $deref:ident, $($mutable:tt)?) => {
        /// The expressions directly inside this one.
        pub fn $name(&$($mutable)? self) -> Vec<&$($mutable)? Expr> {
            match self {
                Expr::Const(..) | Expr::Param(..) | Expr::Column(..) | Expr::Outer { .. } => {
                    Vec::new()
                }
                Expr::Call { args, .. } => args.$iter().collect(),
                Expr::And(items)
                | Expr::Or(items)
                | Expr::Coalesce(items, _)
                | Expr::Extreme { items, .. }
                | Expr::Array(items, _) => items.$iter().collect(),
                Expr::Cast { expr, .. }
                | Expr::Not(expr)
                | Expr::IsNull(expr)
                | Expr::IsBool { expr, .. } => vec![expr],
                Expr::Distinct { left, right, .. } | Expr::NullIf { left, right, .. } => {
                    vec![left, right]
                }
                Expr::Case { branches, otherwise, .. } => branches
                    .$iter()
                    .flat_map(|(when, then)| [when, then])
                    .chain(otherwise.$deref())
                    .collect(),
                Expr::InList { expr, items, .. } => {
                    std::iter::once(&$($mutable)? **expr).chain(items.$iter()).collect()
                }
                Expr::ArrayQuantified { left, array, .. } => vec![left, array],
                Expr::Subscript { array, index, .. } => vec![array, index],
                Expr::Subquery { kind: SubqueryKind::Quantified { left, .. }, .. } => vec![left],
                Expr::Subquery { .. } => Vec::new(),
            }
        }
    };
}

macro_rules! access_parts {
    ($exprs:ident, $range:ident, $iter:ident, $($mutable:tt)?) => {
        /// The expressions of its keys and bounds.
        pub fn $exprs(&$($mutable)? self) -> Vec<&$($mutable)? Expr> {
            match self {
                Access::Full => Vec::new(),
                Access::Keys(keys) => keys.$iter().flatten().collect(),
                Access::KeyRange(range) | Access::Index { range, .. } => $range(range).collect(),
                Access::Bitmap(bitmap) => bitmap.$exprs(),
                Access::Each(each) => vec![&$($mutable)? each.array],
            }
        }
    };
}

macro_rules! bitmap_parts {
    ($exprs:ident, $range:ident, $iter:ident, $($mutable:tt)?) => {
        /// The expressions of its ranges.
        pub fn $exprs(&$($mutable)? self) -> Vec<&$($mutable)? Expr> {
            match self {
                Bitmap::Entries { ranges, .. } => ranges.$iter().flat_map($range).collect(),
                Bitmap::And(all) | Bitmap::Or(all) => {
                    all.$iter().flat_map(|b| b.$exprs()).collect()
                }
            }
        }
    };
}

macro_rules! plan_parts {
    ($inputs:ident, $exprs:ident, $window:ident, $iter:ident, $($mutable:tt)?) => {
        /// The operators that feed this one, left first.
        pub fn $inputs(&$($mutable)? self) -> Vec<&$($mutable)? Plan> {
            match self {
                Plan::Scan(_)
                | Plan::System(_)
                | Plan::Values { .. }
                | Plan::OneRow
                | Plan::Function(_)
                | Plan::WithScan(_)
                | Plan::Given(_)
                | Plan::WorkTable(_) => Vec::new(),
                Plan::Filter { input, .. }
                | Plan::Project { input, .. }
                | Plan::Sort { input, .. }
                | Plan::Limit { input, .. }
                | Plan::Distinct { input }
                | Plan::DistinctOn { input, .. }
                | Plan::Notify { input }
                | Plan::Sleep { input }
                | Plan::Observe { input, .. }
                | Plan::Configure { input }
                | Plan::Gather { input }
                | Plan::Expand { input, .. } => vec![input],
                Plan::Join(join) => {
                    let join = &$($mutable)? **join;
                    vec![&$($mutable)? join.left, &$($mutable)? join.right]
                }
                Plan::Aggregate(aggregate) => vec![&$($mutable)? aggregate.input],
                Plan::LockRows(lock) => vec![&$($mutable)? lock.input],
                Plan::Advise(advise) => vec![&$($mutable)? advise.input],
                Plan::Window(window) => vec![&$($mutable)? window.input],
                Plan::With(with) => {
                    let with = &$($mutable)? **with;
                    let queries = with.queries.$iter().map(|q| &$($mutable)? q.plan);
                    queries.chain([&$($mutable)? with.input]).collect()
                }
                Plan::Recursive(recursive) => {
                    let recursive = &$($mutable)? **recursive;
                    vec![&$($mutable)? recursive.base, &$($mutable)? recursive.step]
                }
                Plan::Sequence(call) => vec![&$($mutable)? call.input],
                Plan::Call(call) => vec![&$($mutable)? call.input],
                Plan::SetOp { left, right, .. } => vec![left, right],
                Plan::FirstRows { first, whole, .. } => vec![first, whole],
            }
        }

        /// The expressions that this operator itself holds.
        pub fn $exprs(&$($mutable)? self) -> Vec<&$($mutable)? Expr> {
            match self {
                Plan::System(_)
                | Plan::OneRow
                | Plan::Distinct { .. }
                | Plan::SetOp { .. }
                | Plan::FirstRows { .. }
                | Plan::Advise(_)
                | Plan::Given(_)
                | Plan::Notify { .. }
                | Plan::Sleep { .. }
                | Plan::Observe { .. }
                | Plan::With(_)
                | Plan::Configure { .. }
                | Plan::Gather { .. }
                | Plan::WithScan(_)
                | Plan::Recursive(_)
                | Plan::WorkTable(_)
                | Plan::Call(_)
                | Plan::Sequence(_) => Vec::new(),
                Plan::Scan(scan) => {
                    let scan = &$($mutable)? **scan;
                    let mut parts: Vec<&$($mutable)? Expr> = Vec::new();
                    parts.extend(scan.access.$exprs());
                    parts.extend(scan.homes.$iter().flatten());
                    parts.extend(&$($mutable)? scan.filter);
                    parts.extend((&$($mutable)? scan.project).into_iter().flatten());
                    if let Some(partial) = &$($mutable)? scan.partial {
                        parts.extend(&$($mutable)? partial.groups);
                        parts.extend(partial.aggregates.$iter().flat_map(AggregateCall::$exprs));
                    }
                    parts
                }
                Plan::Values { rows } => rows.$iter().flatten().collect(),
                Plan::Function(function) => {
                    let beside = function.beside.$iter().flat_map(|f| f.args.$iter());
                    function.args.$iter().chain(beside).collect()
                }
                Plan::Filter { predicate, .. } => vec![predicate],
                Plan::Project { exprs, .. } | Plan::Expand { groups: exprs, .. } => {
                    exprs.$iter().collect()
                }
                Plan::Join(join) => {
                    let join = &$($mutable)? **join;
                    let keys = join.left_keys.$iter().chain(&$($mutable)? join.right_keys);
                    keys.chain(&$($mutable)? join.filter).collect()
                }
                Plan::Aggregate(aggregate) => {
                    let aggregate = &$($mutable)? **aggregate;
                    let calls = aggregate.aggregates.$iter().flat_map(AggregateCall::$exprs);
                    aggregate.groups.$iter().chain(calls).collect()
                }
                Plan::Sort { keys, .. } => keys.$iter().map(|k| &$($mutable)? k.expr).collect(),
                Plan::Limit { limit, offset, .. } => {
                    limit.$iter().chain(offset.$iter()).collect()
                }
                Plan::DistinctOn { keys, .. } => keys.$iter().collect(),
                Plan::LockRows(lock) => (&$($mutable)? lock.filter).into_iter().collect(),
                Plan::Window(window) => $window(window),
            }
        }
    };
}

impl Expr {
    expr_parts!(children, iter, as_deref,);
    expr_parts!(children_mut, iter_mut, as_deref_mut, mut);

    /// Calls `f` on this expression and on all inside it, outermost first.
    pub fn each(&self, f: &mut dyn FnMut(&Expr)) {
        f(self);
        for child in self.children() {
            child.each(f);
        }
    }

    /// Calls `f` on this expression and on all inside it, innermost first.
    pub fn each_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        for child in self.children_mut() {
            child.each_mut(f);
        }
        f(self);
    }

    /// Some part, or this itself, satisfies `f`.
    pub fn any(&self, f: &mut dyn FnMut(&Expr) -> bool) -> bool {
        f(self) || self.children().into_iter().any(|c| c.any(f))
    }

    /// It may differ from one evaluation to the next (subqueries included).
    pub fn is_volatile(&self) -> bool {
        self.any(&mut |e| match e {
            Expr::Call { func, .. } => func.0.volatility == Volatility::Volatile,
            Expr::Subquery { plan, .. } => plan.is_volatile(),
            _ => false,
        })
    }

    /// The columns of its own row that it reads, also from inside its subqueries.
    pub fn columns(&self) -> BTreeSet<usize> {
        let mut out = BTreeSet::new();
        self.each(&mut |e| match e {
            Expr::Column(i, _) => {
                out.insert(*i);
            }
            Expr::Subquery { plan, .. } => {
                let nearest = plan
                    .outer_refs()
                    .into_iter()
                    .filter(|(depth, _)| *depth == 1);
                out.extend(nearest.map(|(_, column)| column));
            }
            _ => {}
        });
        out
    }
}

impl Access {
    access_parts!(exprs, range_exprs, iter,);
    access_parts!(exprs_mut, range_exprs_mut, iter_mut, mut);
}

impl Bitmap {
    bitmap_parts!(exprs, range_exprs, iter,);
    bitmap_parts!(exprs_mut, range_exprs_mut, iter_mut, mut);
}

impl Plan {
    plan_parts!(inputs, exprs, window_exprs, iter,);
    plan_parts!(inputs_mut, exprs_mut, window_exprs_mut, iter_mut, mut);

    /// Some expression in it may differ from one run to the next.
    pub fn is_volatile(&self) -> bool {
        matches!(
            self,
            Plan::Advise(_)
                | Plan::Configure { .. }
                | Plan::Notify { .. }
                | Plan::Sleep { .. }
                | Plan::Observe { .. }
                | Plan::Sequence(_)
        ) || matches!(self, Plan::Call(call) if call.volatile)
            || self.exprs().into_iter().any(Expr::is_volatile)
            || self.inputs().into_iter().any(Plan::is_volatile)
    }

    /// The columns of enclosing rows that it reads: (depth, column), depth 1 being the query right around it.
    pub fn outer_refs(&self) -> BTreeSet<(usize, usize)> {
        let mut out = BTreeSet::new();
        plan_refs(self, 0, &mut out);
        out
    }
}

fn plan_refs(plan: &Plan, level: usize, out: &mut BTreeSet<(usize, usize)>) {
    for e in plan.exprs() {
        expr_refs(e, level, out);
    }
    let lateral = matches!(plan, Plan::Join(join) if join.lateral);
    for (i, input) in plan.inputs().into_iter().enumerate() {
        let deeper = lateral && i == 1;
        plan_refs(input, level + usize::from(deeper), out);
    }
}

fn expr_refs(e: &Expr, level: usize, out: &mut BTreeSet<(usize, usize)>) {
    match e {
        Expr::Outer { depth, column, .. } if *depth > level => {
            out.insert((depth - level, *column));
        }
        Expr::Subquery { plan, .. } => plan_refs(plan, level + 1, out),
        _ => {}
    }
    for child in e.children() {
        expr_refs(child, level, out);
    }
}

fn range_exprs(range: &KeyRange) -> impl Iterator<Item = &Expr> {
    let bounds = range.lower.iter().chain(range.upper.iter());
    range.prefix.iter().chain(bounds.map(|(e, _)| e))
}

fn range_exprs_mut(range: &mut KeyRange) -> impl Iterator<Item = &mut Expr> {
    let bounds = range.lower.iter_mut().chain(range.upper.iter_mut());
    range.prefix.iter_mut().chain(bounds.map(|(e, _)| e))
}

impl AggregateCall {
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let order = self.order.iter().map(|k: &SortKey| &k.expr);
        self.args.iter().chain(&self.filter).chain(order)
    }

    fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let order = self.order.iter_mut().map(|k: &mut SortKey| &mut k.expr);
        self.args.iter_mut().chain(&mut self.filter).chain(order)
    }
}

impl WindowCall {
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.args.iter().chain(&self.filter)
    }
}

fn window_exprs(w: &Window) -> Vec<&Expr> {
    let order = w.order.iter().map(|k| &k.expr);
    let bounds = w
        .frame
        .start
        .offset()
        .into_iter()
        .chain(w.frame.end.offset());
    let calls = w.calls.iter().flat_map(WindowCall::exprs);
    w.partition
        .iter()
        .chain(order)
        .chain(bounds)
        .chain(calls)
        .collect()
}

fn window_exprs_mut(w: &mut Window) -> Vec<&mut Expr> {
    let order = w.order.iter_mut().map(|k| &mut k.expr);
    let start = w.frame.start.offset_mut().into_iter();
    let bounds = start.chain(w.frame.end.offset_mut());
    let calls = w
        .calls
        .iter_mut()
        .flat_map(|c| c.args.iter_mut().chain(&mut c.filter));
    let keys = w.partition.iter_mut().chain(order);
    keys.chain(bounds).chain(calls).collect()
}
