//! The form of files: their length, their first words, and words that must not be left behind.

use super::assert_none;
use super::source::{self, File, comment, has_word};

/// Over this a file holds two rooms. Tables are exempt by name.
const LINES_MAX: usize = 800;
const TABLES: [&str; 1] = ["shards/types/src/sqlstate.rs"];

/// Over this a function does two things. Lists of arms or names are exempt by name.
const FUNCTION_LINES_MAX: usize = 70;
const LONG: [(&str, &str); 3] = [
    ("shards/engine/src/plan/print.rs", "rest"),
    ("src/server/numbers.rs", "store"),
    ("src/session/utility.rs", "without_transaction"),
];

/// Folder and file names that say nothing.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "manager", "helpers", "misc"];
const ADJECTIVES: [&str; 2] = ["advanced_", "enhanced_"];

/// Files whose panics are for mistakes of a programmer, never for input, and why.
const PANICS: [(&str, &str); 2] = [
    (
        "shards/runtime/src/executor.rs",
        "its functions have a documented place to be called from",
    ),
    (
        "shards/runtime/src/task.rs",
        "a task queue that an executor itself made cannot be lost",
    ),
];

/// Code that admits it is not finished, and what a comment must not promise. In halves, or this file would break its own rule.
const UNFINISHED: [&str; 3] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
];
const PROMISES: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("HA", "CK"),
    concat!("XX", "X"),
    concat!("for", " now"),
];

/// Folders of the machine a thing was written on; the project knows only its own.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
    concat!("/Us", "ers/"),
];

#[test]
fn no_file_is_too_long() {
    let mut breaches = Vec::new();
    for file in source::rust() {
        let lines = file.text.lines().count();
        let table = TABLES.contains(&file.path.as_str());
        if lines > LINES_MAX && !table {
            breaches.push(file.at(lines, format!("{lines} lines, the most is {LINES_MAX}")));
        }
    }
    assert_none("no file is too long", &breaches);
}

#[test]
fn every_file_says_what_it_is() {
    let mut breaches = Vec::new();
    for file in source::rust().iter().filter(|f| !f.text.trim().is_empty()) {
        let said = file.text.lines().take_while(|l| l.starts_with("//!"));
        let words: usize = said.map(|l| l.split_whitespace().count() - 1).sum();
        // A file of tests may say it in its tests' names.
        if words < if file.is_test() { 1 } else { 2 } {
            breaches.push(file.at(1, "begins without saying what it is"));
        }
    }
    assert_none("every file says what it is", &breaches);
}

#[test]
fn nothing_unfinished_is_left() {
    let mut breaches = Vec::new();
    for file in source::rust() {
        for (n, line) in file.text.lines().enumerate() {
            for word in UNFINISHED {
                if line.contains(word) {
                    breaches.push(file.at(n + 1, word));
                }
            }
            for word in PROMISES {
                if has_word(comment(line), word) {
                    breaches.push(file.at(n + 1, word));
                }
            }
        }
    }
    assert_none("nothing unfinished is left", &breaches);
}

#[test]
fn names_say_something() {
    let mut breaches = Vec::new();
    for file in source::rust() {
        for part in file.path.trim_end_matches(".rs").split('/') {
            if EMPTY_NAMES.contains(&part) || ADJECTIVES.iter().any(|a| part.starts_with(a)) {
                breaches.push(file.at(1, format!("\"{part}\" says nothing")));
            }
        }
    }
    assert_none("names say something", &breaches);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let mut breaches = Vec::new();
    let endings = [".rs", ".toml", ".md", ".sh", ".yml", ".json", "/run"];
    for file in source::files(&endings) {
        for (n, line) in file.text.lines().enumerate() {
            for path in MACHINE_PATHS {
                if line.contains(path) {
                    breaches.push(file.at(n + 1, line.trim()));
                }
            }
        }
    }
    assert_none("nothing names the machine it was written on", &breaches);
}

#[test]
fn shipped_code_does_not_unwrap() {
    let mut breaches = Vec::new();
    for file in source::rust().iter().filter(|f| ships(f)) {
        for (n, line) in file.shipped() {
            let calls = [".unwrap()", ".unwrap_err()", "panic!(", "unreachable!("];
            let exempt = PANICS.iter().any(|(path, _)| *path == file.path);
            if !exempt && calls.iter().any(|call| line.contains(call)) {
                breaches.push(file.at(n, line.trim()));
            }
        }
    }
    assert_none("shipped code does not unwrap", &breaches);
}

fn ships(file: &File) -> bool {
    file.path.starts_with("src/") || file.path.starts_with("shards/")
}

#[test]
fn functions_fit_on_a_page() {
    let mut breaches = Vec::new();
    for file in source::rust().iter().filter(|f| ships(f)) {
        let mut open: Option<(usize, usize, &str)> = None;
        for (n, line) in file.shipped() {
            let indent = line.len() - line.trim_start().len();
            let starts = begins_function(line);
            match open {
                None if starts && !line.ends_with(';') => open = Some((n, indent, line)),
                Some((from, at, head)) if indent == at && line.trim_start().starts_with('}') => {
                    let lines = n - from + 1;
                    let exempt = LONG
                        .iter()
                        .any(|(path, name)| *path == file.path && has_word(head, name));
                    if lines > FUNCTION_LINES_MAX && !exempt {
                        breaches.push(file.at(from, format!("{lines} lines: {}", head.trim())));
                    }
                    open = None;
                }
                _ => {}
            }
        }
    }
    assert_none("functions fit on a page", &breaches);
}

fn begins_function(line: &str) -> bool {
    let mut words = line.trim_start().split(' ').take(4);
    let modifiers = ["pub", "pub(super)", "pub(crate)", "async", "const"];
    words.find(|w| !modifiers.contains(w)) == Some("fn")
}
