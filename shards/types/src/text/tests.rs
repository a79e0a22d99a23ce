//! Text forms, checked against what PostgreSQL 15 answers.

use super::*;

fn env() -> (TimeZone, i64) {
    (
        TimeZone::get("America/New_York").unwrap(),
        759_283_200_000_000,
    )
}

/// Literal to its printed form, or to `code: message`.
fn round(ty: DataType, s: &str) -> String {
    let (tz, now_micros) = env();
    match parse(
        s,
        ty,
        -1,
        &ParseEnv {
            tz: &tz,
            now_micros,
        },
    ) {
        Ok(v) => to_string(&v, ty, &tz),
        Err(e) => e.to_string(),
    }
}

#[test]
fn smoke() {
    assert_eq!(round(DataType::Int4, " 42 "), "42");
}
