//! NUMERIC: an arbitrary-precision decimal with NaN and the infinities.

use bigdecimal::BigDecimal;
use serde::{Deserialize, Serialize};

/// The display scale is the `BigDecimal`'s own scale (never negative).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Numeric {
    Finite(BigDecimal),
    NaN,
    Infinity,
    NegInfinity,
}

impl Numeric {
    /// Approximate heap memory in bytes.
    pub fn memory(&self) -> usize {
        match self {
            Numeric::Finite(d) => size_of::<Numeric>() + (d.digits() as usize).div_ceil(2),
            Numeric::NaN | Numeric::Infinity | Numeric::NegInfinity => size_of::<Numeric>(),
        }
    }
}

impl Serialize for Numeric {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Numeric {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Numeric, D::Error> {
        let text = String::deserialize(d)?;
        text.parse()
            .map_err(|_| serde::de::Error::custom("not a numeric"))
    }
}

impl std::fmt::Display for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Numeric::Finite(d) => f.write_str(&d.to_plain_string()),
            Numeric::NaN => f.write_str("NaN"),
            Numeric::Infinity => f.write_str("Infinity"),
            Numeric::NegInfinity => f.write_str("-Infinity"),
        }
    }
}

impl std::str::FromStr for Numeric {
    type Err = bigdecimal::ParseBigDecimalError;

    fn from_str(s: &str) -> Result<Numeric, Self::Err> {
        match s {
            "NaN" => Ok(Numeric::NaN),
            "Infinity" => Ok(Numeric::Infinity),
            "-Infinity" => Ok(Numeric::NegInfinity),
            _ => Ok(Numeric::Finite(s.parse()?)),
        }
    }
}
