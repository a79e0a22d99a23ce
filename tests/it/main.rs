//! The server from outside: durability, the same outcome over both protocols, bad input.
//!
//! One binary, since linking is slow. Each test has a server and a directory of its own.

#[path = "../support/mod.rs"]
mod support;

mod advisory;
mod backup;
mod bad_input;
mod buffers;
mod ceilings;
mod changes;
mod damage;
mod databases;
mod domains;
mod durability;
mod edits;
mod enums;
mod explain;
mod foreign_keys;
mod format;
mod full_disk;
mod functions;
mod hermitage;
mod indexes;
mod isolation;
mod kill;
mod large;
mod notify;
mod observed;
mod online_indexes;
mod parameters;
mod parity;
mod placement;
mod plpgsql;
mod points;
mod process;
mod repartition;
mod row_locks;
mod savepoints;
mod serializable;
mod space;
mod spill;
mod temporary;
mod tending;
mod triggers;
mod waits;
