//! SQL conformance: sqllogictest files through the PostgreSQL wire.
//!
//! Owns: a runner whose engine is called `postgresql`, so that a file's own skipif and onlyif decide. The files of SQLite's
//! project are read from `../shared/sqllogictest` (or `SQLLOGICTEST_DIR`) and never copied; our own are in this folder.

#[path = "../support/mod.rs"]
mod support;

use sqllogictest::{DB, DBOutput, DefaultColumnType, QueryExpect, Record, Runner, parse_with_name};
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::Server;
use tokio_postgres::SimpleQueryMessage;

/// What the file expects of the next query's columns. SQLite's files want integers, fractions of three digits, or text.
type Expected = Arc<Mutex<Option<Vec<DefaultColumnType>>>>;

struct Wire {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
    expected: Expected,
}

impl Wire {
    fn connect(server: &Server, expected: Expected) -> Wire {
        let runtime = support::client_runtime();
        let client = runtime.block_on(server.connect());
        Wire {
            runtime,
            client,
            expected,
        }
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
                SimpleQueryMessage::Row(row) => {
                    let expected = self.expected.lock().unwrap();
                    let shown = |i: usize| {
                        let ty = expected.as_ref().and_then(|types| types.get(i));
                        shown(row.get(i), ty)
                    };
                    rows.push((0..row.len()).map(shown).collect());
                }
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

/// A value as the file's author printed it, where the file says what it is.
fn shown(value: Option<&str>, ty: Option<&DefaultColumnType>) -> String {
    let (Some(value), Some(ty)) = (value, ty) else {
        return value.unwrap_or("NULL").to_owned();
    };
    let number = value.parse::<f64>().ok();
    match (ty, value, number) {
        (DefaultColumnType::Integer, "t", _) => "1".into(),
        (DefaultColumnType::Integer, "f", _) => "0".into(),
        (DefaultColumnType::Integer, _, Some(n)) if value.contains(['.', 'e']) => {
            format!("{}", n.trunc())
        }
        (DefaultColumnType::FloatingPoint, _, Some(n)) => format!("{n:.3}"),
        (_, "", _) => "(empty)".into(),
        _ => value.to_owned(),
    }
}

/// What in a file has another outcome in PostgreSQL 15 too: a part of the failure's text.
type Exceptions = &'static [&'static str];

fn passes(file: &Path, sqlite: bool, exceptions: Exceptions) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), 2);
    let expected = Expected::default();
    let mut runner = Runner::new(|| async { Ok(Wire::connect(&server, expected.clone())) });
    if sqlite {
        // SQLite's files list one value a line, and hash what is longer than 8.
        runner.with_hash_threshold(8);
        runner.run_script("control resultmode valuewise").unwrap();
    }
    let mut failures = Vec::new();
    let name = file.to_string_lossy();
    for record in parse_with_name::<DefaultColumnType>(&script(file), &*name).unwrap() {
        if let Record::Query { expected: e, .. } = &record {
            *expected.lock().unwrap() = match e {
                QueryExpect::Results { types, .. } if sqlite => Some(types.clone()),
                _ => None,
            };
        }
        let Err(e) = runner.run(record) else {
            continue;
        };
        let text = e.display(false).to_string();
        if !exceptions.iter().any(|part| text.contains(part)) {
            failures.push(text);
        }
    }
    let shown = failures.iter().take(10).cloned().collect::<Vec<_>>();
    let count = failures.len();
    assert!(failures.is_empty(), "{count} fail:\n{}", shown.join("\n\n"));
    drop(runner);
    server.stop();
}

/// The file without what the parser does not take: comments behind conditions, and conditions of `halt`.
fn script(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let mut out: Vec<&str> = Vec::new();
    let mut conditions = 0;
    let mut for_others = false;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["halt"] if !for_others => break,
            ["halt"] => {
                // Line numbers stay.
                let at = out.len() - conditions;
                out[at..].fill("");
                out.push("");
                (conditions, for_others) = (0, false);
                continue;
            }
            [word @ ("onlyif" | "skipif"), engine, ..] => {
                conditions += 1;
                for_others |= (*word == "onlyif") != (*engine == "postgresql");
                out.push(line.split('#').next().unwrap_or(line));
                continue;
            }
            _ => (conditions, for_others) = (0, false),
        }
        out.push(line);
    }
    out.join("\n")
}

fn conforms(name: &str) {
    conforms_but(name, &[]);
}

fn conforms_but(name: &str, exceptions: Exceptions) {
    match support::conformance_dir() {
        Some(dir) => passes(&dir.join(name), true, exceptions),
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
fn select4_passes() {
    conforms("select4.test");
}

#[test]
fn what_is_in_a_list_passes() {
    // Strings are no integers, nor are bit strings.
    conforms_but(
        "evidence/in1.test",
        &[
            "SELECT 'hello' IN (",
            "SELECT 'hello' NOT IN (",
            "SELECT x'303132' ",
        ],
    );
    conforms_but("evidence/in2.test", &["IN ()"]);
}

#[test]
fn the_language_is_as_documented() {
    // 42601, and so the count of what it would have changed.
    conforms_but(
        "evidence/slt_lang_update.test",
        &["UPDATE t1 SET x=3, x=4, x=5", "WHERE x=4\n", "WHERE x=5\n"],
    );
    conforms("evidence/slt_lang_aggfunc.test");
    conforms("evidence/slt_lang_dropindex.test");
    conforms("evidence/slt_lang_droptable.test");
}

#[test]
fn views_are_as_documented() {
    // What PostgreSQL has automatically updatable views for.
    conforms_but(
        "evidence/slt_lang_createview.test",
        &["DELETE FROM view1 WHERE x>0", "UPDATE view1 SET x=2"],
    );
    conforms("evidence/slt_lang_dropview.test");
}

#[test]
fn random_selects_pass() {
    conforms("random/select/slt_good_124.test");
}

#[test]
fn random_aggregates_pass() {
    conforms("random/aggregates/slt_good_129.test");
}

#[test]
fn random_groups_pass() {
    conforms("random/groupby/slt_good_13.test");
}

#[test]
fn random_expressions_pass() {
    conforms("random/expr/slt_good_1.test");
}

#[test]
fn indexes_change_no_answer_to_between() {
    conforms("index/between/1000/slt_good_0.test");
}

#[test]
fn indexes_change_no_answer_to_what_commutes() {
    conforms("index/commute/10/slt_good_10.test");
}

#[test]
#[ignore = "over a minute: 70 s"]
fn indexes_change_no_deletion() {
    conforms("index/delete/1/slt_good_0.test");
}

#[test]
fn indexes_change_no_order() {
    conforms("index/orderby/10/slt_good_4.test");
}

#[test]
fn indexes_change_no_random_answer() {
    conforms("index/random/1000/slt_good_4.test");
}

#[test]
fn indexes_change_nothing_under_views() {
    // Other views are over them (2BP01).
    conforms_but(
        "index/view/10/slt_good_6.test",
        &["cannot drop view view_1_"],
    );
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
        passes(&file, false, &[]);
    }
}
