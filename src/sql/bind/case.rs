//! CASE, COALESCE, NULLIF, GREATEST and LEAST: forms that choose among values of one type.
//!
//! Owns: their common type and the unfolding of the simple CASE. Source: `parse_expr.c`.

use super::{Binder, Cx};
use engine::plan::{Expr, FuncRef};
use sqlparser::ast;
use types::{DataType, Error, Result, Value};

impl<'a> Binder<'a> {
    pub(super) fn case(
        &mut self,
        operand: Option<&'a ast::Expr>,
        conditions: &'a [ast::CaseWhen],
        otherwise: Option<&'a ast::Expr>,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let operand = match operand {
            Some(e) => {
                let e = self.expr(e, cx)?;
                Some(self.settle_unknown(e)?)
            }
            None => None,
        };
        let mut tests = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for when in conditions {
            let test = self.expr(&when.condition, cx)?;
            tests.push(match &operand {
                Some(o) => {
                    let o = self.copy(o)?;
                    self.infix("=", o, test)?
                }
                None => self.condition(test, "CASE/WHEN")?,
            });
            results.push(self.expr(&when.result, cx)?);
        }
        // PostgreSQL looks at ELSE first when it seeks the common type.
        let last = match otherwise {
            Some(e) => self.expr(e, cx)?,
            None => Expr::Const(Value::Null, DataType::Unknown),
        };
        results.insert(0, last);
        let (results, ty) = self.unify(results, "CASE")?;
        let mut results = results.into_iter();
        let last = results.next();
        Ok(Expr::Case {
            branches: tests.into_iter().zip(results).collect(),
            otherwise: match (otherwise, last) {
                (Some(_), Some(e)) => Some(Box::new(e)),
                _ => None,
            },
            ty,
        })
    }

    /// The forms that look like functions but take any type; `None` when it is not one of them.
    pub(super) fn choice(
        &mut self,
        name: &str,
        args: Vec<Expr>,
    ) -> Result<Result<Expr, Vec<Expr>>> {
        let word = match name {
            "coalesce" => "COALESCE",
            "greatest" => "GREATEST",
            "least" => "LEAST",
            "nullif" => return self.null_if(args).map(Ok),
            _ => return Ok(Err(args)),
        };
        if args.is_empty() {
            return Err(super::syntax("syntax error at or near \")\""));
        }
        let (items, ty) = self.unify(args, word)?;
        if name == "coalesce" {
            return Ok(Ok(Expr::Coalesce(items, ty)));
        }
        let found = engine::exec::resolve::operator("<", Some(ty), ty)?;
        // varchar compares as text.
        let compared = found.arg_types.first().copied().unwrap_or(ty);
        let items = items
            .into_iter()
            .map(|e| self.coerce_arg(e, compared))
            .collect::<Result<Vec<_>>>()?;
        Ok(Ok(Expr::Extreme {
            items,
            less: FuncRef(found.func),
            greatest: name == "greatest",
            ty: compared,
        }))
    }

    fn null_if(&mut self, args: Vec<Expr>) -> Result<Expr> {
        let [left, right] =
            <[Expr; 2]>::try_from(args).map_err(|_| super::syntax("NULLIF takes two arguments"))?;
        let (left, eq, right) = self.compared("=", left, right)?;
        let ty = left.ty();
        if ty == DataType::Unknown {
            return Err(Error::internal("a comparison of untyped values"));
        }
        Ok(Expr::NullIf {
            left: Box::new(left),
            right: Box::new(right),
            eq,
            ty,
        })
    }
}
