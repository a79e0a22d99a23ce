//! Row values: `(a, b) = (1, 2)`, expanded into comparisons of their fields.
//!
//! Owns: which expressions are rows that are written out, and the expansion. Never: makes a value of a row (`composite` does), but
//! where one side of a comparison is no row that is written out. Source: PostgreSQL 15 manual, 9.24.5.

use super::expr::is_symmetric;
use super::{Binder, Cx, operator, syntax, unsupported};
use engine::plan::{Expr, Plan, SubqueryKind};
use sqlparser::ast::{self, BinaryOperator, FunctionArg, FunctionArgExpr, FunctionArguments};
use std::sync::Arc;
use types::{DataType, Error, Result};

/// Whether it is `(a, b)` or `ROW(a, b)`.
pub(super) fn is_row(e: &ast::Expr) -> bool {
    items(e).is_some()
}

/// What is written in `(a, b)` or `ROW(a, b)`.
pub(super) fn items(e: &ast::Expr) -> Option<Vec<&ast::Expr>> {
    match e {
        ast::Expr::Nested(inner) => items(inner),
        ast::Expr::Tuple(list) => Some(list.iter().collect()),
        ast::Expr::Function(f) if f.name.0.len() == 1 => {
            let name = super::names::first_ident(&f.name)?;
            if !name.value.eq_ignore_ascii_case("row") || name.quote_style.is_some() {
                return None;
            }
            let FunctionArguments::List(list) = &f.args else {
                return None;
            };
            let arg = |a| match a {
                &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref e)) => Some(e),
                _ => None,
            };
            list.args.iter().map(arg).collect()
        }
        _ => None,
    }
}

impl<'a> Binder<'a> {
    pub(super) fn row(&mut self, e: &'a ast::Expr, cx: &mut Cx) -> Result<Vec<Expr>> {
        let list = items(e).ok_or_else(|| unsupported("a row of this expression"))?;
        let mut out = Vec::with_capacity(list.len());
        for e in list {
            match self.columns_of_row(e, cx)? {
                Some(columns) => out.extend(columns),
                None => out.push(self.expr(e, cx)?),
            }
        }
        Ok(out)
    }

    /// A row that is written out, beside what is not, or on both sides.
    fn rows_apart(&mut self, left: &'a ast::Expr, cx: &mut Cx) -> Result<Expr> {
        let values = self.row(left, cx)?;
        self.row_value(values)
    }

    pub(super) fn row_binary(
        &mut self,
        left: &'a ast::Expr,
        op: &'a BinaryOperator,
        right: &'a ast::Expr,
        cx: &mut Cx,
    ) -> Result<Expr> {
        if let BinaryOperator::Overlaps = op {
            let (left, right) = (self.row(left, cx)?, self.row(right, cx)?);
            return self.overlaps(left, right);
        }
        let symbol = operator::symbol(op)?;
        if let ast::Expr::Subquery(q) = right {
            let left = self.row(left, cx)?;
            let right = self.packed_subquery(q, left.len(), cx)?;
            return self.compare_rows(symbol, left, right);
        }
        if !is_row(right) {
            let left = self.rows_apart(left, cx)?;
            return self.binary(left, op, right, cx);
        }
        let left = self.row(left, cx)?;
        let right = self.row(right, cx)?;
        self.compare_rows(symbol, left, right)
    }

    /// Of two spans; one may be given by its length.
    fn overlaps(&mut self, left: Vec<Expr>, right: Vec<Expr>) -> Result<Expr> {
        let mut ends = Vec::with_capacity(4);
        for (side, mut span) in [("left", left), ("right", right)] {
            let (Some(second), Some(first)) = (span.pop(), span.pop()) else {
                return Err(wrong_span(side));
            };
            if !span.is_empty() {
                return Err(wrong_span(side));
            }
            let end = match second.ty() {
                DataType::Interval => self.infix("+", first.clone(), second)?,
                _ => second,
            };
            ends.extend([first, end]);
        }
        self.call("overlaps", ends)
    }

    pub(super) fn compare_rows(
        &mut self,
        symbol: &str,
        left: Vec<Expr>,
        right: Vec<Expr>,
    ) -> Result<Expr> {
        if left.len() != right.len() {
            return Err(syntax("unequal number of entries in row expressions"));
        }
        match symbol {
            "=" | "<>" => {
                let tests = left
                    .into_iter()
                    .zip(right)
                    .map(|(l, r)| self.infix(symbol, l, r))
                    .collect::<Result<Vec<_>>>()?;
                Ok(if symbol == "=" {
                    Expr::And(tests)
                } else {
                    Expr::Or(tests)
                })
            }
            "<" | "<=" | ">" | ">=" => self.order_rows(symbol, left, right),
            _ => Err(unsupported("this operator between rows")),
        }
    }

    /// `(a, b) < (c, d)` is `a <= c AND (a < c OR (a = c AND b < d))`; the last field keeps the operator itself. The first condition
    /// follows from the other one, and says where rows can be.
    fn order_rows(&mut self, symbol: &str, left: Vec<Expr>, right: Vec<Expr>) -> Result<Expr> {
        let strict = symbol.trim_end_matches('=');
        let first = match (left.as_slice(), right.as_slice()) {
            ([l, _, ..], [r, _, ..]) => {
                let (l, r) = (self.copy(l)?, self.copy(r)?);
                Some(self.infix(&format!("{strict}="), l, r)?)
            }
            _ => None,
        };
        let mut out: Option<Expr> = None;
        for (l, r) in left.into_iter().zip(right).rev() {
            out = Some(match out {
                None => self.infix(symbol, l, r)?,
                Some(rest) => {
                    let (l2, r2) = (self.copy(&l)?, self.copy(&r)?);
                    let less = self.infix(strict, l, r)?;
                    let equal = self.infix("=", l2, r2)?;
                    Expr::Or(vec![less, Expr::And(vec![equal, rest])])
                }
            });
        }
        let out = out.ok_or_else(|| syntax("cannot compare rows of zero length"))?;
        Ok(match first {
            Some(first) => Expr::And(vec![first, out]),
            None => out,
        })
    }

    /// Field by field, as the comparisons that it stands for.
    pub(super) fn row_between(&mut self, node: &'a ast::Expr, cx: &mut Cx) -> Result<Expr> {
        let ast::Expr::Between {
            expr: row,
            negated,
            low,
            high,
        } = node
        else {
            return Err(Error::internal("not a BETWEEN"));
        };
        let (low, high, negated): (&'a ast::Expr, &'a ast::Expr, bool) = (low, high, *negated);
        let first = match low {
            ast::Expr::UnaryOp { expr, .. } if is_symmetric(low) => expr,
            _ => low,
        };
        if !is_row(first) || !is_row(high) {
            let left = self.rows_apart(row, cx)?;
            return self.between(left, low, high, negated, cx);
        }
        let (above, below) = if negated { ("<", ">") } else { (">=", "<=") };
        let mut in_range = |low: &'a ast::Expr, high: &'a ast::Expr| -> Result<Expr> {
            let (left, low) = (self.row(row, cx)?, self.row(low, cx)?);
            let first = self.compare_rows(above, left, low)?;
            let (left, high) = (self.row(row, cx)?, self.row(high, cx)?);
            let tests = vec![first, self.compare_rows(below, left, high)?];
            Ok(match negated {
                true => Expr::Or(tests),
                false => Expr::And(tests),
            })
        };
        let forth = in_range(first, high)?;
        if !is_symmetric(low) {
            return Ok(forth);
        }
        let both = vec![forth, in_range(high, first)?];
        Ok(match negated {
            true => Expr::And(both),
            false => Expr::Or(both),
        })
    }

    pub(super) fn row_in_list(
        &mut self,
        left: &'a ast::Expr,
        list: &'a [ast::Expr],
        negated: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        if !list.iter().all(is_row) {
            let left = self.rows_apart(left, cx)?;
            return self.in_list(left, list, negated, cx);
        }
        let left = self.row(left, cx)?;
        let mut tests = Vec::with_capacity(list.len());
        for item in list {
            let right = self.row(item, cx)?;
            let left = left
                .iter()
                .map(|e| self.copy(e))
                .collect::<Result<Vec<_>>>()?;
            tests.push(self.compare_rows("=", left, right)?);
        }
        let any = Expr::Or(tests);
        Ok(if negated {
            Expr::Not(Box::new(any))
        } else {
            any
        })
    }

    /// Rows are distinct when some of their fields are.
    pub(super) fn row_distinct(
        &mut self,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        negated: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        if !is_row(right) {
            let left = self.rows_apart(left, cx)?;
            return self.distinct(left, right, negated, cx);
        }
        let left = self.row(left, cx)?;
        let right = self.row(right, cx)?;
        if left.len() != right.len() {
            return Err(syntax("unequal number of entries in row expressions"));
        }
        let pairs = left.into_iter().zip(right);
        let tests = pairs.map(|(l, r)| self.bound_distinct(l, r, negated));
        let tests = tests.collect::<Result<Vec<_>>>()?;
        Ok(if negated {
            Expr::And(tests)
        } else {
            Expr::Or(tests)
        })
    }

    pub(super) fn row_is_null(
        &mut self,
        row: &'a ast::Expr,
        negated: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let fields = self.row(row, cx)?;
        let test = |e| {
            let null = Expr::IsNull(Box::new(e));
            if negated {
                Expr::Not(Box::new(null))
            } else {
                null
            }
        };
        Ok(Expr::And(fields.into_iter().map(test).collect()))
    }

    /// `(a, b) IN (SELECT x, y)`: true when a row matches, NULL when none does but one might, else false.
    fn some_null(&mut self, of: &[Expr]) -> Result<Expr> {
        let null = |e: &Expr| Ok(Expr::IsNull(Box::new(self.copy(e)?)));
        Ok(Expr::Or(of.iter().map(null).collect::<Result<_>>()?))
    }

    pub(super) fn row_in_subquery(
        &mut self,
        left: &'a ast::Expr,
        query: &'a ast::Query,
        negated: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let left = self.row(left, cx)?;
        let (rel, _) = self.subquery(query, cx)?;
        if rel.columns.len() != left.len() {
            let what = if rel.columns.len() > left.len() {
                "subquery has too many columns"
            } else {
                "subquery has too few columns"
            };
            return Err(syntax(what));
        }
        // Inside the subquery's filter the left operands are those of the row around it.
        let fields = left
            .iter()
            .map(|e| self.as_outer(e))
            .collect::<Result<Vec<_>>>()?;
        let columns = rel.columns.iter().enumerate();
        let columns: Vec<Expr> = columns.map(|(i, c)| Expr::Column(i, c.ty)).collect();
        let (left_null, right_null) = (self.some_null(&left)?, self.some_null(&columns)?);
        let equal = self.compare_rows("=", fields, columns)?;
        let unknown = Expr::IsNull(Box::new(self.copy(&equal)?));
        // Where the row has no NULL, only those rows can be neither equal nor different that have one: mostly few.
        let beside_null = Expr::And(vec![right_null, self.copy(&unknown)?]);
        let exists = |predicate| Expr::Subquery {
            plan: Arc::new(Plan::Filter {
                input: Box::new(rel.plan.clone()),
                predicate,
            }),
            kind: SubqueryKind::Exists,
            correlated: true,
            ty: DataType::Bool,
        };
        let null = || Expr::Const(types::Value::Null, DataType::Bool);
        let found = Expr::Case {
            branches: vec![
                (exists(equal), super::expr::boolean(true)),
                (exists(beside_null), null()),
                (Expr::And(vec![left_null, exists(unknown)]), null()),
            ],
            otherwise: Some(Box::new(super::expr::boolean(false))),
            ty: DataType::Bool,
        };
        Ok(if negated {
            Expr::Not(Box::new(found))
        } else {
            found
        })
    }

    /// `(a, b) = ANY (query)` and `(a, b) <> ALL (query)`, which are IN and NOT IN.
    pub(super) fn row_quantified(&mut self, node: &'a ast::Expr, cx: &mut Cx) -> Result<Expr> {
        let (left, op, right, all) = match node {
            ast::Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => (left, compare_op, right, false),
            ast::Expr::AllOp {
                left,
                compare_op,
                right,
            } => (left, compare_op, right, true),
            _ => return Err(Error::internal("not a quantified comparison")),
        };
        match (subquery_of(right), op, all) {
            (Some(q), ast::BinaryOperator::Eq, false)
            | (Some(q), ast::BinaryOperator::NotEq, true) => self.row_in_subquery(left, q, all, cx),
            _ => Err(unsupported("this comparison of a row with a subquery")),
        }
    }

    /// An expression over this row, seen from inside one of its subqueries.
    fn as_outer(&mut self, e: &Expr) -> Result<Expr> {
        let out = super::walk::lift(e, 1);
        let mut nested = false;
        e.each(&mut |x| nested |= matches!(x, Expr::Subquery { .. }));
        if nested {
            return Err(unsupported(
                "a subquery inside a row compared with a subquery",
            ));
        }
        self.copied += super::walk::size(&out);
        Ok(out)
    }
}

fn wrong_span(side: &str) -> types::Error {
    syntax(format!(
        "wrong number of parameters on {side} side of OVERLAPS expression"
    ))
}

/// The query in these brackets.
pub(super) fn subquery_of(e: &ast::Expr) -> Option<&ast::Query> {
    match e {
        ast::Expr::Nested(inner) => subquery_of(inner),
        ast::Expr::Subquery(query) => Some(query),
        _ => None,
    }
}
