//! A private PostgreSQL, where one is installed: its own directory, port and user, gone with the test.
//!
//! The server refuses to run as root, so root lets `postgres` (or `nobody`) run it. Text is ordered by bytes, as here.

use super::support;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Cluster {
    pub port: u16,
    bin: PathBuf,
    process: Child,
    _data: tempfile::TempDir,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// `None`, with a word on stderr, where there are no binaries.
    pub fn start() -> Option<Cluster> {
        let Some(bin) = binaries() else {
            let required = std::env::var("DRIVERS_REQUIRED").is_ok_and(|v| v == "required");
            assert!(!required, "PostgreSQL's server is not installed");
            eprintln!("SKIPPED: PostgreSQL's server is not installed");
            return None;
        };
        let data = tempfile::tempdir().unwrap();
        let user = unprivileged();
        if let Some(user) = user {
            run(Command::new("chown").arg(user).arg(data.path()));
        }
        let dir = data.path().join("data");
        run(command(user, &bin.join("initdb"))
            .args(["-U", "rustydb", "-A", "trust", "-E", "UTF8", "--no-sync"])
            .args(["--lc-collate=C", "--lc-ctype=C.UTF-8", "-D"])
            .arg(&dir)
            .stdout(Stdio::null()));
        let port = support::free_port();
        let process = command(user, &bin.join("postgres"))
            .arg("-D")
            .arg(&dir)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"])
            .arg(data.path())
            .args(["-c", "fsync=off", "-c", "timezone=UTC", "-c", "jit=off"])
            .args(["-c", "log_min_messages=panic"])
            .args(["-c", "lc_messages=C"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Cluster {
            port,
            bin,
            process,
            _data: data,
        })
    }

    /// The folder of its programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Waits until it answers.
    pub async fn connect(&self) -> tokio_postgres::Client {
        let start = Instant::now();
        let config = format!(
            "host=127.0.0.1 port={} user=rustydb dbname=postgres",
            self.port
        );
        loop {
            match tokio_postgres::connect(&config, tokio_postgres::NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(e) => assert!(start.elapsed() < PATIENCE, "no PostgreSQL: {e}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT is its fast shutdown; SIGKILL would leave its children and its shared memory.
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-s", "INT", &pid]).status();
        let _ = self.process.wait();
    }
}

/// The folder of the newest version there is.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.filter_map(|v| Some(v.ok()?.path().join("bin")));
    bins.filter(|b| b.join("initdb").is_file()).max()
}

/// Whom root lets run it.
fn unprivileged() -> Option<&'static str> {
    let id = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8_lossy(&id.stdout).trim() != "0" {
        return None;
    }
    let exists = |user: &&str| {
        let id = Command::new("id").arg(user).stdout(Stdio::null()).status();
        id.is_ok_and(|s| s.success())
    };
    ["postgres", "nobody"].into_iter().find(exists)
}

fn command(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", user, "--clear-groups", "--"])
        .arg(program);
    command
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?} failed");
}
