//! What exists: databases, and in each schemas, tables, their columns, indexes and checks, views, sequences, as one immutable
//! versioned snapshot.
//!
//! Owns: the model, its changes and its encoding. One writer (the owner of partition 0) publishes; every shard reads the
//! `Arc<Catalog>` of its database that a statement started with. Never: holds rows.

pub mod change;
pub mod composites;
pub mod databases;
pub mod domains;
pub mod enums;
pub mod extensions;
pub mod functions;
pub mod generic;
pub mod index;
pub mod kept;
pub mod model;
pub mod objects;
pub mod path;
mod placement;
pub mod qualify;
pub mod referrers;
pub mod statistics;
pub mod stored;
pub mod system;
pub mod triggers;

pub use change::{Change, Work};
pub use databases::{Catalogs, Database, Databases};
pub use extensions::Extension;
pub use index::{Index, KeyPart, OpClass, PartOf};
pub use model::{
    Catalog, Check, ColumnDef, Default, DroppedColumn, Identity, OnCommit, Relation, SqlExpr,
    Table, TableKind,
};
pub use objects::{
    Attribute, EnumLabel, Firing, ForeignKey, ForeignKeyAction, Function, FunctionArg, Language,
    Returns, Schema, Sequence, Stated, Trigger, TriggerWhen, UserType, UserTypeKind, View,
    WrittenArg,
};
