//! Real clients against the real server: psql, psycopg, asyncpg, SQLAlchemy, Django, node-postgres, postgres.js with Drizzle,
//! JDBC, tokio-postgres, sqlx, Diesel.
//!
//! Each client's checks are in a file of its own, in the client's language, and were first run against
//! PostgreSQL 15, whose answers they expect. A client that is not installed is skipped with a word on stderr,
//! unless `DRIVERS_REQUIRED=required`, as the continuous integration sets it.
//! Python's packages are those of `DRIVERS_PYTHON` (default `python3`), node's are found through `NODE_PATH`, the driver of JDBC is
//! `DRIVERS_JDBC` (default: where Debian puts it), and the clients of `rust/` are in the folder `DRIVERS_RUST`.

mod server;
#[path = "../support/mod.rs"]
mod support;
mod tokio_client;

use server::Server;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers")
}

/// Whether `probe` succeeds, which tells if a client is installed.
fn installed(client: &str, probe: &mut Command) -> bool {
    let found = probe
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        let required = std::env::var("DRIVERS_REQUIRED").is_ok_and(|v| v == "required");
        assert!(!required, "{client} is not installed");
        eprintln!("skipped: {client} is not installed");
    }
    found
}

fn succeeds(client: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{client} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn psql_prints_what_it_prints_against_postgresql() {
    if !installed("psql", Command::new("psql").arg("--version")) {
        return;
    }
    let server = Server::start();
    let script = std::fs::File::open(folder().join("psql.sql")).unwrap();
    let output = server
        .client("sh")
        .args(["-c", "exec psql -X -q 2>&1"])
        .stdin(script)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = std::fs::read_to_string(folder().join("psql.out")).unwrap();
    for (number, (ours, theirs)) in printed.lines().zip(expected.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {} of:\n{printed}", number + 1);
    }
    assert_eq!(printed, expected);
    server.stop();
}

#[test]
fn psql_lists_the_database() {
    if !installed("psql", Command::new("psql").arg("--version")) {
        return;
    }
    let server = Server::start();
    let output = server
        .client("psql")
        .args(["-X", "-At", "-c", "\\l"])
        .output()
        .unwrap();
    succeeds("psql", &output);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.lines().any(|l| l.starts_with("rustydb|")),
        "{printed}"
    );
    server.stop();
}

#[test]
fn psycopg_works() {
    python("psycopg");
}

#[test]
fn asyncpg_works() {
    python("asyncpg");
}

#[test]
fn sqlalchemy_works() {
    python("sqlalchemy");
}

#[test]
fn django_works() {
    python("django");
}

fn python(package: &str) {
    let python = std::env::var("DRIVERS_PYTHON").unwrap_or_else(|_| "python3".into());
    let import = format!("import {package}");
    if !installed(package, Command::new(&python).args(["-c", &import])) {
        return;
    }
    let server = Server::start();
    let script = folder().join(format!("{package}_client.py"));
    let output = server.client(&python).arg(script).output().unwrap();
    succeeds(package, &output);
    server.stop();
}

#[test]
fn node_postgres_works() {
    node("node pg", "require('pg')", "node_client.js");
}

#[test]
fn postgres_js_and_drizzle_work() {
    let probe = "require('postgres'); require('drizzle-orm/postgres-js')";
    node("postgres.js", probe, "postgres_js_client.mjs");
}

fn node(client: &str, probe: &str, script: &str) {
    if !installed(client, Command::new("node").args(["-e", probe])) {
        return;
    }
    let server = Server::start();
    let script = folder().join(script);
    let output = server.client("node").arg(script).output().unwrap();
    succeeds(client, &output);
    server.stop();
}

#[test]
fn jdbc_works() {
    let jar = std::env::var("DRIVERS_JDBC");
    let jar = jar.unwrap_or_else(|_| "/usr/share/java/postgresql.jar".into());
    let probe = format!("javac -version && test -r {jar}");
    if !installed("JDBC", Command::new("sh").args(["-c", &probe])) {
        return;
    }
    let server = Server::start();
    let source = folder().join("JdbcClient.java");
    let output = server
        .client("java")
        .args(["-cp", &jar])
        .arg(source)
        .output()
        .unwrap();
    succeeds("JDBC", &output);
    server.stop();
}

#[test]
fn sqlx_works() {
    rust("sqlx_client");
}

#[test]
fn diesel_works() {
    rust("diesel_client");
}

fn rust(client: &str) {
    let built = std::env::var("DRIVERS_RUST").unwrap_or_default();
    let program = Path::new(&built).join(client);
    if !installed(client, Command::new(&program).arg("--probe")) {
        return;
    }
    let server = Server::start();
    let output = server.client(&program.to_string_lossy()).output().unwrap();
    succeeds(client, &output);
    server.stop();
}

#[test]
fn tokio_postgres_works() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(tokio_client::check(server.port));
    server.stop();
}
