//! Plans of typical statements, and that planning never changes what a query answers.

mod answers;
mod bitmaps;
mod placement;
mod plans;
mod statistics;

use crate::bind::bind_unplanned;
use crate::planner::{Explained, Took};
use crate::{BindEnv, ExplainOptions, Statement, parse};
use engine::catalog::{Catalog, ColumnDef, Index, KeyPart, Table};
use engine::exec::eval::blank;
use engine::exec::{Context, SessionInfo};
use std::sync::Arc;
use types::{DataType, TableId, TreeId};

/// Name, columns, primary key, indexes (columns, unique), what the rows are placed by (nothing: the primary key).
type Shape<'a> = (
    &'a str,
    &'a [(&'a str, DataType)],
    &'a [usize],
    &'a [(&'a [usize], bool)],
    &'a [usize],
);

use DataType::{Int4, Int8, Text, Varchar};

const TABLES: &[Shape] = &[
    (
        "t",
        &[("a", Int4), ("b", Int4), ("s", Text)],
        &[0],
        &[(&[1], false)],
        &[],
    ),
    (
        "u",
        &[("a", Int8), ("t_a", Int4), ("x", Varchar)],
        &[0],
        &[(&[2], true)],
        &[],
    ),
    (
        "pair",
        &[("k", Int4), ("l", Int4), ("v", Int4)],
        &[0, 1],
        &[],
        &[],
    ),
    ("loose", &[("m", Int4), ("n", Int4)], &[], &[], &[]),
    (
        "orders",
        &[("customer", Int4), ("id", Int4), ("total", Int4)],
        &[0, 1],
        &[],
        &[0],
    ),
    (
        "lines",
        &[
            ("line", Int4),
            ("customer", Int4),
            ("id", Int4),
            ("n", Int4),
        ],
        &[2, 0, 1],
        &[(&[3], false)],
        &[1],
    ),
    (
        "wide",
        &[("k", Int4), ("x", Int4), ("y", Int4), ("z", Text)],
        &[0],
        &[(&[1], false), (&[2, 1], false), (&[3], false)],
        &[],
    ),
];

pub(super) fn catalog() -> Arc<Catalog> {
    let mut catalog = Catalog::empty(4);
    for (i, (name, columns, key, indexes, placement)) in TABLES.iter().enumerate() {
        let id = 16384 + 100 * i as u32;
        let column = |(at, (name, ty)): (usize, &(&str, DataType))| ColumnDef {
            not_null: key.contains(&at),
            ..ColumnDef::new(*name, *ty, at as i16 + 1)
        };
        let index = |(at, (columns, unique)): (usize, &(&[usize], bool))| {
            let id = id + 2 + at as u32;
            Arc::new(Index {
                id: TableId(id),
                name: format!("{name}_{at}_idx"),
                tree: TreeId(id),
                parts: columns.iter().map(|c| KeyPart::ascending(*c)).collect(),
                unique: *unique,
                ..Index::default()
            })
        };
        let table = Table {
            id: TableId(id),
            schema: "public".into(),
            name: (*name).into(),
            tree: TreeId(id),
            columns: columns.iter().enumerate().map(column).collect(),
            primary_key: key.to_vec(),
            placement: placement.to_vec(),
            primary_key_id: TableId(id + 1),
            primary_key_name: format!("{name}_pkey"),
            indexes: indexes.iter().enumerate().map(index).collect(),
            ..Table::default()
        };
        catalog.tables.insert(table.id, Arc::new(table));
    }
    Arc::new(catalog)
}

pub(super) fn context(catalog: &Arc<Catalog>) -> Context {
    Context {
        params: Vec::new(),
        catalog: catalog.clone(),
        transaction_micros: 0,
        statement_micros: 0,
        session: Arc::new(SessionInfo {
            cursors: None,
            user: "rustydb".into(),
            database: "rustydb".into(),
            backend_pid: 1,
            client_addr: None,
            server_port: 5433,
            server_start_micros: 0,
            forms: ::types::text::Forms::UTC,
            settings: Arc::default(),
        }),
        backup: None,
        building: Vec::new(),
        triggers_deep: 0,
    }
}

/// As the binder leaves it.
pub(super) fn bound(sql: &str) -> Statement {
    let catalog = catalog();
    let context = context(&catalog);
    let env = BindEnv {
        catalog: &catalog,
        param_types: &[],
        context: &context,
        rows: &[],
    };
    let mut parsed = parse(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let statement = parsed.pop().expect("a statement");
    let bound = bind_unplanned(&statement, &env);
    bound.unwrap_or_else(|e| panic!("{sql}: {e}")).statement
}

/// As EXPLAIN (COSTS OFF) shows it.
pub(super) fn explained<'a>(statement: &'a Statement, catalog: &'a Catalog) -> Explained<'a> {
    Explained {
        statement,
        catalog,
        context: blank(),
        options: ExplainOptions {
            analyze: false,
            costs: false,
            timing: false,
            summary: false,
            buffers: false,
            shards: false,
            json: false,
        },
        profile: None,
        changed: None,
        took: Took::default(),
    }
}
