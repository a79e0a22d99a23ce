//! A door whose statements are words: what a session does is decided by the text alone.

use crate::service::{
    Answer, CancelKey, CopyInput, CopyRows, Door, Event, Forms, Hello, Operation, Prepared, Reply,
    Request, Results, Session, Slot, TableInfo, TxnStatus, Whole,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use runtime::Notify;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, RowBatch, SqlState, Value};

pub const KEY: CancelKey = CancelKey {
    pid: 65_537,
    secret: -5,
};

/// What happened behind the door, shared by its sessions.
#[derive(Default)]
pub struct Seen {
    pub hellos: RefCell<Vec<Hello>>,
    /// Operations by name, in order.
    pub ops: RefCell<Vec<String>>,
    pub copied: RefCell<Vec<u8>>,
    pub copy_end: RefCell<Option<String>>,
    pub params: RefCell<Vec<Value>>,
    pub cancels: RefCell<Vec<CancelKey>>,
    pub batches: Cell<usize>,
    pub sessions_open: Cell<usize>,
    pub results_open: Cell<usize>,
    pub release: Notify,
}

pub struct FakeDoor {
    pub seen: Rc<Seen>,
    pub slots: Rc<Cell<usize>>,
    draining: Rc<(Cell<bool>, Notify)>,
}

impl FakeDoor {
    pub fn new(slots: usize) -> Rc<FakeDoor> {
        Rc::new(FakeDoor {
            seen: Rc::default(),
            slots: Rc::new(Cell::new(slots)),
            draining: Rc::default(),
        })
    }

    pub fn drain(&self) {
        self.draining.0.set(true);
        self.draining.1.notify_all();
    }
}

struct SlotGuard(Rc<Cell<usize>>);

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Door for FakeDoor {
    fn open(&self, hello: Hello) -> LocalBoxFuture<'_, Result<Rc<dyn Session>>> {
        async move {
            if hello.database != "rustydb" {
                return Err(Error::new(
                    SqlState::INVALID_CATALOG_NAME,
                    format!("database \"{}\" does not exist", hello.database),
                ));
            }
            self.seen.hellos.borrow_mut().push(hello);
            self.seen
                .sessions_open
                .set(self.seen.sessions_open.get() + 1);
            Ok(Rc::new(FakeSession::new(self.seen.clone())) as Rc<dyn Session>)
        }
        .boxed_local()
    }

    fn cancel(&self, key: CancelKey) -> LocalBoxFuture<'_, ()> {
        self.seen.cancels.borrow_mut().push(key);
        async {}.boxed_local()
    }

    fn ready(&self) -> LocalBoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed_local()
    }

    fn metrics(&self) -> LocalBoxFuture<'_, Result<String>> {
        async { Ok(String::new()) }.boxed_local()
    }

    fn tables(&self, _: &str) -> Result<Vec<TableInfo>> {
        Ok(Vec::new())
    }

    fn draining(&self) -> LocalBoxFuture<'static, ()> {
        let draining = self.draining.clone();
        async move {
            loop {
                let changed = draining.1.notified();
                if draining.0.get() {
                    return;
                }
                changed.await;
            }
        }
        .boxed_local()
    }

    fn is_draining(&self) -> bool {
        self.draining.0.get()
    }

    fn slot(&self) -> Result<Slot> {
        let Some(left) = self.slots.get().checked_sub(1) else {
            return Err(Error::new(
                SqlState::TOO_MANY_CONNECTIONS,
                "sorry, too many clients already",
            ));
        };
        self.slots.set(left);
        Ok(Slot(Box::new(SlotGuard(self.slots.clone()))))
    }
}

struct Statement {
    sql: Arc<str>,
    types: Arc<[DataType]>,
}

struct FakePortal {
    sql: Arc<str>,
    params: Vec<Value>,
    left: VecDeque<Event>,
}

struct FakeSession {
    seen: Rc<Seen>,
    status: Cell<TxnStatus>,
    statements: RefCell<HashMap<String, Statement>>,
    portals: RefCell<HashMap<String, FakePortal>>,
}

impl FakeSession {
    fn new(seen: Rc<Seen>) -> FakeSession {
        FakeSession {
            seen,
            status: Cell::new(TxnStatus::Idle),
            statements: RefCell::default(),
            portals: RefCell::default(),
        }
    }

    fn log(&self, what: impl Into<String>) {
        self.seen.ops.borrow_mut().push(what.into());
    }

    fn run(&self, op: Operation) -> Result<Reply> {
        match op {
            Operation::Script { sql } => {
                self.log("script");
                let mut events = VecDeque::new();
                for statement in sql.split(';') {
                    events.extend(self.events(statement.trim(), &[])?);
                }
                Ok(self.results(events))
            }
            Operation::Query { .. } => Err(Error::unsupported("only HTTP asks this")),
            Operation::Parse { name, sql, types } => {
                self.log("parse");
                if &*sql == "bad" {
                    return Err(Error::new(SqlState::SYNTAX_ERROR, "syntax error").at(1));
                }
                let types = types.iter().map(|t| t.unwrap_or(DataType::Text)).collect();
                let statement = Statement { sql, types };
                self.statements.borrow_mut().insert(name, statement);
                Ok(Reply::Done)
            }
            Operation::DescribeStatement { name } => {
                self.log("describe statement");
                let statements = self.statements.borrow();
                let statement = statements.get(&name).ok_or_else(|| no_statement(&name))?;
                Ok(Reply::Statement {
                    params: statement.types.clone(),
                    columns: columns(&statement.sql, &statement.types),
                })
            }
            Operation::DescribePortal { name } => {
                self.log("describe portal");
                let portals = self.portals.borrow();
                let portal = portals.get(&name).ok_or_else(|| no_portal(&name))?;
                let types: Vec<_> = portal.params.iter().map(type_of).collect();
                Ok(Reply::Portal {
                    columns: columns(&portal.sql, &types),
                })
            }
            Operation::Bind {
                portal,
                statement,
                params,
            } => {
                self.log("bind");
                *self.seen.params.borrow_mut() = params.clone();
                let sql = self.statements.borrow()[&statement].sql.clone();
                let left = self.events(&sql, &params)?;
                let bound = FakePortal { sql, params, left };
                self.portals.borrow_mut().insert(portal, bound);
                Ok(Reply::Done)
            }
            Operation::Execute { portal, rows_max } => {
                self.log("execute");
                self.execute(&portal, rows_max as usize)
            }
            Operation::Run { statement, params } => {
                self.log("run");
                let sql = self.statements.borrow()[&statement].sql.clone();
                if &*sql != "once" {
                    return Ok(self.results(self.events(&sql, &params)?));
                }
                Ok(whole("whole"))
            }
            Operation::CloseStatement { name } => {
                self.statements.borrow_mut().remove(&name);
                Ok(Reply::Done)
            }
            Operation::ClosePortal { name } => {
                self.portals.borrow_mut().remove(&name);
                Ok(Reply::Done)
            }
            Operation::Sync => {
                self.log("sync");
                Ok(Reply::Done)
            }
            Operation::Failed => {
                self.log("failed");
                Ok(Reply::Done)
            }
        }
    }

    fn execute(&self, name: &str, rows_max: usize) -> Result<Reply> {
        let mut portals = self.portals.borrow_mut();
        let portal = portals.get_mut(name).ok_or_else(|| no_portal(name))?;
        if rows_max == 0 {
            return Ok(self.results(std::mem::take(&mut portal.left)));
        }
        // Each batch of these portals is one row.
        let mut events = VecDeque::new();
        let mut rows = 0;
        while let Some(event) = portal.left.pop_front() {
            if matches!(event, Event::Rows(_)) {
                if rows == rows_max {
                    portal.left.push_front(event);
                    events.push_back(Event::Suspended);
                    break;
                }
                rows += 1;
            }
            events.push_back(event);
        }
        Ok(self.results(events))
    }

    fn results(&self, events: VecDeque<Event>) -> Reply {
        self.seen.results_open.set(self.seen.results_open.get() + 1);
        Reply::Results(Box::new(FakeResults {
            seen: self.seen.clone(),
            events,
        }))
    }

    fn events(&self, sql: &str, params: &[Value]) -> Result<VecDeque<Event>> {
        let word = sql.split(' ').next().unwrap_or_default();
        let number = sql.split(' ').nth(1).and_then(|n| n.parse().ok());
        let types: Vec<_> = params.iter().map(type_of).collect();
        let done = |tag: &str| Event::Complete { tag: tag.into() };
        Ok(VecDeque::from(match word {
            "" => vec![Event::Empty],
            "rows" | "wide" | "once" | "many" => {
                let count: i32 = number.unwrap_or(1);
                let mut events = vec![Event::Columns(columns(sql, &types).unwrap())];
                let text: Arc<str> = match word {
                    "wide" => "x".repeat(1000).into(),
                    _ => "é\u{1f600}".into(),
                };
                for id in 0..count {
                    let row = vec![Value::Int4(id), Value::Text(text.clone())];
                    events.push(Event::Rows(RowBatch::from(vec![row])));
                }
                events.push(done(&format!("SELECT {count}")));
                events
            }
            "echo" => vec![
                Event::Columns(columns(sql, &types).unwrap()),
                Event::Rows(RowBatch::from(vec![params.to_vec()])),
                done("SELECT 1"),
            ],
            "begin" => {
                self.status.set(TxnStatus::InTransaction);
                vec![done("BEGIN")]
            }
            "commit" => {
                self.status.set(TxnStatus::Idle);
                vec![done("COMMIT")]
            }
            "notice" => vec![
                Event::Notice(Error::new(SqlState::WARNING, "careful")),
                Event::Parameter {
                    name: "TimeZone".into(),
                    value: "UTC".into(),
                },
                done("SET"),
            ],
            "copyin" => vec![
                Event::CopyIn {
                    columns: 2,
                    binary: false,
                },
                done("COPY 2"),
            ],
            "copyout" => vec![
                Event::CopyOut {
                    columns: 2,
                    binary: false,
                },
                Event::CopyData(copy_rows(&[b"1\ta\n", b"2\tb\n"])),
                done("COPY 2"),
            ],
            "fail" => {
                return Err(Error::new(
                    SqlState::UNDEFINED_TABLE,
                    "relation \"nope\" does not exist",
                )
                .with_detail("d")
                .with_hint("h")
                .at(15)
                .with_table("public", "t")
                .with_column("c")
                .with_constraint("n"));
            }
            "fatal" => return Err(Error::new(SqlState::ADMIN_SHUTDOWN, "going")),
            "hang" => vec![Event::Notice(Error::new(SqlState::WARNING, "hanging"))],
            "wait" => vec![
                Event::Notice(Error::new(SqlState::WARNING, "waiting")),
                done("SET"),
            ],
            "panic" => panic!("asked to"),
            other => return Err(Error::new(SqlState::SYNTAX_ERROR, other)),
        }))
    }
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.seen
            .sessions_open
            .set(self.seen.sessions_open.get() - 1);
    }
}

impl Session for FakeSession {
    fn call(&self, request: Request) -> Answer<'_> {
        if let Operation::Run { statement, .. } = &request.op {
            let sql = self.statements.borrow()[statement].sql.clone();
            match &*sql {
                "once" => return Answer::Now(self.run(request.op)),
                "apart" => {
                    self.log("run apart");
                    let seen = self.seen.clone();
                    return Answer::Apart(Box::pin(async move {
                        seen.release.notified().await;
                        Ok(whole("apart"))
                    }));
                }
                _ => {}
            }
        }
        Answer::Later(async move { self.run(request.op) }.boxed_local())
    }

    fn cancel_key(&self) -> CancelKey {
        KEY
    }

    fn status(&self) -> TxnStatus {
        self.status.get()
    }

    fn parameters(&self) -> Vec<(String, String)> {
        vec![("server_version".into(), "15.0".into())]
    }

    fn prepared(&self, statement: &str) -> Result<Prepared> {
        let statements = self.statements.borrow();
        let found = statements.get(statement);
        let found = found.ok_or_else(|| no_statement(statement))?;
        let word = found.sql.split(' ').next().unwrap_or_default();
        Ok(Prepared {
            params: found.types.clone(),
            columns: columns(&found.sql, &found.types),
            runs: matches!(word, "once" | "apart" | "many" | "fail" | "notice"),
            looks_up: matches!(word, "once" | "apart"),
        })
    }

    fn forms(&self) -> Forms {
        Forms::UTC
    }
}

struct FakeResults {
    seen: Rc<Seen>,
    events: VecDeque<Event>,
}

impl Results for FakeResults {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<Event>>> {
        async move {
            match self.events.front() {
                Some(Event::Notice(n)) if n.message() == "hanging" => {
                    std::future::pending::<()>().await;
                }
                Some(Event::Notice(n)) if n.message() == "waiting" => {
                    self.seen.release.notified().await;
                }
                Some(Event::Rows(_)) => self.seen.batches.set(self.seen.batches.get() + 1),
                _ => {}
            }
            if let Some(reason) = self.seen.copy_end.take() {
                return Err(Error::new(
                    SqlState::QUERY_CANCELED,
                    format!("COPY from stdin failed: {reason}"),
                ));
            }
            Ok(self.events.pop_front())
        }
        .boxed_local()
    }

    fn copy(&mut self, input: CopyInput) -> LocalBoxFuture<'_, Result<()>> {
        let result = match input {
            CopyInput::Data(data) if data.starts_with(b"bad") => {
                Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, "missing data"))
            }
            CopyInput::Data(data) => {
                self.seen.copied.borrow_mut().extend_from_slice(&data);
                Ok(())
            }
            CopyInput::Done => Ok(()),
            CopyInput::Fail(reason) => {
                *self.seen.copy_end.borrow_mut() = Some(reason);
                Ok(())
            }
        };
        async move { result }.boxed_local()
    }
}

impl Drop for FakeResults {
    fn drop(&mut self) {
        self.seen.results_open.set(self.seen.results_open.get() - 1);
    }
}

fn columns(sql: &str, types: &[DataType]) -> Option<Arc<Vec<Column>>> {
    match sql.split(' ').next()? {
        "rows" | "wide" | "once" | "many" | "apart" => Some(Arc::new(vec![
            Column {
                name: "id".into(),
                ty: DataType::Int4,
                typmod: -1,
                table: 16384,
                attnum: 1,
            },
            Column::new("name", DataType::Text),
        ])),
        "echo" => Some(Arc::new(
            types.iter().map(|t| Column::new("?column?", *t)).collect(),
        )),
        _ => None,
    }
}

fn whole(name: &str) -> Reply {
    Reply::Whole(Whole {
        rows: RowBatch::from(vec![vec![Value::Int4(0), Value::text(name)]]),
        columns: columns("once", &[]),
        tag: "SELECT 1",
    })
}

fn type_of(value: &Value) -> DataType {
    match value {
        Value::Int4(_) => DataType::Int4,
        Value::Int8(_) => DataType::Int8,
        Value::Bool(_) => DataType::Bool,
        _ => DataType::Text,
    }
}

fn no_statement(name: &str) -> Error {
    Error::new(
        SqlState::INVALID_SQL_STATEMENT_NAME,
        format!("prepared statement \"{name}\" does not exist"),
    )
}

fn no_portal(name: &str) -> Error {
    Error::new(
        SqlState::INVALID_CURSOR_NAME,
        format!("portal \"{name}\" does not exist"),
    )
}

fn copy_rows(rows: &[&[u8]]) -> CopyRows {
    let mut out = CopyRows::default();
    for row in rows {
        out.bytes().extend_from_slice(row);
        out.end();
    }
    out
}
