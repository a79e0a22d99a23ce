//! UNION, INTERSECT, EXCEPT and VALUES.
//!
//! Owns: the matching of columns. Runs of one associative operator become a balanced tree, so that a thousand UNIONs are
//! ten levels deep for everything that walks plans later. Source: `transformSetOperationTree`.

use super::agg::needs_equality;
use super::query::Rel;
use super::{Binder, Clause, Cx, coerce, names, syntax, unsupported};
use engine::exec::cast::CastContext;
use engine::plan::{Expr, Plan, SetOp};
use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier};
use std::rc::Rc;
use types::{Column, DataType, Result, Value};

impl<'a> Binder<'a> {
    pub(super) fn set_expr(&mut self, body: &'a SetExpr, keep_unknown: bool) -> Result<Rel> {
        match body {
            SetExpr::Select(s) => self.select(s, &[], keep_unknown, None),
            SetExpr::Query(q) => self.query_in(q, keep_unknown),
            SetExpr::Values(v) => self.values(v, keep_unknown),
            SetExpr::SetOperation { .. } => self.set_operation(body),
            SetExpr::Table(t) => self.table_command(t),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(unsupported("a data-modifying statement in WITH"))
            }
        }
    }

    /// Walks the left spine in a loop: `a UNION b UNION c …` is left-deep.
    fn set_operation(&mut self, body: &'a SetExpr) -> Result<Rel> {
        let mut steps = Vec::new();
        let mut node = body;
        while let SetExpr::SetOperation {
            left,
            op,
            set_quantifier,
            right,
        } = node
        {
            steps.push((set_op(*op)?, is_all(*set_quantifier)?, &**right));
            node = left;
        }
        steps.reverse();
        let left = steps
            .iter()
            .find_map(|(op, all, _)| banned_in(*op, *all, true));
        self.set_operands(node, steps, left)
    }

    fn set_operands(
        &mut self,
        node: &'a SetExpr,
        steps: Vec<(SetOp, bool, &'a SetExpr)>,
        ban: Option<&'static str>,
    ) -> Result<Rel> {
        let mut rel = self.banned(ban, |b| b.set_expr(node, true))?;
        let mut steps = steps.into_iter().peekable();
        while let Some((op, all, right)) = steps.next() {
            let ban = banned_in(op, all, false);
            let right = self.banned(ban, |b| b.set_expr(right, true))?;
            let mut operands = vec![rel, right];
            // (a UNION b) UNION c = a UNION (b UNION c); EXCEPT is not so.
            while op != SetOp::Except
                && let Some((_, _, right)) = steps.next_if(|(o, a, _)| *o == op && *a == all)
            {
                operands.push(self.banned(ban, |b| b.set_expr(right, true))?);
            }
            rel = self.combine(op, all, operands)?;
        }
        Ok(rel)
    }

    fn combine(&mut self, op: SetOp, all: bool, mut operands: Vec<Rel>) -> Result<Rel> {
        let word = match op {
            SetOp::Union => "UNION",
            SetOp::Intersect => "INTERSECT",
            SetOp::Except => "EXCEPT",
        };
        let Some(first) = operands.first() else {
            return Err(syntax(format!("{word} of nothing")));
        };
        let mut columns: Vec<Column> = first.columns.clone();
        for other in operands.iter().skip(1) {
            if other.columns.len() != columns.len() {
                return Err(syntax(format!(
                    "each {word} query must have the same number of columns"
                )));
            }
            for (c, o) in columns.iter_mut().zip(&other.columns) {
                let ty = coerce::common_type(&[c.ty, o.ty], word)?;
                if c.typmod != o.typmod || c.ty != o.ty {
                    c.typmod = -1;
                }
                (c.ty, c.table, c.attnum) = (ty, 0, 0);
            }
        }
        for c in &mut columns {
            if c.ty == DataType::Unknown {
                c.ty = DataType::Text;
            }
        }
        let types: Vec<DataType> = columns.iter().map(|c| c.ty).collect();
        if !all {
            types.iter().copied().try_for_each(needs_equality)?;
        }
        for operand in &mut operands {
            self.coerce_outputs(operand, &types, CastContext::Implicit)?;
        }
        if !all {
            pad_alike(&columns, &mut operands);
        }
        let plans = operands.into_iter().map(|r| r.plan).collect();
        Ok(Rel {
            plan: balanced(op, all, plans),
            columns,
        })
    }

    /// `VALUES (…), (…)`
    fn values(&mut self, v: &'a ast::Values, keep_unknown: bool) -> Result<Rel> {
        let mut cx = Cx::new(Rc::default(), Clause::Values);
        let mut rows = Vec::with_capacity(v.rows.len());
        for row in &v.rows {
            rows.push(self.exprs(&row.content, &mut cx)?);
        }
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|r| r.len() != width) {
            return Err(syntax("VALUES lists must all be the same length"));
        }
        let mut columns = Vec::with_capacity(width);
        for i in 0..width {
            let types: Vec<DataType> = rows.iter().filter_map(|r| r.get(i)).map(Expr::ty).collect();
            let open = types.iter().all(|t| *t == DataType::Unknown);
            let ty = if open && keep_unknown {
                DataType::Unknown
            } else {
                coerce::common_type(&types, "VALUES")?
            };
            columns.push(Column::new(format!("column{}", i + 1), ty));
        }
        for row in &mut rows {
            for (e, c) in row.iter_mut().zip(&columns) {
                if c.ty != DataType::Unknown {
                    let bound = std::mem::replace(e, super::expr::boolean(false));
                    *e = self.coerce_arg(bound, c.ty)?;
                }
            }
        }
        Ok(Rel {
            plan: Plan::Values { rows },
            columns,
        })
    }

    /// `TABLE t`
    fn table_command(&mut self, t: &'a ast::Table) -> Result<Rel> {
        let fold = |n: &String| names::fold(n, false);
        let schema = t.schema_name.as_ref().map(fold);
        let Some(name) = t.table_name.as_ref().map(fold) else {
            return Err(syntax("syntax error in TABLE"));
        };
        let (plan, relation) = self.relation(schema.as_deref(), &name, None)?;
        let columns = relation.columns.iter().map(|e| e.column()).collect();
        Ok(Rel { plan, columns })
    }
}

/// Values of `char(n)` are compared as they lie, so all get the length of the longest, or lose their blanks where no length is known.
fn pad_alike(columns: &[Column], operands: &mut [Rel]) {
    for (at, column) in columns.iter().enumerate() {
        if column.ty != DataType::Bpchar || column.typmod >= 0 {
            continue;
        }
        let typmods = operands.iter().filter_map(|rel| rel.columns.get(at));
        let longest = typmods.map(|c| c.typmod).max().unwrap_or(-1);
        let padded = operands.iter().all(|rel| fits(rel, at, longest));
        for rel in operands.iter_mut() {
            let exprs = rel.columns.iter().enumerate().map(|(i, c)| match i == at {
                true if padded => cast(Expr::Column(i, c.ty), c.ty, longest),
                true => cast(cast(Expr::Column(i, c.ty), DataType::Text, -1), c.ty, -1),
                false => Expr::Column(i, c.ty),
            });
            let exprs = exprs.collect();
            let input = Box::new(std::mem::take(&mut rel.plan));
            rel.plan = Plan::Project { input, exprs };
        }
    }
}

/// The column's values, or the one that it always has, are no longer than this.
fn fits(rel: &Rel, at: usize, longest: i32) -> bool {
    if rel.columns.get(at).is_some_and(|c| c.typmod >= 0) {
        return true;
    }
    let Plan::Project { exprs, .. } = &rel.plan else {
        return false;
    };
    match exprs.get(at) {
        // A modifier is four more than the length.
        Some(Expr::Const(Value::Text(s), _)) => {
            i32::try_from(s.chars().count() + 4).is_ok_and(|n| n <= longest)
        }
        _ => false,
    }
}

fn cast(e: Expr, to: DataType, typmod: i32) -> Expr {
    Expr::Cast {
        expr: Box::new(e),
        to,
        typmod,
        explicit: false,
    }
}

/// Where a recursive query must not read itself.
fn banned_in(op: SetOp, all: bool, left: bool) -> Option<&'static str> {
    match op {
        SetOp::Union => None,
        SetOp::Intersect => all.then_some("INTERSECT"),
        SetOp::Except => (all || !left).then_some("EXCEPT"),
    }
}

fn set_op(op: SetOperator) -> Result<SetOp> {
    match op {
        SetOperator::Union => Ok(SetOp::Union),
        SetOperator::Intersect => Ok(SetOp::Intersect),
        SetOperator::Except => Ok(SetOp::Except),
        SetOperator::Minus => Err(syntax("syntax error at or near \"minus\"")),
    }
}

fn is_all(q: SetQuantifier) -> Result<bool> {
    match q {
        SetQuantifier::All => Ok(true),
        SetQuantifier::Distinct | SetQuantifier::None => Ok(false),
        SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
            Err(syntax("syntax error at or near \"by\""))
        }
    }
}

/// Halves until two are left; the order of operands stays.
fn balanced(op: SetOp, all: bool, mut plans: Vec<Plan>) -> Plan {
    if plans.len() <= 1 {
        return plans.pop().unwrap_or_default();
    }
    let right = plans.split_off(plans.len() / 2);
    Plan::SetOp {
        op,
        all,
        left: Box::new(balanced(op, all, plans)),
        right: Box::new(balanced(op, all, right)),
    }
}
