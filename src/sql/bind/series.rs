//! Set-returning functions in a select list: `SELECT unnest(a), b FROM t`.
//!
//! Owns: turning the one such function of a list into a join with its rows; each row of FROM is repeated for each of the
//! function's, and dropped when there are none, as PostgreSQL's ProjectSet does. Never: runs several in lockstep (refused).

use super::{Binder, Cx, unsupported, walk};
use engine::exec::resolve;
use engine::plan::{Expr, Join, JoinKind, Plan, TableFunction};
use types::{Column, DataType, Error, Result};

/// The column that stands for the function's value until the row's width is known; below the aggregates' stand-ins.
const STAND_IN: usize = 1 << 31;

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
        if !found.is_empty() {
            return Err(unsupported(
                "more than one set-returning function in a select list",
            ));
        }
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        let (arg_types, columns) = resolve::table_function(name, &types)?;
        let [(column, ty)] = columns.as_slice() else {
            return Err(unsupported(
                "a function of several columns in a select list",
            ));
        };
        let column = Column::new(column.as_str(), *ty);
        let ty = *ty;
        let args = args
            .into_iter()
            .zip(arg_types)
            .map(|(e, ty)| self.coerce_arg(e, ty))
            .collect::<Result<Vec<_>>>()?;
        if let Some(found) = &mut cx.series {
            found.push(TableFunction {
                name: name.to_string(),
                args,
                columns: vec![column],
                ordinality: false,
            });
        }
        Ok(Expr::Column(STAND_IN, ty))
    }
}

/// The rows joined with the function's, and the stand-in replaced in the targets.
pub(super) fn joined<'e>(
    plan: Plan,
    width: usize,
    series: Vec<TableFunction>,
    targets: impl Iterator<Item = &'e mut Expr>,
) -> Result<Plan> {
    let Some(mut function) = series.into_iter().next() else {
        return Ok(plan);
    };
    let (mut reads_row, mut subquery) = (false, false);
    for arg in &function.args {
        arg.each(&mut |x| match x {
            Expr::Column(..) => reads_row = true,
            Expr::Subquery { .. } => subquery = true,
            _ => {}
        });
    }
    if reads_row {
        if subquery {
            return Err(unsupported(
                "a subquery in the arguments of a set-returning function",
            ));
        }
        for arg in &mut function.args {
            *arg = walk::lift(arg, 1);
        }
    }
    for target in targets {
        replace(target, width)?;
    }
    Ok(Plan::Join(Box::new(Join {
        kind: JoinKind::Inner,
        left: plan,
        right: Plan::Function(function),
        left_width: width,
        right_width: 1,
        left_keys: Vec::new(),
        right_keys: Vec::new(),
        filter: None,
        lateral: reads_row,
        keep_left: false,
    })))
}

fn replace(e: &mut Expr, width: usize) -> Result<()> {
    if let Expr::Column(i, _) = e {
        if *i == STAND_IN {
            *i = width;
        }
        return Ok(());
    }
    walk::parts(e, &mut |x| replace(x, width))
}
