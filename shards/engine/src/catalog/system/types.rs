//! Rows of `pg_type`, `pg_cast`, `pg_collation`, `pg_opclass` and `pg_opfamily`, and storage facts about types.
//!
//! Source: PostgreSQL 15 `pg_type.dat`, `pg_opclass.dat`.

use super::definitions::PG_CATALOG_OID;
use super::objects;
use super::procs::{ARRAY_IO, DOMAIN_IO, IO_FUNCTIONS, IoFunctions};
use super::server::BTREE;
use super::values::{OWNER, ch, int2, int4, no_proc, null, oid, proc, text, yes};
use crate::catalog::enums::GAP;
use crate::catalog::{OpClass, UserType, UserTypeKind};
use crate::exec::Context;
use crate::exec::cast::{CastContext, can_cast, is_preferred};
use types::{DataType, Error, Result, Row, SqlState, Value};

/// `pg_collation.oid` of "default" and "C".
const DEFAULT_COLLATION: u32 = 100;
const C_COLLATION: u32 = 950;
/// `anyenum`.
const ANY_ENUM: u32 = 3500;
/// First oid of `pg_cast` rows, which have none of their own.
const CAST_FIRST: u32 = 11_000;

/// Types that stand in signatures but have no values: oid, name, bytes, I/O functions as in `IO_FUNCTIONS`.
const PSEUDO_TYPES: &[(u32, &str, i16, &str, &str)] = &[
    (2275, "cstring", -2, "c", "p"),
    (2276, "any", 4, "i", "p"),
    (2277, "anyarray", -1, "d", "x"),
    (2281, "internal", 8, "d", "p"),
    (2283, "anyelement", 4, "i", "p"),
    (3500, "anyenum", 4, "i", "p"),
    (2776, "anynonarray", 4, "i", "p"),
    (5077, "anycompatible", 4, "i", "p"),
    (5078, "anycompatiblearray", -1, "d", "x"),
    (5079, "anycompatiblenonarray", 4, "i", "p"),
];

pub(super) fn by_value(ty: DataType) -> bool {
    matches!(ty.len(), 1 | 2 | 4 | 8) && ty != DataType::Macaddr8
}

pub(super) fn alignment(ty: DataType) -> &'static str {
    let unit = ty.element().unwrap_or(ty);
    match unit.len() {
        8 | 16 if !matches!(unit, DataType::Uuid | DataType::Macaddr8) => "d",
        _ if ty.is_array() => "i",
        2 => "s",
        1 | 64 | -2 | 16 => "c",
        _ => "i",
    }
}

pub(super) fn storage(ty: DataType) -> &'static str {
    match ty {
        DataType::Numeric | DataType::Inet | DataType::Cidr => "m",
        _ if ty.len() == -1 => "x",
        _ => "p",
    }
}

pub(super) fn collation(ty: DataType) -> u32 {
    match ty.element().unwrap_or(ty) {
        DataType::Text | DataType::Varchar | DataType::Bpchar => DEFAULT_COLLATION,
        DataType::Name => C_COLLATION,
        _ => 0,
    }
}

/// Types that appear in `pg_type`: the arrays of unknown and void do not exist.
fn shown(ty: &&DataType) -> bool {
    !matches!(ty, DataType::UnknownArray | DataType::VoidArray)
}

pub(super) fn types(ctx: &Context) -> Vec<Row> {
    let real = DataType::ALL.iter().filter(shown).map(|t| type_row(*t));
    let mut rows: Vec<Row> = real.chain(PSEUDO_TYPES.iter().map(pseudo_row)).collect();
    for t in ctx.catalog.types.values() {
        let schema = oid(objects::schema(&ctx.catalog, &t.schema));
        if t.is_domain() {
            rows.push(domain_row(t, schema, ctx));
            continue;
        }
        rows.extend(named_rows(t.data_type(), &t.name, &schema));
    }
    for t in ctx.catalog.tables.values() {
        let schema = oid(objects::schema(&ctx.catalog, &t.schema));
        rows.extend(named_rows(DataType::Composite(t.id.0), &t.name, &schema));
    }
    for v in ctx.catalog.views.values() {
        let schema = oid(objects::schema(&ctx.catalog, &v.schema));
        rows.extend(named_rows(DataType::Composite(v.id.0), &v.name, &schema));
    }
    rows
}

/// A user's type and its array.
fn named_rows(ty: DataType, name: &str, schema: &Value) -> impl Iterator<Item = Row> {
    let array = ty.array().map(|array| (array, format!("_{name}")));
    let schema = schema.clone();
    let both = std::iter::once((ty, name.to_owned())).chain(array);
    both.map(move |(ty, name)| {
        let mut row = type_row(ty);
        row[NAME] = text(&name);
        row[NAMESPACE] = schema.clone();
        if let DataType::Composite(relation) = ty {
            row[RELATION] = oid(relation);
        }
        row
    })
}

/// As the type under it, but for what a domain says itself. There are no arrays of domains.
fn domain_row(t: &UserType, schema: Value, ctx: &Context) -> Row {
    let (base, _) = ctx
        .catalog
        .domain_base(t.oid)
        .unwrap_or((DataType::Text, -1));
    let UserTypeKind::Domain {
        base: under,
        typmod,
        not_null,
        default,
        ..
    } = &t.kind
    else {
        return Row::new();
    };
    let mut row = type_row(base);
    let [input, _, receive, _] = DOMAIN_IO.map(|(oid, name)| proc(oid, name));
    let own = [
        (0, oid(t.oid)),
        (NAME, text(&t.name)),
        (NAMESPACE, schema),
        (6, ch("d")),
        (8, yes(false)),
        (12, no_proc()),
        (13, oid(0)),
        (14, oid(0)),
        (15, input),
        (17, receive),
        (24, yes(*not_null)),
        (25, oid(under.oid())),
        (26, int4(*typmod)),
        (29, default.as_ref().map_or(Value::Null, |d| text(&d.sql))),
        (30, default.as_ref().map_or(Value::Null, |d| text(&d.sql))),
    ];
    for (at, value) in own {
        row[at] = value;
    }
    row
}

/// Places of `typname`, `typnamespace` and `typrelid`.
const NAME: usize = 1;
const NAMESPACE: usize = 2;
const RELATION: usize = 11;

pub(super) fn enums(ctx: &Context) -> Vec<Row> {
    let mut rows = Vec::new();
    for t in ctx.catalog.types.values() {
        for label in t.labels() {
            // PostgreSQL's numbers: 1, 2, 3, and fractions for what came between.
            let order = label.order as f32 / GAP as f32;
            rows.push(vec![
                oid(label.oid),
                oid(t.oid),
                Value::Float4(order),
                text(&label.label),
            ]);
        }
    }
    rows
}

/// What differs between the rows of `pg_type`.
struct Type<'a> {
    oid: u32,
    name: &'a str,
    len: i16,
    by_value: bool,
    kind: &'static str,
    category: String,
    preferred: bool,
    subscript: Value,
    element: u32,
    array: u32,
    io: [Value; 4],
    alignment: &'static str,
    storage: &'static str,
    collation: u32,
}

impl Type<'_> {
    fn row(self) -> Row {
        let [input, output, receive, send] = self.io;
        vec![
            oid(self.oid),
            text(self.name),
            oid(PG_CATALOG_OID),
            oid(OWNER),
            int2(self.len),
            yes(self.by_value),
            ch(self.kind),
            text(&self.category),
            yes(self.preferred),
            yes(true),
            ch(","),
            oid(0),
            self.subscript,
            oid(self.element),
            oid(self.array),
            input,
            output,
            receive,
            send,
            no_proc(),
            no_proc(),
            no_proc(),
            ch(self.alignment),
            ch(self.storage),
            yes(false),
            oid(0),
            int4(-1),
            int4(0),
            oid(self.collation),
            null(),
            null(),
            null(),
        ]
    }
}

fn io_of(type_oid: u32) -> [Value; 4] {
    let found: Option<&IoFunctions> = IO_FUNCTIONS.iter().find(|f| f.ty == type_oid);
    match found {
        Some(f) => f.functions.map(|(oid, name)| proc(oid, name)),
        None => [(); 4].map(|()| no_proc()),
    }
}

fn type_row(ty: DataType) -> Row {
    let array = ty.is_array();
    let subscript = match ty {
        _ if array => proc(6179, "array_subscript_handler"),
        DataType::Name => proc(6180, "raw_array_subscript_handler"),
        DataType::Jsonb => proc(6098, "jsonb_subscript_handler"),
        _ => no_proc(),
    };
    let element = match ty {
        DataType::Name => DataType::InternalChar.oid(),
        _ => ty.element().map_or(0, DataType::oid),
    };
    let row = Type {
        oid: ty.oid(),
        name: ty.name(),
        len: ty.len(),
        by_value: by_value(ty),
        kind: match ty {
            DataType::Unknown | DataType::Void | DataType::Record | DataType::RecordArray => "p",
            DataType::Enum(_) => "e",
            DataType::Composite(_) => "c",
            _ => "b",
        },
        category: ty.category().to_string(),
        preferred: is_preferred(ty),
        subscript,
        element,
        array: ty.array().filter(|a| shown(&a)).map_or(0, DataType::oid),
        io: if array && !ty.is_vector() {
            ARRAY_IO.map(|(oid, name)| proc(oid, name))
        } else {
            io_of(match ty {
                DataType::Enum(_) => ANY_ENUM,
                DataType::Composite(_) => DataType::Record.oid(),
                other => other.oid(),
            })
        },
        alignment: alignment(ty),
        storage: storage(ty),
        collation: collation(ty),
    };
    row.row()
}

fn pseudo_row(p: &(u32, &'static str, i16, &'static str, &'static str)) -> Row {
    let (type_oid, name, len, alignment, storage) = *p;
    let row = Type {
        oid: type_oid,
        name,
        len,
        by_value: matches!(len, 1 | 2 | 4 | 8),
        kind: "p",
        category: "P".to_string(),
        preferred: false,
        subscript: no_proc(),
        element: 0,
        array: 0,
        io: io_of(type_oid),
        alignment,
        storage,
        collation: 0,
    };
    row.row()
}

/// Every pair of types that casts without going through text, with the widest context it is allowed in.
pub(super) fn casts(_: &Context) -> Vec<Row> {
    let real = |t: &&DataType| shown(t) && !matches!(t, DataType::Unknown | DataType::Void);
    let bases: Vec<DataType> = DataType::ALL
        .iter()
        .filter(|t| real(t) && !t.is_array())
        .copied()
        .collect();
    let mut rows = Vec::new();
    for from in &bases {
        for to in bases.iter().filter(|to| *to != from) {
            // Any type converts to and from text by its text form; PostgreSQL keeps no row for that.
            let by_text = from.is_string() != to.is_string();
            let context = if can_cast(*from, *to, CastContext::Implicit) {
                "i"
            } else if can_cast(*from, *to, CastContext::Assignment) {
                "a"
            } else if can_cast(*from, *to, CastContext::Explicit) {
                "e"
            } else {
                continue;
            };
            if by_text && context != "i" {
                continue;
            }
            let same_form = from.is_string() && to.is_string();
            rows.push(vec![
                oid(CAST_FIRST + rows.len() as u32),
                oid(from.oid()),
                oid(to.oid()),
                oid(0),
                ch(context),
                ch(if same_form { "b" } else { "f" }),
            ]);
        }
    }
    rows
}

pub(super) fn collations(_: &Context) -> Vec<Row> {
    let row = |id: u32, name, provider, collate: Option<&str>| -> Row {
        let locale = collate.map_or(Value::Null, text);
        vec![
            oid(id),
            text(name),
            oid(PG_CATALOG_OID),
            oid(OWNER),
            ch(provider),
            yes(true),
            int4(-1),
            locale.clone(),
            locale,
            null(),
            null(),
        ]
    };
    vec![
        row(DEFAULT_COLLATION, "default", "d", None),
        row(C_COLLATION, "C", "c", Some("C")),
        row(951, "POSIX", "c", Some("POSIX")),
    ]
}

/// The B-tree operator classes: oid, name, family, its oid, type.
const OPCLASSES: &[(u32, &str, &str, u32, u32)] = &[
    (1978, "int4_ops", "integer_ops", 1976, 23),
    (1979, "int2_ops", "integer_ops", 1976, 21),
    (1981, "oid_ops", "oid_ops", 1989, 26),
    (3122, "date_ops", "datetime_ops", 434, 1082),
    (3123, "float8_ops", "float_ops", 1970, 701),
    (3124, "int8_ops", "integer_ops", 1976, 20),
    (3125, "numeric_ops", "numeric_ops", 1988, 1700),
    (3126, "text_ops", "text_ops", 1994, 25),
    (3127, "timestamptz_ops", "datetime_ops", 434, 1184),
    (3128, "timestamp_ops", "datetime_ops", 434, 1114),
    (10_000, "array_ops", "array_ops", 397, 2277),
    (10_003, "bool_ops", "bool_ops", 424, 16),
    (10_004, "bpchar_ops", "bpchar_ops", 426, 1042),
    (10_006, "bytea_ops", "bytea_ops", 428, 17),
    (10_007, "char_ops", "char_ops", 429, 18),
    (10_012, "float4_ops", "float_ops", 1970, 700),
    (10_022, "interval_ops", "interval_ops", 1982, 1186),
    (10_028, "name_ops", "text_ops", 1994, 19),
    (10_038, "time_ops", "time_ops", 1996, 1083),
    (10_063, "enum_ops", "enum_ops", 3522, 3500),
    (10_065, "uuid_ops", "uuid_ops", 2968, 2950),
    (10_088, "jsonb_ops", "jsonb_ops", 4033, 3802),
    (VARCHAR_OPS, "varchar_ops", "text_ops", 1994, 25),
    (
        TEXT_PATTERN_OPS,
        "text_pattern_ops",
        "text_pattern_ops",
        2095,
        25,
    ),
    (
        VARCHAR_PATTERN_OPS,
        "varchar_pattern_ops",
        "text_pattern_ops",
        2095,
        25,
    ),
    (
        BPCHAR_PATTERN_OPS,
        "bpchar_pattern_ops",
        "bpchar_pattern_ops",
        2097,
        1042,
    ),
];

pub(super) const VARCHAR_OPS: u32 = 10_044;
pub(super) const TEXT_PATTERN_OPS: u32 = 4217;
pub(super) const VARCHAR_PATTERN_OPS: u32 = 4218;
pub(super) const BPCHAR_PATTERN_OPS: u32 = 4219;

/// Whether a type is indexed by it where none is named.
fn is_default(class: u32) -> bool {
    !matches!(
        class,
        VARCHAR_OPS | TEXT_PATTERN_OPS | VARCHAR_PATTERN_OPS | BPCHAR_PATTERN_OPS
    )
}

/// What a class of this name means for a part of type `ty`: an error where it is for other types, `None` where there is none.
pub fn class_named(name: &str, ty: DataType) -> Option<Result<OpClass>> {
    let text = matches!(ty, DataType::Text | DataType::Varchar);
    let input = match ty {
        DataType::Varchar => DataType::Text.oid(),
        _ if ty.is_array() => 2277,
        _ if ty.is_reg() => DataType::Oid.oid(),
        DataType::Enum(_) => ANY_ENUM,
        other => other.oid(),
    };
    let (oid, _, _, _, takes) = OPCLASSES.iter().find(|c| c.1 == name)?;
    if text && *takes == DataType::Bpchar.oid() {
        let refused = format!("operator class \"{name}\" is not supported for this type");
        let hint = "It compares without trailing blanks; use text_pattern_ops.";
        return Some(Err(Error::unsupported(refused).with_hint(hint)));
    }
    if *takes != input {
        return Some(Err(Error::new(
            SqlState::DATATYPE_MISMATCH,
            format!("operator class \"{name}\" does not accept data type {ty}",),
        )));
    }
    Some(Ok(match *oid {
        VARCHAR_OPS => OpClass::Varchar,
        TEXT_PATTERN_OPS => OpClass::TextPattern,
        VARCHAR_PATTERN_OPS => OpClass::VarcharPattern,
        BPCHAR_PATTERN_OPS => OpClass::BpcharPattern,
        _ => OpClass::Default,
    }))
}

/// The operator class that indexes a type.
pub(super) fn opclass(ty: DataType) -> u32 {
    let input = match ty {
        DataType::Varchar => DataType::Text.oid(),
        _ if ty.is_array() => 2277,
        DataType::Enum(_) => ANY_ENUM,
        _ if ty.is_reg() => DataType::Oid.oid(),
        other => other.oid(),
    };
    OPCLASSES.iter().find(|c| c.4 == input).map_or(0, |c| c.0)
}

pub(super) fn opclasses(_: &Context) -> Vec<Row> {
    let row = |c: &(u32, &str, &str, u32, u32)| -> Row {
        vec![
            oid(c.0),
            oid(BTREE),
            text(c.1),
            oid(PG_CATALOG_OID),
            oid(OWNER),
            oid(c.3),
            oid(c.4),
            yes(is_default(c.0)),
            oid(0),
        ]
    };
    OPCLASSES.iter().map(row).collect()
}

pub(super) fn opfamilies(_: &Context) -> Vec<Row> {
    let mut families: Vec<(u32, &str)> = OPCLASSES.iter().map(|c| (c.3, c.2)).collect();
    families.sort_unstable();
    families.dedup();
    let row = |(id, name): (u32, &str)| -> Row {
        vec![
            oid(id),
            oid(BTREE),
            text(name),
            oid(PG_CATALOG_OID),
            oid(OWNER),
        ]
    };
    families.into_iter().map(row).collect()
}
