//! What can be wrong with a configuration, each said in one sentence with the place and, where there is one, the fix.
//!
//! Owns: `ConfigError`. Asked by: every file of this room and `main`, which prints it and exits with 1.
//! Never: reaches a client, so it has no SQLSTATE.

use super::Source;
use std::path::PathBuf;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{source_of} sets the unknown key \"{key}\"{}", nearest_text(.nearest))]
    UnknownKey {
        key: String,
        source_of: Source,
        nearest: Option<&'static str>,
    },
    #[error("the environment sets the unknown variable {name}{}", nearest_text(.nearest))]
    UnknownVariable {
        name: String,
        nearest: Option<String>,
    },
    #[error("the environment variable {name} is not valid UTF-8")]
    VariableNotText { name: String },
    #[error("{source_of} sets {key} to \"{text}\": {why}")]
    BadValue {
        key: &'static str,
        text: String,
        source_of: Source,
        why: String,
    },
    #[error("cannot read the configuration file {}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the configuration file {} is larger than {max} bytes", path.display())]
    FileTooLarge { path: PathBuf, max: u64 },
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("{source_of} sets {key} = {text}: {why}")]
    Refused {
        key: &'static str,
        text: String,
        source_of: Source,
        why: String,
    },
}

fn nearest_text(nearest: &Option<impl std::fmt::Display>) -> String {
    match nearest {
        Some(known) => format!(" (the nearest known is \"{known}\")"),
        None => String::new(),
    }
}
