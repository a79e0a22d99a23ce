//! What the catalog has besides tables: schemas, views, sequences, types, functions, comments, foreign keys.
//!
//! Owns: their declarations, which are their stored form (`stored`). Never: anything that runs.

use super::model::{Check, SqlExpr};
use serde::{Deserialize, Serialize};
use types::{DataType, TableId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    pub oid: u32,
    pub name: String,
    /// Of a session's temporary tables: it ends with the session.
    pub temporary: bool,
}

/// A query kept as text, with what it needs to mean the same each time it is bound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stated {
    pub sql: String,
    /// The schemas that names without one were looked up in.
    pub path: Vec<String>,
    pub reads: Vec<Reads>,
    /// Oids of sequences, types and functions that it names, and of primary keys that it groups by.
    pub uses: Vec<u32>,
}

/// What a name in a stated query means, whatever things are called now: a relation, and columns of it under the names that
/// they had then. Later columns are not in sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    pub relation: TableId,
    /// As it is written.
    pub schema: Option<String>,
    pub name: String,
    pub columns: Vec<ReadColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadColumn {
    /// Its `attnum`.
    pub number: i16,
    pub name: String,
    /// The query names it: it cannot go without the query.
    pub used: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    pub id: TableId,
    pub schema: String,
    pub name: String,
    pub columns: Vec<ViewColumn>,
    pub query: Stated,
    /// The version of the catalog in which this definition began.
    pub since: u64,
    /// Places of the columns that are columns of the one table that it reads, so a statement can assign to them.
    pub updatable: Vec<usize>,
    /// WITH CHECK OPTION: what is written through it has to be among its rows, and those of the views under it where it is CASCADED.
    pub check: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewColumn {
    pub name: String,
    pub ty: DataType,
    pub typmod: i32,
}

impl View {
    pub fn is_updatable(&self) -> bool {
        !self.updatable.is_empty()
    }
}

/// A sequence's definition. Its state is in its home partition, under `state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    pub id: TableId,
    pub schema: String,
    pub name: String,
    /// `int2`, `int4` or `int8`.
    pub ty: DataType,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    /// The table and column (by number) that it goes with.
    pub owner: Option<(TableId, i16)>,
    /// It belongs to an identity column.
    pub internal: bool,
    /// Changes when the sequence starts anew, so that a rollback finds the old state.
    pub state: u32,
    /// The first value of this state …
    pub first: i64,
    /// … unless it counts as already given.
    pub first_given: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserType {
    pub oid: u32,
    /// The next after `oid`.
    pub array_oid: u32,
    pub schema: String,
    pub name: String,
    pub kind: UserTypeKind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum UserTypeKind {
    /// In their order.
    Enum { labels: Vec<EnumLabel> },
    Domain {
        base: DataType,
        typmod: i32,
        not_null: bool,
        default: Option<SqlExpr>,
        /// Over a row of one column: the value.
        checks: Vec<Check>,
    },
    /// A row that no relation has. It is a relation of `pg_class` all the same, of the type's oid.
    Composite { attributes: Vec<Attribute> },
}

/// A field of a composite type, or of a relation's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    pub ty: DataType,
    pub typmod: i32,
    /// Oid of the domain, enum or composite type; 0 for none.
    pub declared: u32,
    /// Its `attnum`.
    pub number: i16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnumLabel {
    pub oid: u32,
    /// What stored values have: see `catalog::enums`.
    pub order: i64,
    pub label: String,
}

/// A function: in SQL, put in the place of its calls or called, or in PL/pgSQL, called by triggers alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Function {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub args: Vec<FunctionArg>,
    pub returns: Returns,
    /// `i`, `s` or `v`.
    pub volatility: char,
    pub strict: bool,
    pub body: Stated,
    pub language: Language,
    /// Its body was bound when it was made (RETURN), and means what it meant then. Otherwise `body` is text alone, which is bound where
    /// the function is used: it has no path and reads nothing, and uses the types of arguments and result.
    pub fixed: bool,
    /// SET: what settings are while it runs, as SHOW prints them.
    pub settings: Vec<(String, String)>,
    /// All arguments as they were written, where some go out; those that go in are `args` too.
    pub written: Vec<WrittenArg>,
    /// SECURITY DEFINER. Stored as a form of its own (`stored`).
    #[serde(skip)]
    pub definer: bool,
}

/// An argument of a function some of whose arguments go out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenArg {
    /// `i`, `o` or `b` (INOUT).
    pub mode: char,
    pub name: Option<String>,
    pub ty: DataType,
    pub declared: u32,
}

/// What a body is written in, and what calls it. The three before the last are stored as forms of their own (`stored`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    Sql,
    /// PL/pgSQL, for triggers.
    OfTriggers,
    PlPgSql,
    /// A procedure in SQL.
    SqlProcedure,
    /// A procedure in PL/pgSQL.
    PlPgSqlProcedure,
    /// Of an extension: the body names what is called. Never stored (`extensions`).
    BuiltIn,
}

/// A trigger of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub oid: u32,
    pub table: TableId,
    pub name: String,
    /// Oid of what it calls.
    pub function: u32,
    /// BEFORE rather than AFTER.
    pub before: bool,
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
    /// UPDATE OF: numbers of the columns, in the order they were named; empty: any.
    pub columns: Vec<i16>,
    pub when: Option<TriggerWhen>,
    /// What TG_ARGV has.
    pub args: Vec<String>,
    pub firing: Firing,
    /// FOR EACH STATEMENT rather than ROW.
    pub statement: bool,
}

/// WHEN: over `new` and `old`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerWhen {
    pub sql: String,
    /// Numbers of the columns that it names.
    pub columns: Vec<i16>,
    /// Oids of types and functions that it names.
    pub uses: Vec<u32>,
}

/// ENABLE and DISABLE TRIGGER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Firing {
    Origin,
    Always,
    /// Where changes are replayed, which they never are here.
    Replica,
    Disabled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionArg {
    pub name: Option<String>,
    pub ty: DataType,
    /// Oid of the domain or enum; 0 for none.
    pub declared: u32,
    pub default: Option<SqlExpr>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returns {
    /// `void` where it is of no one type: see `columns`.
    pub ty: DataType,
    pub declared: u32,
    /// SETOF and TABLE.
    pub set: bool,
    /// Of TABLE (…), or of the relation whose rows it returns.
    pub columns: Vec<ViewColumn>,
    /// SETOF a table or view.
    pub row_of: Option<TableId>,
}

/// What a comment is about: `pg_description`'s classoid, objoid and objsubid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CommentKey {
    pub class: u32,
    pub object: u32,
    pub column: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub oid: u32,
    pub name: String,
    /// Ordinals of the referencing columns.
    pub columns: Vec<usize>,
    pub referenced: TableId,
    /// Ordinals in the referenced table, in the order of `columns`.
    pub referenced_columns: Vec<usize>,
    /// The primary key's or unique index that makes them unique.
    pub index: TableId,
    /// MATCH FULL rather than SIMPLE.
    pub full: bool,
    pub on_delete: ForeignKeyAction,
    pub on_update: ForeignKeyAction,
    /// ON DELETE SET NULL (…) or SET DEFAULT (…): these of `columns` alone; empty: all.
    pub delete_sets: Vec<usize>,
    pub deferrable: bool,
    pub initially_deferred: bool,
    /// False after ADD … NOT VALID.
    pub validated: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForeignKeyAction {
    #[default]
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}
