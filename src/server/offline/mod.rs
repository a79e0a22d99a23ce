//! Work on a data directory that no server has open, or on a backup: one command each.
//!
//! Owns: the telling of progress. Asked by: `main`. Never: runs beside a server: the directory's lock keeps it out.

mod progress;
mod repartition;
mod restore;
mod verify;

pub use repartition::repartition;
pub use restore::restore;
pub use verify::{verify, verify_backup};
