//! A disk that fills up under a running server, for real: a file system of 24 MiB in a namespace of its own.
//!
//! Clients commit batches over both partitions until there is no room; then somebody deletes a file and the server is started
//! again. Each batch is there whole or not at all, those that were acknowledged are there, those that were refused are not, of
//! those whose outcome was said to be unknown nothing is known, and there is room for new work. The test runs itself once more inside of the namespace; where the
//! kernel does not let it have one (user namespaces, tmpfs), it says on standard error that it was skipped.

use crate::damage;
use crate::support::{Server, client_runtime, code, free_port, value};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio_postgres::Client;

/// Set in the process that is inside, to where the file system is to be.
const INSIDE: &str = "FULL_DISK_INSIDE";
const THIS: &str =
    "full_disk::batches_on_a_disk_that_fills_up_are_whole_or_absent_and_kept_when_acknowledged";
const WORKERS: i64 = 3;
const FLAGS: [&str; 8] = [
    "--partitions",
    "2",
    "--pool-bytes",
    "4MiB",
    "--wal-segment-bytes",
    "1MiB",
    "--checkpoint-wal-bytes",
    "1MiB",
];
const DISK_BYTES: usize = 24 << 20;

/// What is known of a batch that was begun.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Known {
    There,
    /// COMMIT was not answered, or with 08007.
    Unknown,
    Absent,
}

/// How the server ends that has met the full disk.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Killed,
    /// Killed, started and killed again before there is room.
    StartedFull,
    Stopped,
}

#[test]
fn batches_on_a_disk_that_fills_up_are_whole_or_absent_and_kept_when_acknowledged() {
    if let Some(at) = std::env::var_os(INSIDE) {
        return inside(&PathBuf::from(at));
    }
    let namespace = ["-U", "-r", "-m"];
    let at = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={DISK_BYTES} tmpfs \"$0\"");
    let possible = Command::new("unshare")
        .args(namespace)
        .args(["sh", "-c", &mount])
        .arg(at.path())
        .output();
    match possible {
        Ok(done) if done.status.success() => {}
        other => {
            // Not a macro: the harness must not keep it to itself.
            let why =
                format!("{THIS}: SKIPPED, no namespace with a file system of its own: {other:?}");
            writeln!(std::io::stderr(), "{why}").unwrap();
            return;
        }
    }
    let status = Command::new("unshare")
        .args(namespace)
        .args(["sh", "-c", &format!("{mount} && exec \"$@\"")])
        .arg(at.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", THIS, "--nocapture", "--test-threads", "1"])
        .env(INSIDE, at.path())
        .status();
    assert!(status.unwrap().success(), "see above");
}

/// How the disk gets full.
#[derive(Clone, Copy, Debug)]
enum Full {
    /// Of the server's own files, which have this many KiB.
    ByItself(usize),
    /// Somebody else takes all that is left, this many milliseconds after the load began or when a third is used.
    AtOnce(u64),
}

fn inside(at: &Path) {
    let full = [
        Full::ByItself(5_200),
        Full::AtOnce(150),
        Full::ByItself(6_700),
        Full::AtOnce(300),
        Full::ByItself(9_100),
        Full::AtOnce(500),
    ];
    let ends = [Ends::Killed, Ends::StartedFull, Ends::Stopped, Ends::Killed];
    for (round, full) in full.into_iter().enumerate() {
        let ends = ends[round % ends.len()];
        let begun = std::time::Instant::now();
        let (there, unknown, refused) = fill_up(at, full, ends);
        println!(
            "{full:?}, {ends:?}: {there} batches acknowledged, {unknown} in doubt, {refused} refused; {:?}",
            begun.elapsed()
        );
        assert!(there > 0 && refused > 0);
    }
}

/// Takes room from the file system until there is none.
fn hog(ballast: &Path) {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(ballast)
        .unwrap();
    for bytes in [64 << 10, 4 << 10] {
        while file.write_all(&vec![1; bytes]).is_ok() {}
    }
}

/// Bytes of the files under a directory.
fn used(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => used(&entry.path()),
        Ok(found) => found.len() as usize,
        // It has just gone.
        Err(_) => 0,
    });
    bytes.sum()
}

/// One directory from its beginning to a full disk and out of it again.
fn fill_up(at: &Path, full: Full, ends: Ends) -> (usize, usize, usize) {
    let (dir, ballast) = (at.join("data"), at.join("ballast"));
    let room = match full {
        Full::ByItself(kib) => kib << 10,
        Full::AtOnce(_) => DISK_BYTES - (1 << 20),
    };
    std::fs::write(&ballast, vec![1; DISK_BYTES - room]).unwrap();
    let mut known = BTreeMap::new();
    let server = Server::with_flags(&dir, 2, &FLAGS);
    client_runtime().block_on(async {
        let client = server.connect().await;
        let sql = "create table part (id bigint primary key, batch bigint not null, size int not null, body text not null);
            create index part_batch on part (batch)";
        client.batch_execute(sql).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..WORKERS {
            clients.push(server.connect().await);
        }
        let work = (1..).zip(&clients).map(|(n, client)| worker(n, client));
        let other = async {
            if let Full::AtOnce(ms) = full {
                let begun = std::time::Instant::now();
                // A fast machine must not have filled the disk itself by then: its files stay.
                while begun.elapsed() < Duration::from_millis(ms) && used(&dir) < DISK_BYTES / 3 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                hog(&ballast);
            }
        };
        let (outcomes, ()) = tokio::join!(futures_util::future::join_all(work), other);
        for outcome in outcomes {
            known.extend(outcome);
        }
    });
    match ends {
        Ends::Killed => server.kill(),
        Ends::StartedFull => {
            server.kill();
            starts_or_says_why(&dir);
        }
        Ends::Stopped => server.end(),
    }
    std::fs::remove_file(&ballast).unwrap();
    let server = Server::with_flags(&dir, 1, &FLAGS);
    client_runtime().block_on(async {
        let client = server.connect().await;
        check(&client, &known).await;
        let sql = "begin; insert into part select -g, 0, 100, 'new' from generate_series(1, 100) g; commit; checkpoint";
        client.batch_execute(sql).await.unwrap();
    });
    server.kill();
    let (content, told) = damage::verify(&dir);
    assert!(content, "{told}");
    std::fs::remove_dir_all(&dir).unwrap();
    let count = |what| known.values().filter(|k| **k == what).count();
    (
        count(Known::There),
        count(Known::Unknown),
        count(Known::Absent),
    )
}

/// Commits batches until several are refused in a row.
async fn worker(n: i64, client: &Client) -> Vec<(i64, Known)> {
    let (mut outcomes, mut refused) = (Vec::new(), 0);
    for batch in n * 1_000_000.. {
        let size = 2 + batch % 9;
        let body = [40, 400, 2_000][batch as usize % 3];
        let insert = format!(
            "insert into part select {batch} * 10 + g, {batch}, {size}, repeat('x', {body}) from generate_series(1, {size}) g"
        );
        let mut known = Known::There;
        for sql in ["begin", &insert, "commit"] {
            let Err(error) = client.batch_execute(sql).await else {
                continue;
            };
            let code = code(&error);
            known = match code.as_str() {
                "53100" | "58030" => Known::Absent,
                "08007" | "lost" if sql == "commit" => Known::Unknown,
                _ => panic!("{error:?}: {sql}"),
            };
            println!(
                "{n}: {code} {}: {}",
                sql.split(' ').next().unwrap_or_default(),
                error.as_db_error().map_or("", |e| e.message())
            );
            client.batch_execute("rollback").await.ok();
            break;
        }
        outcomes.push((batch, known));
        refused = if known == Known::There {
            0
        } else {
            refused + 1
        };
        if refused == 5 {
            break;
        }
    }
    outcomes
}

/// A start on the full disk serves what is there, or ends with what is missing.
fn starts_or_says_why(dir: &Path) {
    let process = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
        .args(["--cores", "2", "--sql-port", &free_port().to_string()])
        .args(["--http-port", &free_port().to_string()])
        .arg("--data-dir")
        .arg(dir)
        .args(FLAGS)
        .stderr(Stdio::piped())
        .spawn();
    let mut process = process.unwrap();
    std::thread::sleep(Duration::from_secs(1));
    process.kill().unwrap();
    let done = process.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    let last = told.lines().last().unwrap_or_default();
    let ended = done.status.code().is_some();
    println!("started on a full disk: {last}");
    assert!(
        !ended || last.contains("no space") || last.contains("No space"),
        "{told}"
    );
}

async fn check(client: &Client, known: &BTreeMap<i64, Known>) {
    let sql = "select batch, size, count(*) from part group by batch, size order by batch";
    let mut there = BTreeMap::new();
    for row in client.query(sql, &[]).await.unwrap() {
        let (batch, size, count): (i64, i32, i64) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(i64::from(size), count, "batch {batch} is torn");
        there.insert(batch, count);
    }
    for (batch, what) in known {
        let found = there.contains_key(batch);
        match what {
            Known::There => assert!(found, "batch {batch} was acknowledged and is not there"),
            Known::Absent => assert!(!found, "batch {batch} was refused and is there"),
            Known::Unknown => {}
        }
    }
    assert!(there.keys().all(|batch| known.contains_key(batch)));
    for (batch, count) in there.iter().step_by(17) {
        let sql = format!("select count(*) from part where batch = {batch}");
        assert_eq!(value::<i64>(client, &sql).await, *count, "index part_batch");
    }
}
