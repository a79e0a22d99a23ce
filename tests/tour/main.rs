//! The README's tour, run as it is written: every command, and what it prints.
//!
//! Owns: reading the `console` blocks under "A five-minute tour", a server of its own on free ports, and the comparison.
//! Never: knows a command by heart; what the README shows is what is tested. It needs bash, psql and curl.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

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

struct Server {
    child: Child,
    sql: u16,
    http: u16,
}

impl Server {
    fn start(data: &Path) -> Server {
        let (sql, http) = (free_port(), free_port());
        let child = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
            .args([
                "--cores",
                "2",
                "--log-level",
                "warn",
                "--pool-bytes",
                "16MiB",
            ])
            .arg(format!("--sql-port={sql}"))
            .arg(format!("--http-port={http}"))
            .arg("--data-dir")
            .arg(data)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child, sql, http };
        let began = Instant::now();
        let url = format!("http://127.0.0.1:{http}/health/ready");
        while ureq::get(&url).call().is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the server is not ready"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn run(&self, command: &str) -> Output {
        let command = command
            .replace("-p 5433", &format!("-p {}", self.sql))
            .replace("localhost:8080", &format!("127.0.0.1:{}", self.http));
        Command::new("bash")
            .args(["-o", "pipefail", "-c", &command])
            .env("PSQLRC", "/dev/null")
            .env("PAGER", "cat")
            .output()
            .unwrap()
    }

    /// Stops it as an operator would; the exit code.
    fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `stop`; after a failed test this is what ends it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn the_tour_prints_what_the_readme_shows() {
    let readme = include_str!("../../README.md");
    let steps = steps(readme);
    assert!(steps.len() > 10, "the tour has {} steps", steps.len());
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"));
    for step in &steps {
        let output = server.run(&step.command);
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
    assert_eq!(server.stop(), Some(0));
    // What was acknowledged is there after a restart.
    let server = Server::start(&data.path().join("data"));
    let count =
        server.run("psql -h 127.0.0.1 -p 5433 -U rustydb -At -c 'select count(*) from accounts'");
    assert_ne!(trimmed(&String::from_utf8(count.stdout).unwrap()), "");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn commands_and_their_output_are_told_apart() {
    let readme = "## A five-minute tour\n```console\n$ a \\\n> b\nout\n\n$ c\n```\n## Next\n```console\n$ no\n```\n";
    let found = steps(readme);
    let commands: Vec<&str> = found.iter().map(|s| s.command.as_str()).collect();
    assert_eq!(commands, ["a \\\nb", "c"]);
    assert_eq!(trimmed(&found[0].expected), "out");
}
