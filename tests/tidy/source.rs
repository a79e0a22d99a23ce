//! The project's text files, read once per test, with comments and tests told apart from code.

use std::path::{Path, PathBuf};

/// Folders that hold no source of ours.
const SKIPPED: [&str; 4] = ["target", ".git", "rustydb-data", "node_modules"];

/// One file under the project's root.
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
    test: bool,
}

impl File {
    /// Whether the whole file never ships: by its place, or declared under `#[cfg(test)]` or for simulations.
    pub fn is_test(&self) -> bool {
        self.test
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
                test: false,
            });
        }
    });
    assert!(found.len() > 1, "the project's sources were not found");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every Rust file.
pub fn rust() -> Vec<File> {
    let mut found = files(&[".rs"]);
    let declared: Vec<String> = found.iter().flat_map(test_modules).collect();
    for file in &mut found {
        let mut parts = file.path.split('/');
        file.test = parts.any(|part| matches!(part, "tests" | "benches"))
            || declared.iter().any(|module| {
                file.path
                    .strip_prefix(module.as_str())
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            });
    }
    found
}

/// Paths, without `.rs`, of the modules that a file declares for tests only.
fn test_modules(file: &File) -> Vec<String> {
    let (dir, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let stem = name.trim_end_matches(".rs");
    let children = match stem {
        "mod" | "lib" | "main" => dir.to_owned(),
        stem => format!("{dir}/{stem}"),
    };
    let mut found = Vec::new();
    let mut lines = file.text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if !matches!(line, "#[cfg(test)]" | "#[cfg(feature = \"simulation\")]") {
            continue;
        }
        let mut path = None;
        for next in lines.by_ref() {
            if let Some(quoted) = next.strip_prefix("#[path = \"") {
                path = Some(quoted.trim_end_matches("\"]").trim_end_matches(".rs"));
            } else if !next.starts_with("#[") {
                let module = next.trim_start_matches("pub ");
                let module = module
                    .strip_prefix("mod ")
                    .and_then(|m| m.strip_suffix(';'));
                found.extend(module.map(|name| match path {
                    Some(path) => format!("{dir}/{path}"),
                    None => format!("{children}/{name}"),
                }));
                break;
            }
        }
    }
    found
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
