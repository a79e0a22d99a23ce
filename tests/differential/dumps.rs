//! Moving from one server to the other with `pg_dump`, `psql` and `pg_restore`, and back.
//!
//! Owns: one database of every kind of object (`dumped.sql`), and what of a dump says the same: rows in any order, and neither the
//! server's version nor the key of `\restrict`.

use super::cluster::Cluster;
use super::support;
use std::path::Path;
use std::process::{Command, Output};

/// One of the two servers.
struct Side<'a> {
    cluster: &'a Cluster,
    port: u16,
}

impl Side<'_> {
    fn run(&self, program: &str, args: &[&str]) -> Output {
        let port = self.port.to_string();
        let mut command = Command::new(self.cluster.bin().join(program));
        command.args(["-h", "127.0.0.1", "-U", "rustydb", "-p", &port]);
        command.args(args).output().unwrap()
    }

    fn done(&self, program: &str, args: &[&str]) -> String {
        let output = self.run(program, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {said}");
        assert_eq!(said, "", "{program} {args:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn sql(&self, database: &str, sql: &str) {
        self.done("psql", &["-Xq", "-d", database, "-c", sql]);
    }

    /// A new database of that name, from a file.
    fn load(&self, database: &str, file: &Path) {
        self.sql("postgres", &format!("create database {database}"));
        let file = file.to_str().unwrap();
        let quiet = ["-Xq", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"];
        let args: Vec<&str> = quiet
            .into_iter()
            .chain(["-d", database, "-f", file])
            .collect();
        self.done("psql", &args);
    }

    fn dump(&self, database: &str) -> String {
        self.done("pg_dump", &["-d", database])
    }
}

/// What the dump says, with the rows of each table in one order.
fn essence(dump: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut rows: Option<Vec<String>> = None;
    for line in dump.lines() {
        match &mut rows {
            Some(all) if line == "\\." => {
                all.sort();
                out.append(all);
                rows = None;
            }
            Some(all) => all.push(line.to_owned()),
            None => {
                let of_server = ["\\restrict", "\\unrestrict", "-- Dumped from"];
                if !of_server.iter().any(|s| line.starts_with(s)) {
                    out.push(line.to_owned());
                }
                if line.starts_with("COPY ") {
                    rows = Some(Vec::new());
                }
            }
        }
    }
    out
}

#[track_caller]
fn same(left: &str, right: &str) {
    let (left, right) = (essence(left), essence(right));
    for (l, r) in left.iter().zip(&right) {
        assert_eq!(l, r);
    }
    assert_eq!(left.len(), right.len());
}

#[test]
fn a_database_moves_here_and_back_by_pg_dump_and_stays_what_it_was() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    support::on_server(2, &[], async |server, _| {
        drop(cluster.connect().await);
        let theirs = Side {
            cluster: &cluster,
            port: cluster.port,
        };
        let ours = Side {
            cluster: &cluster,
            port: server.port,
        };
        let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/dumped.sql");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("dump.sql");
        for side in [&theirs, &ours] {
            side.load("made", &made);
        }
        let original = theirs.dump("made");

        // Theirs here, and what is here again.
        std::fs::write(&file, &original).unwrap();
        ours.load("moved", &file);
        same(&ours.dump("moved"), &original);

        // What was made here there: PostgreSQL prints its own words of it.
        let own = ours.dump("made");
        std::fs::write(&file, &own).unwrap();
        theirs.load("moved", &file);
        same(&theirs.dump("moved"), &original);
        ours.load("again", &file);
        same(&ours.dump("again"), &own);

        // Names along another path.
        let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/odd.sql");
        ours.load("odd", &odd);
        let dump = ours.dump("odd");
        std::fs::write(&file, &dump).unwrap();
        theirs.load("odd", &file);
        ours.load("odder", &file);
        same(&ours.dump("odder"), &dump);

        // An archive, in parallel.
        let archive = dir.path().join("archive");
        let archive = archive.to_str().unwrap();
        ours.done("pg_dump", &["-Fc", "-d", "made", "-f", archive]);
        ours.sql("postgres", "create database restored");
        ours.done("pg_restore", &["-j", "2", "-d", "restored", archive]);
        same(&ours.dump("restored"), &own);

        // A part, by a pattern, as statements.
        let rows = ours.done("pg_dump", &["--inserts", "-a", "-t", "t1", "-d", "made"]);
        let rows: Vec<&str> = rows.lines().filter(|l| l.starts_with("INSERT")).collect();
        assert_eq!(rows.len(), 2, "{rows:?}");
    });
}
