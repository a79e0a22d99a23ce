//! What belongs to a session alone: its temporary tables, views and sequences.
//!
//! Owns: when they are emptied (ON COMMIT) and dropped: DISCARD, the end of the session however it comes, and the start of a
//! server after one that had no time to. They are in the schema `pg_temp_N`, which is made with the first of them.
//! Never: keeps them out of the log: they are stored as other tables are.
//! Source: PostgreSQL 15 manual, CREATE TABLE; `namespace.c`.

use super::{Node, Session};
use engine::catalog::{Catalog, Catalogs, OnCommit, TableKind, path};
use engine::exec::Context;
use engine::plan::Ddl;
use engine::txn::Stop;
use sql::Statement;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use types::Result;

#[derive(Default)]
pub struct Temporary {
    /// Something was made; it may have been rolled back.
    any: Cell<bool>,
    /// Rows were written since the last commit.
    written: Cell<bool>,
}

impl Temporary {
    pub(super) fn writes(&self) {
        self.written.set(true);
    }

    pub(super) fn has_written(&self) -> bool {
        self.written.get()
    }

    /// The session has, or may have, something that is its own.
    pub(super) fn may_be(&self) -> bool {
        self.any.get()
    }

    /// A transaction of a session that has nothing has ended.
    pub(super) fn has_committed(&self) {
        self.written.set(false);
    }
}

/// The statement makes something temporary.
pub(super) fn is_made(statement: &Statement, ctx: &Context) -> bool {
    let schema = match statement {
        Statement::Ddl(Ddl::CreateTable(def)) => &def.schema,
        Statement::Ddl(Ddl::CreateView(def)) => &def.view.schema,
        Statement::Ddl(Ddl::CreateSequence(def)) => &def.sequence.schema,
        Statement::Ddl(Ddl::CreateFunction { function, .. }) => &function.schema,
        Statement::Fill {
            ddl: Ddl::CreateTable(def),
            ..
        } => &def.schema,
        _ => return false,
    };
    *schema == path::temporary(ctx)
}

/// Drops what sessions of an earlier process have left.
pub async fn clean(node: &Rc<Node>, catalogs: &Catalogs) -> Result<()> {
    for catalog in catalogs.iter() {
        let left = catalog.schemas.values().filter(|s| s.temporary);
        let left: Vec<String> = left.map(|s| s.name.clone()).collect();
        if !left.is_empty() {
            drop_schemas(node, catalog.database_name().to_owned(), left).await?;
        }
    }
    Ok(())
}

/// In a session of its own.
async fn drop_schemas(node: &Rc<Node>, database: String, schemas: Vec<String>) -> Result<()> {
    let session = node.open_own(&database)?;
    let stop = Stop::at(None);
    let outcome = session
        .define_apart(&Ddl::DropTemporary { schemas }, &stop)
        .await;
    session.ends_block(outcome, &stop).await
}

impl Session {
    /// Settings that a plan goes by. Who has temporary tables may mean them by any name, and shares no plan.
    pub(super) fn planning(&self) -> (Rc<str>, Rc<str>) {
        let (forms, search_path) = self.settings.borrow().planning();
        if !self.temporary.any.get() {
            return (forms, search_path);
        }
        let own = format!("pg_temp_{}, {search_path}", self.key.pid);
        (forms, own.into())
    }

    /// The catalog has been changed by this session.
    pub(super) fn may_have_temporary(&self, catalog: &Catalog) {
        if !self.temporary.any.get() {
            let own = path::temporary(&self.context(Vec::new()));
            self.temporary.any.set(catalog.schema_oid(&own).is_some());
        }
    }

    /// The statement puts rows into a table that its commit empties, so it cannot be its own commit.
    pub(super) fn empties_tables(&self, statement: &Statement) -> bool {
        statement.writes() && self.has_on_commit(&self.context(Vec::new()).catalog, true)
    }

    fn has_on_commit(&self, catalog: &Catalog, written: bool) -> bool {
        if !self.temporary.any.get() {
            return false;
        }
        let own = path::temporary(&self.context(Vec::new()));
        let mut tables = catalog.tables.values().filter(|t| t.schema == own);
        tables.any(|t| match t.kind {
            TableKind::Temporary(OnCommit::DeleteRows) => written,
            TableKind::Temporary(OnCommit::Drop) => true,
            TableKind::Temporary(OnCommit::PreserveRows)
            | TableKind::Ordinary
            | TableKind::Materialized { .. } => false,
        })
    }

    /// The transaction is about to commit.
    pub(super) async fn on_commit(&self, stop: &Arc<Stop>) -> Result<()> {
        let written = self.temporary.written.replace(false);
        let runs = self.block.borrow().txn().is_some();
        let ctx = self.context(Vec::new());
        if !runs || !self.has_on_commit(&ctx.catalog, written) {
            return Ok(());
        }
        let schema = path::temporary(&ctx);
        let ddl = Ddl::OnCommit { schema };
        Box::pin(self.define_apart(&ddl, stop)).await
    }

    /// A definition that no statement asks for.
    async fn define_apart(&self, ddl: &Ddl, stop: &Arc<Stop>) -> Result<()> {
        let work = self.own_work(stop)?;
        self.define(ddl, &work).await.map(drop)
    }

    pub(super) async fn discard_temporary(&self, stop: &Arc<Stop>) -> Result<()> {
        let ctx = self.context(Vec::new());
        let schema = path::temporary(&ctx);
        if ctx.catalog.schema_oid(&schema).is_none() {
            return Ok(());
        }
        let schemas = vec![schema];
        self.define_apart(&Ddl::DropTemporary { schemas }, stop)
            .await
    }

    /// The session ends: what it had goes, after what it was doing.
    pub(super) fn leave_nothing_temporary(&self) {
        if !self.temporary.any.get() {
            return;
        }
        let ctx = self.context(Vec::new());
        let schema = path::temporary(&ctx);
        if ctx.catalog.schema_oid(&schema).is_none() {
            return;
        }
        let database = ctx.catalog.database_name().to_owned();
        let node = self.node.clone();
        runtime::spawn(async move {
            if let Err(e) = drop_schemas(&node, database, vec![schema]).await {
                tracing::warn!(error = %e, "temporary tables not dropped; the next start will");
            }
        })
        .detach();
    }
}
