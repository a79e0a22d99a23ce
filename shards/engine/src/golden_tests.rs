//! The bytes of docs/format.md that the engine writes, held still: they are what `tests/format` at the root says, and are
//! read back from there.
//!
//! When this fails, either a format changed by accident, or a new version of it is needed and the old bytes must stay
//! readable. Run with `GOLDEN_WRITE=path` to write the new text.

use crate::codec::{key, row};
use crate::shard::call::Address;
use crate::shard::entries;
use crate::txn::record::{self, Ops};
use crate::txn::versions;
use std::fmt::Write;
use std::sync::Arc;
use types::{Array, DataType, Interval, Json, PartitionId, Record, RecordField};
use types::{TreeId, Ts, Value, Xid};

const GOLDEN: &str = include_str!("../../../tests/format/engine1.txt");

/// A value of each type that a table can have.
fn values() -> Vec<(DataType, Value)> {
    let numeric = |text: &str| Value::Numeric(text.parse().unwrap());
    let json = Json::object(vec![
        ("a".into(), Json::Array(vec![Json::Null, Json::Bool(true)])),
        ("b".into(), Json::Number("-1.50".parse().unwrap())),
        ("c".into(), Json::String("text".into())),
    ]);
    let array = Array {
        element: DataType::Int4,
        items: vec![Value::Int4(1), Value::Null, Value::Int4(-1)],
    };
    vec![
        (DataType::Bool, Value::Bool(true)),
        (DataType::Int2, Value::Int2(-2)),
        (DataType::Int4, Value::Int4(0x0102_0304)),
        (DataType::Int8, Value::Int8(-0x0102_0304_0506)),
        (DataType::Float4, Value::Float4(1.5)),
        (DataType::Float8, Value::Float8(-2.25)),
        (DataType::Numeric, numeric("-12345.6700")),
        (DataType::Numeric, numeric("NaN")),
        (DataType::Text, Value::from("a\0é")),
        (DataType::Bpchar, Value::from("ab  ")),
        (
            DataType::Bytea,
            Value::Bytea([0u8, 255, 1].as_slice().into()),
        ),
        (DataType::Date, Value::Date(9_000)),
        (DataType::Time, Value::Time(3_600_000_000)),
        (DataType::Timestamp, Value::Timestamp(123_456_789)),
        (DataType::Timestamptz, Value::Timestamptz(-123_456_789)),
        (
            DataType::Interval,
            Value::Interval(Interval {
                months: 1,
                days: -2,
                micros: 3,
            }),
        ),
        (
            DataType::Uuid,
            Value::Uuid(uuid::Uuid::from_u128(0x1234 << 64)),
        ),
        (DataType::Jsonb, Value::Jsonb(Arc::new(json))),
        (DataType::Int4Array, Value::Array(Arc::new(array))),
        (DataType::Text, Value::Null),
    ]
}

fn samples() -> Vec<(String, Vec<u8>)> {
    let mut ops = Ops::new();
    ops.push(TreeId(0x4001), b"key", &Some(b"value".to_vec()));
    ops.push(TreeId(0x4002), b"gone", &None);
    let ops = ops.finish();
    let (xid, ts) = (Xid(0x0102_0304_0506_0708), Ts(0x1112_1314_1516_1718));
    let address = Address {
        partition: PartitionId(0x0203),
        key: b"key".to_vec(),
    };
    let mut out: Vec<(String, Vec<u8>)> = vec![
        ("record chunk".into(), record::chunk(xid, &ops)),
        (
            "record commit".into(),
            record::commit(xid, ts, &[PartitionId(3), PartitionId(1)], &ops),
        ),
        (
            "record prepare".into(),
            record::prepare(xid, ts, PartitionId(5), &ops),
        ),
        (
            "record commit prepared".into(),
            record::commit_prepared(xid, ts),
        ),
        ("record abort prepared".into(), record::abort_prepared(xid)),
        ("record mark".into(), record::mark(ts)),
        ("record unlogged".into(), record::unlogged(xid)),
        ("version key".into(), versions::cell_key(b"key", ts)),
        ("version value".into(), versions::cell_value(Some(b"row"))),
        ("version deleted".into(), versions::cell_value(None)),
        ("address".into(), entries::encode_address(&address)),
    ];
    for (n, (ty, value)) in values().into_iter().enumerate() {
        let mut bytes = Vec::new();
        key::encode_one(&value, ty, &mut bytes).unwrap();
        out.push((format!("key {n} {ty:?}"), bytes));
    }
    let all: Vec<Value> = values().into_iter().map(|(_, v)| v).collect();
    let mut bytes = Vec::new();
    let types = values().into_iter().map(|(ty, _)| ty).collect();
    row::encode(&all, &row::Layout::plain(types), &mut bytes);
    out.push(("row".into(), bytes));
    let mut bytes = Vec::new();
    let (ty, value) = composite();
    row::encode(&[value], &row::Layout::plain(vec![ty]), &mut bytes);
    out.push(("row of a row".into(), bytes));
    out
}

/// Of a named type, so without the names of its fields.
fn composite() -> (DataType, Value) {
    let field = |ty| RecordField::new("", ty);
    let fields = Arc::from([field(DataType::Int4), field(DataType::Text)]);
    let ty = DataType::Composite(0x4005);
    let record = Record::new(ty, fields, vec![Value::Int4(7), Value::Null]).unwrap();
    (ty, Value::Record(Arc::new(record)))
}

fn text(samples: &[(String, Vec<u8>)]) -> String {
    let mut out = String::new();
    for (name, bytes) in samples {
        let _ = writeln!(out, "{name}");
        for run in bytes.chunks(32) {
            let hex: Vec<String> = run.iter().map(|b| format!("{b:02x}")).collect();
            let _ = writeln!(out, "  {}", hex.join(" "));
        }
    }
    out
}

fn golden(name: &str) -> Vec<u8> {
    let lines = GOLDEN.lines().skip_while(|l| *l != name).skip(1);
    let own = lines.take_while(|l| l.starts_with("  "));
    let byte = |hex| u8::from_str_radix(hex, 16).unwrap();
    own.flat_map(|l| l.split_whitespace().map(byte).collect::<Vec<u8>>())
        .collect()
}

#[test]
fn what_is_written_is_what_the_golden_bytes_say() {
    let now = text(&samples());
    if let Some(path) = std::env::var_os("GOLDEN_WRITE") {
        std::fs::write(path, &now).unwrap();
    }
    assert!(now == GOLDEN, "the format changed; now it is\n{now}");
}

#[test]
fn the_golden_bytes_are_read() {
    let types: Vec<DataType> = values().into_iter().map(|(ty, _)| ty).collect();
    let all: Vec<Value> = values().into_iter().map(|(_, v)| v).collect();
    let back = row::decode(&golden("row"), &row::Layout::plain(types)).unwrap();
    assert_eq!(format!("{back:?}"), format!("{all:?}"));
    let (ty, value) = composite();
    let back = row::decode(&golden("row of a row"), &row::Layout::plain(vec![ty])).unwrap();
    assert_eq!(back, [value]);
    for (n, (ty, value)) in values().into_iter().enumerate() {
        let back = key::decode(&golden(&format!("key {n} {ty:?}")), &[ty]).unwrap();
        let order = types::order::compare_as(ty, &back[0], &value);
        assert!(
            value.is_null() || order == std::cmp::Ordering::Equal,
            "{ty:?}"
        );
    }
    for kind in [
        "chunk",
        "commit",
        "prepare",
        "commit prepared",
        "abort prepared",
        "mark",
        "unlogged",
    ] {
        record::decode(&golden(&format!("record {kind}"))).unwrap();
    }
    let address = entries::decode_address(&golden("address")).unwrap();
    assert_eq!(
        (address.partition.0, &address.key[..]),
        (0x0203, &b"key"[..])
    );
    let cell = golden("version key");
    let version = versions::split(&cell);
    assert_eq!(version, Some((&b"key"[..], Ts(0x1112_1314_1516_1718))));
}
