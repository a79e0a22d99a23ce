//! Overloads, common types, functions in FROM.

use super::*;
use DataType::*;

#[test]
fn what_does_not_exist_is_said_with_postgresqls_hint() {
    let e = resolve::function("foo", &[Int4, Unknown]).expect_err("no foo");
    assert_eq!(e.message(), "function foo(integer, unknown) does not exist");
    assert_eq!(
        e.hint(),
        Some(
            "No function matches the given name and argument types. You might need to add explicit type casts."
        )
    );
    let e = resolve::operator("+", Some(Int4), Bool).expect_err("no +");
    assert_eq!(e.message(), "operator does not exist: integer + boolean");
    assert_eq!(
        e.hint(),
        Some(
            "No operator matches the given name and argument types. You might need to add explicit type casts."
        )
    );
    let e = resolve::operator("-", None, Text).expect_err("no -");
    assert_eq!(e.message(), "operator does not exist: - text");
    let e = resolve::operator("+", Some(Unknown), Unknown).expect_err("which +?");
    assert_eq!(e.message(), "operator is not unique: unknown + unknown");
    assert_eq!(
        e.hint(),
        Some(
            "Could not choose a best candidate operator. You might need to add explicit type casts."
        )
    );
}

#[test]
fn a_literal_takes_the_type_of_the_other_operand() {
    for ty in [
        Int4,
        Int8,
        Text,
        Date,
        Timestamptz,
        Uuid,
        Numeric,
        Jsonb,
        Bytea,
    ] {
        let r = resolve::operator("=", Some(ty), Unknown).expect("=");
        assert_eq!(r.arg_types, [ty, ty], "{ty}");
    }
    let r = resolve::operator("!=", Some(Varchar), Unknown).expect("<>");
    assert_eq!((r.func.name, r.ret), ("textne", Bool));
}

#[test]
fn common_types_follow_preference_and_category() {
    let cases: [(&[DataType], DataType); 9] = [
        (&[Int4, Int8], Int8),
        (&[Int4, Numeric, Unknown], Numeric),
        (&[Numeric, Float8], Float8),
        (&[Float4, Int8], Float4),
        (&[Unknown, Unknown], Text),
        (&[Varchar, Text], Varchar),
        (&[Date, Timestamptz], Timestamptz),
        (&[Date, Timestamp], Timestamp),
        (&[Oid, Int4], Oid),
    ];
    for (types, common) in cases {
        assert_eq!(resolve::common_type(types), Ok(common), "{types:?}");
    }
    let e = resolve::common_type(&[Text, Int4]).expect_err("no common type");
    assert_eq!(e.message(), "types text and integer cannot be matched");
    assert_eq!(e.code(), types::SqlState::DATATYPE_MISMATCH);
}

#[test]
fn polymorphic_results_follow_their_arguments() {
    let cases: [(&str, &[DataType], DataType); 5] = [
        ("array_append", &[Int4Array, Int4], Int4Array),
        ("array_append", &[Int4Array, Int8], Int8Array),
        ("array_cat", &[TextArray, Unknown], TextArray),
        ("array_position", &[TextArray, Unknown], Int4),
        ("array_remove", &[DateArray, Unknown], DateArray),
    ];
    for (name, args, ret) in cases {
        assert_eq!(
            resolve::function(name, args).map(|r| r.ret),
            Ok(ret),
            "{name}"
        );
    }
    assert!(resolve::function("array_append", &[Int4Array, Text]).is_err());
}

fn rows(name: &str, args: &[(DataType, &str)]) -> Result<Vec<String>> {
    let ctx = context();
    let types: Vec<DataType> = args.iter().map(|(t, _)| *t).collect();
    let (wanted, columns) = resolve::table_function(name, &types)?;
    let mut values = Vec::new();
    for ((ty, literal), to) in args.iter().zip(&wanted) {
        let v = cast::cast((*literal).into(), Unknown, *ty, -1, false, &ctx)?;
        values.push(cast::cast(v, *ty, *to, -1, false, &ctx)?);
    }
    let mut shown = Vec::new();
    for row in resolve::run_table_function(name, &values, &ctx)?.take(100) {
        let row = row?;
        assert_eq!(row.len(), columns.len(), "{name}");
        let cell = |(v, (_, ty)): (&Value, &(String, DataType))| match v {
            Value::Null => "NULL".to_owned(),
            v => cast::print(v, *ty, &ctx),
        };
        let cells: Vec<String> = row.iter().zip(&columns).map(cell).collect();
        shown.push(cells.join("|"));
    }
    Ok(shown)
}

#[test]
fn series_count_both_ways_and_stop_at_the_edges_of_their_type() {
    let ints = |args: &[&str]| {
        let args: Vec<(DataType, &str)> = args.iter().map(|a| (Int4, *a)).collect();
        rows("generate_series", &args)
    };
    assert_eq!(
        ints(&["1", "3"]),
        Ok(vec!["1".into(), "2".into(), "3".into()])
    );
    assert_eq!(ints(&["3", "1"]), Ok(vec![]));
    assert_eq!(
        ints(&["5", "1", "-2"]),
        Ok(vec!["5".into(), "3".into(), "1".into()])
    );
    assert_eq!(
        ints(&["2147483646", "2147483647"]),
        Ok(vec!["2147483646".into(), "2147483647".into()])
    );
    let e = ints(&["1", "2", "0"]).expect_err("no step");
    assert_eq!(e.message(), "step size cannot equal zero");
    let bigs = rows(
        "generate_series",
        &[(Int8, "9223372036854775806"), (Int8, "9223372036854775807")],
    );
    assert_eq!(bigs.map(|b| b.len()), Ok(2));
    let numbers = rows(
        "generate_series",
        &[(Numeric, "0.5"), (Numeric, "2"), (Numeric, "0.5")],
    );
    assert_eq!(numbers.map(|n| n.join(" ")), Ok("0.5 1.0 1.5 2.0".into()));
    let days = rows(
        "generate_series",
        &[
            (Timestamp, "2024-01-31"),
            (Timestamp, "2024-03-31"),
            (Interval, "1 month"),
        ],
    );
    assert_eq!(
        days.map(|d| d.join(" ")),
        Ok("2024-01-31 00:00:00 2024-02-29 00:00:00 2024-03-29 00:00:00".into())
    );
}

#[test]
fn other_table_functions_give_their_rows() {
    let one = |name: &str, args: &[(DataType, &str)]| rows(name, args).map(|r| r.join(" "));
    assert_eq!(
        one("unnest", &[(Int4Array, "{1,NULL,3}")]),
        Ok("1 NULL 3".into())
    );
    assert_eq!(
        one("string_to_table", &[(Text, "a,b"), (Text, ",")]),
        Ok("a b".into())
    );
    assert_eq!(
        one("regexp_split_to_table", &[(Text, "a1b2c"), (Text, "[0-9]")]),
        Ok("a b c".into())
    );
    assert_eq!(
        one(
            "regexp_matches",
            &[(Text, "a1b2"), (Text, "([a-z])([0-9])"), (Text, "g")]
        ),
        Ok("{a,1} {b,2}".into())
    );
    assert_eq!(
        one("jsonb_array_elements_text", &[(Jsonb, r#"["x",1,null]"#)]),
        Ok("x 1 NULL".into())
    );
    assert_eq!(
        one("jsonb_each", &[(Jsonb, r#"{"b":1,"a":[2]}"#)]),
        Ok("a|[2] b|1".into())
    );
    assert_eq!(
        one("jsonb_object_keys", &[(Jsonb, r#"{"b":1,"a":2}"#)]),
        Ok("a b".into())
    );
    let e = one("jsonb_array_elements", &[(Jsonb, "1")]).expect_err("no array");
    assert_eq!(e.message(), "cannot extract elements from a scalar");
    assert!(resolve::table_function("nosuch", &[Int4]).is_err());
}
