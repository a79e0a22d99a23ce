//! One client's session: transaction, settings, prepared statements and portals.
//!
//! Owns: `Node` (what the sessions of a shard share) and `Session`. Asked by: the middleware chain, once per request.
//! Never: knows which protocol it serves, or where rows live.
//! Bounds: `PREPARED_MAX` statements and as many portals and cursors a session; one running statement at a time.

mod activity;
mod assigned;
mod backup;
mod build;
mod constraints;
mod copy;
mod cursor;
mod databases;
mod edit;
mod execution;
mod explain;
mod host;
mod listen;
mod node;
mod once;
mod plans;
mod point;
mod portal;
mod row_counts;
mod savepoint;
mod settings;
mod shapes;
mod statement;
mod temporary;
mod tending;
mod transaction;
mod utility;

pub use node::{Node, Options};
pub use settings::Configured;
pub use temporary::clean;
pub use tending::tend;

use crate::router::advisory::Advisory;
use crate::router::notify::Announcements;
use crate::router::sequence::Sequences;
use crate::router::triggers::notices::Notices;
use crate::service::{self, Answer, CancelKey, Hello, Operation, Reply, Request, TxnStatus};
use assigned::Assigned;
use cursor::Cursor;
use engine::catalog::Catalog;
use engine::exec::{Context, CursorInfo, SessionInfo};
use engine::shard::Edit;
use engine::txn::Stop;
use hashbrown::HashMap;
use listen::Listening;
use point::Point;
use portal::Portal;
use row_counts::RowCounts;
use settings::Settings;
use sql::{Bound, Parsed};
use std::cell::{Cell, RefCell};

use std::rc::{Rc, Weak};
use std::sync::Arc;
use transaction::Block;
use types::{Error, Result, SqlState, Value, Xid, limits};

/// Microseconds from 1970 to 2000.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Now, in SQL's terms.
fn now_micros() -> i64 {
    runtime::wall_micros() - EPOCH_MICROS
}

/// Lives on the shard that accepted its connection.
pub struct Session {
    node: Rc<Node>,
    me: Weak<Session>,
    hello: Hello,
    key: CancelKey,
    /// Oid of the database it is in.
    database: u32,
    settings: RefCell<Settings>,
    /// By the open block.
    assigned: RefCell<Assigned>,
    /// What the client is still to be told that its running statement has set.
    told: RefCell<assigned::Told>,
    info: RefCell<Arc<SessionInfo>>,
    block: RefCell<Block>,
    prepared: RefCell<HashMap<String, Rc<Prepared>>>,
    portals: RefCell<HashMap<String, Rc<RefCell<Portal>>>>,
    cursors: RefCell<HashMap<String, Rc<Cursor>>>,
    /// How many it has declared.
    declared: Cell<u64>,
    shown_cursors: RefCell<Option<Arc<Vec<CursorInfo>>>>,
    running: RefCell<Option<Arc<Stop>>>,
    activity: activity::Activity,
    advisory: Rc<Advisory>,
    announcements: Rc<Announcements>,
    /// What its running statement says.
    notices: Rc<Notices>,
    listening: Listening,
    sequences: Rc<Sequences>,
    temporary: temporary::Temporary,
    /// The running statement is one of several that came as one request.
    scripted: Cell<bool>,
    /// A program carries out a statement of its own, which is inside of a transaction therefore.
    within: Cell<bool>,
    /// Somebody wants it to end.
    ended: Cell<bool>,
    /// The server's own: no client waits for it, and no database for its end.
    own: Cell<bool>,
}

/// A prepared statement.
struct Prepared {
    /// `None` for the empty statement.
    parsed: Option<Rc<Parsed>>,
    bound: RefCell<Rc<Planned>>,
    /// When it was prepared, microseconds since 2000-01-01 UTC.
    micros: i64,
    /// By PREPARE.
    from_sql: bool,
}

/// A statement bound against one version of the catalog.
pub struct Planned {
    /// What planning it took.
    pub took: std::time::Duration,
    version: u64,
    /// Bound against the own catalog of this transaction, after so many rollbacks to savepoints; others may have the version too.
    own: Option<(Xid, u32)>,
    /// The search path that its names were looked up in.
    path: Rc<str>,
    /// What it was bound from; `None` for the empty statement.
    parsed: Option<Rc<Parsed>>,
    bound: Bound,
    /// Functions are called, which may change rows.
    calls: bool,
    /// The shortest way to its rows, where there is one.
    point: Option<Point>,
    /// The shortest way to change its row.
    edit: Option<Arc<Edit>>,
    /// Its plans for numbers of rows that are parameters.
    row_counts: RowCounts,
}

impl Session {
    /// Does the work of one request. `stop` makes its deadline, if it has something to stop.
    pub fn work(&self, request: Request, stop: impl Fn() -> Arc<Stop>) -> Answer<'_> {
        if matches!(request.op, Operation::Sync) && !self.ends_at_once() {
            let stop = stop();
            return Answer::Later(Box::pin(async move {
                let ended = self.sync(&stop).await.map_err(|e| self.named(e));
                ended.map(|()| Reply::Done)
            }));
        }
        let answer = match request.op {
            Operation::Script { sql } => {
                self.activity.begins(&sql);
                self.script(&sql, stop)
            }
            Operation::Run { statement, params } => {
                let ran = self.run_prepared(&statement, params, stop);
                return ran.unwrap_or_else(|e| Answer::Now(self.guarded_end(e)));
            }
            op => return Answer::Now(self.work_now(op, stop)),
        };
        answer.unwrap_or_else(|e| Answer::Now(Err(self.named(e))))
    }

    /// What waits for nothing: everything but an end that has something to do.
    fn work_now(&self, op: Operation, stop: impl Fn() -> Arc<Stop>) -> Result<Reply> {
        let done = |result: Result<()>| result.map(|()| Reply::Done);
        match op {
            Operation::Query { sql, params } => {
                self.activity.begins(&sql);
                let answer = self.query(&sql, params, stop());
                answer.map_err(|e| self.named(e))
            }
            Operation::Parse { name, sql, types } => {
                self.guarded(done(self.parse(name, &sql, types)))
            }
            Operation::DescribeStatement { name } => self.guarded(self.describe_statement(&name)),
            Operation::DescribePortal { name } => self.guarded(self.describe_portal(&name)),
            Operation::Bind {
                portal,
                statement,
                params,
            } => self.guarded(done(self.bind(portal, &statement, params))),
            Operation::Execute { portal, rows_max } => {
                self.guarded(self.execute(&portal, rows_max, stop()))
            }
            Operation::CloseStatement { name } => {
                self.prepared.borrow_mut().remove(&name);
                Ok(Reply::Done)
            }
            Operation::ClosePortal { name } => {
                self.closed(&name);
                Ok(Reply::Done)
            }
            Operation::Failed => {
                self.fail();
                Ok(Reply::Done)
            }
            // It has ended, or waits.
            Operation::Sync | Operation::Script { .. } | Operation::Run { .. } => Ok(Reply::Done),
        }
    }

    /// An error fails the transaction, as it does in PostgreSQL whatever message it came from.
    fn guarded(&self, result: Result<Reply>) -> Result<Reply> {
        result.map_err(|e| {
            let named = self.named(e);
            self.fail();
            named
        })
    }

    /// With names for what only the catalog can name.
    fn named(&self, e: Error) -> Error {
        let catalog = self.catalog();
        if catalog.types.is_empty() {
            return e;
        }
        e.reworded(|text| catalog.named(text).into_owned())
    }

    pub fn cancel_key(&self) -> CancelKey {
        self.key
    }

    /// Ends the running statement, if the secret is right.
    pub fn cancel(&self, key: CancelKey) {
        if key == self.key
            && let Some(stop) = &*self.running.borrow()
        {
            stop.cancel();
        }
    }

    pub fn status(&self) -> TxnStatus {
        self.block.borrow().status()
    }

    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    pub fn parameters(&self) -> Vec<(String, String)> {
        self.settings.borrow().reported()
    }

    pub fn forms(&self) -> types::text::Forms {
        self.info.borrow().forms.clone()
    }

    /// How long a statement may take; `None` = as long as it likes.
    pub fn statement_timeout(&self) -> Option<std::time::Duration> {
        self.settings.borrow().statement_timeout()
    }

    /// How long a statement may wait for a lock; `None` = as long as it likes.
    pub fn lock_timeout(&self) -> Option<std::time::Duration> {
        self.settings.borrow().lock_timeout()
    }

    /// How long the client may be silent in the transaction it is in.
    pub fn silence_max(&self) -> Option<std::time::Duration> {
        if self.block.borrow().is_idle() {
            return None;
        }
        self.settings.borrow().silence_max()
    }

    pub fn prepared(&self, name: &str) -> Result<service::Prepared> {
        let prepared = self.statement(name)?;
        let planned = prepared.bound.borrow();
        Ok(service::Prepared {
            params: planned.bound.params.clone(),
            columns: planned.bound.columns.clone(),
            runs: prepared.parsed.is_some() && planned.statement().is_one_exchange(),
            looks_up: (planned.point.as_ref()).is_some_and(Point::is_lookup),
        })
    }

    fn statement(&self, name: &str) -> Result<Rc<Prepared>> {
        self.prepared.borrow().get(name).cloned().ok_or_else(|| {
            let what = if name.is_empty() {
                "unnamed prepared statement does not exist".to_string()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            Error::new(SqlState::INVALID_SQL_STATEMENT_NAME, what)
        })
    }

    /// What expressions of a statement that begins now may know.
    fn context(&self, params: Vec<Value>) -> Arc<Context> {
        let statement_micros = now_micros();
        let started = self.block.borrow().started_micros();
        Arc::new(Context {
            params,
            catalog: self.catalog(),
            transaction_micros: started.unwrap_or(statement_micros),
            statement_micros,
            session: self.info.borrow().clone(),
            backup: self.node.router.shard.backup_progress().now(),
            building: self.node.router.shard.build_progress().now(),
            triggers_deep: 0,
        })
    }

    /// As a statement that begins now finds it.
    fn catalog(&self) -> Arc<Catalog> {
        let own = self.block.borrow().catalogs();
        let own = own.and_then(|all| all.of(self.database).cloned());
        own.unwrap_or_else(|| {
            let now = || self.node.router.shard.catalog(self.database);
            let seen = self.block.borrow().seen(now);
            seen.unwrap_or_else(now)
        })
    }

    fn store_statement(&self, name: String, prepared: Prepared) -> Result<()> {
        let mut all = self.prepared.borrow_mut();
        if !name.is_empty() && all.contains_key(&name) {
            return Err(Error::new(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        if !all.contains_key(&name) && all.len() >= limits::PREPARED_MAX {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!(
                    "a session can have at most {} prepared statements",
                    limits::PREPARED_MAX
                ),
            )
            .with_hint("DEALLOCATE those no longer needed."));
        }
        all.insert(name, Rc::new(prepared));
        Ok(())
    }

    fn this(&self) -> Result<Rc<Session>> {
        self.me
            .upgrade()
            .ok_or_else(|| Error::internal("the session has ended"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.node.left(self.key);
        self.leave_nothing_temporary();
    }
}

/// Whether a notice is a WARNING rather than a NOTICE: by its class, as PostgreSQL has it for those sent here.
pub fn is_warning(notice: &Error) -> bool {
    matches!(
        notice.code(),
        SqlState::WARNING | SqlState::ACTIVE_SQL_TRANSACTION | SqlState::NO_ACTIVE_SQL_TRANSACTION
    )
}
