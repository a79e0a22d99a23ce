//! What only the server as a whole knows or can do: how long its files are, and ending what another session does. A row of arguments
//! in, the answer out.
//!
//! Owns: what the functions' arguments mean. Asked by: `build`. Never: finds a session or a page; the session's `Observer` does.
//! Bounds: one input batch. Source: PostgreSQL 15, "System Administration Functions".

use super::scope::Scope;
use super::{Batches, RowSource};
use crate::catalog::Catalog;
use crate::catalog::system::activity::{Asked, Live};
use crate::catalog::system::{all, indexes};
use crate::plan::{Observe, TreesOf};
use futures_util::future::LocalBoxFuture;
use runtime::Instant;
use std::time::Duration;
use types::{Error, Result, Row, RowBatch, SqlState, TreeId, Value};

/// How often it is looked whether a session has ended.
const POLL: Duration = Duration::from_millis(20);

/// The session, for what it has to ask of all shards.
pub trait Observer {
    fn look(&self, what: Asked) -> LocalBoxFuture<'_, Result<Live>>;

    /// Cancels what the session of this pid does, or ends it; whether there is one.
    fn signal(&self, pid: i32, end: bool) -> LocalBoxFuture<'_, Result<bool>>;

    /// Whether there is a session of this pid.
    fn is_there(&self, pid: i32) -> LocalBoxFuture<'_, Result<bool>>;

    /// A warning for the client.
    fn warn(&self, warning: Error);

    /// Those of another database's tables and indexes too.
    fn database_trees(&self, database: u32) -> Option<Vec<TreeId>>;

    /// Of all partitions together.
    fn bytes(&self, trees: Vec<TreeId>) -> LocalBoxFuture<'_, Result<u64>>;
}

pub(super) struct Observed {
    scope: Scope,
    input: Box<dyn RowSource>,
    what: Observe,
}

impl Observed {
    pub(super) fn new(scope: Scope, input: Box<dyn RowSource>, what: Observe) -> Observed {
        Observed { scope, input, what }
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let Some(batch) = self.input.next().await? else {
            return Ok(None);
        };
        let mut out: Vec<Row> = Vec::with_capacity(batch.rows.len());
        for row in batch.rows {
            (self.scope.exec.check)()?;
            let null = row.iter().any(Value::is_null);
            out.push(vec![match self.what {
                _ if null => Value::Null,
                Observe::Signal { end } => Value::Bool(self.signal(&row, end).await?),
                Observe::Bytes(of) => self.bytes(&row, of).await?,
            }]);
        }
        Ok(Batches::new(out).take())
    }

    async fn signal(&self, row: &Row, end: bool) -> Result<bool> {
        let observer = self.observer()?;
        let (pid, wait) = match row.as_slice() {
            [Value::Int4(pid)] => (*pid, 0),
            [Value::Int4(pid), Value::Int8(wait)] => (*pid, *wait),
            _ => return Err(Error::internal("a session's number of another type")),
        };
        if wait < 0 {
            return Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "\"timeout\" must not be negative",
            ));
        }
        if !observer.signal(pid, end).await? {
            let text = format!("PID {pid} is not a PostgreSQL backend process");
            observer.warn(Error::new(SqlState::WARNING, text));
            return Ok(false);
        }
        if wait == 0 {
            return Ok(true);
        }
        let most = Duration::from_millis(wait.unsigned_abs());
        let began = Instant::now();
        while observer.is_there(pid).await? {
            (self.scope.exec.check)()?;
            if began.elapsed() >= most {
                let unit = if wait == 1 { "" } else { "s" };
                let text = format!(
                    "backend with PID {pid} did not terminate within {wait} millisecond{unit}"
                );
                observer.warn(Error::new(SqlState::WARNING, text));
                return Ok(false);
            }
            runtime::sleep(POLL).await;
        }
        Ok(true)
    }

    async fn bytes(&self, row: &Row, of: TreesOf) -> Result<Value> {
        let ctx = &self.scope.exec.ctx;
        let observer = self.observer()?;
        let trees = match (of, row.as_slice()) {
            (TreesOf::Database, [which]) => {
                let all = &ctx.catalog.databases;
                let found = match which {
                    Value::Oid(oid) => all.get(*oid),
                    name => {
                        let name = name.as_str().unwrap_or_default();
                        Some(all.named(name).ok_or_else(|| no_database(name))?)
                    }
                };
                found.and_then(|d| observer.database_trees(d.oid))
            }
            (of, [Value::Reg(r)]) => relation_trees(&ctx.catalog, r.oid, of),
            (of, [Value::Reg(r), fork]) => match fork.as_str().unwrap_or_default() {
                "main" => relation_trees(&ctx.catalog, r.oid, of),
                "fsm" | "vm" | "init" => Some(Vec::new()),
                _ => return Err(no_fork()),
            },
            _ => return Err(Error::internal("a relation of another type")),
        };
        let Some(trees) = trees else {
            return Ok(Value::Null);
        };
        if trees.is_empty() {
            return Ok(Value::Int8(0));
        }
        let bytes = observer.bytes(trees).await?;
        Ok(Value::Int8(i64::try_from(bytes).unwrap_or(i64::MAX)))
    }

    fn observer(&self) -> Result<&dyn Observer> {
        let observer = self.scope.exec.observer.as_deref();
        observer.ok_or_else(not_here)
    }
}

impl RowSource for Observed {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}

pub(super) fn not_here() -> Error {
    Error::unsupported("the state of the server is not to be had here")
}

fn no_database(name: &str) -> Error {
    Error::new(
        SqlState::INVALID_CATALOG_NAME,
        format!("database \"{name}\" does not exist"),
    )
}

fn no_fork() -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid fork name")
        .with_hint("Valid fork names are \"main\", \"fsm\", \"vm\", and \"init\".")
}

/// Where what is counted of a relation lies; `None`: there is none of that oid. Rows lie in the order of their primary key, whose
/// index has nothing of its own.
fn relation_trees(catalog: &Catalog, oid: u32, of: TreesOf) -> Option<Vec<TreeId>> {
    let (own, besides) = (
        of != TreesOf::Indexes,
        matches!(of, TreesOf::Indexes | TreesOf::All),
    );
    if let Some(table) = catalog.tables.get(&types::TableId(oid)) {
        let rows = own.then_some(table.tree);
        let others = table.indexes.iter().map(|i| i.tree).filter(|_| besides);
        return Some(rows.into_iter().chain(others).collect());
    }
    if let Some(index) = indexes(catalog).find(|i| i.oid == oid) {
        let apart = own && !index.primary;
        return Some(apart.then_some(TreeId(index.tree)).into_iter().collect());
    }
    let known = catalog.relation_by_oid(oid).is_some() || all().iter().any(|r| r.oid == oid);
    known.then(Vec::new)
}
