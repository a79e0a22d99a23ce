//! What exists: tables, their columns, indexes and checks, as one immutable versioned snapshot.
//!
//! Owns: the model, its changes and its encoding. One writer (the owner of partition 0) publishes; every shard reads the
//! `Arc<Catalog>` a statement started with. Never: holds rows.

pub mod change;
pub mod model;
pub mod statistics;
pub mod stored;
pub mod system;

pub use change::{Change, Work};
pub use model::{Catalog, Check, ColumnDef, Default, Index, Relation, Table};
