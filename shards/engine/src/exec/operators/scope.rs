//! Where an operator evaluates its expressions: the statement and the current rows of enclosing queries.
//!
//! Owns: the choice between plain evaluation and evaluation with subqueries, made once per list of expressions.
//! Asked by: every operator. Never: holds a borrow of statement state across a wait.

use super::Exec;
use super::subquery::eval_row;
use crate::exec::eval::{Env, eval, eval_bool};
use crate::plan::Expr;
use futures_util::stream::{self, StreamExt};
use smallvec::SmallVec;
use std::rc::Rc;
use types::{Result, Row, Value};

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) exec: Rc<Exec>,
    /// Nearest last.
    pub(crate) outer: Rc<Vec<Row>>,
}

/// Expressions of an operator.
#[derive(Clone, Default)]
pub(crate) struct Exprs {
    pub(crate) list: Rc<[Expr]>,
    /// Which columns of the input they are, if they are some and nothing else.
    pub(crate) columns: Option<Rc<[usize]>>,
    subqueries: bool,
    /// Its subqueries all read the row, and nothing comes of them but what they answer: those of several rows may run at once.
    apart: bool,
}

/// Rows whose subqueries run at the same time: they wait for shards, each for itself.
const AT_ONCE: usize = 32;

impl Exprs {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn new<'a>(list: impl IntoIterator<Item = &'a Expr>) -> Exprs {
        let list: Rc<[Expr]> = list.into_iter().cloned().collect();
        let subqueries = list.iter().any(has_subquery);
        let alone = |e: &Expr| matches!(e, Expr::Subquery { plan, correlated, .. } if !correlated || plan.locks_rows());
        let apart = subqueries
            && !list
                .iter()
                .any(|e| e.is_volatile() || e.any(&mut |e| alone(e)));
        let column = |e: &Expr| match e {
            Expr::Column(i, _) => Some(*i),
            _ => None,
        };
        let columns: Option<Rc<[usize]>> = list.iter().map(column).collect();
        Exprs {
            columns: columns.filter(|c| !c.is_empty()),
            list,
            subqueries,
            apart,
        }
    }

    /// Which columns of the input they are, if none of them comes twice: then values can be moved.
    pub(crate) fn moves(&self) -> Option<Rc<[usize]>> {
        let columns = self.columns.clone()?;
        let mut sorted = columns.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        (sorted.len() == columns.len()).then_some(columns)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Some subquery is inside, at any depth.
pub(crate) fn has_subquery(e: &Expr) -> bool {
    e.any(&mut |e| matches!(e, Expr::Subquery { .. }))
}

/// Enclosing rows as evaluation takes them.
pub(crate) fn frames(outer: &[Row]) -> SmallVec<[&[Value]; 4]> {
    outer.iter().map(Vec::as_slice).collect()
}

/// Expressions over rows that come from outside the operators: subqueries among them are run.
pub struct Rows {
    scope: Scope,
    exprs: Option<Exprs>,
}

impl Rows {
    /// `None`: rows stay as they are.
    pub fn new(exprs: Option<&[Expr]>, exec: &Rc<Exec>) -> Rows {
        Rows {
            scope: Scope {
                exec: exec.clone(),
                outer: Rc::default(),
            },
            exprs: exprs.map(Exprs::new),
        }
    }

    pub async fn over(&self, row: Row) -> Result<Row> {
        match &self.exprs {
            Some(exprs) => self.scope.row(exprs, &row).await,
            None => Ok(row),
        }
    }
}

impl Scope {
    pub(crate) fn new(exec: &Rc<Exec>, outer: &Rc<Vec<Row>>) -> Scope {
        Scope {
            exec: exec.clone(),
            outer: outer.clone(),
        }
    }

    /// The same place, where what is remembered is of the enclosing row alone.
    pub(super) fn of_this_row(&self) -> Scope {
        let exec = match self.outer.is_empty() {
            true => self.exec.clone(),
            false => self.exec.of_one_row(),
        };
        Scope {
            exec,
            outer: self.outer.clone(),
        }
    }

    /// The values of all expressions over one row.
    pub(crate) async fn row(&self, exprs: &Exprs, row: &[Value]) -> Result<Row> {
        if !exprs.subqueries {
            return self.row_now(exprs, row);
        }
        let mut out = Row::with_capacity(exprs.list.len());
        for e in exprs.list.iter() {
            out.push(eval_row(e, row, &self.exec, &self.outer).await?);
        }
        Ok(out)
    }

    /// The values over each of the rows.
    pub(crate) async fn rows(&self, exprs: &Exprs, rows: Vec<Row>) -> Result<Vec<Row>> {
        if exprs.subqueries {
            let one = |row: Row| async move { self.row(exprs, &row).await };
            return self.each(exprs.apart, rows, one).await;
        }
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            out.push(self.row_now(exprs, &row)?);
            if out.len().is_multiple_of(256) {
                runtime::yield_if_needed().await;
            }
        }
        Ok(out)
    }

    /// The rows for which all conditions hold.
    pub(crate) async fn kept(&self, conditions: &Exprs, rows: Vec<Row>) -> Result<Vec<Row>> {
        if conditions.subqueries {
            let one =
                |row: Row| async move { Ok(self.test(conditions, &row).await?.then_some(row)) };
            let kept = self.each(conditions.apart, rows, one).await?;
            return Ok(kept.into_iter().flatten().collect());
        }
        let mut out = Vec::new();
        for (i, row) in rows.into_iter().enumerate() {
            if self.test(conditions, &row).await? {
                out.push(row);
            }
            if i % 256 == 255 {
                runtime::yield_if_needed().await;
            }
        }
        Ok(out)
    }

    /// Rows that may be looked at together. Within a row of an enclosing query it is one: several queries inside each other would have
    /// more runs open than a shard has room for.
    pub(crate) fn at_once(&self) -> usize {
        match self.outer.is_empty() && !self.exec.one_by_one.get() {
            true => AT_ONCE,
            false => 1,
        }
    }

    /// What `f` makes of each row, in their order.
    async fn each<T, F: Future<Output = Result<T>>>(
        &self,
        apart: bool,
        rows: Vec<Row>,
        f: impl Fn(Row) -> F,
    ) -> Result<Vec<T>> {
        let at_once = if apart { self.at_once() } else { 1 };
        let mut out = Vec::with_capacity(rows.len());
        let mut made = stream::iter(rows).map(f).buffered(at_once);
        while let Some(made) = made.next().await {
            out.push(made?);
            if out.len().is_multiple_of(256) {
                runtime::yield_if_needed().await;
            }
        }
        Ok(out)
    }

    /// As `row`, in place of what `out` had.
    pub(crate) async fn row_into(&self, exprs: &Exprs, row: &[Value], out: &mut Row) -> Result<()> {
        if exprs.subqueries {
            *out = self.row(exprs, row).await?;
            return Ok(());
        }
        out.clear();
        let frames = frames(&self.outer);
        let env = Env {
            ctx: &self.exec.ctx,
            outer: &frames,
        };
        for e in exprs.list.iter() {
            out.push(eval(e, row, &env)?);
        }
        Ok(())
    }

    /// As `row`, for expressions without subqueries.
    fn row_now(&self, exprs: &Exprs, row: &[Value]) -> Result<Row> {
        let frames = frames(&self.outer);
        let env = Env {
            ctx: &self.exec.ctx,
            outer: &frames,
        };
        exprs.list.iter().map(|e| eval(e, row, &env)).collect()
    }

    /// All conditions hold for the row: none is false or NULL.
    pub(crate) async fn test(&self, conditions: &Exprs, row: &[Value]) -> Result<bool> {
        if !conditions.subqueries {
            let frames = frames(&self.outer);
            let env = Env {
                ctx: &self.exec.ctx,
                outer: &frames,
            };
            for e in conditions.list.iter() {
                if !eval_bool(e, row, &env)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        for e in conditions.list.iter() {
            let value = eval_row(e, row, &self.exec, &self.outer).await?;
            if !matches!(value, Value::Bool(true)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// After the `n`th step of work: now and then yields, and asks whether the statement may go on.
    pub(crate) async fn step(&self, n: u64) -> Result<()> {
        if n.is_multiple_of(256) {
            runtime::yield_if_needed().await;
            (self.exec.check)()?;
        }
        Ok(())
    }

    /// One more enclosing row, for what runs inside `row`.
    pub(crate) fn inside(&self, row: &[Value]) -> Vec<Row> {
        let mut outer = Vec::with_capacity(self.outer.len() + 1);
        outer.extend(self.outer.iter().cloned());
        outer.push(row.to_vec());
        outer
    }
}
