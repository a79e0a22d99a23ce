//! The door: the vocabulary in which every protocol talks to the rest, and nothing else.
//!
//! Owns: `Request`, `Reply`, `Results` and the traits `Door` and `Session` that the server hands to protocols.
//! Asked by: `proto` (calls), `middleware` and `session` (implement). Never: does any work itself.
//! Everything here lives on one shard (`!Send`); a connection never leaves the shard that accepted it.

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Column, DataType, Error, RequestId, Result, RowBatch, Value};

/// What a shard offers to protocols. One per shard.
pub trait Door {
    /// Authenticates and opens a session. Refusals (53300, 3D000, 57P03 …) go to the client as they are.
    fn open(&self, hello: Hello) -> LocalBoxFuture<'_, Result<Rc<dyn Session>>>;
    /// Ends the statement that the session with this key runs, wherever it lives. Unknown keys are ignored, as in PostgreSQL.
    fn cancel(&self, key: CancelKey) -> LocalBoxFuture<'_, ()>;
    /// `GET /health/ready`: every shard answered, none is fenced or stopping. The reason otherwise.
    fn ready(&self) -> LocalBoxFuture<'_, Result<(), String>>;
    /// Prometheus text gathered from every shard.
    fn metrics(&self) -> LocalBoxFuture<'_, Result<String>>;
    /// The tables of a database. 3D000 when there is none of that name.
    fn tables(&self, database: &str) -> Result<Vec<TableInfo>>;
    /// Resolves when the server starts to drain: protocols then finish what runs and close.
    fn draining(&self) -> LocalBoxFuture<'static, ()>;
    fn is_draining(&self) -> bool;
    /// Takes a connection slot of this shard; 53300 when there is none. Held as long as the connection.
    fn slot(&self) -> Result<Slot>;
}

/// A taken connection slot; returned on drop.
pub struct Slot(pub Box<dyn std::any::Any>);

/// One client session. Dropping the last reference rolls back what is open.
pub trait Session {
    /// Runs a request through the middleware chain.
    fn call(&self, request: Request) -> Answer<'_>;
    fn cancel_key(&self) -> CancelKey;
    fn status(&self) -> TxnStatus;
    /// How long the client may be silent now; then it gets 25P03 and the connection is closed. `None`: as long as it likes.
    fn silence_max(&self) -> Option<Duration> {
        None
    }
    /// Notifications that the client is to be told of now: none while it is in a transaction. An error ends the connection.
    fn notifications(&self) -> Result<Vec<Notification>> {
        Ok(Vec::new())
    }
    /// Resolves when there are some.
    fn notified(&self) -> LocalBoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
    /// Parameters to report at start (`ParameterStatus`): server_version, client_encoding, DateStyle, TimeZone …
    fn parameters(&self) -> Vec<(String, String)>;
    /// What a prepared statement takes and gives, for decoding Bind. 26000 when unknown.
    fn prepared(&self, statement: &str) -> Result<Prepared>;
    /// How the session's settings say that values are shown and read.
    fn forms(&self) -> Forms;
}

/// What NOTIFY announces: on which channel, by the session of which pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub channel: Arc<str>,
    pub text: Arc<str>,
    pub pid: i32,
}

/// Of a prepared statement.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub params: Arc<[DataType]>,
    pub columns: Option<Arc<Vec<Column>>>,
    /// `Run` may carry it out.
    pub runs: bool,
    /// `Run` may answer `Apart`, and outside of a block leaves nothing else behind.
    pub looks_up: bool,
}

pub use types::text::Forms;

/// What a client says of itself when it connects.
#[derive(Clone, Debug)]
pub struct Hello {
    pub protocol: Protocol,
    pub user: String,
    pub database: String,
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    /// Startup settings: application_name, client_encoding, options …
    pub settings: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    Postgres,
    Http,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Postgres => "postgres",
            Protocol::Http => "http",
        }
    }
}

/// As in BackendKeyData; `pid` names the shard in its upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CancelKey {
    pub pid: i32,
    pub secret: i32,
}

/// One unit of work.
#[derive(Debug)]
pub struct Request {
    /// Made by `Request::new`, or taken from the client (HTTP `x-request-id`) by the protocol.
    pub id: RequestId,
    pub op: Operation,
    /// Shorter than the session's statement_timeout; `None` = that.
    pub timeout: Option<Duration>,
    /// Size of the request on the wire, for accounting.
    pub bytes: usize,
}

impl Request {
    pub fn new(op: Operation) -> Request {
        Request {
            id: request_id(),
            op,
            timeout: None,
            bytes: 0,
        }
    }
}

/// A new id for a request that the client did not name.
pub fn request_id() -> RequestId {
    RequestId(runtime::random_u64())
}

#[derive(Debug)]
pub enum Operation {
    /// Simple query: any number of statements, one implicit transaction as in PostgreSQL. Answers `Results` or `Whole`.
    Script {
        sql: Arc<str>,
    },
    /// One statement with parameters as text, converted to the types the statement gives them (HTTP). Answers `Results`.
    Query {
        sql: Arc<str>,
        params: Vec<Option<String>>,
    },
    /// Extended protocol. "" is the unnamed statement. Answers `Done`.
    Parse {
        name: String,
        sql: Arc<str>,
        types: Vec<Option<DataType>>,
    },
    /// Answers `Statement`.
    DescribeStatement {
        name: String,
    },
    /// Answers `Portal`.
    DescribePortal {
        name: String,
    },
    /// Answers `Done`.
    Bind {
        portal: String,
        statement: String,
        params: Vec<Value>,
    },
    /// Answers `Results`; `rows_max` 0 = all. Ends with `Suspended` when the portal has more.
    Execute {
        portal: String,
        rows_max: u32,
    },
    /// What drivers send for a prepared statement in one piece: Bind of the unnamed portal, Execute to its end, and Sync. For
    /// statements of which `Prepared` says so. Answers `Whole` or `Results`; the unnamed portal is gone afterwards.
    Run {
        statement: String,
        params: Vec<Value>,
    },
    CloseStatement {
        name: String,
    },
    ClosePortal {
        name: String,
    },
    /// Ends the implicit transaction of the extended protocol: commits, or rolls back after an error. Answers `Done` or the commit's error.
    Sync,
    /// The protocol met an error of its own inside an extended sequence (bad Bind bytes …): the transaction is marked failed.
    Failed,
}

/// Most requests are answered without waiting for anything; these cost no future.
pub enum Answer<'a> {
    Now(Result<Reply>),
    Later(LocalBoxFuture<'a, Result<Reply>>),
    /// Answers `Whole` or an error. What the client asks next need not wait for it: it has begun when it was polled once.
    Apart(LocalBoxFuture<'static, Result<Reply>>),
}

impl Answer<'_> {
    pub async fn get(self) -> Result<Reply> {
        match self {
            Answer::Now(reply) => reply,
            Answer::Later(reply) => reply.await,
            Answer::Apart(reply) => reply.await,
        }
    }
}

pub enum Reply {
    Done,
    Statement {
        params: Arc<[DataType]>,
        columns: Option<Arc<Vec<Column>>>,
    },
    Portal {
        columns: Option<Arc<Vec<Column>>>,
    },
    Results(Box<dyn Results>),
    /// All that `Results` would give.
    Whole(Whole),
}

/// The few rows of a statement that has ended.
pub struct Whole {
    /// `None`: it gives no rows.
    pub columns: Option<Arc<Vec<Column>>>,
    pub rows: RowBatch,
    pub tag: &'static str,
}

/// What a request produces, pulled by the protocol at the speed of its client: nothing runs ahead of `next`.
/// Dropping it before the end cancels the rest (and fails an implicit transaction).
pub trait Results {
    /// `None` after the last event. After an `Err` nothing follows.
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<Event>>>;
    /// What `next` would answer at once, without waiting for it; `None` says nothing but that it has to be asked.
    fn ready(&mut self) -> Option<Event> {
        None
    }
    /// After `Event::CopyIn`: data until `Done` or `Fail`; then `next` goes on. An error ends the COPY (the protocol discards the client's rest).
    fn copy(&mut self, input: CopyInput) -> LocalBoxFuture<'_, Result<()>>;
}

#[derive(Debug)]
pub enum Event {
    /// Starts a statement that returns rows.
    Columns(Arc<Vec<Column>>),
    Rows(RowBatch),
    /// Ends a statement: PostgreSQL's command tag, such as `INSERT 0 5`, `SELECT 3`, `BEGIN`.
    Complete {
        tag: String,
    },
    /// The statement text was empty.
    Empty,
    /// The portal reached its row limit and has more.
    Suspended,
    Notice(Error),
    /// A reported setting changed.
    Parameter {
        name: String,
        value: String,
    },
    /// COPY FROM STDIN begins.
    CopyIn {
        columns: usize,
        binary: bool,
    },
    /// COPY TO STDOUT begins; `CopyData` follow, then `Complete`.
    CopyOut {
        columns: usize,
        binary: bool,
    },
    CopyData(CopyRows),
}

/// Part of what COPY TO STDOUT gives, cut into messages: one a row, as clients read them.
#[derive(Clone, Debug, Default)]
pub struct CopyRows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl CopyRows {
    /// Where the message that is not ended yet is written to.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// The ended messages.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(from, to)| &self.bytes[from..*to])
    }
}

#[derive(Debug)]
pub enum CopyInput {
    Data(Bytes),
    Done,
    Fail(String),
}

/// ReadyForQuery's byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnStatus {
    Idle,
    InTransaction,
    Failed,
}

/// A table as `GET /api/v1/tables` shows it.
#[derive(Clone, Debug)]
pub struct TableInfo {
    pub schema: String,
    pub name: String,
    pub columns: Vec<ColumnInfo>,
    pub primary_key: Vec<String>,
    pub indexes: Vec<IndexInfo>,
}

#[derive(Clone, Debug)]
pub struct ColumnInfo {
    pub name: String,
    /// As `format_type` prints it.
    pub data_type: String,
    pub nullable: bool,
    pub default: Option<String>,
}

#[derive(Clone, Debug)]
pub struct IndexInfo {
    pub name: String,
    pub columns: Vec<String>,
    pub unique: bool,
}
