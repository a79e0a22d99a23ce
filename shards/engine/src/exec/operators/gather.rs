//! A part of a plan that runs in each partition.
//!
//! Owns: making it self-contained (`settle`) before the `Source` gets it. Asked by: `build`. Never: runs any of its operators;
//! shards do.

use super::RowSource;
use super::scope::Scope;
use super::settle::settle_plan;
use crate::exec::profile::Reached;
use crate::plan::Plan;
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;
use types::{Result, RowBatch};

pub(crate) struct Gathered {
    scope: Scope,
    plan: Arc<Plan>,
    rows: Option<Box<dyn RowSource>>,
}

impl Gathered {
    pub(crate) fn new(scope: Scope, plan: &Plan) -> Gathered {
        Gathered {
            scope,
            plan: Arc::new(plan.clone()),
            rows: None,
        }
    }
}

impl RowSource for Gathered {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            let exec = &self.scope.exec;
            (exec.check)()?;
            let rows = match &mut self.rows {
                Some(rows) => rows,
                none => {
                    settle_plan(Arc::make_mut(&mut self.plan), exec, &self.scope.outer).await?;
                    let (plan, ctx) = (self.plan.clone(), exec.ctx.clone());
                    none.insert(exec.source.run(plan, ctx).await?)
                }
            };
            rows.next().await
        })
    }

    fn reached(&self) -> Reached {
        self.rows.as_ref().map(|r| r.reached()).unwrap_or_default()
    }
}
