//! Printing: the whole configuration as a TOML file, and the table of settings as documentation.
//!
//! Owns: what `--print-config` writes and the generated part of docs/config.md.
//! Asked by: `main` and the test that keeps the document true. Never: loses a setting (both walk `SETTINGS`).

use super::{Config, SETTINGS, Setting, Source};
use std::fmt::Write;

impl Config {
    /// A TOML file that would give this configuration, each value with where it came from.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let mut group = "";
        for setting in in_file_order() {
            let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if of != group {
                group = of;
                let _ = write!(out, "\n[{of}]\n");
            }
            let text = self.text(setting.key).unwrap_or_default();
            let value = match setting.quoted {
                true => toml::Value::String(text).to_string(),
                false => text,
            };
            let source = match self.source(setting.key) {
                Source::Default if setting.default == "auto" => "default, auto".to_owned(),
                source => source.to_string(),
            };
            let _ = writeln!(out, "{name} = {value}  # {source}");
        }
        out
    }
}

/// The table of docs/config.md.
pub fn settings_markdown() -> String {
    let mut out = String::from(
        "| file | environment | flag | takes | default | meaning |\n|---|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let meaning = setting.doc.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            out,
            "| `{}` | `{}` | `--{}` | {} | `{}` | {meaning} |",
            setting.key,
            setting.variable(),
            setting.flag(),
            setting.form,
            setting.default,
        );
    }
    out
}

/// Ungrouped keys first: in TOML a key after `[group]` would belong to the group.
fn in_file_order() -> impl Iterator<Item = &'static Setting> {
    let grouped = |s: &&Setting| s.key.contains('.');
    SETTINGS
        .iter()
        .filter(move |s| !grouped(s))
        .chain(SETTINGS.iter().filter(grouped))
}
