//! Arithmetic is PostgreSQL's: `cases.tsv` holds an operation, its operands and what PostgreSQL 15 answered.

use super::*;

fn apply(op: &str, a: &str, b: &str) -> Result<Numeric> {
    let x: Numeric = a.parse()?;
    let number = || b.parse::<Numeric>();
    let places = || b.parse::<i32>().expect("a count of places");
    match op {
        "add" => x.add(&number()?),
        "sub" => x.sub(&number()?),
        "mul" => x.mul(&number()?),
        "div" => x.div(&number()?),
        "rem" => x.rem(&number()?),
        "divt" => x.div_trunc(&number()?),
        "pow" => x.power(&number()?),
        "log" => number()?.log(&x),
        "round" => x.round(places()),
        "trunc" => x.trunc(places()),
        "sqrt" => x.sqrt(),
        "exp" => x.exp(),
        "ln" => x.ln(),
        "log10" => x.log10(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "sign" => Ok(x.sign()),
        "trim" => Ok(x.trim_scale()),
        other => panic!("unknown operation {other}"),
    }
}

#[test]
fn results_and_their_scales_are_those_of_postgresql() {
    let mut wrong = Vec::new();
    for line in include_str!("cases.tsv").lines() {
        let [op, a, b, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("a line of four fields: {line}");
        };
        let found = match apply(op, a, b) {
            Ok(n) => n.to_string(),
            Err(e) => e.to_string(),
        };
        if found != expected {
            wrong.push(format!("{op} {a} {b}: {found}, wanted {expected}"));
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
fn limits_hold_at_the_maximum_and_one_more() {
    let largest: Numeric = "9e131071".parse().unwrap();
    assert_eq!(largest.to_string().len() as u64, DIGITS_BEFORE_MAX);
    let e = largest.add(&largest).unwrap_err();
    assert_eq!(e.message(), "value overflows numeric format");
    assert!(largest.mul(&Numeric::from(10i64)).is_err());
    let smallest: Numeric = "1e-16383".parse().unwrap();
    assert_eq!(smallest.scale(), SCALE_MAX);
    assert!(smallest.mul(&smallest).unwrap().is_zero());
    assert!("1e-16384".parse::<Numeric>().is_err());
}

#[test]
fn a_huge_exponent_costs_no_memory() {
    for text in ["1e100000000", "1e1073741822", "1e99999999999999999999"] {
        let e = text.parse::<Numeric>().unwrap_err();
        assert_eq!(e.code(), SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
    }
    let base: Numeric = "99999".parse().unwrap();
    assert!(base.power(&Numeric::from(2_000_000_000i64)).is_err());
}

#[test]
fn machine_numbers_convert_as_in_postgresql() {
    assert_eq!(Numeric::from_f64(0.1).to_string(), "0.1");
    assert_eq!(Numeric::from_f64(1e20).to_string(), "100000000000000000000");
    assert_eq!(
        Numeric::from_f64(1.0 / 3.0).to_string(),
        "0.333333333333333"
    );
    assert_eq!(Numeric::from_f32(1.0 / 3.0).to_string(), "0.333333");
    assert_eq!(Numeric::from_f64(-1.5e-7).to_string(), "-0.00000015");
    assert_eq!(Numeric::from_f64(100.0).to_string(), "100");
    let n = |s: &str| s.parse::<Numeric>().unwrap();
    assert_eq!(n("2.5").to_i64(), Some(3));
    assert_eq!(n("-2.5").to_i64(), Some(-3));
    assert_eq!(n("9223372036854775807.4").to_i64(), Some(i64::MAX));
    assert_eq!(n("9223372036854775807.5").to_i64(), None);
    assert_eq!(n("3.000").as_integer(), Some(3));
    assert_eq!(n("3.001").as_integer(), None);
    assert_eq!(n("0.1").to_f64(), 0.1);
    assert_eq!(n("1e400").to_f64(), f64::INFINITY);
    assert_eq!(n("0.30000000000000004").to_f64(), 0.1 + 0.2);
    assert_eq!(
        n("123456789012345678901.5").to_f64(),
        123456789012345678901.5
    );
    assert_eq!(
        n("-0.00000000000000000000000000000000000000000001").to_f64(),
        -1e-44
    );
    assert_eq!(n("92233720368547758070.00").as_integer(), None);
}
