//! Rows about triggers.
//!
//! Source: PostgreSQL 15's `pg_trigger.h` and `information_schema.sql`.

use super::values::{array, ch, int2, int4, null, oid, text, yes};
use crate::catalog::triggers::Event;
use crate::catalog::{Firing, Trigger};
use crate::exec::Context;
use std::sync::Arc;
use types::{DataType, Row, Value};

/// `tgtype`.
fn kind(t: &Trigger) -> i16 {
    let bits = [
        (!t.statement, 1),
        (t.before, 2),
        (t.insert, 4),
        (t.delete, 8),
        (t.update, 16),
    ];
    bits.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum()
}

pub(super) fn triggers(ctx: &Context) -> Vec<Row> {
    let row = |t: &Arc<Trigger>| -> Row {
        let numbers = t.columns.iter().map(|n| int2(*n)).collect();
        let mut args = Vec::new();
        for arg in &t.args {
            args.extend_from_slice(arg.as_bytes());
            args.push(0);
        }
        vec![
            oid(t.oid),
            oid(t.table.0),
            oid(0),
            text(&t.name),
            oid(t.function),
            int2(kind(t)),
            ch(match t.firing {
                Firing::Origin => "O",
                Firing::Always => "A",
                Firing::Replica => "R",
                Firing::Disabled => "D",
            }),
            yes(false),
            oid(0),
            oid(0),
            oid(0),
            yes(false),
            yes(false),
            int2(t.args.len() as i16),
            array(DataType::Int2, numbers),
            Value::Bytea(args.into()),
            t.when.as_ref().map_or(Value::Null, |w| text(&w.sql)),
            null(),
            null(),
        ]
    };
    ctx.catalog.triggers.values().map(row).collect()
}

/// Of `information_schema`: a row for each event.
pub(super) fn listed(ctx: &Context) -> Vec<Row> {
    let catalog = &ctx.catalog;
    let mut rows = Vec::new();
    for t in catalog.triggers.values() {
        let Some(table) = catalog.table(t.table) else {
            continue;
        };
        for event in t.events() {
            let before = |o: &&Arc<Trigger>| {
                let beside = o.before == t.before && o.statement == t.statement;
                o.is_of(event) && beside && o.name < t.name
            };
            let place = catalog.triggers_of(t.table).filter(before).count() + 1;
            let database = || text(&ctx.session.database);
            rows.push(vec![
                database(),
                text(&table.schema),
                text(&t.name),
                text(Event::name(event)),
                database(),
                text(&table.schema),
                text(&table.name),
                int4(place as i32),
                t.when.as_ref().map_or(Value::Null, |w| text(&w.sql)),
                text(&catalog.trigger_action(t)),
                text(if t.statement { "STATEMENT" } else { "ROW" }),
                text(if t.before { "BEFORE" } else { "AFTER" }),
                null(),
                null(),
                null(),
                null(),
                null(),
            ]);
        }
    }
    rows
}
