//! Rows of `pg_proc`, `pg_operator`, `pg_aggregate` and `pg_language`, from the function registries.
//!
//! Also the input and output functions of types, which drivers look for: they are this server's text and binary forms
//! (`types::text`, `types::binary`), with the oids PostgreSQL gives them, and cannot be called from SQL.

use super::definitions::PG_CATALOG_OID;
use super::routines::{C, PLPGSQL, SQL};
use super::values::{OWNER, array, ch, int2, int4, no_proc, null, oid, proc, text, yes};
use crate::exec::Context;
use crate::exec::aggregates;
use crate::exec::functions::{
    self, ANY, ANY_ARRAY, ANY_ELEMENT, ANY_ENUM, ANY_NONARRAY, Function, Volatility,
};
use crate::exec::resolve;
use std::sync::LazyLock;
use types::{DataType, Row, Value};

/// `pg_language.oid` of what is built in.
const INTERNAL: u32 = 12;
/// First oids of aggregates, window functions and operators, by position; functions have theirs from `functions::oid`.
const AGGREGATE_FIRST: u32 = 12_000;
const WINDOW_FIRST: u32 = 12_800;
const OPERATOR_FIRST: u32 = 13_000;

const CSTRING: u32 = 2275;
const INTERNAL_TYPE: u32 = 2281;

/// A type's input, output, receive and send functions: oid and name.
pub(super) struct IoFunctions {
    pub ty: u32,
    pub functions: [(u32, &'static str); 4],
}

const fn io(ty: u32, functions: [(u32, &'static str); 4]) -> IoFunctions {
    IoFunctions { ty, functions }
}

/// Shared by all array types.
pub(super) const ARRAY_IO: [(u32, &str); 4] = [
    (750, "array_in"),
    (751, "array_out"),
    (2400, "array_recv"),
    (2401, "array_send"),
];

/// Shared by all domains, whose values are written as those of the types under them.
pub(super) const DOMAIN_IO: [(u32, &str); 4] =
    [(2597, "domain_in"), (0, ""), (2598, "domain_recv"), (0, "")];

pub(super) const IO_FUNCTIONS: &[IoFunctions] = &[
    io(
        2249,
        [
            (2290, "record_in"),
            (2291, "record_out"),
            (2402, "record_recv"),
            (2403, "record_send"),
        ],
    ),
    io(
        2202,
        [
            (2212, "regprocedurein"),
            (2213, "regprocedureout"),
            (2446, "regprocedurerecv"),
            (2447, "regproceduresend"),
        ],
    ),
    io(
        16,
        [
            (1242, "boolin"),
            (1243, "boolout"),
            (2436, "boolrecv"),
            (2437, "boolsend"),
        ],
    ),
    io(
        17,
        [
            (1244, "byteain"),
            (31, "byteaout"),
            (2412, "bytearecv"),
            (2413, "byteasend"),
        ],
    ),
    io(
        18,
        [
            (1245, "charin"),
            (33, "charout"),
            (2434, "charrecv"),
            (2435, "charsend"),
        ],
    ),
    io(
        19,
        [
            (34, "namein"),
            (35, "nameout"),
            (2422, "namerecv"),
            (2423, "namesend"),
        ],
    ),
    io(
        20,
        [
            (460, "int8in"),
            (461, "int8out"),
            (2408, "int8recv"),
            (2409, "int8send"),
        ],
    ),
    io(
        21,
        [
            (38, "int2in"),
            (39, "int2out"),
            (2404, "int2recv"),
            (2405, "int2send"),
        ],
    ),
    io(
        23,
        [
            (42, "int4in"),
            (43, "int4out"),
            (2406, "int4recv"),
            (2407, "int4send"),
        ],
    ),
    io(
        24,
        [
            (44, "regprocin"),
            (45, "regprocout"),
            (2444, "regprocrecv"),
            (2445, "regprocsend"),
        ],
    ),
    io(
        25,
        [
            (46, "textin"),
            (47, "textout"),
            (2414, "textrecv"),
            (2415, "textsend"),
        ],
    ),
    io(
        26,
        [
            (1798, "oidin"),
            (1799, "oidout"),
            (2418, "oidrecv"),
            (2419, "oidsend"),
        ],
    ),
    io(
        700,
        [
            (200, "float4in"),
            (201, "float4out"),
            (2424, "float4recv"),
            (2425, "float4send"),
        ],
    ),
    io(
        701,
        [
            (214, "float8in"),
            (215, "float8out"),
            (2426, "float8recv"),
            (2427, "float8send"),
        ],
    ),
    io(
        705,
        [
            (109, "unknownin"),
            (110, "unknownout"),
            (2416, "unknownrecv"),
            (2417, "unknownsend"),
        ],
    ),
    io(
        1042,
        [
            (1044, "bpcharin"),
            (1045, "bpcharout"),
            (2430, "bpcharrecv"),
            (2431, "bpcharsend"),
        ],
    ),
    io(
        1043,
        [
            (1046, "varcharin"),
            (1047, "varcharout"),
            (2432, "varcharrecv"),
            (2433, "varcharsend"),
        ],
    ),
    io(
        1082,
        [
            (1084, "date_in"),
            (1085, "date_out"),
            (2468, "date_recv"),
            (2469, "date_send"),
        ],
    ),
    io(
        1083,
        [
            (1143, "time_in"),
            (1144, "time_out"),
            (2470, "time_recv"),
            (2471, "time_send"),
        ],
    ),
    io(
        1114,
        [
            (1312, "timestamp_in"),
            (1313, "timestamp_out"),
            (2474, "timestamp_recv"),
            (2475, "timestamp_send"),
        ],
    ),
    io(
        1184,
        [
            (1150, "timestamptz_in"),
            (1151, "timestamptz_out"),
            (2476, "timestamptz_recv"),
            (2477, "timestamptz_send"),
        ],
    ),
    io(
        1186,
        [
            (1160, "interval_in"),
            (1161, "interval_out"),
            (2478, "interval_recv"),
            (2479, "interval_send"),
        ],
    ),
    io(
        1700,
        [
            (1701, "numeric_in"),
            (1702, "numeric_out"),
            (2460, "numeric_recv"),
            (2461, "numeric_send"),
        ],
    ),
    io(
        2205,
        [
            (2218, "regclassin"),
            (2219, "regclassout"),
            (2452, "regclassrecv"),
            (2453, "regclasssend"),
        ],
    ),
    io(
        2206,
        [
            (2220, "regtypein"),
            (2221, "regtypeout"),
            (2454, "regtyperecv"),
            (2455, "regtypesend"),
        ],
    ),
    io(
        2275,
        [
            (2292, "cstring_in"),
            (2293, "cstring_out"),
            (2500, "cstring_recv"),
            (2501, "cstring_send"),
        ],
    ),
    io(
        2276,
        [(2294, "any_in"), (2295, "any_out"), (0, "-"), (0, "-")],
    ),
    io(
        2277,
        [
            (2296, "anyarray_in"),
            (2297, "anyarray_out"),
            (2502, "anyarray_recv"),
            (2503, "anyarray_send"),
        ],
    ),
    io(
        2278,
        [
            (2298, "void_in"),
            (2299, "void_out"),
            (3120, "void_recv"),
            (3121, "void_send"),
        ],
    ),
    io(
        2281,
        [
            (2304, "internal_in"),
            (2305, "internal_out"),
            (0, "-"),
            (0, "-"),
        ],
    ),
    io(
        2283,
        [
            (2312, "anyelement_in"),
            (2313, "anyelement_out"),
            (0, "-"),
            (0, "-"),
        ],
    ),
    io(
        2950,
        [
            (2952, "uuid_in"),
            (2953, "uuid_out"),
            (2961, "uuid_recv"),
            (2962, "uuid_send"),
        ],
    ),
    io(
        22,
        [
            (40, "int2vectorin"),
            (41, "int2vectorout"),
            (2410, "int2vectorrecv"),
            (2411, "int2vectorsend"),
        ],
    ),
    io(
        30,
        [
            (54, "oidvectorin"),
            (55, "oidvectorout"),
            (2420, "oidvectorrecv"),
            (2421, "oidvectorsend"),
        ],
    ),
    io(
        114,
        [
            (321, "json_in"),
            (322, "json_out"),
            (323, "json_recv"),
            (324, "json_send"),
        ],
    ),
    io(
        3500,
        [
            (3506, "enum_in"),
            (3507, "enum_out"),
            (3532, "enum_recv"),
            (3533, "enum_send"),
        ],
    ),
    io(
        3802,
        [
            (3806, "jsonb_in"),
            (3804, "jsonb_out"),
            (3805, "jsonb_recv"),
            (3803, "jsonb_send"),
        ],
    ),
    io(
        4072,
        [
            (4001, "jsonpath_in"),
            (4003, "jsonpath_out"),
            (4002, "jsonpath_recv"),
            (4004, "jsonpath_send"),
        ],
    ),
    io(
        4089,
        [
            (4084, "regnamespacein"),
            (4085, "regnamespaceout"),
            (4087, "regnamespacerecv"),
            (4088, "regnamespacesend"),
        ],
    ),
];

fn io_functions() -> impl Iterator<Item = (u32, &'static str)> {
    let of_types = IO_FUNCTIONS.iter().flat_map(|f| f.functions);
    of_types
        .chain(ARRAY_IO)
        .chain(DOMAIN_IO)
        .filter(|(oid, _)| *oid != 0)
}

/// The oid of a type's input or output function by its name, such as `array_in`.
pub fn io_function(name: &str) -> Option<u32> {
    io_functions().find(|f| f.1 == name).map(|f| f.0)
}

/// The name of a type's input or output function.
pub fn io_function_name(oid: u32) -> Option<&'static str> {
    io_functions().find(|f| f.0 == oid).map(|f| f.1)
}

/// The oid `pg_type` shows for a type in a signature.
pub fn signature_oid(ty: DataType) -> u32 {
    match ty {
        ANY_ELEMENT => 2283,
        ANY_ARRAY => 2277,
        ANY => 2276,
        ANY_ENUM => 3500,
        ANY_NONARRAY => 2776,
        other => other.oid(),
    }
}

/// What differs between the rows of `pg_proc`.
struct Proc<'a> {
    oid: u32,
    name: &'a str,
    source: &'a str,
    kind: &'static str,
    strict: bool,
    volatility: &'static str,
    variadic: u32,
    args: Vec<u32>,
    ret: u32,
}

impl Proc<'_> {
    fn row(self) -> Row {
        vec![
            oid(self.oid),
            text(self.name),
            oid(PG_CATALOG_OID),
            oid(OWNER),
            oid(INTERNAL),
            Value::Float4(1.0),
            Value::Float4(0.0),
            oid(self.variadic),
            no_proc(),
            ch(self.kind),
            yes(false),
            yes(false),
            yes(self.strict),
            yes(false),
            ch(self.volatility),
            ch("s"),
            int2(self.args.len() as i16),
            int2(0),
            oid(self.ret),
            array(DataType::Oid, self.args.into_iter().map(oid).collect()),
            null(),
            null(),
            null(),
            null(),
            null(),
            text(self.source),
            null(),
            null(),
            null(),
            null(),
        ]
    }
}

fn function_row(id: u32, f: &Function, kind: &'static str) -> Row {
    let mut args: Vec<u32> = f.args.iter().map(|t| signature_oid(*t)).collect();
    let mut variadic = 0;
    if f.variadic
        && let Some(last) = args.last_mut()
    {
        // The last argument stands for an array of what may be repeated.
        variadic = *last;
        if let Some(array) = DataType::from_oid(*last).and_then(DataType::array) {
            *last = array.oid();
        }
    }
    let row = Proc {
        oid: id,
        name: f.sql,
        source: f.name,
        kind,
        strict: f.strict && kind == "f",
        volatility: match f.volatility {
            Volatility::Immutable => "i",
            Volatility::Stable => "s",
            Volatility::Volatile => "v",
        },
        variadic,
        args,
        ret: signature_oid(f.ret),
    };
    row.row()
}

/// Input takes a cstring, output gives one; receive takes a message buffer, send gives bytes.
fn io_rows(f: &IoFunctions) -> impl Iterator<Item = Row> + '_ {
    let shapes = [
        (CSTRING, f.ty),
        (f.ty, CSTRING),
        (INTERNAL_TYPE, f.ty),
        (f.ty, DataType::Bytea.oid()),
    ];
    let named = f.functions.iter().zip(shapes).filter(|(f, _)| f.0 != 0);
    named.map(|((id, name), (arg, ret))| {
        let row = Proc {
            oid: *id,
            name,
            source: name,
            kind: "f",
            strict: true,
            volatility: "s",
            variadic: 0,
            args: vec![arg],
            ret,
        };
        row.row()
    })
}

/// They never change, so they are made once.
static PROCS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let arrays = io(signature_oid(ANY_ARRAY), ARRAY_IO);
    let mut rows: Vec<Row> = IO_FUNCTIONS.iter().flat_map(io_rows).collect();
    rows.extend(io_rows(&arrays));
    rows.extend(io_rows(&io(signature_oid(ANY), DOMAIN_IO)));
    // Those without an SQL name stand behind casts.
    for f in functions::all().filter(|f| !f.sql.is_empty()) {
        let id = functions::oid(f).unwrap_or(0);
        rows.push(function_row(id, f, "f"));
    }
    for (f, id) in aggregates::all().zip(AGGREGATE_FIRST..) {
        rows.push(function_row(id, f, "a"));
    }
    for (f, id) in resolve::window_functions().zip(WINDOW_FIRST..) {
        rows.push(function_row(id, f, "w"));
    }
    rows
});

pub(super) fn procs(ctx: &Context) -> Vec<Row> {
    let mut rows = PROCS.clone();
    rows.extend(super::routines::procs(ctx));
    rows
}

pub(super) fn operators(_: &Context) -> Vec<Row> {
    let named = functions::all().filter(|f| !f.operator.is_empty());
    let row = |(f, id): (&Function, u32)| -> Row {
        let args: Vec<u32> = f.args.iter().map(|t| signature_oid(*t)).collect();
        let (kind, left, right) = match args[..] {
            [right] => ("l", 0, right),
            [left, right, ..] => ("b", left, right),
            [] => ("b", 0, 0),
        };
        let equality = f.operator == "=";
        vec![
            oid(id),
            text(f.operator),
            oid(PG_CATALOG_OID),
            oid(OWNER),
            ch(kind),
            yes(false),
            yes(equality),
            oid(left),
            oid(right),
            oid(signature_oid(f.ret)),
            oid(0),
            oid(0),
            proc(functions::oid(f).unwrap_or(0), f.sql),
            no_proc(),
            no_proc(),
        ]
    };
    named.zip(OPERATOR_FIRST..).map(row).collect()
}

pub(super) fn aggregates(_: &Context) -> Vec<Row> {
    let row = |(f, id): (&Function, u32)| -> Row {
        let mut row = vec![proc(id, f.sql), ch("n"), int2(0)];
        row.extend((0..8).map(|_| no_proc()));
        row.extend([
            yes(false),
            yes(false),
            ch("r"),
            ch("r"),
            oid(0),
            oid(INTERNAL_TYPE),
            int4(0),
            oid(0),
            int4(0),
            null(),
            null(),
        ]);
        row
    };
    aggregates::all().zip(AGGREGATE_FIRST..).map(row).collect()
}

pub(super) fn languages(_: &Context) -> Vec<Row> {
    let row = |(number, name, procedural): (u32, &str, bool)| {
        vec![
            oid(number),
            text(name),
            oid(OWNER),
            yes(procedural),
            yes(procedural || name == "sql"),
            oid(0),
            oid(0),
            oid(0),
            null(),
        ]
    };
    let all = [
        (INTERNAL, "internal", false),
        (C, "c", false),
        (SQL, "sql", false),
        (PLPGSQL, "plpgsql", true),
    ];
    all.into_iter().map(row).collect()
}
