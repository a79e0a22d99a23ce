//! Type names as SQL writes them: to a `DataType` and its modifier.
//!
//! Owns: aliases and modifier arithmetic. Source: PostgreSQL 15 manual, chapter 8; `format_type.c`.

use super::{names, unsupported};
use engine::exec::functions::absent;
use sqlparser::ast::{
    self, ArrayElemTypeDef, CharacterLength, ExactNumberInfo, ObjectName, TimezoneInfo,
};
use types::time::range::Range;
use types::{DataType, Error, Result, SqlState};

/// The type and its typmod (-1 none).
pub(super) fn resolve(ty: &ast::DataType) -> Result<(DataType, i32)> {
    use ast::DataType as A;
    let plain = |t| Ok((t, -1));
    match ty {
        A::Bool | A::Boolean => plain(DataType::Bool),
        A::SmallInt(None) | A::Int2(None) => plain(DataType::Int2),
        A::Int(None) | A::Integer(None) | A::Int4(None) => plain(DataType::Int4),
        A::BigInt(None) | A::Int8(None) => plain(DataType::Int8),
        A::Real | A::Float4 => plain(DataType::Float4),
        A::Float8 | A::DoublePrecision => plain(DataType::Float8),
        A::Float(info) => float(info),
        A::Numeric(info) | A::Decimal(info) | A::Dec(info) => numeric(info),
        A::Text => plain(DataType::Text),
        A::Varchar(n) | A::CharacterVarying(n) | A::CharVarying(n) => Ok((
            DataType::Varchar,
            length(n.as_ref(), "varchar")?.unwrap_or(-1),
        )),
        A::Char(n) | A::Character(n) => {
            Ok((DataType::Bpchar, length(n.as_ref(), "char")?.unwrap_or(5)))
        }
        A::Bytea => plain(DataType::Bytea),
        A::Date => plain(DataType::Date),
        A::Time(p, tz) => match tz {
            TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => {
                Ok((DataType::Time, precision(*p, "TIME")?))
            }
            TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => {
                Err(unsupported("type time with time zone"))
            }
        },
        A::Timestamp(p, tz) => {
            let typmod = precision(*p, "TIMESTAMP")?;
            Ok(match tz {
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => (DataType::Timestamp, typmod),
                TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => (DataType::Timestamptz, typmod),
            })
        }
        A::Interval { fields, precision } => {
            let fields = fields.as_ref().map(|f| f.to_string().to_lowercase());
            Ok((
                DataType::Interval,
                interval(&fields.unwrap_or_default(), *precision)?,
            ))
        }
        A::Uuid => plain(DataType::Uuid),
        A::JSONB => plain(DataType::Jsonb),
        A::JSON => plain(DataType::Json),
        A::Regclass => plain(DataType::Regclass),
        A::Array(ArrayElemTypeDef::SquareBracket(inner, _))
        | A::Array(ArrayElemTypeDef::Qualified(inner, _)) => {
            let (element, typmod) = resolve(inner)?;
            match element.array() {
                Some(array) => Ok((array, typmod)),
                None => Err(unsupported("an array of arrays")),
            }
        }
        A::Custom(name, modifiers) => custom(name, modifiers),
        A::Bit(_) | A::BitVarying(_) | A::VarBit(_) => Err(unsupported("type bit")),
        other => {
            let name = other.to_string().to_lowercase();
            Err(absent::data_type(&name).unwrap_or_else(|| unknown_type(&name)))
        }
    }
}

fn unknown_type(name: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("type \"{name}\" does not exist"),
    )
}

fn invalid(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Names outside the grammar's own list: `pg_catalog.int4`, `oid`, `name`, `_text`, `timestamptz` …
fn custom(name: &ObjectName, modifiers: &[String]) -> Result<(DataType, i32)> {
    let (schema, base) = names::qualified(name)?;
    if let Some(schema) = &schema {
        if schema == "information_schema" {
            return domain(&base);
        }
        if schema != "pg_catalog" {
            return Err(unknown_type(&format!("{schema}.{base}")));
        }
    }
    let Some(ty) = by_name(&base) else {
        return Err(match base.as_str() {
            "timetz" => unsupported("type time with time zone"),
            base => absent::data_type(base).unwrap_or_else(|| unknown_type(base)),
        });
    };
    Ok((ty, modifier(ty, modifiers)?))
}

fn modifier(ty: DataType, modifiers: &[String]) -> Result<i32> {
    let number = |s: &String| {
        s.trim()
            .parse::<i64>()
            .map_err(|_| invalid("type modifiers must be simple constants or identifiers".into()))
    };
    match (ty, modifiers) {
        // Written with its internal name, char has no length of its own.
        (_, []) => Ok(-1),
        (DataType::Varchar, [n]) => char_length(number(n)?, "varchar"),
        (DataType::Bpchar, [n]) => char_length(number(n)?, "char"),
        (DataType::Numeric, [p]) => numeric_typmod(number(p)?, 0),
        (DataType::Numeric, [p, s]) => numeric_typmod(number(p)?, number(s)?),
        (DataType::Timestamp | DataType::Timestamptz | DataType::Time, [p]) => {
            precision(u64::try_from(number(p)?).ok(), "TIMESTAMP")
        }
        _ => Err(Error::new(
            SqlState::SYNTAX_ERROR,
            format!("type modifier is not allowed for type \"{}\"", ty.name()),
        )),
    }
}

/// By `pg_type.typname`, arrays with their underscore, and the aliases the grammar crate leaves alone.
pub(super) fn by_name(name: &str) -> Option<DataType> {
    let alias = match name {
        "boolean" => Some(DataType::Bool),
        "smallint" => Some(DataType::Int2),
        "int" | "integer" => Some(DataType::Int4),
        "bigint" => Some(DataType::Int8),
        "real" => Some(DataType::Float4),
        "decimal" => Some(DataType::Numeric),
        "string" => None,
        _ => None,
    };
    alias.or_else(|| {
        let all = DataType::ALL.iter().copied();
        let mut all = all.filter(|t| !matches!(t, DataType::UnknownArray | DataType::VoidArray));
        all.find(|t| t.name() == name)
    })
}

/// The SQL standard's domains of `information_schema`.
fn domain(name: &str) -> Result<(DataType, i32)> {
    match name {
        "sql_identifier" => Ok((DataType::Name, -1)),
        "character_data" | "yes_or_no" => Ok((DataType::Varchar, -1)),
        "cardinal_number" => Ok((DataType::Int4, -1)),
        "time_stamp" => Ok((DataType::Timestamptz, -1)),
        _ => Err(unknown_type(&format!("information_schema.{name}"))),
    }
}

fn float(info: &ExactNumberInfo) -> Result<(DataType, i32)> {
    match info {
        ExactNumberInfo::None => Ok((DataType::Float8, -1)),
        ExactNumberInfo::Precision(0) => Err(invalid(
            "precision for type float must be at least 1 bit".into(),
        )),
        ExactNumberInfo::Precision(p) if *p <= 24 => Ok((DataType::Float4, -1)),
        ExactNumberInfo::Precision(p) if *p <= 53 => Ok((DataType::Float8, -1)),
        ExactNumberInfo::Precision(_) => Err(invalid(
            "precision for type float must be less than 54 bits".into(),
        )),
        ExactNumberInfo::PrecisionAndScale(..) => Err(super::syntax("syntax error in type float")),
    }
}

fn numeric(info: &ExactNumberInfo) -> Result<(DataType, i32)> {
    let typmod = match info {
        ExactNumberInfo::None => -1,
        ExactNumberInfo::Precision(p) => numeric_typmod(i64::try_from(*p).unwrap_or(i64::MAX), 0)?,
        ExactNumberInfo::PrecisionAndScale(p, s) => {
            numeric_typmod(i64::try_from(*p).unwrap_or(i64::MAX), *s)?
        }
    };
    Ok((DataType::Numeric, typmod))
}

fn numeric_typmod(p: i64, s: i64) -> Result<i32> {
    if !(1..=1000).contains(&p) {
        return Err(invalid(format!(
            "NUMERIC precision {p} must be between 1 and 1000"
        )));
    }
    if !(-1000..=1000).contains(&s) {
        return Err(invalid(format!(
            "NUMERIC scale {s} must be between -1000 and 1000"
        )));
    }
    Ok((((p as i32) << 16) | (s as i32 & 0x7ff)) + 4)
}

fn length(n: Option<&CharacterLength>, name: &str) -> Result<Option<i32>> {
    match n {
        None => Ok(None),
        Some(CharacterLength::Max) => Err(super::syntax("syntax error at or near \"max\"")),
        Some(CharacterLength::IntegerLength { length, .. }) => {
            let n = i64::try_from(*length).unwrap_or(i64::MAX);
            char_length(n, name).map(Some)
        }
    }
}

fn char_length(n: i64, name: &str) -> Result<i32> {
    const MAX: i64 = 10 * 1024 * 1024;
    if n < 1 {
        return Err(invalid(format!(
            "length for type {name} must be at least 1"
        )));
    }
    if n > MAX {
        return Err(invalid(format!(
            "length for type {name} cannot exceed {MAX}"
        )));
    }
    Ok(n as i32 + 4)
}

/// The modifier of an interval of these fields, `""` for all.
pub(super) fn interval(fields: &str, decimals: Option<u64>) -> Result<i32> {
    let decimals = match precision(decimals, "INTERVAL")? {
        -1 => None,
        n => Some(n),
    };
    let range = Range::named(fields, decimals);
    let range = range.ok_or_else(|| super::syntax("syntax error at or near \"(\""))?;
    Ok(range.typmod())
}

fn precision(p: Option<u64>, what: &str) -> Result<i32> {
    match p {
        None => Ok(-1),
        Some(p @ 0..=6) => Ok(p as i32),
        // PostgreSQL warns and takes the maximum.
        Some(p) if p <= i32::MAX as u64 => Ok(6),
        Some(_) => Err(invalid(format!("{what} precision is out of range"))),
    }
}
