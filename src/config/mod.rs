//! Configuration: one typed value for the whole process, each setting with where it came from.
//!
//! Owns: the table of settings (`settings`), how their texts are read and printed (`forms`), the layers
//! defaults < file < environment < flags (`layers`), the rules between settings (`check`) and the command line (`command`).
//! Asked by: `main`, which hands a finished `Config` to `server`. Rooms below `server` take their own small `Options`.
//! Never: changes after start; guesses at an unknown key or variable (an error names it and the nearest known one).
//! Bounds: each setting's range is in its form or in `check`; a file is at most `FILE_BYTES_MAX`.
//! Exists once per process; `Clone + Send`, so each shard may have a copy.

pub mod check;
pub mod command;
pub mod error;
pub mod forms;
pub mod host;
pub mod layers;
pub mod print;
pub mod settings;

#[cfg(test)]
mod tests;

pub use command::{Action, Command, Restore};
pub use error::ConfigError;
pub use forms::{LogFormat, PoolPolicy};
pub use host::Host;
pub use layers::{Layers, Source};
pub use settings::{Config, SETTINGS, Setting};

/// A configuration file of one more byte is refused before it is parsed.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
