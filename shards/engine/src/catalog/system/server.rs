//! Rows about the server itself: databases, roles, schemas, tablespaces, access methods, settings, time zones.
//!
//! There is one user: whoever the session is.

use super::definitions::PG_CATALOG_OID;
use super::values::{DATABASE_OWNER, OWNER, array, ch, int4, null, oid, proc, text, yes};
use crate::catalog::{Database, extensions};
use crate::exec::{Context, CursorInfo};
use crate::txn::build::{Building, Command};
use jiff::tz::{Offset, TimeZone};
use types::time::zone;
use types::{DataType, Interval, Row, Value};

/// `pg_am.oid` of tables' and indexes' storage; the names are PostgreSQL's, so that its tools know them.
pub(super) const HEAP: u32 = 2;
pub(super) const BTREE: u32 = 403;
const DEFAULT_TABLESPACE: u32 = 1663;
/// `pg_database.encoding` of UTF8.
const UTF8: i32 = 6;

pub(super) fn databases(ctx: &Context) -> Vec<Row> {
    let row = |d: &Database| -> Row {
        vec![
            oid(d.oid),
            text(&d.name),
            oid(OWNER),
            int4(UTF8),
            ch("c"),
            yes(d.is_template),
            yes(d.allows_connections),
            int4(-1),
            Value::Int8(0),
            Value::Int8(0),
            oid(DEFAULT_TABLESPACE),
            text("C"),
            text("C"),
            null(),
            null(),
            null(),
        ]
    };
    ctx.catalog.databases.iter().map(|d| row(d)).collect()
}

/// What was said about databases.
pub(super) fn descriptions(ctx: &Context) -> Vec<Row> {
    let class = super::class_oid("pg_database");
    let row = |d: &Database| -> Option<Row> {
        let said = d.comment.as_ref()?;
        Some(vec![oid(d.oid), oid(class), text(said)])
    };
    let all = ctx.catalog.databases.iter();
    all.filter_map(|d| row(d)).collect()
}

/// ALTER DATABASE … SET.
pub(super) fn database_settings(ctx: &Context) -> Vec<Row> {
    let row = |d: &Database| -> Option<Row> {
        let all = d.settings.iter();
        let all = all.map(|(name, value)| text(&format!("{name}={value}")));
        let all: Vec<Value> = all.collect();
        let any = !all.is_empty();
        any.then(|| vec![oid(d.oid), oid(0), array(DataType::Text, all)])
    };
    let all = ctx.catalog.databases.iter();
    all.filter_map(|d| row(d)).collect()
}

pub(super) fn tablespaces(_: &Context) -> Vec<Row> {
    vec![vec![
        oid(DEFAULT_TABLESPACE),
        text("pg_default"),
        oid(OWNER),
        null(),
        null(),
    ]]
}

/// The language that functions of triggers are written in is one in PostgreSQL.
pub const EXTENSION: &str = "plpgsql";
pub const EXTENSION_OID: u32 = 13_569;
pub(super) const EXTENSION_COMMENT: &str = "PL/pgSQL procedural language";
const EXTENSION_VERSION: &str = "1.0";

pub(super) fn extensions(ctx: &Context) -> Vec<Row> {
    let row = |number, name: &str, schema, movable, version: &str| -> Row {
        vec![
            oid(number),
            text(name),
            oid(OWNER),
            oid(schema),
            yes(movable),
            text(version),
            null(),
            null(),
        ]
    };
    let mut rows = vec![row(
        EXTENSION_OID,
        EXTENSION,
        PG_CATALOG_OID,
        false,
        EXTENSION_VERSION,
    )];
    for e in ctx.catalog.extensions.values() {
        let version = extensions::known(&e.name).map_or("", |k| k.version);
        let schema = super::objects::schema(&ctx.catalog, &e.schema);
        rows.push(row(e.oid, &e.name, schema, true, version));
    }
    rows
}

/// Name, version, whether it is there, and what is said of it.
fn each_extension(ctx: &Context) -> Vec<(&'static str, &'static str, bool, &'static str)> {
    let known = extensions::KNOWN.iter().map(|k| {
        let there = ctx.catalog.extension_named(k.name).is_some();
        (k.name, k.version, there, k.comment)
    });
    let own = (EXTENSION, EXTENSION_VERSION, true, EXTENSION_COMMENT);
    known.chain([own]).collect()
}

pub(super) fn available_extensions(ctx: &Context) -> Vec<Row> {
    let all = each_extension(ctx).into_iter();
    let row = |(name, version, there, comment): (&str, &str, bool, &str)| -> Row {
        let installed = if there { text(version) } else { null() };
        vec![text(name), text(version), installed, text(comment)]
    };
    all.map(row).collect()
}

pub(super) fn available_versions(ctx: &Context) -> Vec<Row> {
    let all = each_extension(ctx).into_iter();
    let row = |(name, version, there, comment): (&str, &str, bool, &str)| -> Row {
        let own = name == EXTENSION;
        vec![
            text(name),
            text(version),
            yes(there),
            yes(true),
            yes(true),
            yes(!own),
            if own { text("pg_catalog") } else { null() },
            null(),
            text(comment),
        ]
    };
    all.map(row).collect()
}

pub(super) fn access_methods(_: &Context) -> Vec<Row> {
    vec![
        vec![
            oid(HEAP),
            text("heap"),
            proc(3, "heap_tableam_handler"),
            ch("t"),
        ],
        vec![oid(BTREE), text("btree"), proc(330, "bthandler"), ch("i")],
    ]
}

/// The roles: the user, who may do everything, and one that can do nothing but own `public`.
fn each_role(ctx: &Context) -> [(u32, &str, bool); 2] {
    [
        (OWNER, &ctx.session.user, true),
        (DATABASE_OWNER, "pg_database_owner", false),
    ]
}

pub(super) fn authids(ctx: &Context) -> Vec<Row> {
    let row = |(role, name, all): (u32, &str, bool)| -> Row {
        vec![
            oid(role),
            text(name),
            yes(all),
            yes(true),
            yes(all),
            yes(all),
            yes(all),
            yes(false),
            yes(all),
            int4(-1),
            null(),
            null(),
        ]
    };
    each_role(ctx).map(row).into()
}

pub(super) fn roles(ctx: &Context) -> Vec<Row> {
    let row = |(role, name, all): (u32, &str, bool)| -> Row {
        vec![
            text(name),
            yes(all),
            yes(true),
            yes(all),
            yes(all),
            yes(all),
            yes(false),
            int4(-1),
            text("********"),
            null(),
            yes(all),
            null(),
            oid(role),
        ]
    };
    each_role(ctx).map(row).into()
}

pub(super) fn users(ctx: &Context) -> Vec<Row> {
    vec![vec![
        text(&ctx.session.user),
        oid(OWNER),
        yes(true),
        yes(true),
        yes(false),
        yes(true),
        text("********"),
        null(),
        null(),
    ]]
}

/// Names and values; what PostgreSQL says besides (units, ranges, files) is not kept here and NULL.
pub(super) fn settings(ctx: &Context) -> Vec<Row> {
    let row = |(name, value): &(String, String)| -> Row {
        let mut row = vec![text(name), text(value)];
        row.resize(17, Value::Null);
        // pending_restart
        row[16] = yes(false);
        row
    };
    ctx.session.settings.iter().map(row).collect()
}

/// The session's cursors.
pub(super) fn cursors(ctx: &Context) -> Vec<Row> {
    let row = |c: &CursorInfo| -> Row {
        vec![
            text(&c.name),
            text(&c.statement),
            yes(c.is_holdable),
            yes(false),
            yes(c.is_scrollable),
            Value::Timestamptz(c.micros),
        ]
    };
    ctx.session
        .cursors
        .iter()
        .flat_map(|all| all.iter().map(row))
        .collect()
}

/// The backup that is being taken, if one is. There is one tablespace.
pub(super) fn backups(ctx: &Context) -> Vec<Row> {
    let row = |(pid, total, done): (i32, u64, u64)| -> Row {
        let phase = match total {
            0 => "waiting for checkpoint to finish",
            _ if done >= total => "waiting for wal archiving to finish",
            _ => "streaming database files",
        };
        let count = |n: u64| Value::Int8(i64::try_from(n).unwrap_or(i64::MAX));
        vec![
            int4(pid),
            text(phase),
            count(total),
            count(done.min(total)),
            count(1),
            count(u64::from(total > 0 && done >= total)),
        ]
    };
    ctx.backup.map(row).into_iter().collect()
}

/// The indexes that are being built. Partitions are the data directory's; what is not counted is NULL.
pub(super) fn builds(ctx: &Context) -> Vec<Row> {
    let row = |b: &Building| -> Row {
        let count = |n: u64| Value::Int8(i64::try_from(n).unwrap_or(i64::MAX));
        let database = ctx.catalog.databases.get(b.database);
        let concurrently = b.command == Command::CreateConcurrently;
        let waits = |n: u64| if concurrently { count(n) } else { null() };
        vec![
            int4(b.pid),
            oid(b.database),
            database.map_or_else(null, |d| text(&d.name)),
            oid(b.table),
            oid(b.index),
            text(b.command.name()),
            text(b.phase.name()),
            waits(b.lockers),
            waits(b.lockers_done),
            null(),
            null(),
            null(),
            null(),
            count(b.rows),
            count(b.partitions),
            count(b.partitions_done),
        ]
    };
    ctx.building.iter().map(row).collect()
}

pub(super) fn timezones(ctx: &Context) -> Vec<Row> {
    let now = ctx.statement_micros;
    let row = |name: jiff::tz::TimeZoneName<'_>| -> Option<Row> {
        let tz = TimeZone::get(name.as_str()).ok()?;
        let seconds = zone::offset_at(&tz, now);
        let unix = now + types::time::UNIX_TO_PG_MICROS;
        let at = jiff::Timestamp::from_microsecond(unix).ok()?;
        let info = tz.to_offset_info(at);
        let offset = Interval {
            micros: i64::from(seconds) * types::time::MICROS_PER_SECOND,
            ..Interval::default()
        };
        let shown = match info.offset() {
            Offset::UTC if info.abbreviation().is_empty() => "UTC",
            _ => info.abbreviation(),
        };
        Some(vec![
            text(name.as_str()),
            text(shown),
            Value::Interval(offset),
            yes(info.dst().is_dst()),
        ])
    };
    jiff::tz::db().available().filter_map(row).collect()
}
