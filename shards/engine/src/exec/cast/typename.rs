//! Names of types as users write them.
//!
//! Asked by: regtype input, `format_type`'s inverse uses, and whoever has a type's name as text.
//! Source: PostgreSQL 15 manual, table 8.1 (aliases).

use DataType::*;
use types::DataType;

/// Types that no value here is of, but which `pg_type`'s readers and functions' signatures name.
const PSEUDO: [(u32, &str); 15] = [
    (2275, "cstring"),
    (1263, "cstring[]"),
    (2276, "\"any\""),
    (2277, "anyarray"),
    (2283, "anyelement"),
    (2776, "anynonarray"),
    (3500, "anyenum"),
    (5077, "anycompatible"),
    (5078, "anycompatiblearray"),
    (5079, "anycompatiblenonarray"),
    (3831, "anyrange"),
    (2279, "trigger"),
    (3838, "event_trigger"),
    (2280, "language_handler"),
    (2281, "internal"),
];

/// How such a type prints.
pub fn pseudo_name(oid: u32) -> Option<&'static str> {
    PSEUDO
        .iter()
        .find(|(o, _)| *o == oid)
        .map(|(_, name)| *name)
}

/// The oid of such a type.
pub fn pseudo_oid(name: &str) -> Option<u32> {
    let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
    PSEUDO.iter().find(|(_, n)| *n == bare).map(|(oid, _)| *oid)
}

/// The type a name means: an SQL name, an alias or a `pg_type` name, perhaps with `pg_catalog.`, a modifier (ignored here) or `[]`.
pub fn parse(s: &str) -> Option<DataType> {
    let mut name = s.trim().to_lowercase();
    let mut array = false;
    while let Some(open) = name.strip_suffix(']') {
        let open = open.trim_end_matches(|c: char| c.is_ascii_digit());
        name = open.strip_suffix('[')?.trim_end().to_owned();
        array = true;
    }
    if let (Some(open), Some(close)) = (name.find('('), name.find(')'))
        && open < close
    {
        name = format!("{}{}", name[..open].trim_end(), &name[close + 1..]);
    }
    if let Some(bare) = name.strip_prefix("pg_catalog.") {
        name = bare.to_owned();
    }
    let base = match name.contains('"') {
        true => quoted(&name).or_else(|| base(&name))?,
        false => base(&name)?,
    };
    if array { base.array() } else { Some(base) }
}

/// A name in quotes is the one that `pg_type` has.
fn quoted(name: &str) -> Option<DataType> {
    let parts = super::split_name(name).ok()?;
    let name = match parts.as_slice() {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return None,
    };
    DataType::ALL.iter().copied().find(|t| t.name() == name)
}

fn base(name: &str) -> Option<DataType> {
    let words: Vec<&str> = name.split_whitespace().collect();
    let alias = match words.join(" ").as_str() {
        "int" | "integer" => Int4,
        "smallint" => Int2,
        "bigint" => Int8,
        "real" => Float4,
        "float" | "double precision" => Float8,
        "decimal" | "dec" => Numeric,
        "boolean" => Bool,
        "character varying" | "char varying" => Varchar,
        "character" | "char" => Bpchar,
        "\"char\"" => InternalChar,
        "time without time zone" => Time,
        "timestamp without time zone" => Timestamp,
        "timestamp with time zone" => Timestamptz,
        // The internal array names, and the rest as `pg_type` has them.
        other => {
            let known = |t: &&DataType| t.name() == other && **t != InternalChar;
            *DataType::ALL.iter().find(known)?
        }
    };
    Some(alias)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printed_type_name_is_read_back() {
        for ty in DataType::ALL {
            assert_eq!(parse(ty.sql_name()), Some(*ty), "{ty}");
        }
    }

    #[test]
    fn aliases_modifiers_and_arrays_are_understood() {
        assert_eq!(parse(" INT "), Some(Int4));
        assert_eq!(parse("pg_catalog.varchar(10)"), Some(Varchar));
        assert_eq!(parse("timestamp(3) with time zone"), Some(Timestamptz));
        assert_eq!(parse("numeric(10,2)[]"), Some(NumericArray));
        assert_eq!(parse("_int4"), Some(Int4Array));
        assert_eq!(parse("\"pg_catalog\".\"uuid\""), Some(Uuid));
        assert_eq!(parse("pg_catalog.\"_int4\""), Some(Int4Array));
        assert_eq!(parse("\"char\""), Some(InternalChar));
        assert_eq!(parse("\"public\".\"uuid\""), None);
        assert_eq!(parse("nonsense"), None);
    }
}
