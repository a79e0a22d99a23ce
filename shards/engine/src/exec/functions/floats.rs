//! Arithmetic and mathematical functions of real and double precision.
//!
//! Owns: PostgreSQL's overflow and underflow rules (an infinite result of finite operands is an error, and so is a zero
//! product of non-zero factors) and its domain errors. Asked by: the registry.
//! Source: PostgreSQL 15 `float.c`, `float.h`.

use super::{Function, args};
use crate::exec::functions::integers::{division_by_zero, out_of_range};
use DataType::*;
use types::{DataType, Error, Result, SqlState, Value};

/// + - * / for each pair of types.
macro_rules! arithmetic {
    ($($left:ident, $right:ident: $add:literal $sub:literal $mul:literal $div:literal;)*) => {
        pub static ARITHMETIC: &[Function] = &[$(
            Function::new($add, &[$left, $right], Float8, |_, a| two(a, |x, y| sum(x, y, x + y))).op("+"),
            Function::new($sub, &[$left, $right], Float8, |_, a| two(a, |x, y| sum(x, y, x - y))).op("-"),
            Function::new($mul, &[$left, $right], Float8, |_, a| two(a, product)).op("*"),
            Function::new($div, &[$left, $right], Float8, |_, a| two(a, quotient)).op("/"),
        )*];
    };
}

arithmetic! {
    Float8, Float8: "float8pl" "float8mi" "float8mul" "float8div";
    Float4, Float8: "float48pl" "float48mi" "float48mul" "float48div";
    Float8, Float4: "float84pl" "float84mi" "float84mul" "float84div";
}

pub static FUNCTIONS: &[Function] = &[
    Function::new("float4pl", &[Float4, Float4], Float4, |_, a| {
        single(a, |x, y| sum(x, y, x + y))
    })
    .op("+"),
    Function::new("float4mi", &[Float4, Float4], Float4, |_, a| {
        single(a, |x, y| sum(x, y, x - y))
    })
    .op("-"),
    Function::new("float4mul", &[Float4, Float4], Float4, |_, a| {
        single(a, product)
    })
    .op("*"),
    Function::new("float4div", &[Float4, Float4], Float4, |_, a| {
        single(a, quotient)
    })
    .op("/"),
    Function::new("float4um", &[Float4], Float4, |_, a| {
        Ok(Value::Float4(-args::float4(a, 0)?))
    })
    .op("-"),
    Function::new("float4up", &[Float4], Float4, |_, a| {
        Ok(Value::Float4(args::float4(a, 0)?))
    })
    .op("+"),
    Function::new("float4abs", &[Float4], Float4, |_, a| {
        Ok(Value::Float4(args::float4(a, 0)?.abs()))
    })
    .sql("abs")
    .op("@"),
    Function::new("float8um", &[Float8], Float8, |_, a| plain(a, |x| -x)).op("-"),
    Function::new("float8up", &[Float8], Float8, |_, a| plain(a, |x| x)).op("+"),
    Function::new("float8abs", &[Float8], Float8, |_, a| plain(a, f64::abs))
        .sql("abs")
        .op("@"),
    Function::new("dceil", &[Float8], Float8, |_, a| plain(a, f64::ceil)).sql("ceil"),
    Function::new("dfloor", &[Float8], Float8, |_, a| plain(a, f64::floor)).sql("floor"),
    Function::new("dround", &[Float8], Float8, |_, a| {
        plain(a, f64::round_ties_even)
    })
    .sql("round"),
    Function::new("dtrunc", &[Float8], Float8, |_, a| plain(a, f64::trunc)).sql("trunc"),
    Function::new("dsign", &[Float8], Float8, |_, a| plain(a, sign)).sql("sign"),
    Function::new("dsqrt", &[Float8], Float8, |_, a| one(a, sqrt))
        .sql("sqrt")
        .op("|/"),
    Function::new("dcbrt", &[Float8], Float8, |_, a| plain(a, f64::cbrt))
        .sql("cbrt")
        .op("||/"),
    Function::new("dexp", &[Float8], Float8, |_, a| one(a, exp)).sql("exp"),
    Function::new("dlog1", &[Float8], Float8, |_, a| {
        one(a, |x| logarithm(x, f64::ln))
    })
    .sql("ln"),
    Function::new("dlog10", &[Float8], Float8, |_, a| {
        one(a, |x| logarithm(x, f64::log10))
    })
    .sql("log"),
    Function::new("dpow", &[Float8, Float8], Float8, |_, a| two(a, power))
        .sql("power")
        .op("^"),
    Function::new("dpi", &[], Float8, |_, _| {
        Ok(Value::Float8(std::f64::consts::PI))
    })
    .sql("pi"),
    Function::new("degrees", &[Float8], Float8, |_, a| {
        one(a, |x| sum(x, x, x.to_degrees()))
    }),
    Function::new("radians", &[Float8], Float8, |_, a| {
        plain(a, f64::to_radians)
    }),
    Function::new("dsin", &[Float8], Float8, |_, a| {
        one(a, |x| finite_angle(x, f64::sin))
    })
    .sql("sin"),
    Function::new("dcos", &[Float8], Float8, |_, a| {
        one(a, |x| finite_angle(x, f64::cos))
    })
    .sql("cos"),
    Function::new("dtan", &[Float8], Float8, |_, a| {
        one(a, |x| finite_angle(x, f64::tan))
    })
    .sql("tan"),
    Function::new("dcot", &[Float8], Float8, |_, a| {
        one(a, |x| finite_angle(x, |x| 1.0 / x.tan()))
    })
    .sql("cot"),
    Function::new("dasin", &[Float8], Float8, |_, a| {
        one(a, |x| unit(x, f64::asin))
    })
    .sql("asin"),
    Function::new("dacos", &[Float8], Float8, |_, a| {
        one(a, |x| unit(x, f64::acos))
    })
    .sql("acos"),
    Function::new("datan", &[Float8], Float8, |_, a| plain(a, f64::atan)).sql("atan"),
    Function::new("datan2", &[Float8, Float8], Float8, |_, a| {
        two(a, |y, x| Ok(y.atan2(x)))
    })
    .sql("atan2"),
    Function::new("dsind", &[Float8], Float8, |_, a| {
        one(a, |x| finite_angle(x, sind))
    })
    .sql("sind"),
    Function::new("dcosd", &[Float8], Float8, |_, a| {
        one(a, |x| finite_angle(x, |x| sind(90.0 - x.abs())))
    })
    .sql("cosd"),
    Function::new("dtand", &[Float8], Float8, |_, a| {
        one(a, |x| finite_angle(x, |x| sind(x) / sind(90.0 - x.abs())))
    })
    .sql("tand"),
    Function::new("dcotd", &[Float8], Float8, |_, a| {
        one(a, |x| finite_angle(x, |x| sind(90.0 - x.abs()) / sind(x)))
    })
    .sql("cotd"),
    Function::new("dasind", &[Float8], Float8, |_, a| {
        one(a, |x| unit(x, |x| asind(x.abs()).copysign(x)))
    })
    .sql("asind"),
    Function::new("dacosd", &[Float8], Float8, |_, a| {
        one(a, |x| {
            unit(x, |x| if x < 0.0 { 90.0 + asind(-x) } else { acosd(x) })
        })
    })
    .sql("acosd"),
    Function::new("datand", &[Float8], Float8, |_, a| plain(a, atand)).sql("atand"),
    Function::new("datan2d", &[Float8, Float8], Float8, |_, a| {
        two(a, |y, x| Ok(y.atan2(x) / 1f64.atan() * 45.0))
    })
    .sql("atan2d"),
    Function::new("dsinh", &[Float8], Float8, |_, a| plain(a, f64::sinh)).sql("sinh"),
    Function::new("dcosh", &[Float8], Float8, |_, a| plain(a, f64::cosh)).sql("cosh"),
    Function::new("dtanh", &[Float8], Float8, |_, a| plain(a, f64::tanh)).sql("tanh"),
    Function::new("dasinh", &[Float8], Float8, |_, a| plain(a, f64::asinh)).sql("asinh"),
    Function::new("dacosh", &[Float8], Float8, |_, a| {
        one(a, |x| {
            if x < 1.0 {
                Err(input_range())
            } else {
                Ok(x.acosh())
            }
        })
    })
    .sql("acosh"),
    Function::new("datanh", &[Float8], Float8, |_, a| {
        one(a, |x| unit(x, f64::atanh))
    })
    .sql("atanh"),
    Function::new("drandom", &[], Float8, |_, _| Ok(Value::Float8(random())))
        .sql("random")
        .volatile(),
    Function::new(
        "width_bucket_float8",
        &[Float8, Float8, Float8, Int4],
        Int4,
        |_, a| width_bucket(a),
    )
    .sql("width_bucket"),
];

fn plain(a: &[Value], f: impl Fn(f64) -> f64) -> Result<Value> {
    Ok(Value::Float8(f(args::float(a, 0)?)))
}

fn one(a: &[Value], f: impl Fn(f64) -> Result<f64>) -> Result<Value> {
    Ok(Value::Float8(f(args::float(a, 0)?)?))
}

fn two(a: &[Value], f: impl Fn(f64, f64) -> Result<f64>) -> Result<Value> {
    Ok(Value::Float8(f(args::float(a, 0)?, args::float(a, 1)?)?))
}

/// Computed in double precision, which is exact enough for + - * / to round correctly to single.
fn single(a: &[Value], f: impl Fn(f64, f64) -> Result<f64>) -> Result<Value> {
    let (x, y) = (args::float(a, 0)?, args::float(a, 1)?);
    let exact = f(x, y)?;
    let v = exact as f32;
    if v.is_infinite() && exact.is_finite() {
        return Err(overflow());
    }
    if v == 0.0 && exact != 0.0 {
        return Err(underflow());
    }
    Ok(Value::Float4(v))
}

/// `result` of operands `x` and `y`, unless it overflowed.
fn sum(x: f64, y: f64, result: f64) -> Result<f64> {
    if result.is_infinite() && x.is_finite() && y.is_finite() {
        return Err(overflow());
    }
    Ok(result)
}

fn product(x: f64, y: f64) -> Result<f64> {
    let result = x * y;
    if result == 0.0 && x != 0.0 && y != 0.0 {
        return Err(underflow());
    }
    sum(x, y, result)
}

fn quotient(x: f64, y: f64) -> Result<f64> {
    if y == 0.0 && !x.is_nan() {
        return Err(division_by_zero());
    }
    let result = x / y;
    if result == 0.0 && x != 0.0 && y.is_finite() {
        return Err(underflow());
    }
    sum(x, y, result)
}

fn sign(x: f64) -> f64 {
    // Of NaN too.
    if x == 0.0 || x.is_nan() {
        0.0
    } else {
        x.signum()
    }
}

fn sqrt(x: f64) -> Result<f64> {
    if x < 0.0 {
        return Err(Error::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "cannot take square root of a negative number",
        ));
    }
    Ok(x.sqrt())
}

fn exp(x: f64) -> Result<f64> {
    let result = x.exp();
    if result == 0.0 && x.is_finite() {
        return Err(underflow());
    }
    sum(x, x, result)
}

fn logarithm(x: f64, f: impl Fn(f64) -> f64) -> Result<f64> {
    let refuse = |m| Error::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, m);
    if x == 0.0 {
        return Err(refuse("cannot take logarithm of zero"));
    }
    if x < 0.0 {
        return Err(refuse("cannot take logarithm of a negative number"));
    }
    Ok(f(x))
}

fn power(x: f64, y: f64) -> Result<f64> {
    let refuse = |m| Error::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, m);
    if x == 0.0 && y < 0.0 {
        return Err(refuse("zero raised to a negative power is undefined"));
    }
    if x < 0.0 && y.is_finite() && y.fract() != 0.0 {
        return Err(refuse(
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    let result = x.powf(y);
    if result == 0.0 && x != 0.0 && x.is_finite() && y.is_finite() {
        return Err(underflow());
    }
    sum(x, y, result)
}

fn finite_angle(x: f64, f: impl Fn(f64) -> f64) -> Result<f64> {
    if x.is_infinite() {
        return Err(input_range());
    }
    Ok(f(x))
}

fn unit(x: f64, f: impl Fn(f64) -> f64) -> Result<f64> {
    if x.abs() > 1.0 {
        return Err(input_range());
    }
    Ok(f(x))
}

/// The sine of degrees, exact at multiples of 30 that have an exact value.
fn sind(x: f64) -> f64 {
    let turn = x.rem_euclid(360.0);
    let (sign, half) = if turn > 180.0 {
        (-1.0, turn - 180.0)
    } else {
        (1.0, turn)
    };
    let quarter = if half > 90.0 { 180.0 - half } else { half };
    let sine = match quarter {
        0.0 => 0.0,
        30.0 => 0.5,
        90.0 => 1.0,
        other => other.to_radians().sin(),
    };
    sign * sine
}

/// Of 0 to 1; exact at both ends and a half.
fn asind(x: f64) -> f64 {
    match x <= 0.5 {
        true => x.asin() / 0.5f64.asin() * 30.0,
        false => 90.0 - x.acos() / 0.5f64.acos() * 60.0,
    }
}

fn acosd(x: f64) -> f64 {
    match x <= 0.5 {
        true => 90.0 - x.asin() / 0.5f64.asin() * 30.0,
        false => x.acos() / 0.5f64.acos() * 60.0,
    }
}

fn atand(x: f64) -> f64 {
    x.atan() / 1f64.atan() * 45.0
}

/// 53 random bits over [0, 1).
fn random() -> f64 {
    (runtime::random_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn width_bucket(a: &[Value]) -> Result<Value> {
    let refuse = |m| Err(Error::new(SqlState(*b"2201G"), m));
    let (operand, low, high) = (args::float(a, 0)?, args::float(a, 1)?, args::float(a, 2)?);
    let count = args::int4(a, 3)?;
    if count <= 0 {
        return refuse("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return refuse("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return refuse("lower and upper bounds must be finite");
    }
    if low == high {
        return refuse("lower bound cannot equal upper bound");
    }
    let position = (operand - low) / (high - low);
    if position < 0.0 {
        return Ok(Value::Int4(0));
    }
    if position >= 1.0 {
        return count
            .checked_add(1)
            .map(Value::Int4)
            .ok_or_else(|| out_of_range("integer out of range"));
    }
    Ok(Value::Int4((position * f64::from(count)) as i32 + 1))
}

#[cold]
pub fn overflow() -> Error {
    out_of_range("value out of range: overflow")
}

#[cold]
pub fn underflow() -> Error {
    out_of_range("value out of range: underflow")
}

#[cold]
fn input_range() -> Error {
    out_of_range("input is out of range")
}
