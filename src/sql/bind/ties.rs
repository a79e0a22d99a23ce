//! FETCH FIRST … WITH TIES: the rows after the last one that sort as it does come too.
//!
//! Owns: the window above the sorted rows that says how far the ties reach. Never: ends its input early.
//! Source: PostgreSQL 15 `nodeLimit.c`; a row counts when its rank is within OFFSET and FETCH together.

use super::{Binder, syntax};
use engine::plan::{Expr, Frame, Plan, SortKey, Window, WindowCall, WindowFunc};
use types::{DataType, Result};

impl Binder<'_> {
    pub(super) fn with_ties(
        &mut self,
        plan: Plan,
        limit: &Expr,
        offset: Option<&Expr>,
    ) -> Result<Plan> {
        match plan {
            // Hidden columns of ORDER BY are dropped above the sort.
            Plan::Project { input, exprs } if sort_keys(&input).is_some() => {
                let input = Box::new(self.with_ties(*input, limit, offset)?);
                Ok(Plan::Project { input, exprs })
            }
            plan => match sort_keys(&plan) {
                Some(keys) => self.ranked(plan, keys, limit, offset),
                None => Err(syntax(
                    "WITH TIES cannot be specified without ORDER BY clause",
                )),
            },
        }
    }

    fn ranked(
        &mut self,
        plan: Plan,
        order: Vec<SortKey>,
        limit: &Expr,
        offset: Option<&Expr>,
    ) -> Result<Plan> {
        let types = crate::planner::types(&plan);
        let call = |func| WindowCall {
            func,
            args: Vec::new(),
            filter: None,
            ty: DataType::Int8,
        };
        let (rank, number) = (types.len(), types.len() + 1);
        let window = Plan::Window(Box::new(Window {
            input: plan,
            partition: Vec::new(),
            order,
            frame: Frame::usual(),
            calls: vec![call(WindowFunc::Rank), call(WindowFunc::RowNumber)],
        }));
        let column = |i| Expr::Column(i, DataType::Int8);
        let mut last = limit.clone();
        let mut tests = Vec::new();
        if let Some(offset) = offset {
            let zero = Expr::Const(types::Value::Int8(0), DataType::Int8);
            let skipped = Expr::Coalesce(vec![offset.clone(), zero], DataType::Int8);
            last = self.infix("+", last, skipped.clone())?;
            tests.push(self.infix(">", column(number), skipped)?);
        }
        let within = self.infix("<=", column(rank), last)?;
        let unlimited = Expr::IsNull(Box::new(limit.clone()));
        tests.push(Expr::Or(vec![unlimited, within]));
        let shown = types.into_iter().enumerate();
        Ok(Plan::Project {
            exprs: shown.map(|(i, ty)| Expr::Column(i, ty)).collect(),
            input: Box::new(Plan::Filter {
                input: Box::new(window),
                predicate: Expr::And(tests),
            }),
        })
    }
}

/// The keys by which the plan's rows come sorted.
fn sort_keys(plan: &Plan) -> Option<Vec<SortKey>> {
    match plan {
        Plan::Sort { keys, .. } => Some(keys.clone()),
        Plan::DistinctOn { input, .. } => sort_keys(input),
        _ => None,
    }
}
