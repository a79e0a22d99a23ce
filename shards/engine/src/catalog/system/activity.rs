//! Rows about what goes on: sessions, how tables and indexes are used, databases, prepared statements.
//!
//! Owns: what has to be asked for them, and their columns. Nothing that is not counted here is shown as a number: it is NULL.
//! Asked by: the `System` operator, once it has the answer. Never: asks anybody.
//! Source: PostgreSQL 15, chapter 28.2.

use super::definitions::{Relation, relations};
use super::indexes::indexes;
use super::values::{OWNER, array, int4, null, oid, text, yes};
use crate::catalog::Table;
use crate::exec::Context;
use std::net::SocketAddr;
use types::network::Inet;
use types::{DataType, Reg, Row, Value};

/// Who is to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// Every shard, for its sessions.
    Sessions,
    /// The session itself, for its prepared statements.
    Prepared,
}

/// The answer.
#[derive(Clone, Debug)]
pub enum Live {
    Sessions(Vec<SessionState>),
    Prepared(Vec<PreparedState>),
}

/// A client's session at one moment. Times are microseconds since 2000-01-01 UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionState {
    pub pid: i32,
    pub database: u32,
    pub user: String,
    pub application: String,
    pub client: Option<SocketAddr>,
    pub started_micros: i64,
    pub transaction_micros: Option<i64>,
    pub query_micros: Option<i64>,
    pub changed_micros: i64,
    pub doing: Doing,
    /// What it does, or did last.
    pub query: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    Active,
    Idle,
    InTransaction,
    InFailedTransaction,
}

impl Doing {
    pub fn name(self) -> &'static str {
        match self {
            Doing::Active => "active",
            Doing::Idle => "idle",
            Doing::InTransaction => "idle in transaction",
            Doing::InFailedTransaction => "idle in transaction (aborted)",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct PreparedState {
    pub name: String,
    pub statement: String,
    pub micros: i64,
    pub types: Vec<DataType>,
    /// By PREPARE rather than by the protocol.
    pub from_sql: bool,
}

pub(super) fn sessions(ctx: &Context, live: &Live) -> Vec<Row> {
    let Live::Sessions(all) = live else {
        return Vec::new();
    };
    let mut all: Vec<&SessionState> = all.iter().collect();
    all.sort_by_key(|s| s.pid);
    all.into_iter().map(|s| session(ctx, s)).collect()
}

fn session(ctx: &Context, s: &SessionState) -> Row {
    let time = |micros: Option<i64>| micros.map_or(Value::Null, Value::Timestamptz);
    let database = ctx.catalog.databases.get(s.database);
    let (wait_type, wait) = match s.doing {
        // What a running statement waits for is not kept.
        Doing::Active => (null(), null()),
        _ => (text("Client"), text("ClientRead")),
    };
    vec![
        oid(s.database),
        database.map_or(Value::Null, |d| text(&d.name)),
        int4(s.pid),
        null(),
        oid(OWNER),
        text(&s.user),
        text(&s.application),
        (s.client).map_or(Value::Null, |c| Value::Inet(Inet::host(c.ip()))),
        null(),
        int4(s.client.map_or(-1, |c| i32::from(c.port()))),
        time(Some(s.started_micros)),
        time(s.transaction_micros),
        time(s.query_micros),
        time(Some(s.changed_micros)),
        wait_type,
        wait,
        text(s.doing.name()),
        null(),
        null(),
        null(),
        text(&s.query),
        text("client backend"),
    ]
}

/// Of each database how many are in it; the rest is counted for the whole server (`/metrics`).
pub(super) fn databases(ctx: &Context, live: &Live) -> Vec<Row> {
    let Live::Sessions(all) = live else {
        return Vec::new();
    };
    let row = |d: &crate::catalog::Database| -> Row {
        let there = all.iter().filter(|s| s.database == d.oid).count();
        let mut row = vec![
            oid(d.oid),
            text(&d.name),
            int4(i32::try_from(there).unwrap_or(i32::MAX)),
        ];
        row.resize(28, Value::Null);
        row
    };
    ctx.catalog.databases.iter().map(|d| row(d)).collect()
}

pub(super) fn prepared(_: &Context, live: &Live) -> Vec<Row> {
    let Live::Prepared(all) = live else {
        return Vec::new();
    };
    let ty = |ty: &DataType| {
        Value::Reg(Reg {
            oid: ty.oid(),
            name: ty.sql_name().into(),
        })
    };
    let row = |p: &PreparedState| -> Row {
        vec![
            text(&p.name),
            text(&p.statement),
            Value::Timestamptz(p.micros),
            array(DataType::Regtype, p.types.iter().map(ty).collect()),
            yes(p.from_sql),
            // Plans are for all values here, but how often one was used is not counted.
            null(),
            null(),
        ]
    };
    all.iter().map(row).collect()
}

/// Which relations a view of usage is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    System,
    User,
}

pub(super) fn all_tables(ctx: &Context) -> Vec<Row> {
    tables(ctx, Of::All)
}

pub(super) fn system_tables(ctx: &Context) -> Vec<Row> {
    tables(ctx, Of::System)
}

pub(super) fn user_tables(ctx: &Context) -> Vec<Row> {
    tables(ctx, Of::User)
}

fn tables(ctx: &Context, of: Of) -> Vec<Row> {
    let row = |id: u32, schema: &str, name: &str, rows: Value| -> Row {
        let mut row = vec![oid(id), text(schema), text(name)];
        row.resize(11, Value::Null);
        row.push(rows);
        row.resize(23, Value::Null);
        row
    };
    let mut out = Vec::new();
    if of != Of::User {
        let system = relations().iter().filter(|r| !r.view);
        out.extend(system.map(|r: &Relation| row(r.oid, r.schema, r.name, null())));
    }
    if of != Of::System {
        // As many as the last ANALYZE has found.
        let found = |t: &Table| {
            let known = ctx.catalog.statistics.get(&t.id);
            let rows = known.and_then(|s| i64::try_from(s.rows).ok());
            rows.map_or(Value::Null, Value::Int8)
        };
        let user = ctx.catalog.tables.values();
        out.extend(user.map(|t| row(t.id.0, &t.schema, &t.name, found(t))));
    }
    out
}

/// What is read for tables is not counted by table.
pub(super) fn all_tables_io(ctx: &Context) -> Vec<Row> {
    uncounted(all_tables(ctx), 3, 11)
}

pub(super) fn system_tables_io(ctx: &Context) -> Vec<Row> {
    uncounted(system_tables(ctx), 3, 11)
}

pub(super) fn user_tables_io(ctx: &Context) -> Vec<Row> {
    uncounted(user_tables(ctx), 3, 11)
}

pub(super) fn user_indexes_io(ctx: &Context) -> Vec<Row> {
    uncounted(user_indexes(ctx), 5, 7)
}

/// The first columns, which are names, and NULL up to the width.
fn uncounted(mut rows: Vec<Row>, names: usize, width: usize) -> Vec<Row> {
    for row in &mut rows {
        row.truncate(names);
        row.resize(width, Value::Null);
    }
    rows
}

/// There are no indexes of the system's tables, which are computed.
pub(super) fn user_indexes(ctx: &Context) -> Vec<Row> {
    let row = |i: super::IndexInfo<'_>| -> Row {
        vec![
            oid(i.table.id.0),
            oid(i.oid),
            text(&i.table.schema),
            text(&i.table.name),
            text(i.name),
            null(),
            null(),
            null(),
        ]
    };
    indexes(&ctx.catalog).map(row).collect()
}
