//! Operators, comparisons and pattern matching.
//!
//! Owns: symbols of the grammar's operators and the expansion of IN, BETWEEN and quantified comparisons.
//! Never: knows which types an operator takes; `exec::resolve` decides. Source: `parse_oper.c`, `parse_expr.c`.

use super::{Binder, Cx, coerce, unsupported};
use engine::exec::resolve;
use engine::plan::{Expr, FuncRef};
use sqlparser::ast::{self, BinaryOperator};
use types::{DataType, Error, Result, SqlState, Value};

impl<'a> Binder<'a> {
    pub(super) fn binary(
        &mut self,
        left: Expr,
        op: &'a BinaryOperator,
        right: &'a ast::Expr,
        cx: &mut Cx,
    ) -> Result<Expr> {
        match op {
            BinaryOperator::And => {
                let left = self.condition(left, "AND")?;
                let right = self.expr(right, cx)?;
                let right = self.condition(right, "AND")?;
                Ok(match left {
                    Expr::And(mut items) => {
                        items.push(right);
                        Expr::And(items)
                    }
                    left => Expr::And(vec![left, right]),
                })
            }
            BinaryOperator::Or => {
                let left = self.condition(left, "OR")?;
                let right = self.expr(right, cx)?;
                let right = self.condition(right, "OR")?;
                Ok(match left {
                    Expr::Or(mut items) => {
                        items.push(right);
                        Expr::Or(items)
                    }
                    left => Expr::Or(vec![left, right]),
                })
            }
            _ => {
                let bound = self.expr(right, cx)?;
                let out = self.infix(symbol(op)?, left, bound);
                out.map_err(|e| self.at_literal(e, right))
            }
        }
    }

    /// A text that is no value of the type it should have is pointed at.
    pub(super) fn at_literal(&self, e: Error, literal: &ast::Expr) -> Error {
        match literal {
            ast::Expr::Value(v) if e.code().0.starts_with(b"22") => self.at(e, v.span),
            _ => e,
        }
    }

    pub(super) fn infix(&mut self, symbol: &str, left: Expr, right: Expr) -> Result<Expr> {
        let found = resolve::operator(symbol, Some(left.ty()), right.ty())?;
        let [l, r] = found.arg_types.as_slice() else {
            return Err(Error::internal(
                "an infix operator of other than two operands",
            ));
        };
        let (l, r) = (*l, *r);
        let args = vec![self.coerce_arg(left, l)?, self.coerce_arg(right, r)?];
        Ok(Expr::Call {
            func: FuncRef(found.func),
            args,
            ty: found.ret,
        })
    }

    pub(super) fn prefix(&mut self, symbol: &str, operand: Expr) -> Result<Expr> {
        let found = resolve::operator(symbol, None, operand.ty())?;
        let Some(ty) = found.arg_types.last().copied() else {
            return Err(Error::internal("a prefix operator of no operand"));
        };
        Ok(Expr::Call {
            func: FuncRef(found.func),
            args: vec![self.coerce_arg(operand, ty)?],
            ty: found.ret,
        })
    }

    /// A comparison's function with both sides cast to what it takes.
    pub(super) fn compared(
        &mut self,
        symbol: &str,
        left: Expr,
        right: Expr,
    ) -> Result<(Expr, FuncRef, Expr)> {
        match self.infix(symbol, left, right)? {
            Expr::Call { func, mut args, ty } if ty == DataType::Bool && args.len() == 2 => {
                let right = args.pop();
                let left = args.pop();
                match (left, right) {
                    (Some(l), Some(r)) => Ok((l, func, r)),
                    _ => Err(Error::internal("a comparison of other than two operands")),
                }
            }
            _ => Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("operator {symbol} must return type boolean"),
            )),
        }
    }

    pub(super) fn distinct(
        &mut self,
        left: Expr,
        right: &'a ast::Expr,
        negated: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let right = self.expr(right, cx)?;
        self.bound_distinct(left, right, negated)
    }

    pub(super) fn bound_distinct(
        &mut self,
        left: Expr,
        right: Expr,
        negated: bool,
    ) -> Result<Expr> {
        let (left, eq, right) = self.compared("=", left, right)?;
        Ok(Expr::Distinct {
            left: Box::new(left),
            right: Box::new(right),
            eq,
            negated,
        })
    }

    pub(super) fn in_list(
        &mut self,
        left: Expr,
        list: &'a [ast::Expr],
        negated: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let items = self.exprs(list, cx)?;
        self.in_bound_list(left, items, negated)
    }

    fn in_bound_list(&mut self, left: Expr, items: Vec<Expr>, negated: bool) -> Result<Expr> {
        let mut types = vec![left.ty()];
        types.extend(items.iter().map(Expr::ty));
        let Ok(common) = resolve::common_type(&types) else {
            return self.in_alternatives(left, items, negated);
        };
        let found = resolve::operator("=", Some(common), common)?;
        let ty = found.arg_types.first().copied().unwrap_or(common);
        let expr = Box::new(self.coerce_arg(left, ty)?);
        let items = items
            .into_iter()
            .map(|e| self.coerce_arg(e, ty))
            .collect::<Result<Vec<_>>>()?;
        Ok(Expr::InList {
            expr,
            items,
            eq: FuncRef(found.func),
            negated,
        })
    }

    /// No common type: each item is compared by its own operator.
    fn in_alternatives(&mut self, left: Expr, items: Vec<Expr>, negated: bool) -> Result<Expr> {
        let mut tests = Vec::with_capacity(items.len());
        for item in items {
            let left = self.copy(&left)?;
            tests.push(self.infix(if negated { "<>" } else { "=" }, left, item)?);
        }
        Ok(if negated {
            Expr::And(tests)
        } else {
            Expr::Or(tests)
        })
    }

    pub(super) fn between(
        &mut self,
        left: Expr,
        low: &'a ast::Expr,
        high: &'a ast::Expr,
        negated: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let symmetric = super::expr::is_symmetric(low);
        let low = self.expr(low, cx)?;
        let high = self.expr(high, cx)?;
        if !symmetric {
            return self.in_range(left, low, high, negated);
        }
        let again = self.copy(&left)?;
        let (low2, high2) = (self.copy(&low)?, self.copy(&high)?);
        let forth = self.in_range(left, low, high, negated)?;
        let back = self.in_range(again, high2, low2, negated)?;
        Ok(if negated {
            Expr::And(vec![forth, back])
        } else {
            Expr::Or(vec![forth, back])
        })
    }

    fn in_range(&mut self, left: Expr, low: Expr, high: Expr, negated: bool) -> Result<Expr> {
        let again = self.copy(&left)?;
        let (above, below) = if negated { ("<", ">") } else { (">=", "<=") };
        let tests = vec![
            self.infix(above, left, low)?,
            self.infix(below, again, high)?,
        ];
        Ok(if negated {
            Expr::Or(tests)
        } else {
            Expr::And(tests)
        })
    }

    /// LIKE, ILIKE and SIMILAR TO with their ESCAPE.
    pub(super) fn pattern_match(
        &mut self,
        node: &'a ast::Expr,
        left: Expr,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let (symbol, any, pattern, escape, similar) = match node {
            ast::Expr::Like {
                negated,
                any,
                pattern,
                escape_char,
                ..
            } => (
                if *negated { "!~~" } else { "~~" },
                *any,
                pattern,
                escape_char,
                false,
            ),
            ast::Expr::ILike {
                negated,
                any,
                pattern,
                escape_char,
                ..
            } => (
                if *negated { "!~~*" } else { "~~*" },
                *any,
                pattern,
                escape_char,
                false,
            ),
            ast::Expr::SimilarTo {
                negated,
                pattern,
                escape_char,
                ..
            } => (
                if *negated { "!~" } else { "~" },
                false,
                pattern,
                escape_char,
                true,
            ),
            _ => return Err(Error::internal("not a pattern match")),
        };
        if any {
            return Err(unsupported("LIKE ANY without an array in parentheses"));
        }
        if let ast::Expr::Nested(inner) = &**pattern
            && matches!(&**inner, ast::Expr::AnyOp { .. } | ast::Expr::AllOp { .. })
        {
            return Err(unsupported("this pattern"));
        }
        let mut pattern = self.expr(pattern, cx)?;
        let escape = match escape {
            Some(e) => Some(self.expr(e, cx)?),
            None => None,
        };
        if similar {
            let mut args = vec![pattern];
            args.extend(escape);
            pattern = self.call("similar_to_escape", args)?;
        } else if let Some(escape) = escape {
            pattern = self.like_escape(pattern, escape)?;
        }
        self.infix(symbol, left, pattern)
    }

    /// A constant pattern with its own escape is rewritten to the usual backslash now.
    fn like_escape(&mut self, pattern: Expr, escape: Expr) -> Result<Expr> {
        if let (Some(Value::Text(p)), Some(Value::Text(e))) =
            (coerce::constant(&pattern), coerce::constant(&escape))
        {
            return Ok(super::literal::unknown(&rewritten_like(p, e)?));
        }
        self.call("like_escape", vec![pattern, escape])
    }

    /// `left op ANY/ALL (array or subquery)`.
    pub(super) fn quantified(
        &mut self,
        left: Expr,
        op: &'a BinaryOperator,
        right: &'a ast::Expr,
        all: bool,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let symbol = symbol(op)?;
        let mut inner = right;
        while let ast::Expr::Nested(x) = inner {
            inner = x;
        }
        if let ast::Expr::Subquery(q) = inner {
            return self.quantified_subquery(left, symbol, q, all, cx);
        }
        let array = self.expr(right, cx)?;
        self.quantified_array(left, symbol, array, all)
    }

    pub(super) fn quantified_array(
        &mut self,
        left: Expr,
        symbol: &str,
        array: Expr,
        all: bool,
    ) -> Result<Expr> {
        let element = match array.ty() {
            DataType::Unknown => DataType::Unknown,
            ty => ty.element().ok_or_else(|| {
                Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    "op ANY/ALL (array) requires array on right side",
                )
            })?,
        };
        let found = resolve::operator(symbol, Some(left.ty()), element)?;
        if found.ret != DataType::Bool {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                "op ANY/ALL (array) requires operator to yield boolean",
            ));
        }
        let [l, r] = found.arg_types.as_slice() else {
            return Err(Error::internal(
                "an infix operator of other than two operands",
            ));
        };
        let (l, r) = (*l, *r);
        let array_type = r.array().ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {r}"),
            )
        })?;
        Ok(Expr::ArrayQuantified {
            left: Box::new(self.coerce_arg(left, l)?),
            op: FuncRef(found.func),
            array: Box::new(self.coerce_arg(array, array_type)?),
            all,
        })
    }
}

/// PostgreSQL's spelling of the grammar's operator.
pub(super) fn symbol(op: &BinaryOperator) -> Result<&str> {
    use BinaryOperator as B;
    Ok(match op {
        B::Plus => "+",
        B::Minus => "-",
        B::Multiply => "*",
        B::Divide => "/",
        B::Modulo => "%",
        B::StringConcat => "||",
        B::Gt => ">",
        B::Lt => "<",
        B::GtEq => ">=",
        B::LtEq => "<=",
        B::Eq => "=",
        B::NotEq => "<>",
        B::BitwiseOr => "|",
        B::BitwiseAnd => "&",
        B::PGBitwiseXor => "#",
        B::PGBitwiseShiftLeft => "<<",
        B::PGBitwiseShiftRight => ">>",
        B::PGExp | B::BitwiseXor => "^",
        B::PGOverlap => "&&",
        B::PGRegexMatch => "~",
        B::PGRegexIMatch => "~*",
        B::PGRegexNotMatch => "!~",
        B::PGRegexNotIMatch => "!~*",
        B::PGLikeMatch => "~~",
        B::PGILikeMatch => "~~*",
        B::PGNotLikeMatch => "!~~",
        B::PGNotILikeMatch => "!~~*",
        B::PGStartsWith => "^@",
        B::Arrow => "->",
        B::LongArrow => "->>",
        B::HashArrow => "#>",
        B::HashLongArrow => "#>>",
        B::AtArrow => "@>",
        B::ArrowAt => "<@",
        B::HashMinus => "#-",
        B::AtQuestion => "@?",
        B::AtAt => "@@",
        B::Question => "?",
        B::QuestionAnd => "?&",
        B::QuestionPipe => "?|",
        B::Custom(s) => s,
        B::PGCustomBinaryOperator(parts) => match parts.as_slice() {
            [op] => op,
            [schema, op] if schema.eq_ignore_ascii_case("pg_catalog") => op,
            _ => return Err(unsupported("an operator of another schema")),
        },
        B::Overlaps => return Err(unsupported("OVERLAPS")),
        _ => return Err(unsupported("this operator")),
    })
}

/// The pattern with `escape` (one character, or none to switch escaping off) replaced by a backslash.
fn rewritten_like(pattern: &str, escape: &str) -> Result<String> {
    let mut chars = escape.chars();
    let escape = chars.next();
    if chars.next().is_some() {
        return Err(
            Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .with_hint("Escape string must be empty or one character."),
        );
    }
    let mut out = String::with_capacity(pattern.len());
    let mut escaped = false;
    for c in pattern.chars() {
        if Some(c) == escape && !escaped {
            out.push('\\');
            escaped = true;
        } else if c == '\\' && !escaped {
            out.push_str("\\\\");
        } else {
            out.push(c);
            escaped = false;
        }
    }
    Ok(out)
}
