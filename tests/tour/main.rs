//! The README's tour, run as it is written: every command, and what it prints.
//!
//! Owns: reading the `console` blocks under "A five-minute tour", a server of its own on free ports, and the comparison.
//! Never: knows a command by heart; what the README shows is what is tested. It needs bash, psql and curl.

#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, Output};
use support::Server;

/// A command of the tour and what the README says it prints.
struct Step {
    line: usize,
    command: String,
    expected: String,
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_tour, mut in_block, mut goes_on) = (false, false, false);
    for (n, line) in readme.lines().enumerate() {
        if line.starts_with("## ") {
            in_tour = line == "## A five-minute tour";
        }
        if !in_tour || line.starts_with("```") {
            in_block = in_tour && line == "```console";
            continue;
        }
        if !in_block {
            continue;
        }
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                line: n + 1,
                command: command.to_owned(),
                expected: String::new(),
            }),
            (None, Some(step)) if goes_on => {
                step.command.push('\n');
                step.command.push_str(line.trim_start_matches("> "));
            }
            (None, Some(step)) => {
                step.expected.push_str(line);
                step.expected.push('\n');
            }
            (None, None) => panic!("README.md:{}: output without a command", n + 1),
        }
        goes_on = steps.last().is_some_and(|s| s.command.ends_with('\\'));
    }
    steps
}

/// Without blanks at line ends and empty lines at the end.
fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

fn run(server: &Server, command: &str) -> Output {
    let command = command
        .replace("-p 5433", &format!("-p {}", server.port))
        .replace("localhost:8080", &format!("127.0.0.1:{}", server.http_port));
    Command::new("bash")
        .args(["-o", "pipefail", "-c", &command])
        .env("PSQLRC", "/dev/null")
        .env("PAGER", "cat")
        .output()
        .unwrap()
}

#[test]
fn the_tour_prints_what_the_readme_shows() {
    let readme = include_str!("../../README.md");
    let steps = steps(readme);
    assert!(steps.len() > 10, "the tour has {} steps", steps.len());
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), 2);
    for step in &steps {
        let output = run(&server, &step.command);
        let mut printed = String::from_utf8(output.stdout).unwrap();
        printed.push_str(&String::from_utf8(output.stderr).unwrap());
        assert_eq!(
            trimmed(&printed),
            trimmed(&step.expected),
            "README.md:{}: {}",
            step.line,
            step.command
        );
    }
    server.stop();
    // What was acknowledged is there after a restart.
    let server = Server::start(&data.path().join("data"), 2);
    let count = run(
        &server,
        "psql -h 127.0.0.1 -p 5433 -U rustydb -At -c 'select count(*) from accounts'",
    );
    assert_ne!(trimmed(&String::from_utf8(count.stdout).unwrap()), "");
    server.stop();
}

#[test]
fn commands_and_their_output_are_told_apart() {
    let readme = "## A five-minute tour\n```console\n$ a \\\n> b\nout\n\n$ c\n```\n## Next\n```console\n$ no\n```\n";
    let found = steps(readme);
    let commands: Vec<&str> = found.iter().map(|s| s.command.as_str()).collect();
    assert_eq!(commands, ["a \\\nb", "c"]);
    assert_eq!(trimmed(&found[0].expected), "out");
}
