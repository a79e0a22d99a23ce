//! Statements that define things, with names already checked against PostgreSQL's rules and expressions bound.
//!
//! Owns: what a change of the catalog is asked to do. Names come with the schema that they were found in, or are to be made in.
//! Whether they exist, and what depends on them, is decided when it is carried out (`catalog::change`).

use super::Expr;
use crate::catalog::statistics::Statistics;
use crate::catalog::{
    Attribute, Check, ColumnDef, Default, Firing, ForeignKeyAction, Function, Index, OnCommit,
    Sequence, SqlExpr, Stated, Trigger, TriggerWhen, UserTypeKind, View,
};
use std::sync::Arc;
use types::{DataType, Error, TableId};

/// `schema.name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QualifiedName {
    pub schema: String,
    pub name: String,
}

/// A change of the catalog.
#[derive(Clone, Debug)]
pub enum Ddl {
    CreateTable(Box<CreateTable>),
    CreateView(CreateView),
    CreateSequence(CreateSequence),
    CreateSchema {
        name: String,
        if_not_exists: bool,
        temporary: bool,
    },
    CreateIndex {
        table: QualifiedName,
        /// The version that the table's definition began with: expressions are bound against it.
        since: u64,
        new: Box<NewIndex>,
        if_not_exists: bool,
        concurrently: bool,
    },
    /// A later step of CREATE INDEX CONCURRENTLY.
    IndexBuild {
        table: TableId,
        index: TableId,
        step: BuildStep,
    },
    /// Indexes are filled anew: of these tables, or one of them.
    Reindex {
        tables: Vec<TableId>,
        index: Option<TableId>,
        /// What cannot run inside a transaction block, as it is called.
        alone: Option<&'static str>,
    },
    /// Of databases.
    Database(DatabaseChange),
    CreateEnum {
        name: QualifiedName,
        labels: Vec<String>,
    },
    CreateComposite {
        name: QualifiedName,
        /// Numbered when it is carried out.
        attributes: Vec<Attribute>,
    },
    CreateFunction {
        /// Its oid is given when it is carried out.
        function: Box<Function>,
        or_replace: bool,
    },
    CreateExtension(CreateExtension),
    /// DROP ROLE IF EXISTS of roles that there are not.
    NoRoles {
        notices: Vec<Error>,
    },
    CreateTrigger {
        /// Its oid is given when it is carried out.
        trigger: Box<Trigger>,
        /// The version that the table's definition began with.
        since: u64,
        or_replace: bool,
    },
    RenameTrigger {
        table: TableId,
        name: String,
        to: String,
    },
    /// DROP TRIGGER IF EXISTS of a table that there is none of.
    NoTrigger {
        notice: String,
    },
    DropTrigger {
        table: TableId,
        name: String,
        if_exists: bool,
    },
    CreateDomain {
        name: QualifiedName,
        /// Checks without a name are given one.
        domain: Box<UserTypeKind>,
    },
    Alter(Alter),
    Drop(Drop),
    Truncate {
        tables: Vec<QualifiedName>,
        /// Sequences that its columns own begin anew.
        restart: bool,
        cascade: bool,
    },
    Comment {
        on: CommentTarget,
        text: Option<String>,
    },
    /// What ANALYZE has found.
    Statistics {
        tables: Vec<(TableId, Arc<Statistics>)>,
    },
    /// The transaction ends: ON COMMIT of the temporary tables in this schema.
    OnCommit {
        schema: String,
    },
    /// Sessions have ended, or want nothing of it any more: their temporary schemas go, with everything in them.
    DropTemporary {
        schemas: Vec<String>,
    },
    /// The rows of a materialized view give way to those of its query, which come in by themselves.
    Refresh {
        view: TableId,
        with_data: bool,
    },
}

impl Ddl {
    /// What it is called, where it cannot run inside a transaction block.
    pub fn alone(&self) -> Option<&'static str> {
        match self {
            Ddl::CreateIndex {
                concurrently: true, ..
            } => Some("CREATE INDEX CONCURRENTLY"),
            Ddl::Drop(Drop {
                concurrently: true, ..
            }) => Some("DROP INDEX CONCURRENTLY"),
            Ddl::Reindex { alone, .. } => *alone,
            Ddl::Database(DatabaseChange::Create { .. }) => Some("CREATE DATABASE"),
            Ddl::Database(DatabaseChange::Drop { .. }) => Some("DROP DATABASE"),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildStep {
    /// Whoever writes has to know the index, which the table has since this version.
    Known { since: u64 },
    /// It has all its entries.
    Valid,
}

/// CREATE, DROP and ALTER DATABASE.
#[derive(Clone, Debug)]
pub enum DatabaseChange {
    Create {
        name: String,
        /// What it is a copy of.
        template: String,
        is_template: bool,
        allows_connections: bool,
    },
    Drop {
        name: String,
        if_exists: bool,
        /// Sessions in it are ended.
        force: bool,
    },
    Rename {
        name: String,
        to: String,
    },
    Options {
        name: String,
        is_template: Option<bool>,
        allows_connections: Option<bool>,
    },
    /// OWNER TO: there are no roles to give it to.
    Same {
        name: String,
    },
    /// SET and RESET. No setting: all of them; no value: as the server has it.
    Set {
        name: String,
        setting: Option<String>,
        value: Option<String>,
    },
}

impl DatabaseChange {
    pub fn name(&self) -> &str {
        match self {
            DatabaseChange::Create { name, .. }
            | DatabaseChange::Drop { name, .. }
            | DatabaseChange::Rename { name, .. }
            | DatabaseChange::Options { name, .. }
            | DatabaseChange::Same { name }
            | DatabaseChange::Set { name, .. } => name,
        }
    }

    /// Nobody may be in the database meanwhile; whether who is there is ended.
    pub fn vacates(&self) -> Option<bool> {
        match self {
            DatabaseChange::Drop { force, .. } => Some(*force),
            DatabaseChange::Rename { .. } => Some(false),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct CreateTable {
    pub schema: String,
    pub name: String,
    pub if_not_exists: bool,
    /// NOT NULL already set on the primary key's columns.
    pub columns: Vec<ColumnDef>,
    pub primary_key: Option<Key>,
    /// As `Table::placement`.
    pub placement: Vec<usize>,
    pub uniques: Vec<Key>,
    /// Names already chosen (`t_c_check`).
    pub checks: Vec<Check>,
    pub foreign_keys: Vec<NewForeignKey>,
    /// Further indexes, of LIKE … INCLUDING INDEXES.
    pub indexes: Vec<NewIndex>,
    pub sequences: Vec<OwnedSequence>,
    /// Of a temporary table.
    pub temporary: Option<OnCommit>,
    /// Of a materialized view, and whether rows follow.
    pub materialized: Option<(Stated, bool)>,
    /// By ordinal, of LIKE … INCLUDING COMMENTS.
    pub comments: Vec<(usize, String)>,
    /// CREATE TABLE AS: what the tag says is decided by who fills it.
    pub filled: bool,
}

/// An index, over the row of the table that it is for.
#[derive(Clone, Debug)]
pub struct NewIndex {
    /// None is given: it is named after its parts.
    pub name: Option<String>,
    /// Its id, name and tree are given when it is carried out.
    pub index: Index,
}

/// A sequence that is made with a column and goes with it: of `serial`, or of an identity.
#[derive(Clone, Debug)]
pub struct OwnedSequence {
    /// The column's ordinal.
    pub column: usize,
    /// Ids, name and state are given when it is carried out.
    pub sequence: Sequence,
    /// GENERATED ALWAYS (true) or BY DEFAULT AS IDENTITY; `None` for `serial`, whose DEFAULT it is.
    pub identity: Option<bool>,
}

/// FOREIGN KEY, as it was written.
#[derive(Clone, Debug)]
pub struct NewForeignKey {
    pub name: Option<String>,
    pub columns: Vec<String>,
    pub referenced: QualifiedName,
    /// Empty: the primary key's.
    pub referenced_columns: Vec<String>,
    pub full: bool,
    pub on_delete: ForeignKeyAction,
    pub on_update: ForeignKeyAction,
    /// What ON DELETE SET NULL or SET DEFAULT sets; empty: all.
    pub delete_sets: Vec<String>,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub not_valid: bool,
}

/// A key constraint: its name if one was given, and ordinals of its columns.
#[derive(Clone, Debug, Default)]
pub struct Key {
    pub name: Option<String>,
    pub columns: Vec<usize>,
    /// UNIQUE NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// UNIQUE … INCLUDE.
    pub include: Vec<usize>,
}

#[derive(Clone, Debug)]
pub struct CreateView {
    /// Its id is given when it is carried out.
    pub view: View,
    pub or_replace: bool,
    /// What it reads makes it temporary, unasked.
    pub made_temporary: bool,
}

#[derive(Clone, Debug)]
pub struct CreateSequence {
    /// Its id and state are given when it is carried out.
    pub sequence: Sequence,
    pub if_not_exists: bool,
}

#[derive(Clone, Debug)]
pub struct Drop {
    pub kind: ObjectKind,
    /// `None` as a schema: it has none (DROP SCHEMA).
    pub names: Vec<QualifiedName>,
    /// Of functions, beside their names: the arguments' types and domains, where they are given.
    pub args: Vec<Option<Vec<(DataType, u32)>>>,
    pub if_exists: bool,
    pub cascade: bool,
    /// Of an index: outside a transaction alone.
    pub concurrently: bool,
}

#[derive(Clone, Debug)]
pub struct CreateExtension {
    pub name: String,
    pub schema: String,
    pub version: Option<String>,
    pub if_not_exists: bool,
}

/// What a statement says it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    Table,
    View,
    MaterializedView,
    Sequence,
    Index,
    Schema,
    Type,
    Domain,
    Function,
    Procedure,
    Extension,
}

impl ObjectKind {
    /// As messages and tags name it.
    pub fn name(self) -> &'static str {
        match self {
            ObjectKind::Table => "table",
            ObjectKind::View => "view",
            ObjectKind::MaterializedView => "materialized view",
            ObjectKind::Sequence => "sequence",
            ObjectKind::Index => "index",
            ObjectKind::Schema => "schema",
            ObjectKind::Type => "type",
            ObjectKind::Domain => "domain",
            ObjectKind::Function => "function",
            ObjectKind::Procedure => "procedure",
            ObjectKind::Extension => "extension",
        }
    }
}

/// ALTER of one object.
#[derive(Clone, Debug)]
pub struct Alter {
    pub kind: ObjectKind,
    pub target: AlterTarget,
    pub notices: Vec<Error>,
}

#[derive(Clone, Debug)]
pub enum AlterTarget {
    /// IF EXISTS, and it does not.
    Nothing,
    /// Actions that were bound against the definition that began with catalog version `since`: another one is bound anew.
    Table {
        id: TableId,
        since: u64,
        actions: Vec<TableAction>,
    },
    View {
        id: TableId,
        since: u64,
        action: ViewAction,
    },
    Sequence {
        id: TableId,
        action: SequenceAction,
    },
    Index {
        id: TableId,
        to: String,
    },
    Schema {
        from: String,
        to: String,
    },
    Type {
        oid: u32,
        action: TypeAction,
    },
    Function {
        oid: u32,
        action: FunctionAction,
    },
}

#[derive(Clone, Debug)]
pub enum FunctionAction {
    RenameTo(String),
    SetSchema(String),
    Traits(FunctionTraits),
}

/// What ALTER FUNCTION changes of how a function is called.
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionTraits {
    /// `i`, `s` or `v`.
    pub volatility: Option<char>,
    pub strict: Option<bool>,
    /// SECURITY DEFINER.
    pub definer: Option<bool>,
}

#[derive(Clone, Debug)]
pub enum TypeAction {
    RenameTo(String),
    SetSchema(String),
    /// To an enum.
    AddValue {
        label: String,
        if_not_exists: bool,
        place: LabelPlace,
    },
    RenameValue {
        from: String,
        to: String,
    },
    Domain(DomainAction),
    /// To a composite type.
    Attributes(Vec<AttributeAction>),
}

#[derive(Clone, Debug)]
pub enum AttributeAction {
    Add(Attribute),
    Drop { name: String, if_exists: bool },
    Rename { from: String, to: String },
}

/// What ALTER DOMAIN alone can do.
#[derive(Clone, Debug)]
pub enum DomainAction {
    SetDefault(Option<Default>),
    SetNotNull(bool),
    AddCheck {
        /// Without a name it is given one.
        check: Check,
        /// Values that are there are looked at.
        validate: bool,
    },
    Validate {
        name: String,
    },
    DropConstraint {
        name: String,
        if_exists: bool,
    },
    RenameConstraint {
        from: String,
        to: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelPlace {
    Last,
    Before(String),
    After(String),
}

/// One action of ALTER TABLE, in the order they are carried out. Columns are named by number; expressions are over the row as
/// the actions before have left it.
#[derive(Clone, Debug)]
pub enum TableAction {
    AddColumn {
        /// Its number is given when it is carried out.
        column: Box<ColumnDef>,
        sequence: Option<Box<OwnedSequence>>,
    },
    DropColumn {
        number: i16,
        cascade: bool,
    },
    RenameColumn {
        number: i16,
        to: String,
        /// All of the table's, whose texts have the new name.
        checks: Vec<Check>,
        /// Generated columns' numbers, and their expressions.
        generated: Vec<(i16, SqlExpr)>,
        /// Oids of triggers, and their conditions.
        triggers: Vec<(u32, TriggerWhen)>,
    },
    SetType {
        number: i16,
        ty: DataType,
        typmod: i32,
        declared: u32,
        /// The new value over the old row; `None`: values stay as they are stored.
        using: Option<Expr>,
        /// The column's DEFAULT in the new type.
        default: Option<Default>,
        /// All of the table's, those over the column bound anew.
        checks: Vec<Check>,
    },
    SetDefault {
        number: i16,
        default: Option<Default>,
    },
    SetNotNull {
        number: i16,
        on: bool,
    },
    AddIdentity {
        number: i16,
        sequence: Box<OwnedSequence>,
    },
    SetIdentity {
        number: i16,
        always: Option<bool>,
        sequence: Option<Box<Sequence>>,
        restart: Option<i64>,
    },
    DropIdentity {
        number: i16,
    },
    DropExpression {
        number: i16,
    },
    AddCheck {
        check: Check,
        /// Rows that are there are looked at.
        validate: bool,
    },
    /// [CONSTRAINT name] PRIMARY KEY (…): re-partitions the table's rows.
    AddPrimaryKey(Key),
    /// [CONSTRAINT name] UNIQUE (…)
    AddUnique(Key),
    /// UNIQUE and PRIMARY KEY USING INDEX: the key, where it is the primary one.
    UseIndex {
        index: TableId,
        name: String,
        key: Option<Key>,
    },
    AddForeignKey(Box<NewForeignKey>),
    /// VALIDATE CONSTRAINT
    Validate {
        name: String,
    },
    /// ALTER CONSTRAINT: when a foreign key is looked at.
    SetTiming {
        name: String,
        deferrable: bool,
        initially_deferred: bool,
    },
    DropConstraint {
        name: String,
        cascade: bool,
    },
    RenameConstraint {
        from: String,
        to: String,
    },
    RenameTo(String),
    SetSchema(String),
    /// ENABLE and DISABLE TRIGGER; no name: all of them, with `keys` those that foreign keys are in PostgreSQL.
    FireTriggers {
        name: Option<String>,
        firing: Firing,
        keys: bool,
    },
}

#[derive(Clone, Debug)]
pub enum ViewAction {
    RenameTo(String),
    RenameColumn { number: i16, to: String },
    SetSchema(String),
}

#[derive(Clone, Debug)]
pub enum SequenceAction {
    RenameTo(String),
    SetSchema(String),
    /// The definition as it is to be, and where it goes on from if it begins anew.
    Set {
        sequence: Box<Sequence>,
        restart: Option<i64>,
    },
}

/// What COMMENT ON is about.
#[derive(Clone, Debug)]
pub enum CommentTarget {
    Object(ObjectKind, QualifiedName),
    Function {
        name: QualifiedName,
        args: Option<Vec<(DataType, u32)>>,
    },
    Column {
        relation: QualifiedName,
        column: String,
    },
    Constraint {
        table: QualifiedName,
        name: String,
    },
    Trigger {
        table: QualifiedName,
        name: String,
    },
    Database(String),
}
