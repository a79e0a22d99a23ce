//! Operators without inputs: table scans, parts of a plan that run in each partition, system tables, literal rows, table functions.
//!
//! Owns: settling a scan or such a part (enclosing rows and subqueries become constants) before the `Source` gets it. Asked by: `build`.
//! Never: filters or projects; a scan's own filter runs at the shards.

use super::scope::{Exprs, Scope};
use super::settle::{is_settled, settle_plan};
use super::{Batches, RowSource, is_full, settle_scan};
use crate::catalog::system;
use crate::exec::profile::Reached;
use crate::exec::resolve::run_table_function;
use crate::exec::sieve::Keys;
use crate::plan::{Access, Expr, Plan, Scan, SystemTable, TableFunction};
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;
use types::{Result, Row, RowBatch, Value};

/// Rows that shards have: of a scan, or of a part of a plan that runs in each partition.
pub(crate) struct ShardRows {
    scope: Scope,
    asked: Asked,
    rows: Option<Box<dyn RowSource>>,
}

enum Asked {
    Scan(Arc<Scan>),
    Plan(Arc<Plan>),
}

impl ShardRows {
    pub(crate) fn scan(scope: Scope, scan: &Scan) -> ShardRows {
        ShardRows::new(scope, Asked::Scan(Arc::new(scan.clone())))
    }

    pub(crate) fn plan(scope: Scope, plan: &Plan) -> ShardRows {
        ShardRows::new(scope, Asked::Plan(Arc::new(plan.clone())))
    }

    fn new(scope: Scope, asked: Asked) -> ShardRows {
        ShardRows {
            scope,
            asked,
            rows: None,
        }
    }

    async fn open(scope: &Scope, asked: &mut Asked) -> Result<Box<dyn RowSource>> {
        let exec = &scope.exec;
        match asked {
            Asked::Plan(plan) => {
                settle_plan(Arc::make_mut(plan), exec, &scope.outer).await?;
                exec.source.run(plan.clone(), exec.ctx.clone()).await
            }
            Asked::Scan(scan) => {
                let scan = match is_settled(scan) {
                    true => scan.clone(),
                    false => settle_scan(scan, exec, &scope.outer).await?,
                };
                if matches!(&scan.access, Access::Keys(keys) if keys.is_empty()) {
                    return Ok(Box::new(Batches::new(Vec::new())));
                }
                exec.source.scan(scan, exec.ctx.clone()).await
            }
        }
    }
}

impl RowSource for ShardRows {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            (self.scope.exec.check)()?;
            let rows = match &mut self.rows {
                Some(rows) => rows,
                none => none.insert(ShardRows::open(&self.scope, &mut self.asked).await?),
            };
            rows.next().await
        })
    }

    fn sieve(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        match (&mut self.rows, &mut self.asked) {
            (Some(rows), _) => rows.sieve(columns, keys),
            (None, Asked::Scan(scan)) => Arc::make_mut(scan).sift(columns, keys),
            (None, Asked::Plan(_)) => {}
        }
    }

    fn reached(&self) -> Reached {
        self.rows.as_ref().map(|r| r.reached()).unwrap_or_default()
    }
}

pub(crate) struct SystemRows {
    scope: Scope,
    table: SystemTable,
    rows: Option<Batches>,
}

impl SystemRows {
    pub(crate) fn new(scope: Scope, table: &SystemTable) -> SystemRows {
        SystemRows {
            scope,
            table: table.clone(),
            rows: None,
        }
    }
}

impl RowSource for SystemRows {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            let ctx = &self.scope.exec.ctx;
            (self.scope.exec.check)()?;
            let rows = match &mut self.rows {
                Some(rows) => rows,
                none => {
                    let found = match system::asked(&self.table) {
                        Some((what, rows)) => {
                            let observer = self.scope.exec.observer.as_ref();
                            let observer = observer.ok_or_else(super::observe::not_here)?;
                            rows(ctx, &observer.look(what).await?)
                        }
                        None => system::rows(&self.table, ctx),
                    };
                    none.insert(Batches::new(found))
                }
            };
            Ok(rows.take())
        })
    }
}

pub(crate) struct ValueRows {
    scope: Scope,
    rows: std::vec::IntoIter<Exprs>,
}

impl ValueRows {
    pub(crate) fn new(scope: Scope, rows: &[Vec<Expr>]) -> ValueRows {
        let rows: Vec<Exprs> = rows.iter().map(Exprs::new).collect();
        ValueRows {
            scope,
            rows: rows.into_iter(),
        }
    }
}

impl RowSource for ValueRows {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            (self.scope.exec.check)()?;
            let mut batch = RowBatch::new();
            let one = self.scope.exec.one_by_one.get();
            while !is_full(&batch)
                && (!one || batch.is_empty())
                && let Some(exprs) = self.rows.next()
            {
                batch.push(self.scope.row(&exprs, &[]).await?);
                if batch.len().is_multiple_of(256) {
                    runtime::yield_if_needed().await;
                }
            }
            Ok((!batch.is_empty()).then_some(batch))
        })
    }
}

pub(crate) struct FunctionRows {
    scope: Scope,
    functions: Vec<Called>,
    ordinality: bool,
    started: bool,
    given: i64,
}

/// One of the functions that give rows side by side.
struct Called {
    name: String,
    args: Exprs,
    width: usize,
    /// `None`: not begun, or no more.
    rows: Option<Box<dyn Iterator<Item = Result<Row>>>>,
}

impl FunctionRows {
    pub(crate) fn new(scope: Scope, function: &TableFunction) -> FunctionRows {
        let called = |f: &TableFunction| Called {
            name: f.name.clone(),
            args: Exprs::new(&f.args),
            width: f.columns.len(),
            rows: None,
        };
        let all = std::iter::once(function).chain(&function.beside);
        FunctionRows {
            scope,
            functions: all.map(called).collect(),
            ordinality: function.ordinality,
            started: false,
            given: 0,
        }
    }

    async fn start(&mut self) -> Result<()> {
        self.started = true;
        for f in &mut self.functions {
            let args = self.scope.row(&f.args, &[]).await?;
            let ctx = &self.scope.exec.ctx;
            f.rows = Some(run_table_function(&f.name, &args, ctx)?);
        }
        Ok(())
    }

    /// The next row; `None` when no function has one.
    fn row(&mut self) -> Result<Option<Row>> {
        let mut out = Row::new();
        let mut some = false;
        for f in &mut self.functions {
            match f.rows.as_mut().and_then(Iterator::next) {
                Some(row) => {
                    out.extend(row?);
                    some = true;
                }
                None => {
                    f.rows = None;
                    out.resize(out.len() + f.width, Value::Null);
                }
            }
        }
        if !some {
            return Ok(None);
        }
        self.given += 1;
        if self.ordinality {
            out.push(Value::Int8(self.given));
        }
        Ok(Some(out))
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        (self.scope.exec.check)()?;
        if !self.started {
            self.start().await?;
        }
        let mut batch = RowBatch::new();
        while !is_full(&batch)
            && let Some(row) = self.row()?
        {
            batch.push(row);
            if batch.len().is_multiple_of(256) {
                runtime::yield_if_needed().await;
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }
}

impl RowSource for FunctionRows {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
