//! How many rows a plan gives, and what is known of its columns.
//!
//! Owns: estimates from what ANALYZE found, with PostgreSQL's defaults where it has found nothing. Asked by: the rules that
//! choose between plans that answer the same, and EXPLAIN. Never: changes a plan; what it says may be wrong, and then a plan is
//! slow, never false.
//! Source: PostgreSQL 15, `selfuncs.c` and `costsize.c`; Swami and Schiefer 1994 for joins over several conditions.

mod column;
mod selectivity;

pub(in crate::planner) use column::Column;
pub(in crate::planner) use selectivity::{join_fraction, selectivity};

use super::conjuncts::split;
use crate::statement::row_parameter;
use engine::catalog::{Catalog, Table};
use engine::exec::Context;
use engine::exec::eval::guess;
use engine::exec::functions::Volatility;
use engine::plan::{Access, Aggregate, Expr, Join, JoinKind, Plan, Scan, SetOp};
use types::Value;

/// Rows of a table that has not been analyzed.
const TABLE_ROWS: f64 = 1_000.0;
/// Rows of a function in FROM whose arguments are not known, as in PostgreSQL.
const FUNCTION_ROWS: f64 = 1_000.0;
/// What a change in WITH returns.
const GIVEN_ROWS: f64 = 100.0;
/// Rows of a table of the system.
const SYSTEM_ROWS: f64 = 200.0;
/// Of a WITH query that is read more than once: what it reads is not looked at from here.
const WITH_ROWS: f64 = 1_000.0;
/// How many times the rows it begins with a recursive query has, as PostgreSQL supposes.
const ROUNDS: f64 = 10.0;
/// Different values of a column of which nothing is known, as in PostgreSQL.
pub(super) const DISTINCT: f64 = 200.0;

pub(in crate::planner) struct Estimator<'a> {
    catalog: &'a Catalog,
    context: &'a Context,
    /// What parameters that are a LIMIT or OFFSET are at most, by their numbers.
    rows: &'a [Option<u64>],
}

/// What a plan gives.
#[derive(Clone, Debug, Default)]
pub(in crate::planner) struct Output<'a> {
    pub rows: f64,
    pub columns: Vec<Column<'a>>,
}

impl Output<'_> {
    /// Bytes of a row.
    pub(in crate::planner) fn width(&self) -> u32 {
        self.columns.iter().map(Column::width).sum()
    }

    /// So many of the rows, at random: rare values go first.
    fn thinned(mut self, rows: f64) -> Self {
        let before = self.rows.max(1.0);
        let rows = rows.clamp(0.0, before);
        for column in &mut self.columns {
            column.thin(before, rows);
        }
        self.rows = rows;
        self
    }
}

impl<'a> Estimator<'a> {
    pub(in crate::planner) fn new(catalog: &'a Catalog, context: &'a Context) -> Estimator<'a> {
        Estimator {
            catalog,
            context,
            rows: &[],
        }
    }

    pub(in crate::planner) fn with_rows(self, rows: &'a [Option<u64>]) -> Estimator<'a> {
        Estimator { rows, ..self }
    }

    /// What a LIMIT or OFFSET is, or is at most.
    pub(in crate::planner) fn row_count(&self, e: &Expr) -> Option<u64> {
        match e {
            Expr::Const(Value::Null, _) => None,
            Expr::Const(value, _) => u64::try_from(value.as_i64()?).ok(),
            e => {
                let parameter = row_parameter(e)?;
                *self.rows.get(usize::from(parameter))?
            }
        }
    }

    /// The conditions as they would be if they were looked at now: `at > now() - interval '1 day'` is a bound like any other.
    pub(in crate::planner) fn guessed(&self, conditions: Vec<Expr>) -> Vec<Expr> {
        let stable = |e: &Expr| match e {
            Expr::Call { func, .. } => func.0.volatility == Volatility::Stable,
            Expr::Cast { expr, .. } => matches!(**expr, Expr::Const(..)),
            _ => false,
        };
        let guessed = |c: Expr| match c.any(&mut |e| stable(e)) {
            true => guess(c, self.context),
            false => c,
        };
        conditions.into_iter().map(guessed).collect()
    }

    pub(in crate::planner) fn partitions(&self) -> usize {
        usize::from(self.catalog.partitions)
    }

    /// Whether ANALYZE has been run on the table.
    pub(in crate::planner) fn knows(&self, table: &Table) -> bool {
        self.catalog.statistics.contains_key(&table.id)
    }

    pub(in crate::planner) fn rows(&self, plan: &Plan) -> f64 {
        self.output(plan).rows
    }

    /// All rows of a table.
    pub(in crate::planner) fn table(&self, table: &Table) -> Output<'a> {
        let statistics = self.catalog.statistics.get(&table.id);
        let rows = statistics.map_or(TABLE_ROWS, |s| s.rows as f64);
        let columns = table.columns.iter().enumerate().map(|(at, c)| {
            let known = statistics.and_then(|s| s.columns.get(at));
            Column::of_table(table, at, c.ty, rows, known)
        });
        Output {
            rows,
            columns: columns.collect(),
        }
    }

    /// The table's rows that an access and a filter leave.
    pub(in crate::planner) fn found(
        &self,
        table: &Table,
        access: &Access,
        filter: Option<&Expr>,
    ) -> Output<'a> {
        let all = self.table(table);
        let mut rows = match access {
            Access::Keys(keys) => (keys.len() as f64).min(all.rows),
            // Their conditions are in the filter too.
            Access::Full
            | Access::KeyRange(_)
            | Access::Index { .. }
            | Access::Bitmap(_)
            | Access::Each(_) => all.rows,
        };
        if let Some(filter) = filter {
            rows *= selectivity(&self.guessed(split(filter.clone())), &all);
        }
        all.thinned(rows)
    }

    pub(in crate::planner) fn output(&self, plan: &Plan) -> Output<'a> {
        match plan {
            Plan::Scan(scan) => self.scanned(scan),
            Plan::System(_) => Output {
                rows: SYSTEM_ROWS,
                columns: unknown(plan, SYSTEM_ROWS),
            },
            Plan::Values { rows } => Output {
                rows: rows.len() as f64,
                columns: unknown(plan, rows.len() as f64),
            },
            Plan::OneRow => Output {
                rows: 1.0,
                columns: Vec::new(),
            },
            Plan::Function(function) => {
                let rows = function_rows(&function.name, &function.args);
                Output {
                    rows,
                    columns: unknown(plan, rows),
                }
            }
            Plan::Filter { input, predicate } => {
                let input = self.output(input);
                let conditions = self.guessed(split(predicate.clone()));
                let rows = input.rows * selectivity(&conditions, &input);
                input.thinned(rows)
            }
            Plan::Project { input, exprs } => {
                let input = self.output(input);
                projected(&input, exprs)
            }
            Plan::Join(join) => self.join(join),
            Plan::Aggregate(aggregate) => self.aggregate(aggregate),
            Plan::Sort { input, top, .. } => {
                let input = self.output(input);
                let rows = top.map_or(input.rows, |n| input.rows.min(n as f64));
                input.thinned(rows)
            }
            Plan::Limit {
                input,
                limit,
                offset,
            } => {
                let input = self.output(input);
                let count = |e: &Expr| self.row_count(e).map(|n| n as f64);
                let offset = offset.as_ref().and_then(count).unwrap_or(0.0);
                let left = (input.rows - offset).max(0.0);
                let rows = limit.as_ref().and_then(count).map_or(left, |n| left.min(n));
                input.thinned(rows)
            }
            Plan::Distinct { input } => {
                let input = self.output(input);
                let rows = groups(&input.columns, input.rows);
                input.thinned(rows)
            }
            Plan::DistinctOn { input, keys } => {
                let input = self.output(input);
                let keys = projected(&input, keys).columns;
                let rows = groups(&keys, input.rows);
                input.thinned(rows)
            }
            Plan::SetOp {
                op,
                all,
                left,
                right,
            } => self.set_op(*op, *all, left, right),
            Plan::LockRows(lock) => {
                let input = self.output(&lock.input);
                match lock.within {
                    Some(_) => input,
                    None => self.table(&lock.table).thinned(input.rows),
                }
            }
            Plan::Given(_) => Output {
                rows: GIVEN_ROWS,
                columns: unknown(plan, GIVEN_ROWS),
            },
            Plan::Notify { input } | Plan::Sleep { input } | Plan::Observe { input, .. } => {
                let rows = self.output(input).rows;
                Output {
                    rows,
                    columns: unknown(plan, rows),
                }
            }
            Plan::Advise(advise) => {
                let rows = self.output(&advise.input).rows;
                Output {
                    rows,
                    columns: unknown(plan, rows),
                }
            }
            Plan::Configure { input } => {
                let rows = self.output(input).rows;
                Output {
                    rows,
                    columns: unknown(plan, rows),
                }
            }
            Plan::Sequence(call) => {
                let rows = self.output(&call.input).rows;
                Output {
                    rows,
                    columns: unknown(plan, rows),
                }
            }
            Plan::Call(call) => {
                let calls = self.output(&call.input).rows;
                let rows = if call.set {
                    calls * FUNCTION_ROWS
                } else {
                    calls
                };
                Output {
                    rows,
                    columns: unknown(plan, rows),
                }
            }
            Plan::Window(window) => {
                let mut out = self.output(&window.input);
                let rows = out.rows;
                let calls = window.calls.iter();
                out.columns
                    .extend(calls.map(|c| Column::unknown(c.ty, rows)));
                out
            }
            Plan::Gather { input } => self.output(input),
            Plan::FirstRows { whole, .. } => self.output(whole),
            Plan::With(with) => self.output(&with.input),
            Plan::WithScan(_) | Plan::WorkTable(_) => Output {
                rows: WITH_ROWS,
                columns: unknown(plan, WITH_ROWS),
            },
            Plan::Recursive(recursive) => {
                let rows = self.output(&recursive.base).rows * ROUNDS;
                Output {
                    rows,
                    columns: unknown(plan, rows),
                }
            }
            Plan::Expand {
                input,
                groups,
                sets,
            } => {
                let mut out = self.output(input);
                let groups = projected(&out, groups).columns;
                out.columns.extend(groups);
                let rows = out.rows * sets.len() as f64;
                let set = Column::unknown(types::DataType::Int4, sets.len() as f64);
                out.columns.push(set);
                out.rows = rows;
                out
            }
        }
    }

    pub(in crate::planner) fn scanned(&self, scan: &Scan) -> Output<'a> {
        let found = self.found(&scan.table, &scan.access, scan.filter.as_ref());
        if let Some(partial) = &scan.partial {
            let mut out = projected(&found, &partial.groups);
            out.rows = groups(&out.columns, found.rows);
            let calls = partial.aggregates.iter();
            out.columns
                .extend(calls.map(|c| Column::unknown(c.ty, out.rows)));
            return out;
        }
        let mut out = match &scan.project {
            Some(exprs) => projected(&found, exprs),
            None => found,
        };
        if scan.addressed {
            let rows = out.rows;
            out.columns
                .push(Column::unknown(types::DataType::Bytea, rows));
        }
        match scan.limit.or(scan.top.as_ref().map(|t| t.rows)) {
            // From each partition.
            Some(limit) => {
                let rows = (limit as f64) * f64::from(self.catalog.partitions);
                let rows = rows.min(out.rows);
                out.thinned(rows)
            }
            None => out,
        }
    }

    fn join(&self, join: &Join) -> Output<'a> {
        let left = self.output(&join.left);
        let right = self.output(&join.right);
        if join.lateral {
            let rows = left.rows * right.rows;
            return joined(left, right, rows);
        }
        let mut both = Output {
            rows: left.rows.max(right.rows),
            columns: left.columns.clone(),
        };
        both.columns.extend(right.columns.iter().cloned());
        let on = match &join.filter {
            Some(filter) => selectivity(&split(filter.clone()), &both),
            None => 1.0,
        };
        if matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
            let matching = if join.left_keys.is_empty() {
                on
            } else {
                matching(&left, &join.left_keys, &right, &join.right_keys) * on.max(0.3)
            };
            let part = match join.kind {
                JoinKind::Semi => matching,
                _ => 1.0 - matching,
            };
            let rows = left.rows * part.clamp(0.0, 1.0);
            return left.thinned(rows.max(1.0));
        }
        let l = projected(&left, &join.left_keys).columns;
        let r = projected(&right, &join.right_keys).columns;
        let pairs = l.iter().zip(&r);
        let keys: f64 = pairs.map(|(l, r)| join_fraction(l, r)).product();
        // Each row of the side whose key is unique meets at most one of each other row.
        let most = if l.iter().any(|c| c.unique) && r.iter().any(|c| c.unique) {
            left.rows.min(right.rows)
        } else {
            f64::INFINITY
        };
        let inner = (left.rows * right.rows * keys).min(most) * on;
        let rows = match join.kind {
            JoinKind::Left => inner.max(left.rows),
            JoinKind::Right => inner.max(right.rows),
            JoinKind::Full => inner.max(left.rows).max(right.rows),
            JoinKind::Inner | JoinKind::Semi | JoinKind::Anti => inner,
        };
        joined(left, right, rows)
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Output<'a> {
        let input = self.output(&aggregate.input);
        let mut out = projected(&input, &aggregate.groups);
        out.rows = groups(&out.columns, input.rows);
        let calls = aggregate.aggregates.iter();
        out.columns
            .extend(calls.map(|c| Column::unknown(c.ty, out.rows)));
        if let [only] = aggregate.groups.as_slice()
            && matches!(only, Expr::Column(..))
            && let Some(column) = out.columns.first_mut()
        {
            column.unique = true;
        }
        out
    }

    fn set_op(&self, op: SetOp, all: bool, left: &Plan, right: &Plan) -> Output<'a> {
        let left = self.output(left);
        let right = self.output(right);
        let rows = match op {
            SetOp::Union => left.rows + right.rows,
            SetOp::Intersect => left.rows.min(right.rows),
            SetOp::Except => left.rows,
        };
        let columns = left.columns.iter().map(|c| Column::unknown(c.ty, rows));
        let out = Output {
            rows,
            columns: columns.collect(),
        };
        match (op, all) {
            (SetOp::Union, false) => {
                let rows = groups(&out.columns, rows);
                out.thinned(rows)
            }
            _ => out,
        }
    }
}

/// Of the left rows, the part that has a match: as many of its values as the right side can have.
pub(in crate::planner) fn matching(
    left: &Output,
    left_keys: &[Expr],
    right: &Output,
    right_keys: &[Expr],
) -> f64 {
    let l = projected(left, left_keys).columns;
    let r = projected(right, right_keys).columns;
    let part = |(l, r): (&Column, &Column)| (r.distinct / l.distinct.max(1.0)).min(1.0);
    // The narrowest key decides; the others go along with it.
    l.iter().zip(&r).map(part).fold(1.0, f64::min)
}

fn joined<'a>(left: Output<'a>, right: Output<'a>, rows: f64) -> Output<'a> {
    let (l, r) = (left.rows, right.rows);
    let mut columns = left.columns;
    // A row that meets several is there several times.
    let many = |column: &mut Column, before: f64| {
        column.unique &= rows <= before;
        column.thin(before.max(1.0), rows.min(before));
    };
    columns.iter_mut().for_each(|c| many(c, l));
    let mut others = right.columns;
    others.iter_mut().for_each(|c| many(c, r));
    columns.extend(others);
    Output { rows, columns }
}

/// The columns that expressions over these rows are.
pub(in crate::planner) fn projected<'a>(input: &Output<'a>, exprs: &[Expr]) -> Output<'a> {
    Output {
        rows: input.rows,
        columns: exprs.iter().map(|e| Column::of_expr(e, input)).collect(),
    }
}

/// How many different rows of these columns there are among `rows`.
pub(super) fn groups(columns: &[Column], rows: f64) -> f64 {
    if columns.iter().any(|c| c.unique) {
        return rows;
    }
    // Each further column is taken to depend a little on those before it.
    let mut distinct: Vec<f64> = columns.iter().map(|c| c.values()).collect();
    distinct.sort_by(|a, b| b.total_cmp(a));
    let mut product = 1.0;
    for (at, d) in distinct.iter().enumerate() {
        product *= if at < 2 { *d } else { d.sqrt().max(1.0) };
    }
    product.min(rows).max(1.0)
}

fn unknown<'a>(plan: &Plan, rows: f64) -> Vec<Column<'a>> {
    let types = super::shape::types(plan).into_iter();
    types.map(|ty| Column::unknown(ty, rows)).collect()
}

fn function_rows(name: &str, args: &[Expr]) -> f64 {
    match (name, args) {
        ("generate_series", [from, to]) => match (number(from), number(to)) {
            (Some(from), Some(to)) => (to - from + 1.0).max(0.0),
            _ => FUNCTION_ROWS,
        },
        _ => FUNCTION_ROWS,
    }
}

fn number(e: &Expr) -> Option<f64> {
    match e {
        Expr::Const(Value::Null, _) => None,
        Expr::Const(value, _) => value.as_i64().map(|n| n as f64),
        _ => None,
    }
}
