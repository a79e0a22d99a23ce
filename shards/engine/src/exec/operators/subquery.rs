//! Expressions with subqueries.
//!
//! Owns: when a subquery runs and what is remembered of it. One that reads no enclosing row runs once a statement; one
//! that does runs once for each different combination of the outer values it reads, as far as the memo reaches; several rows may
//! wait for one run.
//! Asked by: `Scope` for every operator, and `settle` for what is sent to shards.
//! Never: evaluates what AND, OR, CASE and COALESCE would not reach.
//! Bounds: `MEMO_MAX` results a correlated subquery; what is remembered counts against the query's memory.

use super::rows::{RowSet, same};
use super::scope::{frames, has_subquery};
use super::{Exec, build};
use crate::exec::eval::{Env, eval};
use crate::exec::memory::Reservation;
use crate::plan::{Expr, FuncRef, Plan, SubqueryKind};
use futures_util::future::LocalBoxFuture;
use runtime::Notify;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use types::row::row_bytes;
use types::{Array, DataType, Error, Result, Row, SqlState, Value};

/// Results remembered for one correlated subquery; further ones are computed again.
const MEMO_MAX: usize = 4_096;

/// What the statement's subqueries have answered so far. By the address of the plan, which the entry keeps alive.
#[derive(Default)]
pub(crate) struct Answers(RefCell<HashMap<usize, Rc<Answer>>>);

struct Answer {
    plan: Arc<Plan>,
    /// (depth, column) of enclosing rows that the plan reads.
    reads: Vec<(usize, usize)>,
    /// Computed anew each time: the plan is correlated and volatile, or reads what each round of a recursion changes.
    fresh: bool,
    memo: RefCell<Memo>,
    /// Some result has been computed, or will not be.
    moved: Notify,
}

struct Memo {
    keys: RowSet,
    results: Vec<Rc<Outcome>>,
    reservation: Reservation,
    /// What is being computed for other rows.
    under_way: Vec<Row>,
}

/// A result that is being computed.
struct UnderWay<'a> {
    of: &'a Answer,
    key: &'a Row,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut memo = self.of.memo.borrow_mut();
        memo.under_way.retain(|key| !same(key, self.key));
        drop(memo);
        self.of.moved.notify_all();
    }
}

/// What running a subquery gave.
enum Outcome {
    One(Value),
    Column(Column),
}

/// The rows of `op ANY / ALL (subquery)`.
struct Column {
    /// Different values only, for `=` and `<>`; else all of them.
    values: RowSet,
    has_null: bool,
}

/// The value of an expression over a row, subqueries included.
pub fn eval_row<'a>(
    e: &'a Expr,
    row: &'a [Value],
    exec: &'a Rc<Exec>,
    outer: &'a [Row],
) -> LocalBoxFuture<'a, Result<Value>> {
    Box::pin(async move {
        if !has_subquery(e) {
            let frames = frames(outer);
            let env = Env {
                ctx: &exec.ctx,
                outer: &frames,
            };
            return eval(e, row, &env);
        }
        match e {
            Expr::And(items) => connect(items, false, row, exec, outer).await,
            Expr::Or(items) => connect(items, true, row, exec, outer).await,
            Expr::Coalesce(items, _) => {
                for item in items {
                    let value = eval_row(item, row, exec, outer).await?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Value::Null)
            }
            Expr::Case {
                branches,
                otherwise,
                ..
            } => {
                for (when, then) in branches {
                    let holds = eval_row(when, row, exec, outer).await?;
                    if matches!(holds, Value::Bool(true)) {
                        return eval_row(then, row, exec, outer).await;
                    }
                }
                match otherwise {
                    Some(e) => eval_row(e, row, exec, outer).await,
                    None => Ok(Value::Null),
                }
            }
            Expr::Subquery { plan, kind, ty, .. } => {
                subquery(plan, kind, *ty, row, exec, outer).await
            }
            e => {
                let mut copy = e.clone();
                for child in copy.children_mut() {
                    if has_subquery(child) {
                        let value = eval_row(child, row, exec, outer).await?;
                        *child = Expr::Const(value, child.ty());
                    }
                }
                eval_row(&copy, row, exec, outer).await
            }
        }
    })
}

/// AND (`decisive` false) and OR (`decisive` true) with SQL's NULL.
async fn connect(
    items: &[Expr],
    decisive: bool,
    row: &[Value],
    exec: &Rc<Exec>,
    outer: &[Row],
) -> Result<Value> {
    let mut unknown = false;
    for item in items {
        match eval_row(item, row, exec, outer).await? {
            Value::Bool(b) if b == decisive => return Ok(Value::Bool(decisive)),
            Value::Null => unknown = true,
            _ => {}
        }
    }
    Ok(if unknown {
        Value::Null
    } else {
        Value::Bool(!decisive)
    })
}

pub(super) async fn subquery(
    plan: &Arc<Plan>,
    kind: &SubqueryKind,
    ty: DataType,
    row: &[Value],
    exec: &Rc<Exec>,
    outer: &[Row],
) -> Result<Value> {
    let left = match kind {
        SubqueryKind::Quantified { left, .. } => Some(eval_row(left, row, exec, outer).await?),
        SubqueryKind::Scalar | SubqueryKind::Exists | SubqueryKind::Array => None,
    };
    let outcome = answer(plan, kind, ty, row, exec, outer).await?;
    match (&*outcome, kind, left) {
        (Outcome::One(value), ..) => Ok(value.clone()),
        (Outcome::Column(column), SubqueryKind::Quantified { op, all, .. }, Some(left)) => {
            column.quantify(&left, *op, *all, exec)
        }
        (Outcome::Column(_), ..) => Err(Error::internal("a subquery changed its kind")),
    }
}

/// The remembered result, or a new one.
async fn answer(
    plan: &Arc<Plan>,
    kind: &SubqueryKind,
    ty: DataType,
    row: &[Value],
    exec: &Rc<Exec>,
    outer: &[Row],
) -> Result<Rc<Outcome>> {
    let entry = entry(plan, exec);
    let mut key = Row::with_capacity(entry.reads.len());
    for &(depth, column) in &entry.reads {
        let frame = if depth == 1 {
            Some(row)
        } else {
            let at = (outer.len() + 1).checked_sub(depth);
            at.and_then(|at| outer.get(at)).map(Vec::as_slice)
        };
        let value = frame.and_then(|frame| frame.get(column));
        key.push(
            value
                .cloned()
                .ok_or_else(|| Error::internal("an outer column is missing"))?,
        );
    }
    let mut inner: Vec<Row> = outer.to_vec();
    inner.push(row.to_vec());
    if entry.fresh {
        let (outcome, _) = run(&entry.plan, kind, ty, exec, inner).await?;
        return Ok(Rc::new(outcome));
    }
    if let Some(known) = entry.known(&key).await {
        return Ok(known);
    }
    let under_way = UnderWay {
        of: &entry,
        key: &key,
    };
    let (outcome, bytes) = run(&entry.plan, kind, ty, exec, inner).await?;
    let outcome = Rc::new(outcome);
    entry.memo.borrow_mut().remember(&key, &outcome, bytes)?;
    drop(under_way);
    Ok(outcome)
}

impl Answer {
    /// What is remembered for these values; one who does not find it is the only one who computes it.
    async fn known(&self, key: &Row) -> Option<Rc<Outcome>> {
        loop {
            let moved = self.moved.notified();
            {
                let mut memo = self.memo.borrow_mut();
                if let Some(at) = memo.keys.find(key) {
                    return memo.results.get(at).cloned();
                }
                if !memo.under_way.iter().any(|other| same(other, key)) {
                    memo.under_way.push(key.clone());
                    return None;
                }
            }
            moved.await;
        }
    }
}

fn entry(plan: &Arc<Plan>, exec: &Rc<Exec>) -> Rc<Answer> {
    let mut answers = exec.answers.0.borrow_mut();
    let entry = answers
        .entry(Arc::as_ptr(plan) as usize)
        .or_insert_with(|| {
            let reads: Vec<_> = plan.outer_refs().into_iter().collect();
            Rc::new(Answer {
                plan: plan.clone(),
                // What stands for a function's call is called for each row.
                fresh: is_call(plan)
                    || !reads.is_empty() && plan.is_volatile()
                    || plan.any(&mut is_work_table),
                reads,
                memo: RefCell::new(Memo {
                    keys: RowSet::default(),
                    results: Vec::new(),
                    reservation: exec.memory.consumer("SubPlan"),
                    under_way: Vec::new(),
                }),
                moved: Notify::new(),
            })
        });
    entry.clone()
}

fn is_call(plan: &Plan) -> bool {
    match plan {
        Plan::Sequence(_) => true,
        Plan::Call(call) => call.volatile,
        _ => false,
    }
}

fn is_work_table(plan: &Plan) -> bool {
    matches!(plan, Plan::WorkTable(_))
}

impl Memo {
    /// Keeps a result where there is room; the only result of an uncorrelated subquery must have room.
    fn remember(&mut self, key: &Row, outcome: &Rc<Outcome>, bytes: usize) -> Result<()> {
        let correlated = !key.is_empty();
        if self.results.len() >= MEMO_MAX || self.keys.find(key).is_some() {
            return Ok(());
        }
        match self.reservation.grow(bytes + row_bytes(key)) {
            Ok(()) => {
                self.keys.intern(key);
                self.results.push(outcome.clone());
                Ok(())
            }
            Err(_) if correlated => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Runs the subquery; also the bytes its outcome holds.
async fn run(
    plan: &Plan,
    kind: &SubqueryKind,
    ty: DataType,
    exec: &Rc<Exec>,
    outer: Vec<Row>,
) -> Result<(Outcome, usize)> {
    let mut rows = build(plan, exec, &Rc::new(outer))?;
    let mut held = exec.memory.consumer("SubPlan");
    let mut first = None;
    let mut column = Column {
        values: RowSet::default(),
        has_null: false,
    };
    let mut items = Vec::new();
    while let Some(batch) = rows.next().await? {
        (exec.check)()?;
        for row in batch.rows {
            match kind {
                SubqueryKind::Exists => return Ok((Outcome::One(Value::Bool(true)), 0)),
                SubqueryKind::Scalar if first.is_some() => return Err(more_than_one_row()),
                SubqueryKind::Scalar => first = row.into_iter().next().or(Some(Value::Null)),
                SubqueryKind::Array => {
                    held.grow(row_bytes(&row))?;
                    items.extend(row.into_iter().next());
                }
                SubqueryKind::Quantified { .. } => {
                    let before = column.values.bytes();
                    column.add(&row);
                    held.grow(column.values.bytes() - before)?;
                }
            }
        }
        runtime::yield_if_needed().await;
    }
    let outcome = match kind {
        SubqueryKind::Exists => Outcome::One(Value::Bool(false)),
        SubqueryKind::Scalar => Outcome::One(first.unwrap_or(Value::Null)),
        SubqueryKind::Array => {
            let element = ty.element().unwrap_or(ty);
            Outcome::One(Value::Array(Arc::new(Array { element, items })))
        }
        SubqueryKind::Quantified { .. } => Outcome::Column(column),
    };
    Ok((outcome, held.bytes()))
}

fn more_than_one_row() -> Error {
    Error::new(
        SqlState::CARDINALITY_VIOLATION,
        "more than one row returned by a subquery used as an expression",
    )
}

impl Column {
    fn add(&mut self, row: &[Value]) {
        match row.first() {
            None | Some(Value::Null) => self.has_null = true,
            Some(_) => {
                self.values.intern(&row[..1]);
            }
        }
    }

    /// `left op ANY (values)` or `left op ALL (values)`.
    fn quantify(&self, left: &Value, op: FuncRef, all: bool, exec: &Exec) -> Result<Value> {
        let empty = self.values.len() == 0 && !self.has_null;
        if empty {
            return Ok(Value::Bool(all));
        }
        if left.is_null() && op.0.strict {
            return Ok(Value::Null);
        }
        let decided = match op.hashes() {
            Some(equal) if equal != all => self.values.find(std::slice::from_ref(left)).is_some(),
            _ => self.scan(left, op, all, exec)?,
        };
        Ok(if decided {
            Value::Bool(!all)
        } else if self.has_null {
            Value::Null
        } else {
            Value::Bool(all)
        })
    }

    /// Some value decides: the comparison is true for ANY, false for ALL.
    fn scan(&self, left: &Value, op: FuncRef, all: bool, exec: &Exec) -> Result<bool> {
        for at in 0..self.values.len() {
            let right = self.values.row(at)[0].clone();
            let result = (op.0.eval)(&exec.ctx, &[left.clone(), right])?;
            if matches!(result, Value::Bool(b) if b != all) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn into_array(self, element: DataType) -> Value {
        let mut items: Vec<Value> = self.values.into_rows().into_iter().flatten().collect();
        if self.has_null {
            items.push(Value::Null);
        }
        Value::Array(Arc::new(Array { element, items }))
    }
}

/// All values of the subquery of `op ANY / ALL`, as an array of `element`s.
pub(super) async fn all_values(
    plan: &Plan,
    kind: &SubqueryKind,
    element: DataType,
    exec: &Rc<Exec>,
    outer: Vec<Row>,
) -> Result<Value> {
    match run(plan, kind, element, exec, outer).await? {
        (Outcome::Column(column), _) => Ok(column.into_array(element)),
        (Outcome::One(_), _) => Err(Error::internal("a subquery changed its kind")),
    }
}
