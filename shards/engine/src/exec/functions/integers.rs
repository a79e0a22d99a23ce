//! Arithmetic and bit operators of smallint, integer and bigint.
//!
//! Owns: the rule that a result out of the range of its type is 22003 and division by zero 22012; division truncates and a
//! remainder has the sign of the dividend. Asked by: the registry.
//! Never: widens silently. Everything is computed in 64 bits with checks, then narrowed.
//! Source: PostgreSQL 15 `int.c`, `int8.c`.

use super::{Function, args};
use DataType::*;
use types::{DataType, Error, Result, SqlState, Value};

/// + - * / for each pair: operand types, result type, the narrowing to it, and the four names.
macro_rules! arithmetic {
    ($($left:ident, $right:ident -> $ret:ident, $narrow:ident: $add:literal $sub:literal $mul:literal $div:literal;)*) => {
        pub static ARITHMETIC: &[Function] = &[$(
            Function::new($add, &[$left, $right], $ret, |_, a| $narrow(a, |x, y| Ok(x.checked_add(y)))).op("+"),
            Function::new($sub, &[$left, $right], $ret, |_, a| $narrow(a, |x, y| Ok(x.checked_sub(y)))).op("-"),
            Function::new($mul, &[$left, $right], $ret, |_, a| $narrow(a, |x, y| Ok(x.checked_mul(y)))).op("*"),
            Function::new($div, &[$left, $right], $ret, |_, a| $narrow(a, quotient)).op("/"),
        )*];
    };
}

arithmetic! {
    Int2, Int2 -> Int2, int2: "int2pl" "int2mi" "int2mul" "int2div";
    Int2, Int4 -> Int4, int4: "int24pl" "int24mi" "int24mul" "int24div";
    Int2, Int8 -> Int8, int8: "int28pl" "int28mi" "int28mul" "int28div";
    Int4, Int2 -> Int4, int4: "int42pl" "int42mi" "int42mul" "int42div";
    Int4, Int4 -> Int4, int4: "int4pl" "int4mi" "int4mul" "int4div";
    Int4, Int8 -> Int8, int8: "int48pl" "int48mi" "int48mul" "int48div";
    Int8, Int2 -> Int8, int8: "int82pl" "int82mi" "int82mul" "int82div";
    Int8, Int4 -> Int8, int8: "int84pl" "int84mi" "int84mul" "int84div";
    Int8, Int8 -> Int8, int8: "int8pl" "int8mi" "int8mul" "int8div";
}

/// The key of a narrower column that is equal to an integer: NULL, which finds nothing, where none is.
pub const KEYS: [&str; 2] = ["int2_key", "int4_key"];
/// The value of a narrower column nearest to an integer. Where a range begins or ends, it counts too.
pub const LIMITS: [&str; 2] = ["int2_limit", "int4_limit"];

/// Of either kind.
pub fn is_narrowed(function: &str) -> bool {
    KEYS.contains(&function) || LIMITS.contains(&function)
}

pub static NARROWED: &[Function] = &[
    Function::new(KEYS[0], &[Int8], Int2, |_, a| {
        let n = i16::try_from(args::int(a, 0)?);
        Ok(n.map_or(Value::Null, Value::Int2))
    })
    .sql(""),
    Function::new(KEYS[1], &[Int8], Int4, |_, a| {
        let n = i32::try_from(args::int(a, 0)?);
        Ok(n.map_or(Value::Null, Value::Int4))
    })
    .sql(""),
    Function::new(LIMITS[0], &[Int8], Int2, |_, a| {
        let n = args::int(a, 0)?;
        Ok(Value::Int2(n.clamp(i16::MIN.into(), i16::MAX.into()) as i16))
    })
    .sql(""),
    Function::new(LIMITS[1], &[Int8], Int4, |_, a| {
        let n = args::int(a, 0)?;
        Ok(Value::Int4(n.clamp(i32::MIN.into(), i32::MAX.into()) as i32))
    })
    .sql(""),
];

pub static FUNCTIONS: &[Function] = &[
    Function::new("int2mod", &[Int2, Int2], Int2, |_, a| int2(a, remainder)).op("%"),
    Function::new("mod_int2", &[Int2, Int2], Int2, |_, a| int2(a, remainder)).sql("mod"),
    Function::new("int2and", &[Int2, Int2], Int2, |_, a| {
        int2(a, |x, y| Ok(Some(x & y)))
    })
    .op("&"),
    Function::new("int2or", &[Int2, Int2], Int2, |_, a| {
        int2(a, |x, y| Ok(Some(x | y)))
    })
    .op("|"),
    Function::new("int2xor", &[Int2, Int2], Int2, |_, a| {
        int2(a, |x, y| Ok(Some(x ^ y)))
    })
    .op("#"),
    Function::new("int2not", &[Int2], Int2, |_, a| {
        int2_from(!args::int(a, 0)?)
    })
    .op("~"),
    Function::new("int2um", &[Int2], Int2, |_, a| {
        int2_of(args::int(a, 0)?.checked_neg())
    })
    .op("-"),
    Function::new("int2up", &[Int2], Int2, |_, a| int2_from(args::int(a, 0)?)).op("+"),
    Function::new("int2abs", &[Int2], Int2, |_, a| {
        int2_of(args::int(a, 0)?.checked_abs())
    })
    .sql("abs")
    .op("@"),
    Function::new("int4mod", &[Int4, Int4], Int4, |_, a| int4(a, remainder)).op("%"),
    Function::new("mod_int4", &[Int4, Int4], Int4, |_, a| int4(a, remainder)).sql("mod"),
    Function::new("int4and", &[Int4, Int4], Int4, |_, a| {
        int4(a, |x, y| Ok(Some(x & y)))
    })
    .op("&"),
    Function::new("int4or", &[Int4, Int4], Int4, |_, a| {
        int4(a, |x, y| Ok(Some(x | y)))
    })
    .op("|"),
    Function::new("int4xor", &[Int4, Int4], Int4, |_, a| {
        int4(a, |x, y| Ok(Some(x ^ y)))
    })
    .op("#"),
    Function::new("int4not", &[Int4], Int4, |_, a| {
        int4_from(!args::int(a, 0)?)
    })
    .op("~"),
    Function::new("int4um", &[Int4], Int4, |_, a| {
        int4_of(args::int(a, 0)?.checked_neg())
    })
    .op("-"),
    Function::new("int4up", &[Int4], Int4, |_, a| int4_from(args::int(a, 0)?)).op("+"),
    Function::new("int4abs", &[Int4], Int4, |_, a| {
        int4_of(args::int(a, 0)?.checked_abs())
    })
    .sql("abs")
    .op("@"),
    Function::new("int8mod", &[Int8, Int8], Int8, |_, a| int8(a, remainder)).op("%"),
    Function::new("mod_int8", &[Int8, Int8], Int8, |_, a| int8(a, remainder)).sql("mod"),
    Function::new("int8and", &[Int8, Int8], Int8, |_, a| {
        int8(a, |x, y| Ok(Some(x & y)))
    })
    .op("&"),
    Function::new("int8or", &[Int8, Int8], Int8, |_, a| {
        int8(a, |x, y| Ok(Some(x | y)))
    })
    .op("|"),
    Function::new("int8xor", &[Int8, Int8], Int8, |_, a| {
        int8(a, |x, y| Ok(Some(x ^ y)))
    })
    .op("#"),
    Function::new("int8not", &[Int8], Int8, |_, a| {
        int8_from(!args::int(a, 0)?)
    })
    .op("~"),
    Function::new("int8um", &[Int8], Int8, |_, a| {
        int8_of(args::int(a, 0)?.checked_neg())
    })
    .op("-"),
    Function::new("int8up", &[Int8], Int8, |_, a| int8_from(args::int(a, 0)?)).op("+"),
    Function::new("int8abs", &[Int8], Int8, |_, a| {
        int8_of(args::int(a, 0)?.checked_abs())
    })
    .sql("abs")
    .op("@"),
    Function::new("int2shl", &[Int2, Int4], Int2, |_, a| {
        Ok(Value::Int2(
            i32::from(args::int(a, 0)? as i16).wrapping_shl(args::int4(a, 1)? as u32) as i16,
        ))
    })
    .op("<<"),
    Function::new("int2shr", &[Int2, Int4], Int2, |_, a| {
        Ok(Value::Int2(
            i32::from(args::int(a, 0)? as i16).wrapping_shr(args::int4(a, 1)? as u32) as i16,
        ))
    })
    .op(">>"),
    Function::new("int4shl", &[Int4, Int4], Int4, |_, a| {
        Ok(Value::Int4(
            args::int4(a, 0)?.wrapping_shl(args::int4(a, 1)? as u32),
        ))
    })
    .op("<<"),
    Function::new("int4shr", &[Int4, Int4], Int4, |_, a| {
        Ok(Value::Int4(
            args::int4(a, 0)?.wrapping_shr(args::int4(a, 1)? as u32),
        ))
    })
    .op(">>"),
    Function::new("int8shl", &[Int8, Int4], Int8, |_, a| {
        Ok(Value::Int8(
            args::int(a, 0)?.wrapping_shl(args::int4(a, 1)? as u32),
        ))
    })
    .op("<<"),
    Function::new("int8shr", &[Int8, Int4], Int8, |_, a| {
        Ok(Value::Int8(
            args::int(a, 0)?.wrapping_shr(args::int4(a, 1)? as u32),
        ))
    })
    .op(">>"),
    Function::new("int4gcd", &[Int4, Int4], Int4, |_, a| int4(a, gcd)).sql("gcd"),
    Function::new("int8gcd", &[Int8, Int8], Int8, |_, a| int8(a, gcd)).sql("gcd"),
    Function::new("int4lcm", &[Int4, Int4], Int4, |_, a| int4(a, lcm)).sql("lcm"),
    Function::new("int8lcm", &[Int8, Int8], Int8, |_, a| int8(a, lcm)).sql("lcm"),
    Function::new("int4inc", &[Int4], Int4, |_, a| {
        int4_of(args::int(a, 0)?.checked_add(1))
    }),
    Function::new("to_hex32", &[Int4], Text, |_, a| {
        Ok(format!("{:x}", args::int4(a, 0)?).into())
    })
    .sql("to_hex"),
    Function::new("to_hex64", &[Int8], Text, |_, a| {
        Ok(format!("{:x}", args::int(a, 0)?).into())
    })
    .sql("to_hex"),
];

fn quotient(x: i64, y: i64) -> Result<Option<i64>> {
    if y == 0 {
        return Err(division_by_zero());
    }
    Ok(x.checked_div(y))
}

/// The remainder of the smallest integer by -1 is 0, not an overflow.
fn remainder(x: i64, y: i64) -> Result<Option<i64>> {
    if y == 0 {
        return Err(division_by_zero());
    }
    Ok(Some(x.wrapping_rem(y)))
}

fn gcd(x: i64, y: i64) -> Result<Option<i64>> {
    let (mut a, mut b) = (x.unsigned_abs(), y.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    Ok(i64::try_from(a).ok())
}

fn lcm(x: i64, y: i64) -> Result<Option<i64>> {
    if x == 0 || y == 0 {
        return Ok(Some(0));
    }
    let Some(divisor) = gcd(x, y)? else {
        return Ok(None);
    };
    Ok((x / divisor).checked_mul(y).and_then(i64::checked_abs))
}

macro_rules! narrowings {
    ($($two:ident, $of:ident, $from:ident, $variant:ident, $ty:ty, $message:literal;)*) => {$(
        fn $two(a: &[Value], f: impl Fn(i64, i64) -> Result<Option<i64>>) -> Result<Value> {
            $of(f(args::int(a, 0)?, args::int(a, 1)?)?)
        }

        fn $of(v: Option<i64>) -> Result<Value> {
            match v.map(<$ty>::try_from) {
                Some(Ok(v)) => Ok(Value::$variant(v)),
                _ => Err(out_of_range($message)),
            }
        }

        fn $from(v: i64) -> Result<Value> {
            $of(Some(v))
        }
    )*};
}

narrowings! {
    int2, int2_of, int2_from, Int2, i16, "smallint out of range";
    int4, int4_of, int4_from, Int4, i32, "integer out of range";
    int8, int8_of, int8_from, Int8, i64, "bigint out of range";
}

#[cold]
pub fn out_of_range(message: &'static str) -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}

#[cold]
pub fn division_by_zero() -> Error {
    Error::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}
