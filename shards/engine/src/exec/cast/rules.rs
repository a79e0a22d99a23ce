//! Which conversions exist, and where PostgreSQL applies them unasked.
//!
//! Owns: the contents of `pg_cast` for the types there are. Asked by: `resolve` and the binder.
//! Source: PostgreSQL 15 `pg_cast.dat`; manual, CREATE CAST (contexts), section 10.

use DataType::*;
use types::{DataType, Value};

/// Where a conversion is wanted, from the most careful to the most willing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CastContext {
    /// In an expression, unasked.
    Implicit,
    /// Storing into a column.
    Assignment,
    /// CAST or `::`.
    Explicit,
}

/// Whether `from` becomes `to` in this context. A literal of unknown type becomes anything.
pub fn can_cast(from: DataType, to: DataType, ctx: CastContext) -> bool {
    if from == to || from == Unknown {
        return true;
    }
    if from == Void || to == Void || to == Unknown {
        return false;
    }
    if let (Some(f), Some(t)) = (from.element(), to.element()) {
        return can_cast(f, t, ctx);
    }
    if let Some(needed) = listed(from, to) {
        return ctx >= needed;
    }
    // Conversion through the text form: to a string in assignments, from a string when asked.
    (to.category() == 'S' && ctx >= CastContext::Assignment)
        || (from.category() == 'S' && ctx == CastContext::Explicit)
}

/// The least willing context that `pg_cast` names for this pair.
fn listed(from: DataType, to: DataType) -> Option<CastContext> {
    use CastContext::*;
    if to.is_reg() && (from.is_integer() || from == Oid) {
        return Some(Implicit);
    }
    if from.is_reg() {
        return match to {
            Oid => Some(Implicit),
            Int4 | Int8 => Some(Assignment),
            Regproc | Regprocedure if matches!(from, Regproc | Regprocedure) => Some(Implicit),
            _ => None,
        };
    }
    Some(match (from, to) {
        (Int2, Int4 | Int8 | Float4 | Float8 | Numeric | Oid) => Implicit,
        (Int4, Int8 | Float4 | Float8 | Numeric | Oid) => Implicit,
        (Int8, Float4 | Float8 | Numeric | Oid) => Implicit,
        (Int4, Int2) | (Int8, Int2 | Int4) => Assignment,
        (Numeric, Float4 | Float8) | (Float4, Float8) => Implicit,
        (Numeric, Int2 | Int4 | Int8) => Assignment,
        (Float4 | Float8, Int2 | Int4 | Int8 | Numeric) | (Float8, Float4) => Assignment,
        (Int4, Bool) | (Bool, Int4) | (Int4, InternalChar) | (InternalChar, Int4) => Explicit,
        (Oid, Int4 | Int8) => Assignment,
        (Text, Varchar | Bpchar | Name | Regclass) => Implicit,
        (Varchar, Text | Bpchar | Name | Regclass) => Implicit,
        (Bpchar, Text | Varchar | Name) => Implicit,
        (Name, Text) | (InternalChar, Text) => Implicit,
        (Name | InternalChar | Bool, Varchar | Bpchar) | (Bool, Text) => Assignment,
        (Text | Varchar | Bpchar, InternalChar) => Assignment,
        (Date, Timestamp | Timestamptz) | (Timestamp, Timestamptz) | (Time, Interval) => Implicit,
        (Timestamp, Date | Time) | (Timestamptz, Date | Time | Timestamp) => Assignment,
        (Interval, Time) => Assignment,
        (Jsonb, Bool | Int2 | Int4 | Int8 | Float4 | Float8 | Numeric) => Explicit,
        (Json, Jsonb) | (Jsonb, Json) => Assignment,
        (Composite(_), Record) | (Record, Composite(_)) => Implicit,
        (Cidr, Inet) | (Macaddr, Macaddr8) | (Macaddr8, Macaddr) => Implicit,
        (Inet, Cidr) | (Inet | Cidr, Text | Varchar | Bpchar) => Assignment,
        _ => return None,
    })
}

/// Whether the result depends on nothing but the value: not on the session's settings, the clock or the catalog.
pub fn is_immutable(from: DataType, to: DataType) -> bool {
    let (f, t) = (from.element().unwrap_or(from), to.element().unwrap_or(to));
    let moving =
        |d: DataType| matches!(d, Date | Time | Timestamp | Timestamptz | Interval) || d.is_reg();
    // As DateStyle, IntervalStyle and bytea_output have them.
    let styled = |d: DataType| matches!(d, Date | Timestamp | Interval | Bytea);
    match (f == Timestamptz, t == Timestamptz) {
        _ if f == t => true,
        // A label can be renamed, and a row may have one.
        _ if f.is_record() || t.is_record() => false,
        _ if f.user_oid().is_some() || t.user_oid().is_some() => false,
        (true, _) | (_, true) => false,
        _ if t.category() == 'S' && styled(f) => false,
        // 'now' and 'today' in text; names of relations.
        _ if f.category() == 'S' || f == Unknown => !moving(t),
        _ => !f.is_reg() && !t.is_reg(),
    }
}

/// A text that is the same date or timestamp whenever it is read, unlike 'today': nothing but digits and what parts them.
pub fn reads_alike(v: &Value, to: DataType) -> bool {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'-' | b':' | b'.' | b' ');
    let text = v.as_str().filter(|_| matches!(to, Date | Timestamp));
    text.is_some_and(|s| s.bytes().all(plain))
}

/// The type of its category that ambiguous calls lean to (`pg_type.typispreferred`).
pub fn is_preferred(ty: DataType) -> bool {
    matches!(
        ty,
        Bool | Text | Float8 | Oid | Timestamptz | Interval | Inet
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_needs_an_assignment_and_widening_does_not() {
        assert!(can_cast(Int4, Int8, CastContext::Implicit));
        assert!(!can_cast(Int8, Int4, CastContext::Implicit));
        assert!(can_cast(Int8, Int4, CastContext::Assignment));
        assert!(!can_cast(Bool, Int4, CastContext::Assignment));
        assert!(can_cast(Bool, Int4, CastContext::Explicit));
        assert!(!can_cast(Bool, Int8, CastContext::Explicit));
    }

    #[test]
    fn text_form_conversions_need_a_cast_into_other_types() {
        assert!(can_cast(Int4, Text, CastContext::Assignment));
        assert!(!can_cast(Int4, Text, CastContext::Implicit));
        assert!(!can_cast(Text, Int4, CastContext::Assignment));
        assert!(can_cast(Text, Int4, CastContext::Explicit));
        assert!(can_cast(Unknown, Int4, CastContext::Implicit));
    }
}
