//! Arithmetic and mathematical functions of NUMERIC.
//!
//! Owns: only the signatures; the arithmetic, its scales and limits are `types::Numeric`. Asked by: the registry.
//! Source: PostgreSQL 15 manual, section 9.3; `numeric.c`.

use super::args::{self, make_numeric};
use super::{Function, integers::out_of_range};
use DataType::{Float8, Int4};
use types::{DataType, Error, Numeric, Result, SqlState, Value};

const NUMERIC: DataType = DataType::Numeric;

pub static FUNCTIONS: &[Function] = &[
    Function::new("numeric_add", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, Numeric::add)
    })
    .op("+"),
    Function::new("numeric_sub", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, Numeric::sub)
    })
    .op("-"),
    Function::new("numeric_mul", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, Numeric::mul)
    })
    .op("*"),
    Function::new("numeric_div", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, Numeric::div)
    })
    .op("/"),
    Function::new("numeric_mod", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, Numeric::rem)
    })
    .op("%"),
    Function::new("mod_numeric", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, Numeric::rem)
    })
    .sql("mod"),
    Function::new("numeric_div_trunc", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, Numeric::div_trunc)
    })
    .sql("div"),
    Function::new("numeric_power", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, Numeric::power)
    })
    .sql("power")
    .op("^"),
    Function::new("numeric_gcd", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, gcd)
    })
    .sql("gcd"),
    Function::new("numeric_lcm", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, lcm)
    })
    .sql("lcm"),
    Function::new("numeric_uminus", &[NUMERIC], NUMERIC, |_, a| {
        one(a, |n| Ok(n.neg()))
    })
    .op("-"),
    Function::new("numeric_uplus", &[NUMERIC], NUMERIC, |_, a| {
        one(a, |n| Ok(n.clone()))
    })
    .op("+"),
    Function::new("numeric_abs", &[NUMERIC], NUMERIC, |_, a| {
        one(a, |n| Ok(n.abs()))
    })
    .sql("abs")
    .op("@"),
    Function::new("numeric_sign", &[NUMERIC], NUMERIC, |_, a| {
        one(a, |n| Ok(n.sign()))
    })
    .sql("sign"),
    Function::new("numeric_ceil", &[NUMERIC], NUMERIC, |_, a| {
        one(a, Numeric::ceil)
    })
    .sql("ceil"),
    Function::new("numeric_floor", &[NUMERIC], NUMERIC, |_, a| {
        one(a, Numeric::floor)
    })
    .sql("floor"),
    Function::new("numeric_sqrt", &[NUMERIC], NUMERIC, |_, a| {
        one(a, Numeric::sqrt)
    })
    .sql("sqrt"),
    Function::new("numeric_exp", &[NUMERIC], NUMERIC, |_, a| {
        one(a, Numeric::exp)
    })
    .sql("exp"),
    Function::new("numeric_ln", &[NUMERIC], NUMERIC, |_, a| {
        one(a, Numeric::ln)
    })
    .sql("ln"),
    Function::new("numeric_log10", &[NUMERIC], NUMERIC, |_, a| {
        one(a, Numeric::log10)
    })
    .sql("log"),
    Function::new("numeric_log", &[NUMERIC, NUMERIC], NUMERIC, |_, a| {
        two(a, |base, n| n.log(base))
    })
    .sql("log"),
    Function::new("numeric_round_0", &[NUMERIC], NUMERIC, |_, a| {
        one(a, |n| n.round(0))
    })
    .sql("round"),
    Function::new("numeric_round", &[NUMERIC, Int4], NUMERIC, |_, a| {
        places(a, Numeric::round)
    })
    .sql("round"),
    Function::new("numeric_trunc_0", &[NUMERIC], NUMERIC, |_, a| {
        one(a, |n| n.trunc(0))
    })
    .sql("trunc"),
    Function::new("numeric_trunc", &[NUMERIC, Int4], NUMERIC, |_, a| {
        places(a, Numeric::trunc)
    })
    .sql("trunc"),
    Function::new("numeric_trim_scale", &[NUMERIC], NUMERIC, |_, a| {
        one(a, |n| Ok(n.trim_scale()))
    })
    .sql("trim_scale"),
    Function::new("numeric_scale", &[NUMERIC], Int4, |_, a| {
        scale(a, |n| n.scale())
    })
    .sql("scale"),
    Function::new("numeric_min_scale", &[NUMERIC], Int4, |_, a| {
        scale(a, |n| n.trim_scale().scale())
    })
    .sql("min_scale"),
    Function::new("numeric_fac", &[DataType::Int8], NUMERIC, |_, a| {
        factorial(args::int(a, 0)?)
    })
    .sql("factorial"),
    Function::new(
        "width_bucket_numeric",
        &[NUMERIC, NUMERIC, NUMERIC, Int4],
        Int4,
        |_, a| width_bucket(a),
    )
    .sql("width_bucket"),
    Function::new("numeric_float8_explicit", &[NUMERIC], Float8, |_, a| {
        Ok(Value::Float8(args::numeric(a, 0)?.to_f64()))
    }),
];

fn one(a: &[Value], f: impl Fn(&Numeric) -> Result<Numeric>) -> Result<Value> {
    f(args::numeric(a, 0)?).map(make_numeric)
}

fn two(a: &[Value], f: impl Fn(&Numeric, &Numeric) -> Result<Numeric>) -> Result<Value> {
    f(args::numeric(a, 0)?, args::numeric(a, 1)?).map(make_numeric)
}

fn places(a: &[Value], f: impl Fn(&Numeric, i32) -> Result<Numeric>) -> Result<Value> {
    f(args::numeric(a, 0)?, args::int4(a, 1)?).map(make_numeric)
}

/// NULL for NaN and the infinities, which have no scale.
fn scale(a: &[Value], f: impl Fn(&Numeric) -> u32) -> Result<Value> {
    let n = args::numeric(a, 0)?;
    if !n.is_finite() {
        return Ok(Value::Null);
    }
    Ok(Value::Int4(i32::try_from(f(n)).unwrap_or(i32::MAX)))
}

fn gcd(x: &Numeric, y: &Numeric) -> Result<Numeric> {
    let finite = Numeric::is_finite;
    if !finite(x) || !finite(y) {
        return Ok(Numeric::NaN);
    }
    let (mut a, mut b) = (x.abs(), y.abs());
    while !b.is_zero() {
        let rest = a.rem(&b)?;
        (a, b) = (b, rest);
    }
    Ok(a)
}

fn lcm(x: &Numeric, y: &Numeric) -> Result<Numeric> {
    if x.is_zero() || y.is_zero() {
        return x.mul(y).map(|n| n.abs());
    }
    let divisor = gcd(x, y)?;
    if divisor.is_nan() {
        return Ok(divisor);
    }
    x.div_trunc(&divisor)?.mul(y).map(|n| n.abs())
}

/// 32,177! is the largest that NUMERIC holds.
fn factorial(n: i64) -> Result<Value> {
    if n < 0 {
        return Err(out_of_range("factorial of a negative number is undefined"));
    }
    if n > 32_177 {
        return Err(out_of_range("value overflows numeric format"));
    }
    let product = (1..=n).map(num_bigint::BigInt::from).product();
    Numeric::from_parts(product, 0).map(make_numeric)
}

fn width_bucket(a: &[Value]) -> Result<Value> {
    let refuse = |m| Err(Error::new(SqlState(*b"2201G"), m));
    let (operand, low, high) = (
        args::numeric(a, 0)?,
        args::numeric(a, 1)?,
        args::numeric(a, 2)?,
    );
    let count = args::int4(a, 3)?;
    if count <= 0 {
        return refuse("count must be greater than zero");
    }
    if [operand, low, high].iter().any(|n| n.is_nan()) {
        return refuse("operand, lower bound, and upper bound cannot be NaN");
    }
    if [low, high].iter().any(|n| !n.is_finite()) {
        return refuse("lower and upper bounds must be finite");
    }
    let rising = match low.compare(high) {
        std::cmp::Ordering::Equal => return refuse("lower bound cannot equal upper bound"),
        order => order.is_lt(),
    };
    let before = |x: &Numeric, y: &Numeric| x.compare(y).is_lt() == rising && x.compare(y).is_ne();
    if before(operand, low) {
        return Ok(Value::Int4(0));
    }
    if !before(operand, high) {
        let above = count.checked_add(1).map(Value::Int4);
        return above.ok_or_else(|| out_of_range("integer out of range"));
    }
    let position = operand
        .sub(low)?
        .mul(&Numeric::from(i64::from(count)))?
        .div(&high.sub(low)?)?;
    let bucket = position.floor()?.to_i64().unwrap_or(0) + 1;
    Ok(Value::Int4(i32::try_from(bucket).unwrap_or(i32::MAX)))
}
