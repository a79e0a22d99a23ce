//! Rows fit their columns, and say what the catalog says.

use super::*;
use crate::catalog::{Catalog, Check, ColumnDef, Default, Index, KeyPart, Table};
use crate::exec::SessionInfo;
use crate::plan::Expr;
use ::types::{DataType, TableId, TreeId, Value};
use std::sync::Arc;

fn column(name: &str, ty: DataType, typmod: i32, not_null: bool) -> ColumnDef {
    ColumnDef {
        typmod,
        not_null,
        ..ColumnDef::new(name, ty, 1)
    }
}

fn number(columns: &mut [ColumnDef]) {
    for (at, column) in columns.iter_mut().enumerate() {
        column.number = at as i16 + 1;
    }
}

fn table() -> Table {
    let mut columns = vec![
        column("id", DataType::Int4, -1, true),
        column("Name", DataType::Varchar, 24, true),
        column("price", DataType::Numeric, ((10 << 16) | 2) + 4, false),
        column("u", DataType::Text, -1, false),
    ];
    columns[1].default = Some(Default {
        sql: "'x'::character varying".into(),
        expr: Expr::Const(Value::from("x"), DataType::Varchar),
    });
    number(&mut columns);
    let index = |id, name: &str, columns: &[usize], unique, constraint| {
        Arc::new(Index {
            id: TableId(id),
            name: name.into(),
            tree: TreeId(id + 100),
            parts: columns.iter().map(|c| KeyPart::ascending(*c)).collect(),
            unique,
            constraint,
            ..Index::default()
        })
    };
    Table {
        id: TableId(16_384),
        schema: "public".into(),
        name: "t1".into(),
        tree: TreeId(1),
        columns,
        primary_key: vec![0],
        primary_key_id: TableId(16_385),
        primary_key_name: "t1_pkey".into(),
        indexes: vec![
            index(16_386, "t1_u_key", &[3], true, true),
            index(16_387, "t1_name", &[1, 2], false, false),
        ],
        checks: vec![Check {
            name: "t1_price_check".into(),
            sql: "price > 0::numeric".into(),
            expr: Expr::Not(Box::new(Expr::IsNull(Box::new(Expr::Column(
                2,
                DataType::Numeric,
            ))))),
        }],
        ..Table::default()
    }
}

fn context() -> Context {
    let mut catalog = Catalog::empty(4);
    catalog.tables.insert(TableId(16_384), Arc::new(table()));
    context_of(catalog)
}

pub fn context_of(catalog: Catalog) -> Context {
    Context {
        params: Vec::new(),
        catalog: Arc::new(catalog),
        transaction_micros: 759_326_400_000_000,
        backup: None,
        building: Vec::new(),
        triggers_deep: 0,
        statement_micros: 759_326_400_000_000,
        session: Arc::new(SessionInfo {
            cursors: None,
            user: "ada".into(),
            database: "rustydb".into(),
            backend_pid: 7,
            client_addr: None,
            server_port: 5433,
            server_start_micros: 0,
            forms: ::types::text::Forms::UTC,
            settings: Arc::new(vec![("TimeZone".into(), "UTC".into())]),
        }),
    }
}

fn all_rows(schema: &str, name: &str) -> Vec<Row> {
    let table = SystemTable {
        schema: schema.into(),
        name: name.into(),
    };
    rows(&table, &context())
}

/// Rows of a relation where `key` prints as `value`, as (column, printed value).
fn select(schema: &str, name: &str, key: &str, value: &str) -> Vec<Vec<(&'static str, String)>> {
    let columns = columns(schema, name).expect("a system relation");
    let print = |v: &Value, ty| match v {
        Value::Null => "NULL".to_string(),
        v => ::types::text::to_string(v, ty, &::types::text::Forms::UTC),
    };
    let named = |row: Row| {
        let cells = row.iter().zip(columns);
        cells
            .map(|(v, c)| (c.name, print(v, c.ty)))
            .collect::<Vec<_>>()
    };
    let rows = all_rows(schema, name).into_iter().map(named);
    rows.filter(|r| r.contains(&(key, value.to_string())))
        .collect()
}

fn get(rows: &[Vec<(&'static str, String)>], column: &str) -> Vec<String> {
    let cell = |r: &Vec<(&'static str, String)>| {
        let found = r.iter().find(|c| c.0 == column).expect("such a column");
        found.1.clone()
    };
    rows.iter().map(cell).collect()
}

fn fits(v: &Value, ty: DataType) -> bool {
    match (v, ty) {
        (Value::Null, _) => true,
        (Value::Array(a), ty) => {
            Some(a.element) == ty.element() && a.items.iter().all(|i| fits(i, a.element))
        }
        (Value::Oid(_), DataType::Oid)
        | (Value::Bool(_), DataType::Bool)
        | (Value::Int2(_), DataType::Int2)
        | (Value::Int4(_), DataType::Int4)
        | (Value::Int8(_), DataType::Int8)
        | (Value::Float4(_), DataType::Float4)
        | (Value::Interval(_), DataType::Interval)
        | (Value::Reg(_), DataType::Regproc)
        | (Value::Timestamptz(_), DataType::Timestamptz) => true,
        (Value::Text(_), ty) => ty.is_string() || ty == DataType::InternalChar,
        _ => false,
    }
}

#[test]
fn every_row_has_a_value_of_the_right_type_for_every_column() {
    let ctx = context();
    for r in all() {
        for row in (r.rows)(&ctx) {
            assert_eq!(row.len(), r.columns.len(), "{}: {row:?}", r.name);
            for (v, c) in row.iter().zip(&r.columns) {
                assert!(fits(v, c.ty), "{}.{}: {v:?}", r.name, c.name);
            }
        }
    }
}

#[test]
fn oids_are_unique_within_each_catalog() {
    for r in all().iter().filter(|r| r.columns[0].name == "oid") {
        let mut oids: Vec<String> = all_rows(r.schema, r.name)
            .iter()
            .map(|row| format!("{:?}", row[0]))
            .collect();
        let count = oids.len();
        oids.sort();
        oids.dedup();
        assert_eq!(oids.len(), count, "{}", r.name);
    }
}

#[test]
fn a_user_table_is_described_as_postgresql_would() {
    let class = select("", "pg_class", "relname", "t1");
    assert_eq!(get(&class, "oid"), ["16384"]);
    assert_eq!(get(&class, "relkind"), ["r"]);
    assert_eq!(get(&class, "relchecks"), ["1"]);
    assert_eq!(get(&class, "relhasindex"), ["t"]);
    let attributes = select("pg_catalog", "pg_attribute", "attrelid", "16384");
    assert_eq!(get(&attributes, "attname"), ["id", "Name", "price", "u"]);
    assert_eq!(get(&attributes, "attnum"), ["1", "2", "3", "4"]);
    assert_eq!(get(&attributes, "atttypid"), ["23", "1043", "1700", "25"]);
    assert_eq!(get(&attributes, "atttypmod"), ["-1", "24", "655366", "-1"]);
    assert_eq!(get(&attributes, "attnotnull"), ["t", "t", "f", "f"]);
    assert_eq!(get(&attributes, "atthasdef"), ["f", "t", "f", "f"]);
    assert_eq!(get(&attributes, "attcollation"), ["0", "100", "0", "100"]);
    assert_eq!(get(&attributes, "attstorage"), ["p", "x", "m", "x"]);
    let defaults = select("", "pg_attrdef", "adrelid", "16384");
    assert_eq!(get(&defaults, "adnum"), ["2"]);
    assert_eq!(get(&defaults, "adbin"), ["'x'::character varying"]);
    let indexes = select("", "pg_index", "indrelid", "16384");
    assert_eq!(get(&indexes, "indexrelid"), ["16385", "16386", "16387"]);
    assert_eq!(get(&indexes, "indkey"), ["1", "4", "2 3"]);
    assert_eq!(get(&indexes, "indisprimary"), ["t", "f", "f"]);
    assert_eq!(get(&indexes, "indclass"), ["1978", "3126", "3126 3125"]);
    let constraints = select("", "pg_constraint", "conrelid", "16384");
    assert_eq!(get(&constraints, "contype"), ["c", "p", "u"]);
    assert_eq!(get(&constraints, "conkey"), ["{3}", "{1}", "{4}"]);
}

#[test]
fn definitions_are_the_statements_that_would_make_them() {
    let ctx = context();
    let made: Vec<String> = indexes(&ctx.catalog)
        .map(|i| index_definition(&i, true))
        .collect();
    assert_eq!(
        made,
        [
            "CREATE UNIQUE INDEX t1_pkey ON public.t1 USING btree (id)",
            "CREATE UNIQUE INDEX t1_u_key ON public.t1 USING btree (u)",
            "CREATE INDEX t1_name ON public.t1 USING btree (\"Name\", price)",
        ]
    );
    let made: Vec<String> = constraints(&ctx.catalog)
        .map(|c| constraint_definition(&c))
        .collect();
    assert_eq!(
        made,
        [
            "CHECK (price > 0::numeric)",
            "PRIMARY KEY (id)",
            "UNIQUE (u)"
        ]
    );
}

#[test]
fn system_relations_describe_themselves() {
    let class = select("", "pg_class", "relname", "pg_class");
    assert_eq!(get(&class, "oid"), ["1259"]);
    let attributes = select("", "pg_attribute", "attrelid", "1259");
    assert_eq!(attributes.len(), columns("", "pg_class").unwrap().len());
    assert!(columns("public", "pg_class").is_none());
    assert!(columns("", "no_such_relation").is_none());
    assert!(names().any(|n| n == ("information_schema", "columns")));
}

#[test]
fn types_lead_to_their_arrays_and_input_functions() {
    let int4 = select("", "pg_type", "typname", "int4");
    assert_eq!(get(&int4, "oid"), ["23"]);
    assert_eq!(get(&int4, "typarray"), ["1007"]);
    assert_eq!(get(&int4, "typinput"), ["int4in"]);
    assert_eq!(get(&int4, "typalign"), ["i"]);
    let array = select("", "pg_type", "typname", "_int4");
    assert_eq!(get(&array, "typelem"), ["23"]);
    assert_eq!(get(&array, "typinput"), ["array_in"]);
    let text = select("", "pg_type", "typname", "text");
    assert_eq!(get(&text, "typcollation"), ["100"]);
    assert_eq!(get(&text, "typispreferred"), ["t"]);
    assert_eq!(io_function("array_in"), Some(750));
    assert_eq!(io_function_name(750), Some("array_in"));
    // Every function a type names is in pg_proc.
    let procs = get(&select("", "pg_proc", "pronamespace", "11"), "proname");
    assert!(procs.contains(&"int4in".to_string()));
}

#[test]
fn information_schema_follows_the_catalog() {
    let schema = "information_schema";
    let columns = select(schema, "columns", "table_name", "t1");
    assert_eq!(get(&columns, "column_name"), ["id", "Name", "price", "u"]);
    assert_eq!(
        get(&columns, "numeric_precision"),
        ["32", "NULL", "10", "NULL"]
    );
    assert_eq!(get(&columns, "numeric_scale"), ["0", "NULL", "2", "NULL"]);
    assert_eq!(
        get(&columns, "character_maximum_length"),
        ["NULL", "20", "NULL", "NULL"]
    );
    assert_eq!(
        get(&columns, "udt_name"),
        ["int4", "varchar", "numeric", "text"]
    );
    assert_eq!(get(&columns, "is_nullable"), ["NO", "NO", "YES", "YES"]);
    assert_eq!(get(&columns, "is_updatable"), ["YES"; 4]);
    let tables = select(schema, "tables", "table_name", "t1");
    assert_eq!(get(&tables, "table_type"), ["BASE TABLE"]);
    let constraints = select(schema, "table_constraints", "table_name", "t1");
    assert_eq!(
        get(&constraints, "constraint_type"),
        ["CHECK", "PRIMARY KEY", "UNIQUE", "CHECK", "CHECK"]
    );
    let keys = select(schema, "key_column_usage", "table_name", "t1");
    assert_eq!(get(&keys, "column_name"), ["id", "u"]);
}
