//! Text forms are PostgreSQL's: `cases.tsv` holds a type, a literal and what PostgreSQL 15 answered (time zone
//! America/New_York), the printed value or `SQLSTATE: message`.

use super::*;
use crate::Interval;
use proptest::prelude::*;

/// 2024-01-23 12:00 UTC.
const NOW: i64 = 759_326_400_000_000;

fn new_york() -> Forms {
    Forms {
        zone: jiff::tz::TimeZone::get("America/New_York").unwrap(),
        ..Forms::UTC
    }
}

fn read(ty: DataType, s: &str) -> Result<Value> {
    let forms = new_york();
    let env = ParseEnv {
        forms: &forms,
        now_micros: NOW,
    };
    parse(s, ty, -1, &env)
}

fn round(ty: DataType, s: &str) -> String {
    match read(ty, s) {
        Ok(v) => to_string(&v, ty, &new_york()),
        Err(e) => e.to_string(),
    }
}

fn type_of(name: &str) -> DataType {
    if name == "\"char\"" {
        return DataType::InternalChar;
    }
    DataType::by_name(name).unwrap()
}

#[test]
fn literals_read_and_print_as_in_postgresql() {
    let mut wrong = Vec::new();
    for line in include_str!("cases.tsv").lines() {
        let [ty, literal, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("a line of three fields: {line}");
        };
        let found = round(type_of(ty), literal);
        if found != expected {
            wrong.push(format!("{ty} {literal:?}: {found:?}, wanted {expected:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

#[test]
fn words_for_now_are_read_against_the_given_moment() {
    assert_eq!(
        round(DataType::Timestamptz, "now"),
        "2024-01-23 07:00:00-05"
    );
    assert_eq!(round(DataType::Timestamp, "now"), "2024-01-23 07:00:00");
    assert_eq!(round(DataType::Date, "today"), "2024-01-23");
    assert_eq!(round(DataType::Date, "tomorrow"), "2024-01-24");
    assert_eq!(
        round(DataType::Timestamp, "yesterday 04:05"),
        "2024-01-22 04:05:00"
    );
    assert_eq!(
        round(DataType::Timestamptz, "tomorrow"),
        "2024-01-24 00:00:00-05"
    );
    assert_eq!(round(DataType::Time, "now"), "07:00:00");
}

fn with_typmod(ty: DataType, s: &str, typmod: i32, explicit: bool) -> String {
    let done = read(ty, s).and_then(|v| apply_typmod(v, ty, typmod, explicit));
    match done {
        Ok(v) => to_string(&v, ty, &new_york()),
        Err(e) => format!("{e} / {}", e.detail().unwrap_or("")),
    }
}

#[test]
fn modifiers_cut_pad_and_round_as_in_postgresql() {
    let char3 = 7;
    assert_eq!(with_typmod(DataType::Varchar, "abc", char3, false), "abc");
    assert_eq!(with_typmod(DataType::Varchar, "ab   ", char3, false), "ab ");
    assert_eq!(
        with_typmod(DataType::Varchar, "abcd", char3, false),
        "22001: value too long for type character varying(3) / "
    );
    assert_eq!(
        with_typmod(DataType::Varchar, "h\u{e9}llo", char3, true),
        "h\u{e9}l"
    );
    assert_eq!(with_typmod(DataType::Bpchar, "a", char3, false), "a  ");
    assert_eq!(
        with_typmod(DataType::Bpchar, "abcd", char3, false),
        "22001: value too long for type character(3) / "
    );
    let numeric = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
    let n = DataType::Numeric;
    assert_eq!(with_typmod(n, "12.345", numeric(4, 2), false), "12.35");
    assert_eq!(with_typmod(n, "-12.345", numeric(4, 2), false), "-12.35");
    assert_eq!(with_typmod(n, "0.0049", numeric(2, 2), false), "0.00");
    assert_eq!(with_typmod(n, "1250", numeric(4, -2), false), "1300");
    assert_eq!(with_typmod(n, "NaN", numeric(4, 2), false), "NaN");
    assert_eq!(
        with_typmod(n, "99.995", numeric(4, 2), false),
        "22003: numeric field overflow / A field with precision 4, scale 2 must round to an absolute value less than 10^2."
    );
    assert_eq!(
        with_typmod(n, "1", numeric(2, 2), false),
        "22003: numeric field overflow / A field with precision 2, scale 2 must round to an absolute value less than 1."
    );
    assert_eq!(
        with_typmod(n, "inf", numeric(4, 2), false),
        "22003: numeric field overflow / A field with precision 4, scale 2 cannot hold an infinite value."
    );
    let ts = DataType::Timestamp;
    assert_eq!(
        with_typmod(ts, "2024-01-01 00:00:00.5555", 2, false),
        "2024-01-01 00:00:00.56"
    );
    assert_eq!(
        with_typmod(ts, "1999-12-31 23:59:59.5", 0, false),
        "1999-12-31 23:59:59"
    );
}

#[test]
fn a_deeply_nested_json_text_is_refused() {
    let depth = crate::json::DEPTH_MAX;
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(read(DataType::Jsonb, &nested(depth)).is_ok());
    let e = read(DataType::Jsonb, &nested(100_000)).unwrap_err();
    assert_eq!(e.code(), SqlState::STATEMENT_TOO_COMPLEX);
}

fn any_value() -> impl Strategy<Value = (DataType, Value)> {
    let numeric = "-?[0-9]{1,30}(\\.[0-9]{1,20})?";
    prop_oneof![
        any::<bool>().prop_map(|v| (DataType::Bool, Value::Bool(v))),
        any::<i16>().prop_map(|v| (DataType::Int2, Value::Int2(v))),
        any::<i32>().prop_map(|v| (DataType::Int4, Value::Int4(v))),
        any::<i64>().prop_map(|v| (DataType::Int8, Value::Int8(v))),
        any::<f32>().prop_map(|v| (DataType::Float4, Value::Float4(v))),
        any::<f64>().prop_map(|v| (DataType::Float8, Value::Float8(v))),
        numeric.prop_map(|s| (DataType::Numeric, Value::Numeric(s.parse().unwrap()))),
        "[ -~é]{0,12}".prop_map(|s| (DataType::Text, Value::from(s))),
        prop::collection::vec(any::<u8>(), 0..12)
            .prop_map(|b| (DataType::Bytea, Value::Bytea(b.into()))),
        (time::DATE_MIN..time::DATE_END).prop_map(|d| (DataType::Date, Value::Date(d))),
        (0..=time::MICROS_PER_DAY).prop_map(|t| (DataType::Time, Value::Time(t))),
        (time::TIMESTAMP_MIN..time::TIMESTAMP_END)
            .prop_map(|t| (DataType::Timestamp, Value::Timestamp(t))),
        // Around repeated hours the offset is printed, so that they read back too.
        (time::TIMESTAMP_MIN + 86_400_000_000..time::TIMESTAMP_END - 86_400_000_000)
            .prop_map(|t| (DataType::Timestamptz, Value::Timestamptz(t))),
        (any::<i32>(), any::<i32>(), any::<i64>()).prop_map(|(months, days, micros)| {
            let i = Interval {
                months,
                days,
                micros,
            };
            (DataType::Interval, Value::Interval(i))
        }),
        any::<u128>().prop_map(|v| (DataType::Uuid, Value::Uuid(uuid::Uuid::from_u128(v)))),
        prop::collection::vec(prop::option::of("[ -~]{0,5}"), 0..4).prop_map(|items| {
            let items = items
                .into_iter()
                .map(|i| i.map_or(Value::Null, Value::from));
            let array = crate::Array {
                element: DataType::Text,
                items: items.collect(),
            };
            (DataType::TextArray, Value::Array(Arc::new(array)))
        }),
        prop::collection::vec(("[ -~]{0,4}", any::<i64>()), 0..4).prop_map(|pairs| {
            let pairs = pairs
                .into_iter()
                .map(|(k, v)| (k, Json::Number(v.into())))
                .collect();
            (DataType::Jsonb, Value::Jsonb(Arc::new(Json::object(pairs))))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_printed_reads_back((ty, v) in any_value()) {
        let text = to_string(&v, ty, &new_york());
        let back = read(ty, &text);
        prop_assert!(back.is_ok(), "{text}: {back:?}");
        prop_assert_eq!(format!("{:?}", back.unwrap()), format!("{v:?}"), "{}", text);
    }

    #[test]
    fn what_is_sent_in_binary_is_received((ty, v) in any_value()) {
        let mut bytes = Vec::new();
        crate::binary::encode(&v, ty, &mut bytes);
        let back = crate::binary::decode(&bytes, ty).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{v:?}"));
    }

    #[test]
    fn any_text_is_read_or_refused(s in "[ -~]{0,20}|[0-9:.+-/ TZPYMDjan]{0,20}|\\PC{0,10}", i in 0..DataType::ALL.len()) {
        let _ = read(DataType::ALL[i], &s);
    }

    #[test]
    fn any_bytes_are_received_or_refused(b in prop::collection::vec(any::<u8>(), 0..40), i in 0..DataType::ALL.len()) {
        let _ = crate::binary::decode(&b, DataType::ALL[i]);
    }
}

#[test]
fn an_interval_that_begins_with_another_letter_is_refused() {
    for text in ["P\u{b82}s?%", "P\u{b82}1-2", "PT\u{b82}", "\u{b82}1-2"] {
        assert!(read(DataType::Interval, text).is_err(), "{text}");
    }
}

#[test]
fn binary_forms_are_those_of_postgresql() {
    for line in include_str!("../binary/cases.tsv").lines() {
        let [ty, literal, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("a line of three fields: {line}");
        };
        let ty = type_of(ty);
        let v = read(ty, literal).unwrap();
        let mut bytes = Vec::new();
        crate::binary::encode(&v, ty, &mut bytes);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, expected, "{ty} {literal}");
        let back = crate::binary::decode(&bytes, ty).unwrap();
        assert_eq!(format!("{back:?}"), format!("{v:?}"), "{ty} {literal}");
    }
}

#[test]
fn bad_json_is_refused_in_postgresqls_words() {
    for line in include_str!("../json/cases.tsv").lines() {
        let (text, expected) = line.rsplit_once('\t').unwrap();
        let e = Json::parse(&text.replace("~n~", "\n")).unwrap_err();
        let found = format!("{e} / {}", e.detail().unwrap_or(""));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn malformed_arrays_are_refused_in_postgresqls_words() {
    let details = [
        ("{1,2", "Unexpected end of input."),
        (
            "1,2",
            "Array value must start with \"{\" or dimension information.",
        ),
        (
            "",
            "Array value must start with \"{\" or dimension information.",
        ),
        ("{1,,2}", "Unexpected \",\" character."),
        ("{1,}", "Unexpected \"}\" character."),
        ("{1,2}x", "Junk after closing right brace."),
        ("{\"a\"b}", "Unexpected array element."),
        ("{a\"b\"}", "Unexpected array element."),
        ("{a b,\"c\" d}", "Unexpected array element."),
        ("{\"a\\", "Unexpected end of input."),
        (
            "[1:2]={1}",
            "Specified array dimensions do not match array contents.",
        ),
        ("[1:2]{1}", "Missing \"=\" after array dimensions."),
        ("[1={1}", "Missing \"]\" after array dimensions."),
    ];
    for (literal, detail) in details {
        let e = read(DataType::TextArray, literal).unwrap_err();
        assert_eq!(e.detail(), Some(detail), "{literal}");
        assert_eq!(
            e.message(),
            format!("malformed array literal: \"{literal}\"")
        );
    }
    let e = read(DataType::TextArray, "{{1},{2}}").unwrap_err();
    assert_eq!(e.code(), SqlState::FEATURE_NOT_SUPPORTED);
}

proptest! {
    #[test]
    fn rows_read_back_as_they_were(texts in prop::collection::vec(prop::option::of("[ab\"\\\\,() \t\u{e9}]{0,5}"), 1..5)) {
        let fields: Vec<_> = texts.iter().map(|_| crate::RecordField::new("f", DataType::Text)).collect();
        let values = texts.iter().map(|t| t.as_deref().map_or(Value::Null, Value::from));
        let record = crate::Record::new(DataType::Record, fields.into(), values.collect()).unwrap();
        let printed = to_string(&Value::Record(Arc::new(record)), DataType::Record, &Forms::UTC);
        prop_assert_eq!(parse_record(&printed, texts.len()).unwrap(), texts);
    }

    #[test]
    fn any_text_is_a_row_or_refused(s in "[ -~]{0,20}|\\PC{0,10}", fields in 0usize..4) {
        let _ = parse_record(&s, fields);
    }

    #[test]
    fn any_bytes_are_a_row_or_refused(b in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = crate::binary::record_items(&b, &[DataType::Int4, DataType::Text]);
    }
}

#[test]
fn malformed_rows_are_refused_in_postgresqls_words() {
    for (text, detail) in [
        ("1,2)", "Missing left parenthesis."),
        ("(1)", "Too few columns."),
        ("(1,2,3)", "Too many columns."),
        ("(1,2", "Unexpected end of input."),
        ("(1,\"2)", "Unexpected end of input."),
        ("(1,2) x", "Junk after right parenthesis."),
    ] {
        let e = parse_record(text, 2).unwrap_err();
        assert_eq!(e.message(), format!("malformed record literal: \"{text}\""));
        assert_eq!(e.detail(), Some(detail), "{text}");
    }
}
