//! Functions about types: pg_typeof, format_type, to_regclass, and casts written as calls (`int4(x)`).
//!
//! A function's body sees values, not types, so `pg_typeof` and the casts have one overload for each type.

use super::super::args;
use super::Function;
use crate::catalog::{path, qualify};
use crate::exec::functions::{ANY, natural_type};
use crate::exec::{Context, cast};
use DataType::*;
use types::time::range::Range;
use types::{DataType, Reg, Result, SqlState, Value};

/// For each type: its `pg_typeof`, and the cast to it.
macro_rules! per_type {
    ($($ty:ident $type_of:literal $cast:literal;)*) => {
        pub static PER_TYPE: &[Function] = &[$(
            Function::new($type_of, &[$ty], Regtype, |_, _| Ok(regtype($ty))).sql("pg_typeof").lax(),
            Function::new($cast, &[ANY], $ty, |c, a| cast_to(c, a, $ty)).sql("").stable(),
        )*];
    };
}

per_type! {
    Bool "pg_typeof_bool" "cast_to_bool";
    BoolArray "pg_typeof__bool" "cast_to__bool";
    Int2 "pg_typeof_int2" "cast_to_int2";
    Int2Array "pg_typeof__int2" "cast_to__int2";
    Int4 "pg_typeof_int4" "cast_to_int4";
    Int4Array "pg_typeof__int4" "cast_to__int4";
    Int8 "pg_typeof_int8" "cast_to_int8";
    Int8Array "pg_typeof__int8" "cast_to__int8";
    Float4 "pg_typeof_float4" "cast_to_float4";
    Float4Array "pg_typeof__float4" "cast_to__float4";
    Float8 "pg_typeof_float8" "cast_to_float8";
    Float8Array "pg_typeof__float8" "cast_to__float8";
    Numeric "pg_typeof_numeric" "cast_to_numeric";
    NumericArray "pg_typeof__numeric" "cast_to__numeric";
    Text "pg_typeof_text" "cast_to_text";
    TextArray "pg_typeof__text" "cast_to__text";
    Varchar "pg_typeof_varchar" "cast_to_varchar";
    VarcharArray "pg_typeof__varchar" "cast_to__varchar";
    Bpchar "pg_typeof_bpchar" "cast_to_bpchar";
    BpcharArray "pg_typeof__bpchar" "cast_to__bpchar";
    Name "pg_typeof_name" "cast_to_name";
    NameArray "pg_typeof__name" "cast_to__name";
    InternalChar "pg_typeof_char" "cast_to_char";
    InternalCharArray "pg_typeof__char" "cast_to__char";
    Bytea "pg_typeof_bytea" "cast_to_bytea";
    ByteaArray "pg_typeof__bytea" "cast_to__bytea";
    Date "pg_typeof_date" "cast_to_date";
    DateArray "pg_typeof__date" "cast_to__date";
    Time "pg_typeof_time" "cast_to_time";
    TimeArray "pg_typeof__time" "cast_to__time";
    Timestamp "pg_typeof_timestamp" "cast_to_timestamp";
    TimestampArray "pg_typeof__timestamp" "cast_to__timestamp";
    Timestamptz "pg_typeof_timestamptz" "cast_to_timestamptz";
    TimestamptzArray "pg_typeof__timestamptz" "cast_to__timestamptz";
    Interval "pg_typeof_interval" "cast_to_interval";
    IntervalArray "pg_typeof__interval" "cast_to__interval";
    Uuid "pg_typeof_uuid" "cast_to_uuid";
    UuidArray "pg_typeof__uuid" "cast_to__uuid";
    Jsonb "pg_typeof_jsonb" "cast_to_jsonb";
    JsonbArray "pg_typeof__jsonb" "cast_to__jsonb";
    Jsonpath "pg_typeof_jsonpath" "cast_to_jsonpath";
    JsonpathArray "pg_typeof__jsonpath" "cast_to__jsonpath";
    Json "pg_typeof_json" "cast_to_json";
    JsonArray "pg_typeof__json" "cast_to__json";
    Int2vector "pg_typeof_int2vector" "cast_to_int2vector";
    Int2vectorArray "pg_typeof__int2vector" "cast_to__int2vector";
    Oidvector "pg_typeof_oidvector" "cast_to_oidvector";
    OidvectorArray "pg_typeof__oidvector" "cast_to__oidvector";
    Oid "pg_typeof_oid" "cast_to_oid";
    OidArray "pg_typeof__oid" "cast_to__oid";
    Regclass "pg_typeof_regclass" "cast_to_regclass";
    RegclassArray "pg_typeof__regclass" "cast_to__regclass";
    Regtype "pg_typeof_regtype" "cast_to_regtype";
    RegtypeArray "pg_typeof__regtype" "cast_to__regtype";
    Regproc "pg_typeof_regproc" "cast_to_regproc";
    RegprocArray "pg_typeof__regproc" "cast_to__regproc";
    Regnamespace "pg_typeof_regnamespace" "cast_to_regnamespace";
    RegnamespaceArray "pg_typeof__regnamespace" "cast_to__regnamespace";
    Regprocedure "pg_typeof_regprocedure" "cast_to_regprocedure";
    RegprocedureArray "pg_typeof__regprocedure" "cast_to__regprocedure";
    Inet "pg_typeof_inet" "cast_to_inet";
    InetArray "pg_typeof__inet" "cast_to__inet";
    Cidr "pg_typeof_cidr" "cast_to_cidr";
    CidrArray "pg_typeof__cidr" "cast_to__cidr";
    Macaddr "pg_typeof_macaddr" "cast_to_macaddr";
    MacaddrArray "pg_typeof__macaddr" "cast_to__macaddr";
    Macaddr8 "pg_typeof_macaddr8" "cast_to_macaddr8";
    Macaddr8Array "pg_typeof__macaddr8" "cast_to__macaddr8";
    Record "pg_typeof_record" "cast_to_record";
    RecordArray "pg_typeof__record" "cast_to__record";
    Unknown "pg_typeof_unknown" "cast_to_unknown";
    UnknownArray "pg_typeof__unknown" "cast_to__unknown";
    Void "pg_typeof_void" "cast_to_void";
    VoidArray "pg_typeof__void" "cast_to__void";
}

pub static FUNCTIONS: &[Function] = &[
    Function::new("format_type", &[Oid, Int4], Text, format_type)
        .lax()
        .stable(),
    Function::new("to_regclass", &[Text], Regclass, |c, a| {
        to_reg(c, a, Regclass)
    })
    .stable(),
    Function::new("to_regtype", &[Text], Regtype, |c, a| to_reg(c, a, Regtype)).stable(),
    Function::new("to_regproc", &[Text], Regproc, |c, a| to_reg(c, a, Regproc)).stable(),
    Function::new("to_regprocedure", &[Text], Regprocedure, |c, a| {
        to_reg(c, a, Regprocedure)
    })
    .stable(),
    Function::new("to_regnamespace", &[Text], Regnamespace, |c, a| {
        to_reg(c, a, Regnamespace)
    })
    .stable(),
];

/// The function for a cast written as a call.
pub fn cast_function(to: DataType) -> Option<&'static Function> {
    let name = format!("cast_to_{}", to.name());
    PER_TYPE.iter().find(|f| f.name == name)
}

fn regtype(ty: DataType) -> Value {
    Value::Reg(Reg {
        oid: ty.oid(),
        name: ty.sql_name().into(),
    })
}

fn cast_to(ctx: &Context, a: &[Value], to: DataType) -> Result<Value> {
    let v = a.first().cloned().unwrap_or_default();
    let from = natural_type(&v);
    cast::cast(v, from, to, -1, true, ctx)
}

/// NULL where there is nothing of that name.
fn to_reg(ctx: &Context, a: &[Value], to: DataType) -> Result<Value> {
    let v = Value::from(args::text(a, 0)?);
    match cast::cast(v, Text, to, -1, true, ctx) {
        Err(e) if e.code() != SqlState::INTERNAL_ERROR => Ok(Value::Null),
        other => other,
    }
}

/// The type's SQL name with its modifier; NULL modifier: the bare name.
fn format_type(ctx: &Context, a: &[Value]) -> Result<Value> {
    let Some(oid) = a.first().and_then(Value::as_i64) else {
        return Ok(Value::Null);
    };
    let typmod = a.get(1).and_then(Value::as_i64);
    let known = u32::try_from(oid).ok();
    let known = known.and_then(|oid| ctx.catalog.type_of_oid(oid));
    let path = path::searched(ctx);
    if let Some(name) = known.and_then(|ty| qualify::type_name(&ctx.catalog, &path, ty)) {
        return Ok(name.into());
    }
    Ok(match known {
        None if oid == 0 => "-".into(),
        None => {
            let pseudo = u32::try_from(oid).ok().and_then(cast::pseudo_name);
            pseudo.unwrap_or("???").into()
        }
        Some(ty) => type_name(ty, typmod).into(),
    })
}

/// `numeric(10,2)`, `character varying(5)[]`, `timestamp(3) without time zone`.
pub fn type_name(ty: DataType, typmod: Option<i64>) -> String {
    if let Some(element) = ty.element()
        && !ty.is_vector()
    {
        return type_name(element, typmod) + "[]";
    }
    // A char without a length is not char(1).
    if ty == Bpchar && typmod == Some(-1) {
        return "bpchar".to_owned();
    }
    if ty.user_oid().is_some() {
        return ty.to_string();
    }
    let name = ty.sql_name();
    let Some(typmod) = typmod.filter(|t| *t >= 0) else {
        return name.to_owned();
    };
    match ty {
        Varchar | Bpchar => format!("{name}({})", typmod - 4),
        Numeric => {
            let packed = typmod - 4;
            // The scale has 11 bits and may be negative.
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            format!("{name}({},{scale})", (packed >> 16) & 0xffff)
        }
        Interval => {
            let typmod = i32::try_from(typmod).unwrap_or(-1);
            format!("{name}{}", Range::of(typmod).suffix())
        }
        Time | Timestamp | Timestamptz => match name.split_once(' ') {
            Some((word, rest)) => format!("{word}({typmod}) {rest}"),
            None => name.to_owned(),
        },
        _ => name.to_owned(),
    }
}
