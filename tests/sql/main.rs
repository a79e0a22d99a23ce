//! SQL conformance: sqllogictest files through the PostgreSQL wire.
//!
//! Owns: a runner whose engine is called `postgresql`, so that a file's own skipif and onlyif decide. The files of SQLite's
//! project are read from `../shared/sqllogictest` (or `SQLLOGICTEST_DIR`) and never copied; our own are in this folder.

#[path = "../support/mod.rs"]
mod support;

use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};
use std::path::Path;
use support::Server;
use tokio_postgres::SimpleQueryMessage;

struct Wire {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Wire {
    fn connect(server: &Server) -> Wire {
        let runtime = support::client_runtime();
        let client = runtime.block_on(server.connect());
        Wire { runtime, client }
    }
}

/// With the server's own message, which the files expect.
#[derive(Debug)]
struct Refused(tokio_postgres::Error);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_db_error() {
            Some(e) => write!(f, "{}: {}", e.code().code(), e.message()),
            None => self.0.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}

impl DB for Wire {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Self::Error> {
        let messages = self
            .runtime
            .block_on(self.client.simple_query(sql))
            .map_err(Refused)?;
        let (mut columns, mut rows, mut count) = (None, Vec::new(), 0);
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(c) => columns = Some(c.len()),
                SimpleQueryMessage::Row(row) => rows.push(
                    (0..row.len())
                        .map(|i| row.get(i).unwrap_or("NULL").to_owned())
                        .collect(),
                ),
                SimpleQueryMessage::CommandComplete(n) => count = n,
                _ => {}
            }
        }
        Ok(match columns {
            Some(n) => DBOutput::Rows {
                types: vec![DefaultColumnType::Any; n],
                rows,
            },
            None => DBOutput::StatementComplete(count),
        })
    }

    fn engine_name(&self) -> &str {
        "postgresql"
    }
}

fn passes(file: &Path, sqlite: bool) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), 2);
    let mut runner = Runner::new(|| async { Ok(Wire::connect(&server)) });
    if sqlite {
        // SQLite's files list one value a line, and hash what is longer than 8.
        runner.with_hash_threshold(8);
        runner.run_script("control resultmode valuewise").unwrap();
    }
    runner
        .run_file(file)
        .unwrap_or_else(|e| panic!("{}", e.display(false)));
    drop(runner);
    server.stop();
}

fn conforms(name: &str) {
    match support::conformance_dir() {
        Some(dir) => passes(&dir.join(name), true),
        None => eprintln!("skipped: no conformance files (SQLLOGICTEST_DIR)"),
    }
}

#[test]
fn select1_passes() {
    conforms("select1.test");
}

#[test]
fn select2_passes() {
    conforms("select2.test");
}

#[test]
fn select3_passes() {
    conforms("select3.test");
}

#[test]
fn our_own_files_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "slt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        passes(&file, false);
    }
}
