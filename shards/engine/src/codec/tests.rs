//! The codecs' promises: bytes keep the order of values, everything comes back, damage is an error.

use super::row::Layout;
use super::{key, row};
use crate::catalog::{ColumnDef, DroppedColumn, Table};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::sync::Arc;
use types::{Array, DataType, EnumValue, Interval, Json, Numeric, Value, order};

fn numeric() -> impl Strategy<Value = Numeric> {
    prop_oneof![
        Just(Numeric::NaN),
        Just(Numeric::Infinity),
        Just(Numeric::NegInfinity),
        (any::<i64>(), 0u32..12).prop_map(|(m, s)| Numeric::from_parts(m.into(), s).unwrap()),
        (-50i64..50, 0u32..4).prop_map(|(m, s)| Numeric::from_parts(m.into(), s).unwrap()),
        "-?[0-9]{1,60}(\\.[0-9]{1,40})?".prop_map(|s| s.parse().unwrap()),
        "-?[1-9](e-?[0-9]{1,3})".prop_map(|s| s.parse().unwrap()),
    ]
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        numeric()
            .prop_filter("jsonb holds finite numbers", |n| n.parts().is_some())
            .prop_map(Json::Number),
        "[a-c\0]{0,3}".prop_map(Json::String),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::Array),
            prop::collection::vec(("[ab]{0,2}", inner), 0..3).prop_map(Json::object),
        ]
    })
}

fn of_type(ty: DataType) -> BoxedStrategy<Value> {
    let present = match ty {
        DataType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        DataType::Int2 => any::<i16>().prop_map(Value::Int2).boxed(),
        DataType::Int4 => any::<i32>().prop_map(Value::Int4).boxed(),
        DataType::Int8 => any::<i64>().prop_map(Value::Int8).boxed(),
        DataType::Float4 => prop_oneof![any::<f32>(), Just(-0.0), Just(f32::NAN)]
            .prop_map(Value::Float4)
            .boxed(),
        DataType::Float8 => prop_oneof![any::<f64>(), Just(-0.0), Just(f64::NAN)]
            .prop_map(Value::Float8)
            .boxed(),
        DataType::Numeric => numeric().prop_map(Value::Numeric).boxed(),
        DataType::Text => "[ab\0 é]{0,4}".prop_map(Value::from).boxed(),
        DataType::Bpchar => "[ab\t ]{0,4}".prop_map(Value::from).boxed(),
        DataType::Bytea => {
            prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..5)
                .prop_map(|b| Value::Bytea(b.into()))
                .boxed()
        }
        DataType::Date => any::<i32>().prop_map(Value::Date).boxed(),
        DataType::Time => any::<i64>().prop_map(Value::Time).boxed(),
        DataType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
        DataType::Timestamptz => any::<i64>().prop_map(Value::Timestamptz).boxed(),
        DataType::Interval => (any::<i32>(), any::<i32>(), any::<i64>())
            .prop_map(|(months, days, micros)| {
                Value::Interval(Interval {
                    months,
                    days,
                    micros,
                })
            })
            .boxed(),
        DataType::Uuid => any::<u128>()
            .prop_map(|v| Value::Uuid(uuid::Uuid::from_u128(v)))
            .boxed(),
        DataType::Jsonb => json().prop_map(|j| Value::Jsonb(Arc::new(j))).boxed(),
        DataType::Enum(ty) => any::<i64>()
            .prop_map(move |order| Value::Enum(EnumValue { ty, order }))
            .boxed(),
        DataType::Oid => any::<u32>().prop_map(Value::Oid).boxed(),
        array => {
            let element = array.element().expect("an array type");
            prop::collection::vec(of_type(element), 0..4)
                .prop_map(move |items| Value::Array(Arc::new(Array { element, items })))
                .boxed()
        }
    };
    prop_oneof![8 => present, 1 => Just(Value::Null)].boxed()
}

const TYPES: &[DataType] = &[
    DataType::Bool,
    DataType::Int2,
    DataType::Int4,
    DataType::Int8,
    DataType::Float4,
    DataType::Float8,
    DataType::Numeric,
    DataType::Text,
    DataType::Bpchar,
    DataType::Bytea,
    DataType::Date,
    DataType::Time,
    DataType::Timestamp,
    DataType::Timestamptz,
    DataType::Interval,
    DataType::Uuid,
    DataType::Jsonb,
    DataType::Enum(16_400),
    DataType::EnumArray(16_400),
    DataType::Oid,
    DataType::Int4Array,
    DataType::TextArray,
    DataType::BpcharArray,
];

fn pair() -> impl Strategy<Value = (DataType, Value, Value, Value)> {
    prop::sample::select(TYPES).prop_flat_map(|t| (Just(t), of_type(t), of_type(t), of_type(t)))
}

fn key_of(values: &[Value], types: &[DataType]) -> Vec<u8> {
    let mut out = Vec::new();
    key::encode(values, types, &mut out).expect("short enough");
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn key_bytes_compare_as_values_do((ty, a, b, c) in pair()) {
        let wanted = order::compare_as(ty, &a, &b);
        prop_assert_eq!(key_of(std::slice::from_ref(&a), &[ty]).cmp(&key_of(std::slice::from_ref(&b), &[ty])), wanted);
        // A second column decides only when the first are equal.
        let left = key_of(&[a, c.clone()], &[ty, ty]);
        let right = key_of(&[b.clone(), b.clone()], &[ty, ty]);
        prop_assert_eq!(left.cmp(&right), wanted.then(order::compare_as(ty, &c, &b)));
    }

    #[test]
    fn parts_lie_in_the_order_that_they_are_said_to((ty, a, b, _) in pair(), descending: bool, nulls_first: bool) {
        let lie = key::Order { descending, nulls_first };
        let bytes = |v: &Value| {
            let mut out = Vec::new();
            key::encode_ordered(v, ty, lie, &mut out).unwrap();
            out
        };
        let wanted = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if descending => order::compare_as(ty, &b, &a),
            (false, false) => order::compare_as(ty, &a, &b),
        };
        prop_assert_eq!(bytes(&a).cmp(&bytes(&b)), wanted);
        for v in [&a, &b].into_iter().filter(|v| !v.is_null()) {
            prop_assert_eq!(bytes(v)[0], lie.present());
        }
    }

    #[test]
    fn no_key_is_a_prefix_of_another((ty, a, b, _) in pair()) {
        let (x, y) = (key_of(&[a], &[ty]), key_of(&[b], &[ty]));
        prop_assert!(x == y || (!x.starts_with(&y) && !y.starts_with(&x)));
        prop_assert!(key::after_prefix(&x).is_some_and(|end| end > x));
    }

    #[test]
    fn a_decoded_key_equals_the_value((ty, a, b, _) in pair()) {
        let bytes = key_of(&[a.clone(), b.clone()], &[ty, ty]);
        let back = key::decode(&bytes, &[ty, ty]).unwrap();
        prop_assert_eq!(order::compare_as(ty, &back[0], &a), Ordering::Equal);
        prop_assert_eq!(order::compare_as(ty, &back[1], &b), Ordering::Equal);
        prop_assert_eq!(key::prefix_len(&bytes, &[ty]).unwrap(), key_of(&[a], &[ty]).len());
    }

    #[test]
    fn equal_values_hash_equally((ty, a, b, _) in pair()) {
        if order::compare_as(ty, &a, &b) == Ordering::Equal {
            let hash = |v: &Value| {
                let mut h = std::collections::hash_map::DefaultHasher::new();
                order::hash_as(ty, v, &mut h);
                std::hash::Hasher::finish(&h)
            };
            prop_assert_eq!(hash(&a), hash(&b));
        }
    }

    #[test]
    fn a_row_comes_back_exactly(cols in prop::collection::vec(pair(), 0..12), mask in any::<u16>()) {
        let types: Vec<DataType> = cols.iter().map(|c| c.0).collect();
        let values: Vec<Value> = cols.iter().map(|c| c.1.clone()).collect();
        let layout = Layout::plain(types.clone());
        let mut bytes = Vec::new();
        row::encode(&values, &layout, &mut bytes);
        let back = row::decode(&bytes, &layout).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{values:?}"));
        let wanted: Vec<bool> = (0..types.len()).map(|i| mask & (1 << i) != 0).collect();
        let some = row::decode_some(&bytes, &layout, &wanted).unwrap();
        for (i, v) in some.iter().enumerate() {
            let expected = if wanted[i] { values[i].clone() } else { Value::Null };
            prop_assert_eq!(format!("{v:?}"), format!("{expected:?}"));
        }
    }

    #[test]
    fn damaged_rows_and_keys_never_panic(
        cols in prop::collection::vec(pair(), 1..6), at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>()
    ) {
        let types: Vec<DataType> = cols.iter().map(|c| c.0).collect();
        let values: Vec<Value> = cols.iter().map(|c| c.1.clone()).collect();
        let layout = Layout::plain(types.clone());
        let mut bytes = Vec::new();
        row::encode(&values, &layout, &mut bytes);
        let at_row = at % bytes.len();
        bytes[at_row] = byte;
        let _ = row::decode(&bytes, &layout);
        let _ = row::decode(&bytes[..cut % (bytes.len() + 1)], &layout);
        let mut bytes = key_of(&values, &types);
        let at_key = at % bytes.len();
        bytes[at_key] = byte;
        let _ = key::decode(&bytes, &types);
        let _ = key::decode(&bytes[..cut % (bytes.len() + 1)], &types);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), ty in prop::sample::select(TYPES)) {
        let _ = key::decode(&bytes, &[ty]);
        let mut row = vec![row::VERSION, 1, 0];
        row.extend_from_slice(&bytes);
        let _ = row::decode(&row, &Layout::plain(vec![ty]));
    }
}

#[test]
fn a_row_of_fewer_columns_is_padded_with_nulls() {
    let mut bytes = Vec::new();
    let int = Layout::plain(vec![DataType::Int4]);
    row::encode(&[Value::Int4(7)], &int, &mut bytes);
    let row = row::decode(&bytes, &Layout::plain(vec![DataType::Int4, DataType::Text])).unwrap();
    assert_eq!(row, vec![Value::Int4(7), Value::Null]);
}

#[test]
fn columns_keep_their_places_when_others_are_dropped_and_added() {
    let column = |name: &str, ty, number| ColumnDef::new(name, ty, number);
    let mut table = Table {
        columns: vec![
            column("a", DataType::Int4, 1),
            column("b", DataType::Text, 2),
            column("c", DataType::Int8, 3),
        ],
        ..Table::default()
    };
    let mut old = Vec::new();
    let values = [Value::Int4(1), Value::from("two"), Value::Int8(3)];
    row::encode(&values, &table.layout(), &mut old);
    let gone = table.columns.remove(1);
    table.dropped.push(DroppedColumn {
        number: gone.number,
        ty: gone.ty,
    });
    table.columns.push(ColumnDef {
        missing: Some(Value::from("then")),
        ..column("d", DataType::Text, 4)
    });
    let layout = table.layout();
    let read = row::decode(&old, &layout).unwrap();
    assert_eq!(read, [Value::Int4(1), Value::Int8(3), Value::from("then")]);
    let some = row::decode_some(&old, &layout, &[false, true, false]).unwrap();
    assert_eq!(some[..2], [Value::Null, Value::Int8(3)]);
    let values = vec![Value::Null, Value::Int8(5), Value::Null];
    let mut new = Vec::new();
    row::encode(&values, &layout, &mut new);
    assert_eq!(row::decode(&new, &layout).unwrap(), values);
}

#[test]
fn a_key_over_the_maximum_is_refused_and_leaves_nothing() {
    let longest = "x".repeat(types::limits::KEY_BYTES_MAX - 3);
    let mut out = vec![9];
    key::encode(
        &[Value::from(longest.as_str())],
        &[DataType::Text],
        &mut out,
    )
    .unwrap();
    out.truncate(1);
    let longer = Value::from(format!("{longest}x"));
    let e = key::encode(&[longer], &[DataType::Text], &mut out).unwrap_err();
    assert_eq!(e.code(), types::SqlState::PROGRAM_LIMIT_EXCEEDED);
    assert_eq!(e.message(), "index row size 1025 exceeds maximum 1024");
    assert_eq!(out, [9]);
}

/// Rows are placed by this; a change moves every row of every data directory.
#[test]
fn partition_of_known_keys_never_changes() {
    let of = |v: i64, n| key::partition(&key_of(&[Value::Int8(v)], &[DataType::Int8]), n).0;
    let found: Vec<u16> = (0..12).map(|v| of(v, 16)).collect();
    assert_eq!(found, GOLDEN_PARTITIONS);
    assert_eq!(of(5, 1), 0);
    let mut counts = [0; 7];
    (0..7_000).for_each(|v| counts[usize::from(of(v, 7))] += 1);
    assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
}

const GOLDEN_PARTITIONS: [u16; 12] = [5, 8, 13, 6, 8, 6, 10, 7, 1, 2, 8, 4];

#[test]
fn golden_bytes_of_a_row_and_a_key() {
    let values = [
        Value::Int4(-2),
        Value::Null,
        Value::from("hé"),
        Value::Numeric("-12.50".parse().unwrap()),
    ];
    let types = [
        DataType::Int4,
        DataType::Int8,
        DataType::Text,
        DataType::Numeric,
    ];
    let layout = Layout::plain(types.to_vec());
    let mut bytes = Vec::new();
    row::encode(&values, &layout, &mut bytes);
    let row_bytes = [
        1, 4, 0b10, 0xfe, 0xff, 0xff, 0xff, 3, 0x68, 0xc3, 0xa9, 4, 0, 2, 0x1e, 0xfb,
    ];
    assert_eq!(bytes, row_bytes);
    let key_bytes = [
        1, 0x7f, 0xff, 0xff, 0xfe, 2, 1, 0x68, 0xc3, 0xa9, 0, 0, 1, 0x20, 0x7f, 0xff, 0xfd, 0xf2,
        0xcc, 0xff,
    ];
    assert_eq!(key_of(&values, &types), key_bytes);
}
