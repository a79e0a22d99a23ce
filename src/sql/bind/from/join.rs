//! Joins: conditions, USING, NATURAL, LATERAL.
//!
//! Owns: the merged columns of USING and which joins run their right side once per left row.

use super::super::scope::{Entry, Scope};
use super::super::{Binder, Clause, Cx, Frame, coerce, names, syntax, unsupported};
use super::{Source, function};
use engine::plan::{Expr, Join, JoinKind, Keep, Plan};
use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor, TableWithJoins};
use std::rc::Rc;
use types::{Error, Result, SqlState};

impl<'a> Binder<'a> {
    pub(in super::super) fn table_with_joins(&mut self, t: &'a TableWithJoins) -> Result<Source> {
        let mut left = self.factor(&t.relation)?;
        for join in &t.joins {
            left = self.join(left, join)?;
        }
        Ok(left)
    }

    /// A comma of FROM.
    pub(super) fn cross(&mut self, left: Source, item: &'a TableWithJoins) -> Result<Source> {
        let lateral = sees_neighbours(item);
        let lateral = lateral.then(|| clause_of(&item.relation));
        let (right, lateral) = self.right_side(&left, lateral, |b| b.table_with_joins(item))?;
        self.combine_sources(left, right, JoinKind::Inner, lateral, None)
    }

    fn join(&mut self, left: Source, join: &'a ast::Join) -> Result<Source> {
        let (kind, constraint) = kind_of(&join.join_operator)?;
        let lateral = factor_sees_neighbours(&join.relation);
        if lateral && matches!(kind, JoinKind::Right | JoinKind::Full) {
            return Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "invalid reference to FROM-clause entry",
            )
            .with_detail(
                "The combining JOIN type must be INNER or LEFT for a LATERAL reference.",
            ));
        }
        let lateral = lateral.then(|| clause_of(&join.relation));
        let padded = matches!(kind, JoinKind::Left | JoinKind::Full);
        let (right, lateral) = self.banned(padded.then_some("an outer join"), |b| {
            b.right_side(&left, lateral, |b| b.factor(&join.relation))
        })?;
        if matches!(kind, JoinKind::Right | JoinKind::Full)
            && super::super::with::reads_work(&left.0)
        {
            return Err(Error::new(
                SqlState::INVALID_RECURSION,
                "recursive reference to a query must not appear within an outer join",
            ));
        }
        self.combine_sources(left, right, kind, lateral, constraint)
    }

    /// The right side; a lateral one sees the left row as the nearest enclosing one. False when it never looks.
    fn right_side(
        &mut self,
        left: &Source,
        lateral: Option<Clause>,
        f: impl FnOnce(&mut Self) -> Result<Source>,
    ) -> Result<(Source, bool)> {
        let Some(clause) = lateral else {
            return Ok((f(self)?, false));
        };
        // Without a reference across the left row none needs to count it, so the join can be an ordinary one.
        self.inside(Frame::new(Rc::new(left.1.clone()), clause), f)
    }

    fn combine_sources(
        &mut self,
        left: Source,
        right: Source,
        kind: JoinKind,
        lateral: bool,
        constraint: Option<&'a JoinConstraint>,
    ) -> Result<Source> {
        left.1.check_aliases(&right.1)?;
        let (left_width, right_width) = (left.1.width, right.1.width);
        let mut left_scope = left.1;
        let mut right_scope = right.1.shifted(left_width);
        if matches!(kind, JoinKind::Left | JoinKind::Full) {
            right_scope = right_scope.made_nullable();
        }
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            left_scope = left_scope.made_nullable();
        }
        let shared = match constraint {
            Some(JoinConstraint::Using(list)) => Some(using_names(list)?),
            Some(JoinConstraint::Natural) => Some(common_names(&left_scope, &right_scope)),
            _ => None,
        };
        let (scope, filter) = match shared {
            Some(shared) => self.merge(left_scope, right_scope, kind, &shared)?,
            None => {
                let scope = side_by_side(left_scope, right_scope);
                let filter = match constraint {
                    Some(JoinConstraint::On(e)) => Some(self.on(e, &scope)?),
                    _ => None,
                };
                (scope, filter)
            }
        };
        let plan = Plan::Join(Box::new(Join {
            kind,
            left: left.0,
            right: right.0,
            left_width,
            right_width,
            left_keys: Vec::new(),
            right_keys: Vec::new(),
            filter,
            lateral,
            keep: Keep::Either,
        }));
        Ok((plan, scope))
    }

    fn on(&mut self, e: &'a ast::Expr, scope: &Scope) -> Result<Expr> {
        let mut cx = Cx::new(Rc::new(scope.clone()), Clause::JoinOn);
        let e = self.expr(e, &mut cx)?;
        self.condition(e, "JOIN/ON")
    }

    /// The one column that two become: from the side that is never padded with NULL, of the type both can have.
    fn merged_column(&mut self, name: &str, l: Entry, r: Entry, kind: JoinKind) -> Result<Entry> {
        let typmod = if l.typmod == r.typmod { l.typmod } else { -1 };
        let plain = |expr| Entry {
            name: name.to_string(),
            expr,
            typmod,
            table: 0,
            attnum: 0,
            fields: None,
            origin: 0,
        };
        if kind == JoinKind::Full {
            let (items, ty) = self.unify(vec![l.expr, r.expr], "JOIN/USING")?;
            return Ok(plain(Expr::Coalesce(items, ty)));
        }
        let ty = coerce::common_type(&[l.expr.ty(), r.expr.ty()], "JOIN/USING")?;
        let (first, second) = if kind == JoinKind::Right {
            (r, l)
        } else {
            (l, r)
        };
        if first.expr.ty() == ty {
            return Ok(first);
        }
        if kind == JoinKind::Inner && second.expr.ty() == ty {
            return Ok(second);
        }
        Ok(plain(self.coerce_arg(first.expr, ty)?))
    }

    /// USING: the shared columns once, first, from the side that is never padded with NULL.
    fn merge(
        &mut self,
        left: Scope,
        right: Scope,
        kind: JoinKind,
        shared: &[String],
    ) -> Result<(Scope, Option<Expr>)> {
        let mut merged = Vec::with_capacity(shared.len());
        let mut tests = Vec::with_capacity(shared.len());
        for name in shared {
            let l = shared_column(&left, name, "left")?.clone();
            let r = shared_column(&right, name, "right")?.clone();
            self.saw(&l);
            self.saw(&r);
            self.note_shared(name, [&l, &r]);
            let (le, re) = (self.copy(&l.expr)?, self.copy(&r.expr)?);
            tests.push(self.infix("=", le, re)?);
            merged.push(self.merged_column(name, l, r, kind)?);
        }
        let mut scope = side_by_side(left, right);
        scope.visible.retain(|e| !shared.contains(&e.name));
        merged.append(&mut scope.visible);
        scope.visible = merged;
        let filter = if tests.len() > 1 {
            Some(Expr::And(tests))
        } else {
            tests.pop()
        };
        Ok((scope, filter))
    }
}

fn side_by_side(mut left: Scope, right: Scope) -> Scope {
    left.width += right.width;
    left.relations.extend(right.relations);
    left.visible.extend(right.visible);
    left
}

fn shared_column<'s>(scope: &'s Scope, name: &str, side: &str) -> Result<&'s Entry> {
    let mut hits = scope.visible.iter().filter(|e| e.name == name);
    match (hits.next(), hits.next()) {
        (Some(e), None) => Ok(e),
        (None, _) => Err(Error::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        )),
        (Some(_), Some(_)) => Err(Error::new(
            SqlState::AMBIGUOUS_COLUMN,
            format!("common column name \"{name}\" appears more than once in {side} table"),
        )),
    }
}

fn using_names(list: &[ast::ObjectName]) -> Result<Vec<String>> {
    let mut out: Vec<String> = Vec::with_capacity(list.len());
    for name in list {
        let mut parts = names::parts(name)?;
        let (Some(name), true) = (parts.pop(), parts.is_empty()) else {
            return Err(syntax("syntax error in USING"));
        };
        if out.contains(&name) {
            return Err(Error::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column name \"{name}\" appears more than once in USING clause"),
            ));
        }
        out.push(name);
    }
    Ok(out)
}

fn common_names(left: &Scope, right: &Scope) -> Vec<String> {
    let both = |e: &&Entry| right.visible.iter().any(|r| r.name == e.name);
    left.visible
        .iter()
        .filter(both)
        .map(|e| e.name.clone())
        .collect()
}

fn kind_of(op: &JoinOperator) -> Result<(JoinKind, Option<&JoinConstraint>)> {
    let (kind, constraint) = match op {
        JoinOperator::Join(c) | JoinOperator::Inner(c) => (JoinKind::Inner, c),
        JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::Left, c),
        JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinKind::Right, c),
        JoinOperator::FullOuter(c) => (JoinKind::Full, c),
        JoinOperator::CrossJoin(JoinConstraint::None) => return Ok((JoinKind::Inner, None)),
        _ => return Err(unsupported("this kind of join")),
    };
    match constraint {
        JoinConstraint::None => Err(syntax("syntax error: a join needs ON, USING or NATURAL")),
        c => Ok((kind, Some(c))),
    }
}

/// Something in it is LATERAL or a function of names, which may be its left neighbours'.
/// What the left row is to the item beside it.
fn clause_of(item: &TableFactor) -> Clause {
    match item {
        TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => Clause::Lateral,
        _ => Clause::FromFunction,
    }
}

fn sees_neighbours(t: &TableWithJoins) -> bool {
    factor_sees_neighbours(&t.relation)
        || t.joins.iter().any(|j| factor_sees_neighbours(&j.relation))
}

fn factor_sees_neighbours(f: &TableFactor) -> bool {
    match f {
        TableFactor::Derived { lateral, .. } => *lateral,
        TableFactor::Table {
            args: Some(args), ..
        } => !function::constant_args(&args.args),
        TableFactor::Function { args, .. } => !function::constant_args(args),
        TableFactor::UNNEST { array_exprs, .. } => !array_exprs.iter().all(function::constant_expr),
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => sees_neighbours(table_with_joins),
        _ => false,
    }
}
