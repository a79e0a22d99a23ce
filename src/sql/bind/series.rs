//! Set-returning functions in a select list: `SELECT unnest(a), b FROM t`.
//!
//! Owns: turning such functions of a list into a join with their rows, which run side by side; each row of FROM is repeated
//! for each of the functions', and dropped when there are none, as PostgreSQL's ProjectSet does. Never: runs one inside
//! another (refused).

use super::composite::row;
use super::{Binder, Cx, unsupported, walk};
use engine::exec::resolve;
use engine::plan::{Expr, Join, JoinKind, Keep, Plan, TableFunction};
use types::{Column, DataType, Error, RecordField, Result};

/// The columns from here on stand for functions' values until the row's width is known; below the aggregates' stand-ins.
pub(super) const STAND_IN: usize = 1 << 31;

impl Binder<'_> {
    /// There is no such function of one value but one of rows.
    pub(super) fn is_series(&self, name: &str, args: &[Expr]) -> bool {
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        resolve::table_function(name, &types).is_ok() && resolve::function(name, &types).is_err()
    }

    pub(super) fn series(&mut self, name: &str, args: Vec<Expr>, cx: &mut Cx) -> Result<Expr> {
        let Some(found) = &cx.series else {
            return Err(Error::unsupported(format!(
                "set-returning functions are not allowed in {}",
                cx.clause.name()
            )));
        };
        let place = STAND_IN + found.iter().map(|f| f.columns.len()).sum::<usize>();
        let inner = |e: &Expr| e.any(&mut |x| matches!(x, Expr::Column(i, _) if is_stand_in(*i)));
        if args.iter().any(inner) {
            return Err(unsupported("a set-returning function inside another"));
        }
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        let (arg_types, columns) = resolve::table_function(name, &types)?;
        let columns: Vec<Column> = columns
            .iter()
            .map(|(name, ty)| Column::new(name.as_str(), *ty))
            .collect();
        let value = value_of(&columns, place)?;
        let args = self.row_args(name, args, arg_types)?;
        if let Some(found) = &mut cx.series {
            found.push(TableFunction {
                name: name.to_string(),
                args,
                columns,
                ordinality: false,
                beside: Vec::new(),
            });
        }
        Ok(value)
    }
}

/// What a call gives whose columns begin at `place`: a row of them where they are several, NULL when it has no more.
fn value_of(columns: &[Column], place: usize) -> Result<Expr> {
    let at = |(i, c): (usize, &Column)| Expr::Column(place + i, c.ty);
    let mut values: Vec<Expr> = columns.iter().enumerate().map(at).collect();
    if values.len() == 1 {
        return values
            .pop()
            .ok_or_else(|| Error::internal("a function of no column"));
    }
    let fields = columns.iter();
    let fields = fields.map(|c| RecordField::new(c.name.as_str(), c.ty));
    let missing = values.iter().map(|e| Expr::IsNull(Box::new(e.clone())));
    let missing = Expr::And(missing.collect());
    row(DataType::Record, fields.collect(), Some(missing), values)
}

/// Whether GROUP BY goes by these functions, so that they give their rows before there are groups.
pub(super) fn are_all_in(series: &[TableFunction], groups: &[Expr]) -> Result<bool> {
    let mut first = STAND_IN;
    let mut named = 0;
    for function in series {
        let own = first..first + function.columns.len();
        let is = |x: &Expr| matches!(x, Expr::Column(i, _) if own.contains(i));
        named += usize::from(groups.iter().any(|g| g.any(&mut |x| is(x))));
        first = own.end;
    }
    match named {
        0 => Ok(false),
        n if n == series.len() => Ok(true),
        _ => Err(unsupported(
            "set-returning functions of which GROUP BY goes by some and not by others",
        )),
    }
}

/// The rows joined with the function's, and the stand-in replaced in the targets.
pub(super) fn joined<'e>(
    mut plan: Plan,
    mut width: usize,
    mut series: Vec<TableFunction>,
    targets: impl Iterator<Item = &'e mut Expr>,
) -> Result<Plan> {
    let right_width = series.iter().map(|f| f.columns.len()).sum();
    let mut below = Vec::new();
    for arg in args(&mut series) {
        let reads = |x: &Expr| {
            matches!(
                x,
                Expr::Subquery {
                    correlated: true,
                    ..
                }
            )
        };
        if arg.any(&mut |x| reads(x)) {
            let column = Expr::Column(width + below.len(), arg.ty());
            below.push(std::mem::replace(arg, column));
        }
    }
    if !below.is_empty() {
        // A subquery that reads the row is computed beside it, and the function takes its value.
        let types = crate::planner::types(&plan).into_iter().enumerate();
        let columns = types.map(|(i, ty)| Expr::Column(i, ty));
        width += below.len();
        plan = Plan::Project {
            input: Box::new(plan),
            exprs: columns.chain(below).collect(),
        };
    }
    let mut reads_row = false;
    for arg in args(&mut series) {
        reads_row |= arg.any(&mut |x| matches!(x, Expr::Column(..)));
    }
    if reads_row {
        args(&mut series).for_each(|arg| *arg = walk::lift(arg, 1));
    }
    let mut series = series.into_iter();
    let Some(mut function) = series.next() else {
        return Ok(plan);
    };
    function.beside = series.collect();
    for target in targets {
        replace(target, width)?;
    }
    Ok(Plan::Join(Box::new(Join {
        kind: JoinKind::Inner,
        left: plan,
        right: Plan::Function(function),
        left_width: width,
        right_width,
        left_keys: Vec::new(),
        right_keys: Vec::new(),
        filter: None,
        lateral: reads_row,
        keep: Keep::Either,
    })))
}

fn args(series: &mut [TableFunction]) -> impl Iterator<Item = &mut Expr> {
    series.iter_mut().flat_map(|f| &mut f.args)
}

pub(super) fn is_stand_in(column: usize) -> bool {
    (STAND_IN..super::agg::STAND_IN).contains(&column)
}

fn replace(e: &mut Expr, width: usize) -> Result<()> {
    if let Expr::Column(i, _) = e {
        if is_stand_in(*i) {
            *i = *i - STAND_IN + width;
        }
        return Ok(());
    }
    walk::parts(e, &mut |x| replace(x, width))
}
