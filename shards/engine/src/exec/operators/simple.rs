//! Filter and Project: row by row, nothing kept.
//!
//! Owns: WHERE/HAVING left above a scan, and output expressions. Asked by: `build`. Never: holds a row beyond its batch.

use super::RowSource;
use super::scope::{Exprs, Scope};
use crate::exec::sieve::Keys;
use crate::plan::Expr;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::sync::Arc;
use types::{Result, Row, RowBatch};

pub(crate) struct Filter {
    scope: Scope,
    input: Box<dyn RowSource>,
    predicate: Exprs,
    /// What of it is the same for every row, until that is known to be true: nothing is asked of the input before.
    gate: Option<Exprs>,
}

impl Filter {
    pub(crate) fn new(scope: Scope, input: Box<dyn RowSource>, predicate: &Expr) -> Filter {
        let all = match predicate {
            Expr::And(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        let alike = |e: &&Expr| e.columns().is_empty() && !e.is_volatile();
        let gate: Vec<Expr> = all.iter().filter(alike).cloned().collect();
        Filter {
            scope,
            input,
            predicate: Exprs::new([predicate]),
            gate: (!gate.is_empty()).then(|| Exprs::new(&gate)),
        }
    }

    async fn opens(&mut self) -> Result<bool> {
        if let Some(gate) = &self.gate {
            if !self.scope.test(gate, &Row::new()).await? {
                return Ok(false);
            }
            self.gate = None;
        }
        Ok(true)
    }
}

impl RowSource for Filter {
    fn sieve(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        self.input.sieve(columns, keys);
    }

    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            if !self.opens().await? {
                return Ok(None);
            }
            while let Some(batch) = self.input.next().await? {
                (self.scope.exec.check)()?;
                let kept = self.scope.kept(&self.predicate, batch.rows).await?;
                if !kept.is_empty() {
                    return Ok(Some(RowBatch::from(kept)));
                }
            }
            Ok(None)
        })
    }
}

pub(crate) struct Project {
    scope: Scope,
    input: Box<dyn RowSource>,
    exprs: Exprs,
    /// Columns of the input that become the output.
    moves: Option<Rc<[usize]>>,
    /// Rows of the input, where they are taken one at a time.
    left: std::vec::IntoIter<Row>,
}

impl Project {
    pub(crate) fn new(scope: Scope, input: Box<dyn RowSource>, exprs: &[Expr]) -> Project {
        let exprs = Exprs::new(exprs);
        Project {
            scope,
            input,
            moves: exprs.moves(),
            exprs,
            left: Vec::new().into_iter(),
        }
    }

    async fn one(&mut self) -> Result<Option<RowBatch>> {
        let row = loop {
            if let Some(row) = self.left.next() {
                break row;
            }
            match self.input.next().await? {
                Some(batch) => self.left = batch.rows.into_iter(),
                None => return Ok(None),
            }
        };
        (self.scope.exec.check)()?;
        let row = self.scope.row(&self.exprs, &row).await?;
        Ok(Some(RowBatch::from(vec![row])))
    }
}

impl RowSource for Project {
    fn sieve(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        if let Some(of) = &self.exprs.columns {
            let columns: Vec<usize> = columns.iter().map(|c| of[*c]).collect();
            self.input.sieve(&columns, keys);
        }
    }

    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            if self.scope.exec.one_by_one.get() {
                return self.one().await;
            }
            let Some(batch) = self.input.next().await? else {
                return Ok(None);
            };
            (self.scope.exec.check)()?;
            let Some(moves) = &self.moves else {
                let rows = self.scope.rows(&self.exprs, batch.rows).await?;
                return Ok(Some(RowBatch::from(rows)));
            };
            let moved = |mut row: Row| -> Row {
                moves.iter().map(|c| std::mem::take(&mut row[*c])).collect()
            };
            let rows: Vec<Row> = batch.rows.into_iter().map(moved).collect();
            Ok(Some(RowBatch::from(rows)))
        })
    }
}
