//! Expressions: the walk over the syntax tree and the forms that are neither operators nor functions.
//!
//! Owns: `Binder::expr`. Never: recurses along a left spine: `a+b+c…` and `x::t::u…` are walked in a loop, because the
//! caps let such a chain be a thousand long. Source: `parse_expr.c`.

use super::composite::call;
use super::places::{has_slice, no_subscripts};
use super::{Binder, Cx, names, syntax, unsupported};
use crate::parse::respell::is_collation;
use crate::parse::star::STAR;
use engine::exec::cast::CastContext;
use engine::exec::functions::records::{IS_NOT_NULL, IS_NULL};
use engine::plan::Expr;
use sqlparser::ast::{self, AccessExpr, Subscript, UnaryOperator};
use types::{DataType, Error, Result, SqlState, Value};

impl<'a> Binder<'a> {
    pub(super) fn expr(&mut self, e: &'a ast::Expr, cx: &mut Cx) -> Result<Expr> {
        let mut spine = Vec::new();
        let mut node = e;
        while let Some(left) = left_child(node) {
            spine.push(node);
            node = left;
        }
        let mut bound = self.leaf(node, cx)?;
        while let Some(node) = spine.pop() {
            bound = self.extend(node, bound, cx)?;
        }
        Ok(bound)
    }

    pub(super) fn exprs(&mut self, list: &'a [ast::Expr], cx: &mut Cx) -> Result<Vec<Expr>> {
        list.iter().map(|e| self.expr(e, cx)).collect()
    }

    /// A node whose left operand is already bound.
    fn extend(&mut self, node: &'a ast::Expr, left: Expr, cx: &mut Cx) -> Result<Expr> {
        use ast::Expr as E;
        match node {
            E::Nested(_) => Ok(left),
            E::BinaryOp {
                op,
                right,
                left: written,
            } => {
                if compares(op) && (is_comparison(written) || is_comparison(right)) {
                    return Err(syntax(format!("syntax error at or near \"{op}\"")));
                }
                self.binary(left, op, right, cx)
            }
            E::Cast {
                data_type,
                kind,
                expr,
                ..
            } => {
                if !matches!(kind, ast::CastKind::Cast | ast::CastKind::DoubleColon) {
                    return Err(syntax("syntax error in a cast"));
                }
                let to = self.declared_type(data_type)?;
                let out = self.declared_cast(left, to);
                out.map_err(|e| self.at_literal(e, expr))
            }
            E::Collate { collation, .. } => self.collate(left, collation),
            E::IsNull(_) if left.ty().is_record() => call(IS_NULL, vec![left], DataType::Bool),
            E::IsNotNull(_) if left.ty().is_record() => {
                call(IS_NOT_NULL, vec![left], DataType::Bool)
            }
            E::IsNull(_) => Ok(Expr::IsNull(Box::new(left))),
            E::IsNotNull(_) => Ok(Expr::Not(Box::new(Expr::IsNull(Box::new(left))))),
            E::IsTrue(_) => self.is_bool(left, Some(true), false),
            E::IsNotTrue(_) => self.is_bool(left, Some(true), true),
            E::IsFalse(_) => self.is_bool(left, Some(false), false),
            E::IsNotFalse(_) => self.is_bool(left, Some(false), true),
            E::IsUnknown(_) => self.is_bool(left, None, false),
            E::IsNotUnknown(_) => self.is_bool(left, None, true),
            E::IsDistinctFrom(_, right) => self.distinct(left, right, false, cx),
            E::IsNotDistinctFrom(_, right) => self.distinct(left, right, true, cx),
            E::InList { list, negated, .. } => self.in_list(left, list, *negated, cx),
            E::InSubquery {
                subquery, negated, ..
            } => self.in_subquery(left, subquery, *negated, cx),
            E::Between {
                negated, low, high, ..
            } => self.between(left, low, high, *negated, cx),
            E::Like { .. } | E::ILike { .. } | E::SimilarTo { .. } => {
                self.pattern_match(node, left, cx)
            }
            E::AnyOp {
                compare_op, right, ..
            } => self.quantified(left, compare_op, right, false, cx),
            E::AllOp {
                compare_op, right, ..
            } => self.quantified(left, compare_op, right, true, cx),
            E::AtTimeZone { time_zone, .. } => {
                let zone = self.expr(time_zone, cx)?;
                self.call("timezone", vec![zone, left])
            }
            E::CompoundFieldAccess { access_chain, .. } => self.access(left, access_chain, cx),
            _ => Err(Error::internal("not a left-recursive expression")),
        }
    }

    /// A node that starts a spine.
    fn leaf(&mut self, node: &'a ast::Expr, cx: &mut Cx) -> Result<Expr> {
        use ast::Expr as E;
        match node {
            _ if super::rows::is_row(node) => {
                let values = self.row(node, cx)?;
                self.row_value(values)
            }
            E::Identifier(i) => self.identifier(i, cx),
            E::CompoundIdentifier(parts) => self.compound(parts, cx),
            E::CompoundFieldAccess { root, access_chain } => self.path(root, access_chain, cx),
            E::Value(v) => self.value(v),
            E::TypedString(t) => self.typed_string(t),
            E::Interval(i) => self.interval(i),
            E::UnaryOp { op, expr } => self.unary(*op, expr, cx),
            E::Function(f) => self.function(f, cx),
            E::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref(), cx),
            E::Exists { subquery, negated } => self.exists(subquery, *negated, cx),
            E::Subquery(q) => self.scalar_subquery(q, cx),
            E::Array(a) => self.array(&a.elem, cx),
            E::Extract { .. }
            | E::Ceil { .. }
            | E::Floor { .. }
            | E::Position { .. }
            | E::Substring { .. }
            | E::Trim { .. }
            | E::Overlay { .. } => self.special_call(node, cx),
            E::BinaryOp { left, op, right } => self.row_binary(left, op, right, cx),
            E::InList {
                expr,
                list,
                negated,
            } => self.row_in_list(expr, list, *negated, cx),
            E::InSubquery {
                expr,
                subquery,
                negated,
            } => self.row_in_subquery(expr, subquery, *negated, cx),
            E::Between { .. } => self.row_between(node, cx),
            E::AnyOp { .. } | E::AllOp { .. } => self.row_quantified(node, cx),
            E::IsDistinctFrom(left, right) => self.row_distinct(left, right, false, cx),
            E::IsNotDistinctFrom(left, right) => self.row_distinct(left, right, true, cx),
            E::IsNull(row) => self.row_is_null(row, false, cx),
            E::IsNotNull(row) => self.row_is_null(row, true, cx),
            E::GroupingSets(_) | E::Cube(_) | E::Rollup(_) => {
                Err(syntax("syntax error: grouping sets outside GROUP BY"))
            }
            E::QualifiedWildcard(name, _) => {
                let (schema, alias) = self.qualified(name)?;
                let row = self.row_named(schema.as_deref(), &alias, cx)?;
                row.ok_or_else(|| self.missing_from(&alias, cx))
            }
            E::Wildcard(_) => Err(syntax("syntax error at or near \"*\"")),
            E::IsJson { .. } => Err(unsupported("IS JSON")),
            E::IsNormalized {
                expr,
                form,
                negated,
            } => super::variadic::is_normalized(self, (expr, *form, *negated), cx),
            _ => Err(unsupported("this expression")),
        }
    }

    /// `t.a[1]`, `(t).a`, `(e).a`
    fn path(&mut self, root: &'a ast::Expr, chain: &'a [AccessExpr], cx: &mut Cx) -> Result<Expr> {
        let (parts, rest) = dotted(root, chain);
        if parts.len() > 1 {
            let column = self.compound(&parts, cx)?;
            return self.access(column, rest, cx);
        }
        // `(t).a` is a column of `t`, by the name that it has here.
        if let (ast::Expr::Identifier(t), [AccessExpr::Dot(ast::Expr::Identifier(a)), rest @ ..]) =
            (super::select::unnested(root), chain)
            && a.value != STAR
            && self.names_relation(t, cx)?
        {
            let column = self.compound(&[t.clone(), a.clone()], cx)?;
            return self.access(column, rest, cx);
        }
        let root = self.expr(root, cx)?;
        self.access(root, chain, cx)
    }

    fn identifier(&mut self, i: &'a ast::Ident, cx: &mut Cx) -> Result<Expr> {
        let name = names::ident(i);
        match self.column(&name, i, cx) {
            // Words that are functions without parentheses, and that the grammar crate leaves as names.
            Err(e) if i.quote_style.is_none() && e.code() == SqlState::UNDEFINED_COLUMN => {
                match name.as_str() {
                    "current_schema" | "current_role" | "current_catalog" | "session_user" => {
                        self.call(&name, Vec::new())
                    }
                    _ => Err(e),
                }
            }
            other => other,
        }
    }

    pub(super) fn collate(&mut self, left: Expr, collation: &ast::ObjectName) -> Result<Expr> {
        self.known_collation(collation)?;
        let left = self.settle_unknown(left)?;
        let ty = left.ty();
        if !ty.is_string() && !ty.element().is_some_and(DataType::is_string) {
            return Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("collations are not supported by type {ty}"),
            ));
        }
        Ok(left)
    }

    /// 42704 for one that there is not.
    pub(super) fn known_collation(&self, collation: &ast::ObjectName) -> Result<()> {
        let (schema, name) = names::qualified(collation)?;
        let shown = match &schema {
            None if is_collation(&name) => return Ok(()),
            None => name,
            Some(s) if s == "pg_catalog" && is_collation(&name) => return Ok(()),
            Some(s) if s != "pg_catalog" && self.env.catalog.schema_oid(s).is_none() => {
                return Err(names::unknown_schema(s));
            }
            Some(s) => format!("{s}.{name}"),
        };
        Err(Error::new(
            SqlState::UNDEFINED_OBJECT,
            format!("collation \"{shown}\" for encoding \"UTF8\" does not exist"),
        ))
    }

    fn is_bool(&mut self, e: Expr, value: Option<bool>, negated: bool) -> Result<Expr> {
        let not = if negated { "NOT " } else { "" };
        let what = match value {
            Some(true) => "TRUE",
            Some(false) => "FALSE",
            None => "UNKNOWN",
        };
        let expr = Box::new(self.condition(e, &format!("IS {not}{what}"))?);
        Ok(Expr::IsBool {
            expr,
            value,
            negated,
        })
    }

    fn unary(&mut self, op: UnaryOperator, operand: &'a ast::Expr, cx: &mut Cx) -> Result<Expr> {
        let symbol = match op {
            UnaryOperator::Not => {
                let e = self.expr(operand, cx)?;
                return Ok(Expr::Not(Box::new(self.condition(e, "NOT")?)));
            }
            UnaryOperator::Minus | UnaryOperator::Plus => return self.sign(op, operand, cx),
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            UnaryOperator::PGAbs => "@",
            // Stands for SYMMETRIC, which `between` has seen.
            UnaryOperator::PGPrefixFactorial => return self.expr(operand, cx),
            _ => return Err(unsupported("this operator")),
        };
        let e = self.expr(operand, cx)?;
        self.prefix(symbol, e)
    }

    /// A sign binds tighter than `^`, AT TIME ZONE and COLLATE in PostgreSQL, looser in the grammar crate: the sign
    /// moves down to the first operand of such a chain. A sign before a number makes one literal.
    fn sign(&mut self, op: UnaryOperator, operand: &'a ast::Expr, cx: &mut Cx) -> Result<Expr> {
        let mut chain = Vec::new();
        let mut node = operand;
        loop {
            let left = match node {
                ast::Expr::BinaryOp {
                    left,
                    op: ast::BinaryOperator::PGExp,
                    ..
                } => left,
                ast::Expr::AtTimeZone { timestamp, .. } => timestamp,
                ast::Expr::Collate { expr, .. } => expr,
                _ => break,
            };
            chain.push(node);
            node = left;
        }
        let negative = op == UnaryOperator::Minus;
        let mut bound = match node {
            ast::Expr::Nested(_) if negative && signed(node).is_some() => {
                let digits = signed(node).unwrap_or_default();
                let negated = digits.strip_prefix('-').map(str::to_owned);
                super::literal::number(&negated.unwrap_or_else(|| format!("-{digits}")))?
            }
            ast::Expr::Value(v) => match &v.value {
                ast::Value::Number(n, _) if negative => {
                    super::literal::number(&format!("-{n}")).map_err(|e| self.at(e, v.span))?
                }
                _ => {
                    let e = self.value(v)?;
                    self.prefix(if negative { "-" } else { "+" }, e)?
                }
            },
            _ => {
                let e = self.expr(node, cx)?;
                self.prefix(if negative { "-" } else { "+" }, e)?
            }
        };
        while let Some(node) = chain.pop() {
            bound = self.extend(node, bound, cx)?;
        }
        Ok(bound)
    }

    /// `ARRAY[a, b]`; of arrays is refused: arrays have one dimension.
    fn array(&mut self, items: &'a [ast::Expr], cx: &mut Cx) -> Result<Expr> {
        let items = self.exprs(items, cx)?;
        if items.is_empty() {
            // Typed by the cast around it, as the literal '{}' is.
            return Ok(super::literal::unknown("{}"));
        }
        let (items, ty) = self.unify(items, "ARRAY")?;
        match ty.array() {
            Some(array) => Ok(Expr::Array(items, array)),
            None => Err(unsupported("an array of arrays")),
        }
    }

    /// `a[1]`, `j['k']`, `(row).field`.
    pub(super) fn access(
        &mut self,
        mut value: Expr,
        chain: &'a [AccessExpr],
        cx: &mut Cx,
    ) -> Result<Expr> {
        let mut chain = chain;
        while let Some((step, rest)) = chain.split_first() {
            if let AccessExpr::Dot(name) = step {
                let ast::Expr::Identifier(i) = name else {
                    return Err(syntax("syntax error in a field's name"));
                };
                value = self.field_of(value, &names::ident(i), cx)?;
                chain = rest;
                continue;
            }
            let subscript = |s: &'a AccessExpr| match s {
                AccessExpr::Subscript(s) => Some(s),
                AccessExpr::Dot(_) => None,
            };
            let subscripts: Vec<&'a Subscript> = chain.iter().map_while(subscript).collect();
            chain = chain.get(subscripts.len()..).unwrap_or(&[]);
            value = self.subscripted(value, &subscripts, cx)?;
        }
        Ok(value)
    }

    /// All brackets behind one value.
    fn subscripted(
        &mut self,
        value: Expr,
        subscripts: &[&'a Subscript],
        cx: &mut Cx,
    ) -> Result<Expr> {
        let ty = value.ty();
        if ty == DataType::Jsonb {
            let steps = self.json_steps(subscripts, cx)?.into_iter();
            let path = Expr::Array(steps.map(|(e, _)| e).collect(), DataType::TextArray);
            return self.infix("#>", value, path);
        }
        if let (DataType::Name, [Subscript::Index { index }]) = (ty, subscripts) {
            let index = self.expr(index, cx)?;
            return self.letter(value, index);
        }
        let Some(element) = ty.element() else {
            return Err(no_subscripts(ty));
        };
        if has_slice(subscripts) {
            let bounds = self.array_bounds(subscripts, true, cx)?;
            return slice(value, bounds);
        }
        let mut bounds = self.array_bounds(subscripts, false, cx)?;
        let (Some(index), true) = (bounds.pop(), bounds.is_empty()) else {
            // There is nothing in another dimension.
            return Ok(Expr::Const(Value::Null, element));
        };
        // Of TG_ARGV and of vectors in system tables the first is number 0.
        let index = match ty.is_vector() || self.is_argv(&value) {
            true => self.infix("+", index, Expr::Const(Value::Int4(1), DataType::Int4))?,
            false => index,
        };
        Ok(Expr::Subscript {
            array: Box::new(value),
            index: Box::new(index),
            ty: element,
        })
    }

    /// `name[0]` is the first of its bytes, a "char".
    fn letter(&mut self, name: Expr, index: Expr) -> Result<Expr> {
        let int = |n| Expr::Const(Value::Int4(n), DataType::Int4);
        let at = self.infix("+", index, int(1))?;
        let letter = self.call("substr", vec![name, at, int(1)])?;
        let letter = self.coerce(letter, DataType::InternalChar, -1, CastContext::Explicit)?;
        letter.ok_or_else(|| Error::internal("no cast from text to \"char\""))
    }
}

/// `a[2:3]`, `a[:n]`: a bound that is left out is that of the array. There is nothing in a second dimension.
fn slice(array: Expr, bounds: Vec<Expr>) -> Result<Expr> {
    let ty = array.ty();
    let integer = |n| Expr::Const(Value::Int4(n), DataType::Int4);
    let open = |(bound, open): (Expr, i32)| match bound {
        Expr::Const(Value::Bool(_), _) => integer(open),
        given => given,
    };
    let mut args = vec![array];
    match bounds.len() {
        2 => args.extend(bounds.into_iter().zip([1, i32::MAX]).map(open)),
        _ => args.extend([integer(1), integer(0)]),
    }
    call("array_slice", args, ty)
}

/// The digits of a number with its signs, through parentheses: `-(-5)` is a literal as well.
fn signed(e: &ast::Expr) -> Option<String> {
    let mut negative = false;
    let mut node = e;
    loop {
        match node {
            ast::Expr::Nested(inner) => node = inner,
            ast::Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr,
            } => {
                negative = !negative;
                node = expr;
            }
            ast::Expr::Value(v) => {
                let ast::Value::Number(n, _) = &v.value else {
                    return None;
                };
                return Some(if negative { format!("-{n}") } else { n.clone() });
            }
            _ => return None,
        }
    }
}

/// The operand that stands first in the text, where the node continues it. Rows start a spine of their own.
fn left_child(e: &ast::Expr) -> Option<&ast::Expr> {
    use ast::Expr as E;
    let left: &ast::Expr = match e {
        E::Nested(inner) => return Some(inner),
        E::BinaryOp { left, .. } => left,
        E::Cast { expr, .. } | E::Collate { expr, .. } => expr,
        E::IsNull(x) | E::IsNotNull(x) => x,
        E::IsTrue(x)
        | E::IsNotTrue(x)
        | E::IsFalse(x)
        | E::IsNotFalse(x)
        | E::IsUnknown(x)
        | E::IsNotUnknown(x) => return Some(x),
        E::IsDistinctFrom(x, _) | E::IsNotDistinctFrom(x, _) => x,
        E::InList { expr, .. } | E::InSubquery { expr, .. } | E::Between { expr, .. } => expr,
        E::Like { expr, .. } | E::ILike { expr, .. } | E::SimilarTo { expr, .. } => {
            return Some(expr);
        }
        E::AnyOp { left, right, .. } | E::AllOp { left, right, .. } => {
            let row = super::rows::is_row(left) && super::rows::subquery_of(right).is_some();
            return (!row).then_some(left);
        }
        E::AtTimeZone { timestamp, .. } => return Some(timestamp),
        E::CompoundFieldAccess { root, access_chain } => {
            let name = matches!(super::select::unnested(root), E::Identifier(_));
            return (!name || dotted(root, access_chain).0.len() == 1).then_some(&**root);
        }
        _ => return None,
    };
    if super::rows::is_row(left) && !matches!(e, E::Cast { .. } | E::Collate { .. }) {
        None
    } else {
        Some(left)
    }
}

/// The name of a column with its table's, which the grammar takes for fields of a value, and what follows it.
fn dotted<'a>(root: &ast::Expr, chain: &'a [AccessExpr]) -> (Vec<ast::Ident>, &'a [AccessExpr]) {
    let ast::Expr::Identifier(first) = root else {
        return (Vec::new(), chain);
    };
    let mut parts = vec![first.clone()];
    let name = |a: &AccessExpr| match a {
        AccessExpr::Dot(ast::Expr::Identifier(i)) => Some(i.clone()),
        _ => None,
    };
    parts.extend(chain.iter().map_while(name));
    let rest = &chain[parts.len() - 1..];
    (parts, rest)
}

fn compares(op: &ast::BinaryOperator) -> bool {
    use ast::BinaryOperator as B;
    matches!(op, B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq)
}

/// Comparisons do not associate: `a < b < c` has no meaning.
fn is_comparison(e: &ast::Expr) -> bool {
    matches!(e, ast::Expr::BinaryOp { op, .. } if compares(op))
}

/// BETWEEN SYMMETRIC, marked on the first operand of its lower bound.
pub(super) fn is_symmetric(low: &ast::Expr) -> bool {
    let mut node = low;
    loop {
        match node {
            ast::Expr::Nested(_) => return false,
            ast::Expr::UnaryOp {
                op: UnaryOperator::PGPrefixFactorial,
                ..
            } => return true,
            _ => match left_child(node) {
                Some(left) => node = left,
                None => return false,
            },
        }
    }
}

/// `true` as a bound expression.
pub(super) fn boolean(b: bool) -> Expr {
    Expr::Const(Value::Bool(b), DataType::Bool)
}
