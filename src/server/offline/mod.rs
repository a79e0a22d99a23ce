//! Work on a data directory that no server has open: one command each.
//!
//! Owns: the telling of progress. Asked by: `main`. Never: runs beside a server: the directory's lock keeps it out.

mod progress;
mod repartition;
mod verify;

pub use repartition::repartition;
pub use verify::verify;
