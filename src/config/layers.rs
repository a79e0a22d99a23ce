//! The layers: defaults < file < environment < flags.
//!
//! Owns: `Layers`, which takes the texts of each layer and makes a checked `Config`, and `Source`, where a value came from.
//! Asked by: `command`. Never: passes over a key or variable it does not know; reads the environment itself (it is given).
//! Bounds: a file of at most `FILE_BYTES_MAX`; nesting of one table (`[log]`), as no setting has more.

use super::{Config, ConfigError, FILE_BYTES_MAX, Host, SETTINGS, Setting};
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Where the value of a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    File { path: PathBuf, line: usize },
    Variable(String),
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, line } => write!(f, "file {}:{line}", path.display()),
            Source::Variable(name) => write!(f, "env {name}"),
            Source::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// Texts of settings in the order in which later ones win.
pub struct Layers {
    config: Config,
}

/// Variables with this prefix belong to the server; an unknown one is an error.
const PREFIX: &str = "RUSTYDB_";
/// Names the configuration file; a flag wins over it.
pub const FILE_VARIABLE: &str = "RUSTYDB_CONFIG";

impl Layers {
    pub fn defaults() -> Result<Layers, ConfigError> {
        let config = Config::defaults().map_err(|(key, why)| ConfigError::BadValue {
            key,
            text: String::new(),
            source_of: Source::Default,
            why,
        })?;
        Ok(Layers { config })
    }

    /// Reads a TOML file.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let io = |source| ConfigError::File {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(io)?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(io)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(ConfigError::FileTooLarge {
                path: path.to_owned(),
                max: FILE_BYTES_MAX,
            });
        }
        self.file_text(path, &text)
    }

    /// As `file`, with the text at hand.
    pub fn file_text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let line_at = |offset: usize| 1 + text.bytes().take(offset).filter(|b| *b == b'\n').count();
        let table = DeTable::parse(text).map_err(|e| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_at(e.span().map_or(0, |s| s.start)),
            message: e.message().to_owned(),
        })?;
        let mut found = Vec::new();
        flatten("", table.get_ref(), &mut found);
        for (key, value, offset) in found {
            let source = Source::File {
                path: path.to_owned(),
                line: line_at(offset),
            };
            self.put(&key, value, source)?;
        }
        Ok(())
    }

    /// Takes every `RUSTYDB_*` variable but the one that names the file.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|n| n.starts_with(PREFIX)) else {
                continue;
            };
            if name == FILE_VARIABLE {
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|s| s.variable() == name) else {
                let known = SETTINGS.iter().map(Setting::variable);
                return Err(ConfigError::UnknownVariable {
                    name: name.to_owned(),
                    nearest: nearest(name, known.chain([FILE_VARIABLE.to_owned()])),
                });
            };
            let text = value
                .into_string()
                .map_err(|_| ConfigError::VariableNotText {
                    name: name.to_owned(),
                })?;
            self.put(setting.key, Ok(text), Source::Variable(setting.variable()))?;
        }
        Ok(())
    }

    pub fn flag(&mut self, setting: &Setting, text: String) -> Result<(), ConfigError> {
        self.put(setting.key, Ok(text), Source::Flag(setting.flag()))
    }

    /// Resolves what depends on the host and checks the whole.
    pub fn finish(mut self, host: &Host) -> Result<Config, ConfigError> {
        self.config.resolve(host);
        self.config.check()?;
        Ok(self.config)
    }

    fn put(
        &mut self,
        key: &str,
        text: Result<String, &'static str>,
        source: Source,
    ) -> Result<(), ConfigError> {
        let Some(setting) = SETTINGS.iter().find(|s| s.key == key) else {
            return Err(ConfigError::UnknownKey {
                key: key.to_owned(),
                source_of: source,
                nearest: nearest(key, SETTINGS.iter().map(|s| s.key)),
            });
        };
        let bad = |text: String, why: String| ConfigError::BadValue {
            key: setting.key,
            text,
            source_of: source.clone(),
            why,
        };
        let text =
            text.map_err(|kind| bad(kind.to_owned(), format!("it takes a {}", setting.form)))?;
        self.config
            .set(setting.key, &text)
            .map_err(|why| bad(text, why))?;
        self.config.sources.insert(setting.key, source);
        Ok(())
    }
}

/// Dotted keys with the text of their values and where they start. A value of a kind no setting has is its kind's name.
fn flatten(
    prefix: &str,
    table: &DeTable<'_>,
    found: &mut Vec<(String, Result<String, &'static str>, usize)>,
) {
    for (name, value) in table.iter() {
        let key = format!("{prefix}{}", name.get_ref());
        let text = match value.get_ref() {
            DeValue::Table(inner) if prefix.is_empty() && is_group(&key) => {
                flatten(&format!("{key}."), inner, found);
                continue;
            }
            DeValue::String(s) => Ok(s.to_string()),
            DeValue::Integer(n) if n.radix() == 10 => Ok(n.as_str().to_owned()),
            DeValue::Integer(_) => Err("a number that is not decimal"),
            DeValue::Boolean(b) => Ok(b.to_string()),
            DeValue::Float(_) => Err("a number with a fraction"),
            DeValue::Datetime(_) => Err("a date"),
            DeValue::Array(_) => Err("an array"),
            DeValue::Table(_) => Err("a table"),
        };
        found.push((key, text, name.span().start));
    }
}

/// Whether settings named `group.…` exist.
fn is_group(name: &str) -> bool {
    SETTINGS.iter().any(|s| {
        s.key
            .split_once('.')
            .is_some_and(|(group, _)| group == name)
    })
}

/// The known name closest to a wrong one, if it is close enough to be what was meant.
pub(super) fn nearest<S: AsRef<str>>(wrong: &str, known: impl Iterator<Item = S>) -> Option<S> {
    known
        .map(|name| (distance(wrong, name.as_ref()), name))
        .filter(|(distance, name)| *distance <= 2.max(name.as_ref().len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, over at most the first 64 bytes of each.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<u8> = a.bytes().take(64).collect();
    let b: Vec<u8> = b.bytes().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
