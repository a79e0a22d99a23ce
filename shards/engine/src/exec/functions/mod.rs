//! The functions and operators that expressions call.
//!
//! Owns: the registry, one `Function` per overload, named as PostgreSQL's `pg_proc.prosrc`; the folder's files hold the bodies
//! by subject, each with a `FUNCTIONS` table.
//! Asked by: `resolve` (by SQL name and operator symbol), `eval` (the `eval` field), stored plans (`by_name`), `pg_proc` (`all`).
//! Never: reads a table, or anything that is not an argument or in the `Context` (the exceptions, `clock_timestamp`, `random`
//! and `gen_random_uuid`, are volatile and ask `runtime`).
//! Bounds: one result value is at most `limits::VALUE_BYTES_MAX`.
//! Source: PostgreSQL 15 manual, chapter 9; `pg_proc.dat`, `pg_operator.dat`.

pub mod absent;
mod args;
mod arrays;
pub mod assign;
mod bytes;
mod compare;
mod datetime;
pub mod domains;
mod enums;
mod extensions;
mod floats;
mod inlined;
mod integers;
pub mod json;
mod jsonb;
mod keywords;
mod network;
mod numerics;
pub mod records;
pub mod rows;
mod show;
pub mod spread;
pub mod system;
mod text;

use super::context::Context;
use hashbrown::HashMap;
use std::cmp::Ordering;
use std::sync::LazyLock;
use types::{DataType, Result, Value};

pub use args::check_size;
pub use datetime::clock_now;
pub use inlined::{FROM_FUNCTION, is_from};
pub use integers::{KEYS, LIMITS, division_by_zero, is_narrowed, out_of_range};
pub use show::{json_subscript, json_text_of, natural_type, row_text_of, shown, to_json};
pub use text::{quote_identifier, quote_literal};

/// One function of fixed argument types; overloads have several.
///
/// In `args` and `ret`, types that no value has stand for PostgreSQL's pseudo-types: see `ANY_ELEMENT` and those after it.
pub struct Function {
    /// Unique: PostgreSQL's internal name (`pg_proc.prosrc`), such as `int4pl`.
    pub name: &'static str,
    /// What SQL calls it (`pg_proc.proname`), shared by overloads; empty for one that SQL cannot call by name.
    pub sql: &'static str,
    /// The operator it implements, such as `+`; empty for none. One argument: prefix; two: infix.
    pub operator: &'static str,
    pub args: &'static [DataType],
    /// The last argument may be given any number of times, but at least once.
    pub variadic: bool,
    pub ret: DataType,
    /// NULL in, NULL out, without a call.
    pub strict: bool,
    pub volatility: Volatility,
    pub eval: Eval,
    /// What it finds out, where it only compares two values.
    pub comparison: Option<Comparison>,
}

/// `=` and its like, of values that need no context.
#[derive(Clone, Copy)]
pub struct Comparison {
    compare: fn(&Value, &Value) -> Ordering,
    wanted: fn(Ordering) -> bool,
}

impl Comparison {
    /// Of two values that are not NULL.
    pub fn holds(&self, left: &Value, right: &Value) -> bool {
        (self.wanted)((self.compare)(left, right))
    }
}

/// The body of a function.
pub type Eval = fn(&Context, &[Value]) -> Result<Value>;

/// What may be computed once: at planning, once a statement, or never.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// `anyelement`, `anyarray` and `"any"` in a `Function`'s types.
pub const ANY_ELEMENT: DataType = DataType::Unknown;
pub const ANY_ARRAY: DataType = DataType::UnknownArray;
pub const ANY: DataType = DataType::VoidArray;
/// `anyenum`.
pub const ANY_ENUM: DataType = DataType::Enum(0);
/// `anynonarray`, bound to nothing.
pub const ANY_NONARRAY: DataType = DataType::Void;

impl Function {
    /// Strict and immutable; the methods below say otherwise.
    const fn new(
        name: &'static str,
        args: &'static [DataType],
        ret: DataType,
        eval: Eval,
    ) -> Function {
        Function {
            name,
            sql: name,
            operator: "",
            args,
            variadic: false,
            ret,
            strict: true,
            volatility: Volatility::Immutable,
            eval,
            comparison: None,
        }
    }

    const fn compares(
        mut self,
        compare: Option<fn(&Value, &Value) -> Ordering>,
        wanted: fn(Ordering) -> bool,
    ) -> Function {
        if let Some(compare) = compare {
            self.comparison = Some(Comparison { compare, wanted });
        }
        self
    }

    /// A signature alone, for what is called some other way.
    pub const fn lax_named(
        name: &'static str,
        sql: &'static str,
        args: &'static [DataType],
        ret: DataType,
        eval: Eval,
    ) -> Function {
        Function::new(name, args, ret, eval).sql(sql).lax()
    }

    const fn sql(mut self, sql: &'static str) -> Function {
        self.sql = sql;
        self
    }

    const fn op(mut self, symbol: &'static str) -> Function {
        self.operator = symbol;
        self
    }

    /// Called with NULLs too.
    const fn lax(mut self) -> Function {
        self.strict = false;
        self
    }

    const fn variadic(mut self) -> Function {
        self.variadic = true;
        self
    }

    /// For tables whose rows name a volatility.
    const fn immutable(self) -> Function {
        self
    }

    const fn stable(mut self) -> Function {
        self.volatility = Volatility::Stable;
        self
    }

    const fn volatile(mut self) -> Function {
        self.volatility = Volatility::Volatile;
        self
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// By unique name.
pub fn by_name(name: &str) -> Option<&'static Function> {
    REGISTRY.names.get(name).copied()
}

/// The overloads of an SQL name.
pub fn overloads(sql: &str) -> &'static [&'static Function] {
    REGISTRY.sql.get(sql).map_or(&[], Vec::as_slice)
}

/// The overloads of an operator, prefix and infix together.
pub fn operators(symbol: &str) -> &'static [&'static Function] {
    REGISTRY.symbols.get(symbol).map_or(&[], Vec::as_slice)
}

/// `pg_proc.oid`: by position, so fixed within one version of the server; below those of users' objects.
pub fn oid(f: &Function) -> Option<u32> {
    let at = all().position(|g| g == f)?;
    u32::try_from(at).ok().map(|i| FIRST_OID + i)
}

/// The function of this `pg_proc.oid`.
pub fn by_oid(oid: u32) -> Option<&'static Function> {
    let at = oid.checked_sub(FIRST_OID)?;
    all().nth(usize::try_from(at).ok()?)
}

/// The oid of the first overload of an SQL name.
pub fn proc_oid(sql: &str) -> Option<u32> {
    overloads(sql).first().and_then(|f| oid(f))
}

const FIRST_OID: u32 = 10_000;

/// Every function that SQL can name.
pub fn all() -> impl Iterator<Item = &'static Function> {
    every().filter(|f| !f.sql.is_empty())
}

fn every() -> impl Iterator<Item = &'static Function> {
    TABLES
        .iter()
        .chain(text::FUNCTIONS)
        .chain(datetime::FUNCTIONS)
        .chain(system::FUNCTIONS)
        .chain(extensions::FUNCTIONS)
        .flat_map(|t| t.iter())
}

/// The name of what stands for GROUPING(…) until the groups are known.
pub const GROUPING: &str = "grouping";

/// Never called: the binder replaces it.
static MARKERS: &[Function] = &[Function::new(GROUPING, &[ANY], DataType::Int4, |_, _| {
    Err(types::Error::internal("GROUPING without groups"))
})
.sql("")
.variadic()
.lax()];

static TABLES: &[&[Function]] = &[
    MARKERS,
    compare::FUNCTIONS,
    integers::ARITHMETIC,
    integers::NARROWED,
    integers::FUNCTIONS,
    floats::ARITHMETIC,
    floats::FUNCTIONS,
    network::FUNCTIONS,
    numerics::FUNCTIONS,
    bytes::FUNCTIONS,
    arrays::FUNCTIONS,
    assign::FUNCTIONS,
    jsonb::FUNCTIONS,
    jsonb::path_functions::FUNCTIONS,
    json::FUNCTIONS,
    enums::FUNCTIONS,
    domains::FUNCTIONS,
    inlined::FUNCTIONS,
    records::FUNCTIONS,
    spread::FUNCTIONS,
];

struct Registry {
    names: HashMap<&'static str, &'static Function>,
    sql: HashMap<&'static str, Vec<&'static Function>>,
    symbols: HashMap<&'static str, Vec<&'static Function>>,
}

/// Made once; read-only afterwards.
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut r = Registry {
        names: HashMap::new(),
        sql: HashMap::new(),
        symbols: HashMap::new(),
    };
    for f in every() {
        r.names.insert(f.name, f);
        if !f.sql.is_empty() {
            r.sql.entry(f.sql).or_default().push(f);
        }
        if !f.operator.is_empty() {
            r.symbols.entry(f.operator).or_default().push(f);
        }
    }
    r
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_names_are_unique() {
        assert_eq!(REGISTRY.names.len(), every().count());
    }

    #[test]
    fn overloads_of_a_name_differ_in_their_arguments() {
        let differ = |group: &Vec<&'static Function>| {
            for (i, f) in group.iter().enumerate() {
                for g in &group[..i] {
                    assert!(f.args != g.args, "{} and {}", f.name, g.name);
                }
            }
        };
        REGISTRY.sql.values().for_each(differ);
        REGISTRY.symbols.values().for_each(differ);
    }
}
