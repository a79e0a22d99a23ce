//! Who may import whom, in the front and between the crates.
//!
//! Source: ARCHITECTURE.md, "Who may import whom". A room imports rooms of lower rows only, and itself.

use super::assert_none;
use super::source::{self, File, has_word};

/// Rooms of `src` by row, lowest first.
const ROWS: [&[&str]; 7] = [
    &["config", "telemetry", "service"],
    &["net", "auth", "sql"],
    &["router", "cluster"],
    &["session"],
    &["middleware", "proto"],
    &["gateway", "admin"],
    &["server"],
];

/// `proto` is held tighter than its row: it must work in front of any door.
const PROTO_SEES: [&str; 3] = ["service", "net", "telemetry"];

/// Crates of ours that only some rooms may name. `types` and `runtime` are everybody's.
const CRATES: [(&str, &[&str]); 3] = [
    ("storage", &["server"]),
    ("sql", &["sql", "router", "session"]),
    (
        "engine",
        &["sql", "router", "session", "middleware", "server"],
    ),
];

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

/// The room a file of `src` belongs to.
fn room(file: &File) -> Option<&str> {
    let (room, _) = file.path.strip_prefix("src/")?.split_once('/')?;
    Some(room)
}

/// Names right after `crate::`, also those in braces.
fn imported(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(first_name(rest)),
            Some(group) => {
                let mut depth = 0usize;
                let mut starts = true;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => starts = true,
                        c if starts && c.is_alphabetic() => {
                            found.push(first_name(&group[i..]));
                            starts = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn first_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

#[test]
fn a_room_imports_lower_rows_only() {
    let mut breaches = Vec::new();
    for file in source::rust() {
        let Some(from) = room(&file) else { continue };
        let Some(own) = row(from) else {
            breaches.push(file.at(1, format!("the room {from} is in no row")));
            continue;
        };
        let shipped = file.shipped();
        let text: Vec<&str> = shipped.iter().map(|(_, line)| *line).collect();
        for to in imported(&text.join("\n")) {
            let Some(theirs) = row(to) else { continue };
            let allowed = match from {
                _ if from == to => true,
                "proto" => PROTO_SEES.contains(&to),
                _ => theirs < own,
            };
            if !allowed {
                breaches.push(file.at(1, format!("{from} must not import {to}")));
            }
        }
    }
    assert_none("a room imports lower rows only", &breaches);
}

#[test]
fn protocols_do_not_know_each_other() {
    let mut breaches = Vec::new();
    for file in source::rust() {
        let Some(rest) = file.path.strip_prefix("src/proto/") else {
            continue;
        };
        let Some((own, _)) = rest.split_once('/') else {
            continue;
        };
        for other in ["native", "pg", "http", "rest", "graphql", "ws"] {
            let path = format!("proto::{other}");
            for (n, line) in file.shipped() {
                if other != own && has_word(line, &path) {
                    breaches.push(file.at(n, line.trim()));
                }
            }
        }
    }
    assert_none("protocols do not know each other", &breaches);
}

#[test]
fn only_named_rooms_see_the_engine_and_storage() {
    let mut breaches = Vec::new();
    for file in source::rust() {
        let Some(from) = room(&file) else { continue };
        for (of_crate, rooms) in CRATES {
            let path = format!("{of_crate}::");
            for (n, line) in file.shipped() {
                let names = line.match_indices(&path).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                });
                if names && !rooms.contains(&from) {
                    breaches.push(file.at(n, format!("{from} must not name {of_crate}")));
                }
            }
        }
    }
    assert_none("only named rooms see the engine and storage", &breaches);
}

#[test]
fn crates_depend_downwards_only() {
    let order = ["types", "runtime", "storage", "engine"];
    let mut breaches = Vec::new();
    for (rank, name) in order.iter().enumerate() {
        let path = source::root().join(format!("shards/{name}/Cargo.toml"));
        let manifest = std::fs::read_to_string(path).unwrap();
        for higher in &order[rank + 1..] {
            if manifest
                .lines()
                .any(|l| l.starts_with(&format!("{higher}.")))
            {
                breaches.push(format!("  shards/{name} must not depend on {higher}"));
            }
        }
    }
    assert_none("crates depend downwards only", &breaches);
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::net::x;\nuse crate::{sql, router::{a, b}, session};\nlet x = crate::auth::y();\n$crate::not";
    assert_eq!(imported(text), ["net", "sql", "router", "session", "auth"]);
}
