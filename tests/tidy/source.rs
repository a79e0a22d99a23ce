//! The project's text files, read once per test, with comments and tests told apart from code.

use std::path::{Path, PathBuf};

/// Folders that hold no source of ours.
const SKIPPED: [&str; 4] = ["target", ".git", "rustydb-data", "node_modules"];

/// One file under the project's root.
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    /// Whether the whole file is test code.
    pub fn is_test(&self) -> bool {
        let last = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("tests/")
            || self.path.starts_with("benches/")
            || self.path.split('/').any(|part| part == "tests")
            || last == "tests.rs"
            || last.ends_with("_tests.rs")
            || last == "test_support.rs"
    }

    /// Numbered lines of code that ships: without comments, and without inline `#[cfg(test)] mod` blocks.
    pub fn shipped(&self) -> Vec<(usize, &str)> {
        if self.is_test() {
            return Vec::new();
        }
        let mut kept = Vec::new();
        let mut lines = self.text.lines().enumerate().peekable();
        while let Some((n, line)) = lines.next() {
            let opens_tests = line == "#[cfg(test)]"
                && lines
                    .peek()
                    .is_some_and(|(_, next)| next.contains("mod ") && next.ends_with('{'));
            if opens_tests {
                // rustfmt closes the module at the margin.
                while lines.next().is_some_and(|(_, l)| l != "}") {}
                continue;
            }
            kept.push((n + 1, code(line)));
        }
        kept
    }

    /// `path:line`, for a report.
    pub fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("  {}:{line}: {what}", self.path)
    }
}

/// A line without its comment. `://` in a string is no comment.
pub fn code(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|at| at + from) {
        if !line[..at].ends_with(':') {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

/// The comment of a line, if it has one.
pub fn comment(line: &str) -> &str {
    &line[code(line).len()..]
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file with one of these endings.
pub fn files(endings: &[&str]) -> Vec<File> {
    let mut found = Vec::new();
    walk(&root(), &mut |path| {
        let name = path.to_string_lossy();
        if endings.iter().any(|ending| name.ends_with(ending)) {
            let relative = path.strip_prefix(root()).unwrap();
            found.push(File {
                path: relative.to_string_lossy().replace('\\', "/"),
                text: std::fs::read_to_string(path).unwrap(),
            });
        }
    });
    assert!(found.len() > 1, "the project's sources were not found");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every Rust file.
pub fn rust() -> Vec<File> {
    files(&[".rs"])
}

fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !SKIPPED.iter().any(|s| name == *s) {
            walk(&entry.path(), visit);
        } else if kind.is_file() {
            visit(&entry.path());
        }
    }
}

/// The occurrences of `word` in `line` that are not part of a longer name.
pub fn has_word(line: &str, word: &str) -> bool {
    let named = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(named) && !after.is_some_and(named)
    })
}
