//! CREATE INDEX CONCURRENTLY: the steps of an index that is built while its table is written.
//!
//! Owns: their order, which is PostgreSQL's. The catalog gets the index as one that is not valid; transactions that have written
//! without it are waited for; rows that were there get their entries; transactions that would not see those are waited for; the
//! index becomes valid. Each step is a transaction of its own. Asked by: `utility`. Never: holds a lock or a snapshot while it waits, so
//! two of them do not wait for each other; takes back what it has done: after a failure the index stays, not valid, and is written on.
//! Source: PostgreSQL 15, `DefineIndex`.

use super::Session;
use super::statement::Started;
use super::transaction::aborted;
use super::utility::in_block;
use crate::router::DefineEnv;
use crate::router::backfill::Build;
use crate::telemetry::StatementKind;
use engine::catalog::Change;
use engine::catalog::stored::Object;
use engine::plan::Ddl;
use engine::plan::ddl::BuildStep;
use engine::txn::Stop;
use engine::txn::build::{Building, Command, Phase};
use sql::Statement;
use std::sync::Arc;
use types::{Error, Result, RowBatch, TableId};

impl Session {
    pub(super) async fn build_index(
        &self,
        statement: &Statement,
        ddl: &Ddl,
        stop: &Arc<Stop>,
    ) -> Result<Started> {
        if self.block.borrow().is_failed() {
            return Err(aborted());
        }
        if self.scripted.get() || !self.block.borrow().is_idle() {
            return Err(in_block("CREATE INDEX CONCURRENTLY"));
        }
        let router = &self.node.router;
        let shown = router.shard.build_progress().begin(Building {
            pid: self.key.pid,
            database: self.database,
            command: Command::CreateConcurrently,
            phase: Phase::Initializing,
            partitions: u64::from(router.partitions()),
            ..Building::default()
        })?;
        let (new, notices) = self.step(Some(statement), ddl, stop).await?;
        if let Some(New {
            table,
            index,
            since,
        }) = new
        {
            shown.of(table.0, index.0);
            shown.phase(Phase::WaitingForWriters);
            router.statements_end(stop).await?;
            let step = BuildStep::Known { since };
            self.later_step(table, index, step, stop).await?;
            router.writers_end(table, &shown, stop).await?;
            shown.phase(Phase::Building);
            let build = Build {
                table,
                index,
                ctx: self.context(Vec::new()),
                stop: stop.clone(),
            };
            router.backfill(&build, &shown).await?;
            shown.phase(Phase::WaitingForSnapshots);
            router.statements_end(stop).await?;
            self.later_step(table, index, BuildStep::Valid, stop)
                .await?;
        }
        Ok(Started::Done {
            kind: StatementKind::Ddl,
            columns: None,
            rows: RowBatch::new(),
            tag: "CREATE INDEX".into(),
            notices: self.wanted(notices),
        })
    }

    async fn later_step(
        &self,
        table: TableId,
        index: TableId,
        step: BuildStep,
        stop: &Arc<Stop>,
    ) -> Result<()> {
        let ddl = Ddl::IndexBuild { table, index, step };
        self.step(None, &ddl, stop).await.map(drop)
    }

    /// A change of the catalog that is a transaction by itself; `statement` is whoever asks for it.
    async fn step(
        &self,
        statement: Option<&Statement>,
        ddl: &Ddl,
        stop: &Arc<Stop>,
    ) -> Result<(Option<New>, Vec<Error>)> {
        let defined = self.step_in_block(statement, ddl, stop).await;
        self.ends_block(defined, stop).await
    }

    async fn step_in_block(
        &self,
        statement: Option<&Statement>,
        ddl: &Ddl,
        stop: &Arc<Stop>,
    ) -> Result<(Option<New>, Vec<Error>)> {
        let work = self.own_work(stop)?;
        if let Some(statement) = statement {
            self.about_to_write(statement, &work).await?;
        }
        let env = DefineEnv {
            txn: work.txn.clone(),
            ctx: work.ctx.clone(),
            stop: stop.clone(),
            own: None,
            exec: work.exec(),
        };
        let mut change = self.node.router.define(&env, ddl).await?;
        let notices = std::mem::take(&mut change.notices);
        let new = New::of(&change);
        self.defined(change);
        Ok((new, notices))
    }
}

/// An index that is there and not valid.
struct New {
    table: TableId,
    index: TableId,
    since: u64,
}

impl New {
    fn of(change: &Change) -> Option<New> {
        let mut tables = change.changed.iter().filter_map(|object| match object {
            Object::Table(id) => change.catalog.tables.get(id),
            _ => None,
        });
        let invalid = |id: &TableId| change.changed.contains(&Object::InvalidIndex(*id));
        tables.find_map(|table| {
            let mut ids = table.indexes.iter().map(|i| i.id);
            Some(New {
                table: table.id,
                index: ids.find(invalid)?,
                since: table.since,
            })
        })
    }
}
