//! Bytes and order of one partition: pages, buffer pool, B+trees, write-ahead log, checkpoints, recovery.
//!
//! Owns: the files of a partition's directory (`data.pages` and `wal-*`) and everything in memory that mirrors them.
//! Asked by: `engine`, through `Store`. Never: knows SQL, visibility or a table's name; reads a clock, draws a random
//! number or opens a file but through `runtime`.
//! How it survives a crash: a checkpoint is a durable image of all trees whose pages are never overwritten while it
//! counts; changes go to new places, and the log says what to do again after it. See docs/format.md for every byte.
//! Bounds: the pool and the log buffer are fixed by `Options`; a record, key and value by `types::limits`.
//! A `Store` lives on one shard, behind an `Rc`; borrows of its state never cross an `.await`.

mod ahead;
mod checkpoint;
mod compact;
mod directory;
mod error;
mod fence;
mod fetch;
#[cfg(test)]
mod fetch_tests;
#[cfg(test)]
mod golden_tests;
mod hold;
mod open;
mod options;
mod page;
#[cfg(feature = "simulation")]
pub mod planted;
mod pool;
mod space;
mod stats;
mod store;
mod superblock;
pub mod trace;
mod tree;
mod values;
pub mod verify;
mod wait;
mod wal;
mod writer;

pub use error::{Place, StorageError};
pub use hold::Image;
pub use options::{Options, Policy};
pub use page::{PAGE_BYTES, PageId};
pub use pool::policy::{EvictionPolicy, UnknownPolicy};
pub use stats::Stats;
pub use store::{Op, Store, TryError, Visitor, Watch};
pub use superblock::{FORMAT, META_BYTES_MAX};
pub use tree::First;
pub use wal::record::{RECORD_BYTES_MAX, same_history, segment_start};
pub use wal::replay::Replay;
pub use wal::{Appended, ArchiveStats};
