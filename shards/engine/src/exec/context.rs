//! What an expression may know besides its row: the statement's moment, parameters, session settings and catalog.

use crate::catalog::Catalog;
use crate::txn::build::Building;
use std::sync::Arc;
use types::Value;

/// Made once a statement by the session; sent along (behind an `Arc`) to every shard that evaluates for it.
#[derive(Clone, Debug)]
pub struct Context {
    pub params: Vec<Value>,
    pub catalog: Arc<Catalog>,
    /// `now()`: when the transaction began, microseconds since 2000-01-01 UTC.
    pub transaction_micros: i64,
    /// `statement_timestamp()`.
    pub statement_micros: i64,
    pub session: Arc<SessionInfo>,
    /// A backup that is being taken: its backend's pid, the bytes there are, those copied.
    pub backup: Option<(i32, u64, u64)>,
    /// An index that is being built.
    pub building: Vec<Building>,
    /// `pg_trigger_depth()`.
    pub triggers_deep: i32,
}

/// What of a session functions show.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    pub user: String,
    pub database: String,
    pub backend_pid: i32,
    pub client_addr: Option<std::net::IpAddr>,
    pub server_port: u16,
    /// When the server started, microseconds since 2000-01-01 UTC.
    pub server_start_micros: i64,
    pub forms: types::text::Forms,
    /// Current settings as SHOW prints them, for `current_setting()` and `pg_settings`.
    pub settings: Arc<Vec<(String, String)>>,
    /// Its cursors, where it has some, for `pg_cursors`.
    pub cursors: Option<Arc<Vec<CursorInfo>>>,
}

/// What is shown of a cursor.
#[derive(Clone, Debug)]
pub struct CursorInfo {
    pub name: String,
    pub statement: String,
    pub is_holdable: bool,
    pub is_scrollable: bool,
    /// When it was declared, microseconds since 2000-01-01 UTC.
    pub micros: i64,
}
