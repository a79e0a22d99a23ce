//! Which expressions kernels compute, and in what order.
//!
//! Owns: expressions as a list of operations, each over results of earlier ones and constants; what several of them need is there
//! once. Asked by: `exec::fragment`, once it has seen that rows are many. Never: contains what looks at the session, at other
//! rows, or at a value that kernels have no form for: `add` then gives nothing.
//! Bounds: `OPS_MAX` operations, `DEPTH_MAX` calls deep, lists of `LIST_MAX` of what is not searched; expressions beyond are evaluated row by row.

use super::compare::compare;
use super::kernels::{arithmetic, connective, negate, nulls_of};
use super::texts::{Pattern, like, listed, seen};
use super::vector::{Data, Vector};
use crate::codec::columns::{Columns, Decimals};
use crate::exec::Context;
use crate::plan::{Comparison, Expr, FuncRef};
use std::sync::Arc;
use types::time::date_to_timestamp;
use types::{DataType, Numeric, Value};

/// More would take longer to prepare than a batch of rows takes; each holds a vector.
const OPS_MAX: usize = 256;
/// Long chains of operators have no call stack.
const DEPTH_MAX: usize = 64;
/// Of lists whose items are each compared with every row: longer ones of integers are searched.
const COMPARED_MAX: usize = 8;
/// Of other numbers more are compared, and no more than these.
const LIST_MAX: usize = 64;

#[derive(Default)]
pub(crate) struct Program {
    ops: Vec<Op>,
    /// Of the expression that is being added.
    depth: usize,
    /// Evaluation of one of its rows may raise an error.
    may_fail: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Op {
    Column(usize),
    Compare(Comparison, Kind, Arg, Arg),
    Arithmetic(Arithmetic, DataType, Arg, Arg),
    Like(usize, Pattern, bool),
    /// One of these, which are sorted.
    Listed(usize, Kind, Vec<Arc<str>>),
    ListedInts(usize, Vec<i64>),
    Every(Vec<usize>),
    Any(Vec<usize>),
    Not(usize),
    IsNull(usize),
    /// Integers as NUMERIC.
    Decimal(usize),
    /// Dates as timestamps.
    Micros(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Arg {
    Of(usize),
    Int(i64),
    Float(f64),
    Decimal(i64, u16),
    Text(Arc<str>),
}

/// What is compared, and so how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ints,
    Floats,
    Decimals,
    Texts,
    /// Without trailing blanks.
    Padded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
}

impl Kind {
    fn of(ty: DataType) -> Option<Kind> {
        Some(match ty {
            DataType::Int2
            | DataType::Int4
            | DataType::Int8
            | DataType::Date
            | DataType::Time
            | DataType::Timestamp
            | DataType::Timestamptz => Kind::Ints,
            DataType::Float8 => Kind::Floats,
            DataType::Numeric => Kind::Decimals,
            DataType::Text | DataType::Varchar => Kind::Texts,
            DataType::Bpchar => Kind::Padded,
            _ => return None,
        })
    }
}

impl Program {
    /// The number of the operation that computes `e` over these columns.
    pub(crate) fn add(&mut self, e: &Expr, columns: &Columns, ctx: &Context) -> Option<usize> {
        if self.depth >= DEPTH_MAX || self.ops.len() >= OPS_MAX {
            return None;
        }
        self.depth += 1;
        let at = self.node(e, columns, ctx);
        self.depth -= 1;
        at
    }

    fn node(&mut self, e: &Expr, columns: &Columns, ctx: &Context) -> Option<usize> {
        match e {
            Expr::Column(ordinal, ty) => {
                let slot = columns.slot(*ordinal)?;
                let known = Kind::of(*ty).is_some() || *ty == DataType::Bool;
                (known && columns.ty(slot) == *ty).then(|| self.op(Op::Column(slot)))
            }
            Expr::Call { func, args, .. } => match &args[..] {
                [left, right] => self.call(*func, left, right, columns, ctx),
                _ => None,
            },
            Expr::Cast {
                expr, to, typmod, ..
            } => self.cast(expr, *to, *typmod, columns, ctx),
            Expr::And(items) => {
                let op = self.all(items, columns, ctx).map(Op::Every)?;
                Some(self.op(op))
            }
            Expr::Or(items) => {
                let op = self.all(items, columns, ctx).map(Op::Any)?;
                Some(self.op(op))
            }
            Expr::Not(inner) => {
                let op = self.add(inner, columns, ctx).map(Op::Not)?;
                Some(self.op(op))
            }
            Expr::IsNull(inner) => {
                let op = self.add(inner, columns, ctx).map(Op::IsNull)?;
                Some(self.op(op))
            }
            Expr::InList {
                expr,
                items,
                eq,
                negated,
            } => self.list(expr, items, *eq, *negated, columns, ctx),
            _ => None,
        }
    }

    pub(crate) fn may_fail(&self) -> bool {
        self.may_fail
    }

    fn op(&mut self, op: Op) -> usize {
        let known = self.ops.iter().position(|o| *o == op);
        known.unwrap_or_else(|| {
            self.ops.push(op);
            self.ops.len() - 1
        })
    }

    fn all(&mut self, items: &[Expr], columns: &Columns, ctx: &Context) -> Option<Vec<usize>> {
        items.iter().map(|e| self.add(e, columns, ctx)).collect()
    }

    fn arg(&mut self, e: &Expr, columns: &Columns, ctx: &Context) -> Option<Arg> {
        match e {
            Expr::Const(v, _) => constant(v),
            Expr::Param(n, _) => constant(ctx.params.get(usize::from(*n))?),
            e => self.add(e, columns, ctx).map(Arg::Of),
        }
    }

    fn call(
        &mut self,
        func: FuncRef,
        left: &Expr,
        right: &Expr,
        columns: &Columns,
        ctx: &Context,
    ) -> Option<usize> {
        if let Some((comparison, ty, other)) = func.comparison_between() {
            let kind = Kind::of(ty).filter(|k| Kind::of(other) == Some(*k))?;
            let (left, right) = (
                self.arg(left, columns, ctx)?,
                self.arg(right, columns, ctx)?,
            );
            return self.comparison(comparison, kind, left, right);
        }
        if let [DataType::Date, DataType::Timestamp] | [DataType::Timestamp, DataType::Date] =
            *func.0.args
        {
            return self.dated(func, left, right, columns, ctx);
        }
        let arithmetic = match func.0.operator {
            "+" => Some(Arithmetic::Add),
            "-" => Some(Arithmetic::Sub),
            "*" => Some(Arithmetic::Mul),
            _ => None,
        };
        if let Some(arithmetic) = arithmetic {
            let ty = func.0.ret;
            let of_numbers = func.0.args.iter().all(|a| match ty {
                DataType::Int2 | DataType::Int4 | DataType::Int8 => a.is_integer(),
                DataType::Float8 | DataType::Numeric => *a == ty,
                _ => false,
            });
            if !of_numbers {
                return None;
            }
            let (left, right) = (
                self.arg(left, columns, ctx)?,
                self.arg(right, columns, ctx)?,
            );
            if !matches!(left, Arg::Of(_)) && !matches!(right, Arg::Of(_)) {
                return None;
            }
            self.may_fail = true;
            return Some(self.op(Op::Arithmetic(arithmetic, ty, left, right)));
        }
        let wanted = match func.0.name {
            "textlike" | "bpcharlike" => true,
            "textnlike" | "bpcharnlike" => false,
            _ => return None,
        };
        let (left, right) = (
            self.arg(left, columns, ctx)?,
            self.arg(right, columns, ctx)?,
        );
        match (left, right) {
            (Arg::Of(at), Arg::Text(pattern)) => {
                let pattern = Pattern::of(&pattern)?;
                Some(self.op(Op::Like(at, pattern, wanted)))
            }
            _ => None,
        }
    }

    /// A date compared with a timestamp.
    fn dated(
        &mut self,
        func: FuncRef,
        left: &Expr,
        right: &Expr,
        columns: &Columns,
        ctx: &Context,
    ) -> Option<usize> {
        let comparison = Comparison::of_operator(func.0.operator)?;
        let mut micros = |e: &Expr| {
            let arg = self.arg(e, columns, ctx)?;
            match (e.ty(), arg) {
                (DataType::Date, Arg::Of(at)) => {
                    self.may_fail = true;
                    Some(Arg::Of(self.op(Op::Micros(at))))
                }
                (DataType::Date, Arg::Int(date)) => {
                    let date = i32::try_from(date).ok()?;
                    date_to_timestamp(date).ok().map(Arg::Int)
                }
                (DataType::Timestamp, arg) => Some(arg),
                _ => None,
            }
        };
        let (left, right) = (micros(left)?, micros(right)?);
        self.comparison(comparison, Kind::Ints, left, right)
    }

    fn comparison(
        &mut self,
        comparison: Comparison,
        kind: Kind,
        left: Arg,
        right: Arg,
    ) -> Option<usize> {
        Some(self.op(match (left, right) {
            (Arg::Of(at), right) => Op::Compare(comparison, kind, Arg::Of(at), right),
            (left, Arg::Of(at)) => Op::Compare(comparison.flip(), kind, Arg::Of(at), left),
            _ => return None,
        }))
    }

    /// Conversions that change nothing of a vector, and of integers to NUMERIC.
    fn cast(
        &mut self,
        e: &Expr,
        to: DataType,
        typmod: i32,
        columns: &Columns,
        ctx: &Context,
    ) -> Option<usize> {
        use DataType::{Int2, Int4, Int8, Numeric, Text, Varchar};
        let at = self.add(e, columns, ctx)?;
        match (e.ty(), to) {
            _ if typmod >= 0 => None,
            (Text | Varchar, Text | Varchar) | (Int2, Int4 | Int8) | (Int4, Int8) => Some(at),
            (Int2 | Int4 | Int8, Numeric) => Some(self.op(Op::Decimal(at))),
            _ => None,
        }
    }

    fn list(
        &mut self,
        e: &Expr,
        items: &[Expr],
        eq: FuncRef,
        negated: bool,
        columns: &Columns,
        ctx: &Context,
    ) -> Option<usize> {
        let (comparison, ty, other) = eq.comparison_between()?;
        let kind = Kind::of(ty).filter(|k| Kind::of(other) == Some(*k))?;
        let searched = matches!(kind, Kind::Ints | Kind::Texts | Kind::Padded);
        let too_long = items.len() > LIST_MAX && !searched;
        if comparison != Comparison::Eq || items.is_empty() || too_long {
            return None;
        }
        let at = self.add(e, columns, ctx)?;
        let items: Vec<Arg> = items
            .iter()
            .map(|e| self.arg(e, columns, ctx))
            .collect::<Option<_>>()?;
        let found = match searched_list(at, kind, &items) {
            Some(op) => self.op(op),
            None if items.len() > LIST_MAX => return None,
            None => {
                let equal = |arg| Op::Compare(comparison, kind, Arg::Of(at), arg);
                let found = items.into_iter().map(|arg| self.op(equal(arg))).collect();
                self.op(Op::Any(found))
            }
        };
        Some(match negated {
            true => self.op(Op::Not(found)),
            false => found,
        })
    }

    /// What each operation gives for these rows; nothing where rows have to be evaluated one by one.
    pub(crate) fn run(&self, columns: &Columns, rows: &[u32]) -> Option<Vec<Vector>> {
        let mut done: Vec<Vector> = Vec::with_capacity(self.ops.len());
        for op in &self.ops {
            let vector = self.step(op, &done, columns, rows)?;
            done.push(vector);
        }
        Some(done)
    }

    fn step(&self, op: &Op, done: &[Vector], columns: &Columns, rows: &[u32]) -> Option<Vector> {
        match op {
            Op::Column(slot) => column(*slot, columns, rows),
            Op::Compare(comparison, kind, left, right) => {
                compare(*comparison, *kind, left, right, done, columns.bytes())
            }
            Op::Arithmetic(operation, ty, left, right) => {
                arithmetic(*operation, *ty, left, right, done)
            }
            Op::Like(at, pattern, wanted) => like(&done[*at], pattern, *wanted, columns.bytes()),
            Op::Listed(at, kind, items) => listed(&done[*at], *kind, items, columns.bytes()),
            Op::ListedInts(at, items) => listed_ints(&done[*at], items),
            Op::Every(items) => connective(items, false, done),
            Op::Any(items) => connective(items, true, done),
            Op::Not(at) => negate(&done[*at]),
            Op::IsNull(at) => Some(Vector::of(Data::Bools(nulls_of(&done[*at], rows.len())))),
            Op::Decimal(at) => match &done[*at].data {
                Data::Ints(v) => Some(Vector {
                    data: Data::Decimals(v.clone(), 0),
                    nulls: done[*at].nulls.clone(),
                }),
                _ => None,
            },
            Op::Micros(at) => micros(&done[*at]),
        }
    }
}

/// A list of constants that is searched, not gone through.
fn searched_list(at: usize, kind: Kind, items: &[Arg]) -> Option<Op> {
    if kind == Kind::Ints {
        let int = |arg: &Arg| match arg {
            Arg::Int(v) => Some(*v),
            _ => None,
        };
        let mut ints: Vec<i64> = items.iter().map(int).collect::<Option<_>>()?;
        ints.sort_unstable();
        return (ints.len() > COMPARED_MAX).then_some(Op::ListedInts(at, ints));
    }
    let text = |arg: &Arg| match arg {
        Arg::Text(text) => Some(text.clone()),
        _ => None,
    };
    let mut texts: Vec<Arc<str>> = items.iter().map(text).collect::<Option<_>>()?;
    texts.sort_unstable_by(|a, b| seen(kind, a.as_bytes()).cmp(seen(kind, b.as_bytes())));
    Some(Op::Listed(at, kind, texts))
}

fn listed_ints(v: &Vector, items: &[i64]) -> Option<Vector> {
    let Data::Ints(ints) = &v.data else {
        return None;
    };
    let verdicts = ints.iter().map(|v| items.binary_search(v).is_ok());
    Some(Vector {
        data: Data::Bools(verdicts.collect()),
        nulls: v.nulls.clone(),
    })
}

/// Nothing where one of them is no timestamp.
fn micros(v: &Vector) -> Option<Vector> {
    let Data::Ints(dates) = &v.data else {
        return None;
    };
    let micros = |date: &i64| date_to_timestamp(*date as i32).ok();
    Some(Vector {
        data: Data::Ints(dates.iter().map(micros).collect::<Option<_>>()?),
        nulls: v.nulls.clone(),
    })
}

/// A value that is not NULL and has a form.
fn constant(v: &Value) -> Option<Arg> {
    Some(match v {
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) => Arg::Int(v.as_i64()?),
        Value::Date(v) => Arg::Int(i64::from(*v)),
        Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => Arg::Int(*v),
        Value::Float8(v) => Arg::Float(*v),
        Value::Numeric(Numeric::Small(mantissa, scale)) => Arg::Decimal(*mantissa, *scale),
        Value::Text(v) => Arg::Text(v.clone()),
        _ => return None,
    })
}

fn column(slot: usize, columns: &Columns, rows: &[u32]) -> Option<Vector> {
    let data = match Kind::of(columns.ty(slot)) {
        Some(Kind::Ints) => Data::Ints(columns.ints(slot, rows)?),
        Some(Kind::Floats) => Data::Floats(columns.floats(slot, rows)?),
        Some(Kind::Decimals) => match columns.decimals(slot, rows)? {
            Decimals::Even(mantissas, scale) => Data::Decimals(mantissas, scale),
            Decimals::Mixed(numbers) => Data::Numerics(numbers),
        },
        Some(Kind::Texts | Kind::Padded) => Data::Texts(columns.texts(slot, rows)?),
        None => Data::Bools(columns.bools(slot, rows)?),
    };
    Some(Vector {
        data,
        nulls: columns.nulls(slot, rows),
    })
}
