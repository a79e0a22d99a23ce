//! The shortest way of the commonest query: the row of one primary key, asked of the one partition that may have it.
//!
//! Owns: telling such queries when they are planned. Asked by: `statement`. Never: reads by itself; the call is the same
//! that the operators would make, without the operators.
//! Bounds: one call, one row.

use super::statement::{Running, Work};
use engine::exec::operators::is_settled;
use engine::plan::{Access, Plan, Scan};
use sql::Statement;
use std::sync::Arc;
use types::Result;

pub struct Point {
    scan: Arc<Scan>,
}

impl Point {
    pub fn of(statement: &Statement) -> Option<Point> {
        let Statement::Query(query) = statement else {
            return None;
        };
        let Plan::Scan(scan) = &query.plan else {
            return None;
        };
        let one_key = matches!(&scan.access, Access::Keys(keys) if keys.len() == 1);
        let scan = (one_key && is_settled(scan)).then(|| Arc::new(Scan::clone(scan)))?;
        Some(Point { scan })
    }

    /// What it finds, which is all there is.
    pub(super) async fn run(&self, work: &Work<'_>) -> Result<Running> {
        work.stop.check()?;
        let _snapshot = work.txn.statement();
        let txn = work.txn.reference(work.stop);
        let router = &work.session.node.router;
        let rows = router.row(txn, &self.scan, &work.ctx).await?;
        Ok(Running::of(rows, work.stop))
    }
}
