//! WITH queries: those that are read more than once run once, the others stand where they are read; and recursive ones.
//!
//! Owns: that choice, and the forms that PostgreSQL allows to a query that reads itself. Asked by: `query`.
//! Never: binds a WITH query twice, except in front of INSERT, UPDATE and DELETE and beside changes in WITH, where each
//! reference stands for itself.
//! Source: `parse_cte.c` (`checkWellFormedRecursion`), `transformSetOperationTree`, `inline_cte`.

use super::query::Rel;
use super::{Binder, Cte, coerce, syntax, walk};
use engine::exec::cast::CastContext;
use engine::plan::{Expr, Plan, Recursive, With, WithQuery, WithScan};
use sqlparser::ast::{self, CteAsMaterialized, SetExpr, SetOperator, SetQuantifier};
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState};

/// A WITH query that is bound once.
pub(super) struct Shared {
    pub id: u32,
    pub plan: Plan,
    pub columns: Vec<Column>,
}

/// How far the binding of a query that may read itself has come.
pub(super) struct Work {
    phase: Phase,
    refs: usize,
}

enum Phase {
    NoUnion,
    Base,
    Step { id: u32, columns: Vec<Column> },
}

impl Work {
    fn at(phase: Phase) -> Option<Work> {
        Some(Work { phase, refs: 0 })
    }
}

impl<'a> Binder<'a> {
    /// A number for a WITH query or a recursion of this statement.
    fn with_id(&mut self) -> u32 {
        self.with_ids += 1;
        self.with_ids
    }

    /// Binds the WITH query at `index` once and for all its readers.
    pub(super) fn share(&mut self, index: usize) -> Result<()> {
        let rel = self.cte(index)?;
        let id = self.with_id();
        if let Some(cte) = self.ctes.get_mut(index) {
            cte.shared = Some(Shared {
                id,
                plan: rel.plan,
                columns: rel.columns,
            });
        }
        Ok(())
    }

    /// A query that reads itself, or might.
    pub(super) fn recursive(&mut self, index: usize) -> Result<Rel> {
        let Some(cte) = self.ctes.get(index) else {
            return Err(Error::internal("a WITH query out of sight"));
        };
        let (query, name) = (cte.query, cte.name.clone());
        let ban = self.ban.take();
        let out = self.recursive_query(index, query, &name);
        self.ban = ban;
        self.work(index, None);
        out
    }

    fn work(&mut self, index: usize, work: Option<Work>) {
        if let Some(cte) = self.ctes.get_mut(index) {
            cte.work = work;
        }
    }

    fn recursive_query(&mut self, index: usize, query: &'a ast::Query, name: &str) -> Result<Rel> {
        let Some((all, left, right)) = union_of(&query.body) else {
            self.work(index, Work::at(Phase::NoUnion));
            return self.query(query);
        };
        let before = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with, true, false)?;
        }
        self.work(index, Work::at(Phase::Base));
        let mut base = self.set_expr(left, true)?;
        let types: Vec<DataType> = base.columns.iter().map(|c| settled(c.ty)).collect();
        self.coerce_outputs(&mut base, &types, CastContext::Implicit)?;
        let id = self.with_id();
        let columns = base.columns.clone();
        self.work(index, Work::at(Phase::Step { id, columns }));
        let mut step = self.set_expr(right, true)?;
        let work = self.ctes.get(index).and_then(|c| c.work.as_ref());
        let refs = work.map_or(0, |w| w.refs);
        let inner = self.ctes.split_off(before);
        if refs == 0 {
            self.work(index, Work::at(Phase::NoUnion));
            return self.query(query);
        }
        refuse_clauses(query)?;
        self.match_step(&base, &mut step, name)?;
        let plan = Plan::Recursive(Box::new(Recursive {
            id,
            base: base.plan,
            step: step.plan,
            distinct: !all,
        }));
        Ok(Rel {
            plan: self.placed(plan, inner)?,
            columns: base.columns,
        })
    }

    /// The step's columns become of the base's types, which must be those of the union.
    fn match_step(&mut self, base: &Rel, step: &mut Rel, name: &str) -> Result<()> {
        if base.columns.len() != step.columns.len() {
            return Err(syntax(
                "each UNION query must have the same number of columns",
            ));
        }
        for (i, (b, s)) in base.columns.iter().zip(&step.columns).enumerate() {
            let overall = coerce::common_type(&[b.ty, s.ty], "UNION")?;
            if overall != b.ty {
                return Err(Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "recursive query \"{name}\" column {} has type {} in non-recursive term but type {overall} overall",
                        i + 1,
                        b.ty
                    ),
                )
                .with_hint("Cast the output of the non-recursive term to the correct type."));
            }
        }
        let types: Vec<DataType> = base.columns.iter().map(|c| c.ty).collect();
        self.coerce_outputs(step, &types, CastContext::Implicit)
    }

    /// A query's reference to itself: `None` where the WITH query at `index` is not being bound.
    pub(super) fn self_reference(&mut self, index: usize) -> Result<Option<Rel>> {
        let ban = self.ban;
        let Some(cte) = self.ctes.get_mut(index) else {
            return Ok(None);
        };
        let Some(work) = &mut cte.work else {
            return Ok(None);
        };
        let name = &cte.name;
        let refused = |message: String| Error::new(SqlState::INVALID_RECURSION, message);
        match &work.phase {
            Phase::NoUnion => Err(refused(format!(
                "recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term"
            ))),
            Phase::Base => Err(refused(format!(
                "recursive reference to query \"{name}\" must not appear within its non-recursive term"
            ))),
            Phase::Step { .. } if ban.is_some() => {
                let place = ban.unwrap_or_default();
                Err(refused(format!(
                    "recursive reference to query \"{name}\" must not appear within {place}"
                )))
            }
            Phase::Step { .. } if work.refs > 0 => Err(refused(format!(
                "recursive reference to query \"{name}\" must not appear more than once"
            ))),
            Phase::Step { id, columns } => {
                work.refs += 1;
                let mut columns = columns.clone();
                for (column, name) in columns.iter_mut().zip(&cte.columns) {
                    column.name.clone_from(name);
                }
                let scan = WithScan {
                    id: *id,
                    name: name.clone(),
                    types: columns.iter().map(|c| c.ty).collect(),
                };
                Ok(Some(Rel {
                    plan: Plan::WorkTable(scan),
                    columns,
                }))
            }
        }
    }

    /// Runs `f` where a recursive query must not read itself.
    pub(super) fn banned<T>(
        &mut self,
        place: Option<&'static str>,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = self.ban;
        self.ban = before.or(place);
        let out = f(self);
        self.ban = before;
        out
    }

    /// The plan of a query together with its WITH queries, which are no longer in sight.
    pub(super) fn placed(&mut self, mut plan: Plan, queries: Vec<Cte<'a>>) -> Result<Plan> {
        let mut kept: Vec<WithQuery> = Vec::new();
        for cte in queries.into_iter().rev() {
            let Some(shared) = cte.shared else {
                continue;
            };
            let id = shared.id;
            let mut readers = count(&plan, id);
            readers += kept.iter().map(|q| count(&q.plan, id)).sum::<usize>();
            if readers == 0 {
                continue;
            }
            let reads_around = !shared.plan.outer_refs().is_empty();
            let stays = match cte.materialized {
                Some(CteAsMaterialized::Materialized) => true,
                Some(CteAsMaterialized::NotMaterialized) => false,
                None => readers > 1 || shared.plan.is_volatile(),
            };
            let recursive = shared.plan.any(&mut |p| matches!(p, Plan::Recursive(_)));
            if !reads_around && (stays || recursive) {
                kept.push(WithQuery {
                    id,
                    name: cte.name,
                    plan: shared.plan,
                });
                continue;
            }
            let mut left = Some(shared.plan);
            self.inline(&mut plan, 0, id, &mut left)?;
            for other in &mut kept {
                self.inline(&mut other.plan, 0, id, &mut left)?;
            }
        }
        if kept.is_empty() {
            return Ok(plan);
        }
        kept.reverse();
        Ok(Plan::With(Box::new(With {
            queries: kept,
            input: plan,
        })))
    }

    /// Puts the query in the place of its scans; `level` rows are around `plan` that are not around the query.
    fn inline(
        &mut self,
        plan: &mut Plan,
        level: usize,
        id: u32,
        query: &mut Option<Plan>,
    ) -> Result<()> {
        if let Plan::WithScan(scan) = plan
            && scan.id == id
        {
            let Some(mut own) = query.take() else {
                return Err(Error::internal(
                    "a WITH query was put in two places at once",
                ));
            };
            self.charge(&mut own)?;
            *query = Some(own.clone());
            self.renumber(&mut own);
            deepen(&mut own, level)?;
            *plan = own;
            return Ok(());
        }
        let outer = query.as_ref().is_some_and(|q| !q.outer_refs().is_empty());
        for e in plan.exprs_mut() {
            self.inline_inside(e, level, id, query, outer)?;
        }
        let lateral = matches!(plan, Plan::Join(join) if join.lateral);
        for (i, input) in plan.inputs_mut().into_iter().enumerate() {
            self.inline(input, level + usize::from(lateral && i == 1), id, query)?;
        }
        Ok(())
    }

    fn inline_inside(
        &mut self,
        e: &mut Expr,
        level: usize,
        id: u32,
        query: &mut Option<Plan>,
        outer: bool,
    ) -> Result<()> {
        if let Expr::Subquery {
            plan, correlated, ..
        } = e
            && count(plan, id) > 0
        {
            self.inline(Arc::make_mut(plan), level + 1, id, query)?;
            *correlated |= outer;
        }
        walk::parts(e, &mut |x| self.inline_inside(x, level, id, query, outer))
    }

    /// A copy of a query counts against the statement's budget: they would otherwise double with each level.
    fn charge(&mut self, query: &mut Plan) -> Result<()> {
        let mut nodes = 0;
        each_plan(query, &mut |p| {
            nodes += 1 + p.exprs().into_iter().map(walk::size).sum::<usize>();
        });
        self.copied = self.copied.saturating_add(nodes);
        match self.copied > super::COPIED_NODES_MAX {
            true => Err(super::too_complex("WITH queries copied too often")),
            false => Ok(()),
        }
    }

    /// Copies of one query must not take each other's rows.
    fn renumber(&mut self, plan: &mut Plan) {
        let mut changed: Vec<(u32, u32)> = Vec::new();
        each_plan(plan, &mut |p| match p {
            Plan::With(with) => {
                for q in &mut with.queries {
                    let new = self.with_id();
                    changed.push((q.id, new));
                    q.id = new;
                }
            }
            Plan::Recursive(r) => {
                let new = self.with_id();
                changed.push((r.id, new));
                r.id = new;
            }
            _ => {}
        });
        if changed.is_empty() {
            return;
        }
        each_plan(plan, &mut |p| {
            if let Plan::WithScan(scan) | Plan::WorkTable(scan) = p
                && let Some((_, new)) = changed.iter().find(|(old, _)| *old == scan.id)
            {
                scan.id = *new;
            }
        });
    }
}

/// A row of the query being recursed over stands directly in this FROM.
pub(super) fn reads_work(from: &Plan) -> bool {
    match from {
        Plan::WorkTable(_) => true,
        Plan::Join(join) => reads_work(&join.left) || reads_work(&join.right),
        _ => false,
    }
}

pub(super) fn aggregate_in_step() -> Error {
    Error::new(
        SqlState::INVALID_RECURSION,
        "aggregate functions are not allowed in a recursive query's recursive term",
    )
}

/// The plan moves `by` rows further in: its references to rows around it reach that much further.
pub(super) fn deepen(plan: &mut Plan, by: usize) -> Result<bool> {
    let mut moved = false;
    walk::plan_exprs(plan, 0, &mut |e, inside| {
        walk::outers(e, inside, &mut |node, inside| {
            if let Expr::Outer { depth, .. } = node
                && *depth > inside
            {
                *depth += by;
                moved = true;
            }
            Ok(())
        })
    })?;
    Ok(moved)
}

fn each_plan(plan: &mut Plan, f: &mut dyn FnMut(&mut Plan)) {
    f(plan);
    for e in plan.exprs_mut() {
        e.each_mut(&mut |e| {
            if let Expr::Subquery { plan, .. } = e {
                each_plan(Arc::make_mut(plan), f);
            }
        });
    }
    for input in plan.inputs_mut() {
        each_plan(input, f);
    }
}

/// How often the plan reads the WITH query.
fn count(plan: &Plan, id: u32) -> usize {
    let mut n = usize::from(matches!(plan, Plan::WithScan(scan) if scan.id == id));
    for e in plan.exprs() {
        e.each(&mut |e| {
            if let Expr::Subquery { plan, .. } = e {
                n += count(plan, id);
            }
        });
    }
    for input in plan.inputs() {
        n += count(input, id);
    }
    n
}

/// The operands of a UNION, and whether it is UNION ALL.
fn union_of(body: &SetExpr) -> Option<(bool, &SetExpr, &SetExpr)> {
    match body {
        SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier,
            left,
            right,
        } => {
            let all = match set_quantifier {
                SetQuantifier::All => true,
                SetQuantifier::None | SetQuantifier::Distinct => false,
                SetQuantifier::ByName
                | SetQuantifier::AllByName
                | SetQuantifier::DistinctByName => return None,
            };
            Some((all, left, right))
        }
        _ => None,
    }
}

fn settled(ty: DataType) -> DataType {
    match ty {
        DataType::Unknown => DataType::Text,
        ty => ty,
    }
}

fn refuse_clauses(q: &ast::Query) -> Result<()> {
    let what = if q.order_by.is_some() {
        "ORDER BY in a recursive query is not implemented"
    } else if let Some(ast::LimitClause::LimitOffset { limit: None, .. }) = &q.limit_clause {
        "OFFSET in a recursive query is not implemented"
    } else if q.limit_clause.is_some() || q.fetch.is_some() {
        "LIMIT in a recursive query is not implemented"
    } else if !q.locks.is_empty() {
        "FOR UPDATE/SHARE in a recursive query is not implemented"
    } else {
        return Ok(());
    };
    Err(Error::unsupported(what))
}
