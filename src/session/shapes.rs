//! Plans that are found by a statement's text, before the text is read.
//!
//! Owns: which statements of one shape may share a plan: those that name one row by its key, or only put one there. What the
//! planner knows of a table cannot make another plan of them better. Asked by: `statement` for scripts of one statement,
//! `portal` for what is to be prepared. Never: looks there while the transaction has a catalog of its own.
//! Bounds: the plan cache's.

use super::plans::{PlanRef, cacheable};
use super::{Planned, Session};
use engine::plan::{Access, Expr, Plan};
use sql::{Parsed, Shape, Statement};
use std::rc::Rc;
use types::DataType;

impl Session {
    /// The plan of a text that has been read before.
    pub(super) fn known(
        &self,
        text: &str,
        types: &[Option<DataType>],
    ) -> Option<(Rc<Parsed>, Rc<Planned>)> {
        if self.own_catalog().is_some() {
            return None;
        }
        let version = self.node.router.shard.catalog_version(self.database);
        let planned = self.with_key(text, types, |key| {
            self.node.plans.borrow_mut().get(key, version)
        })?;
        let parsed = planned.parsed.clone()?;
        self.node.metrics.plan_cache_hits.inc();
        Some((parsed, planned))
    }

    /// A statement of this shape has come: from the second time on they share a plan, if they can.
    pub(super) fn learn(&self, shape: &Shape) {
        if shape.numbers.is_empty() || self.own_catalog().is_some() || !cacheable(&shape.text) {
            return;
        }
        let again = self.with_key(&shape.text, &shape.types, |key| {
            let mut plans = self.node.plans.borrow_mut();
            plans.comes_again(key) && !plans.is_unfit(key)
        });
        if !again {
            return;
        }
        // An error is what the statement itself will say, or means that the numbers have to stay where they are.
        let planned = sql::parse(&shape.text).ok().and_then(|mut all| {
            let (Some(parsed), true) = (all.pop(), all.is_empty()) else {
                return None;
            };
            let ctx = self.context(Vec::new());
            self.bound(&Rc::new(parsed), &shape.types, &ctx, &[]).ok()
        });
        self.with_key(&shape.text, &shape.types, |key| {
            let mut plans = self.node.plans.borrow_mut();
            match planned {
                Some(planned) if is_by_key(&planned) => plans.put(key.to_key(), planned),
                _ => plans.set_unfit(key),
            }
        });
    }

    fn with_key<T>(
        &self,
        text: &str,
        types: &[Option<DataType>],
        f: impl FnOnce(PlanRef<'_>) -> T,
    ) -> T {
        let (forms, search_path) = self.planning();
        f(PlanRef {
            text,
            database: self.database,
            types,
            forms: &forms,
            search_path: &search_path,
        })
    }
}

/// Whatever its numbers are, it is carried out in the same way.
fn is_by_key(planned: &Planned) -> bool {
    let one_key = |access: &Access| matches!(access, Access::Keys(keys) if keys.len() == 1);
    let plain = |e: &Expr| !e.any(&mut |e| matches!(e, Expr::Subquery { .. }));
    match planned.statement() {
        Statement::Query(_) => planned.point.is_some(),
        Statement::Update(update) => {
            let set = update.assignments.iter().map(|a| &a.expr);
            one_key(&update.access) && set.chain(&update.filter).all(plain)
        }
        Statement::Delete(delete) => one_key(&delete.access) && delete.filter.iter().all(plain),
        // What its sequences give is not in its numbers.
        Statement::Insert(_) if planned.edit.is_some() => true,
        Statement::Insert(insert) => match &insert.source {
            Plan::Values { rows } => rows.iter().flatten().all(plain),
            _ => false,
        },
        _ => false,
    }
}
