//! Damaged bytes on disk: their partition ends its service with a clear message, and the others serve.

use crate::support::{Server, client_runtime};
use std::path::Path;

const ROWS: i32 = 2_000;
const PAGE: usize = 4096;

/// A directory of two partitions with a table in both.
fn filled(dir: &Path, stop: fn(Server)) {
    let server = Server::start(dir, 2);
    client_runtime().block_on(async {
        let client = server.connect().await;
        let sql = "create table t (id int primary key, v text)";
        client.batch_execute(sql).await.unwrap();
        for first in (1..=ROWS).step_by(200) {
            let sql = format!(
                "insert into t select g, repeat('x', 100) from generate_series({first}, {}) g",
                first + 199
            );
            client.batch_execute(&sql).await.unwrap();
        }
    });
    stop(server);
}

/// How many rows can be read by their keys, and the messages of those that cannot.
fn read_all(server: &Server) -> (usize, Vec<String>) {
    client_runtime().block_on(async {
        let client = server.connect().await;
        let (mut read, mut refused) = (0, Vec::new());
        for id in 1..=ROWS {
            let sql = "select v from t where id = $1";
            match client.query_one(sql, &[&id]).await {
                Ok(row) => {
                    assert_eq!(row.get::<_, &str>(0).len(), 100);
                    read += 1;
                }
                Err(e) => refused.push(e.as_db_error().unwrap().message().to_owned()),
            }
        }
        (read, refused)
    })
}

/// What a server with partition 1 out of service answers.
fn serves_the_other(server: &Server, reason: &str) {
    let (read, refused) = read_all(server);
    assert!(read > 500 && refused.len() > 500, "{read} read");
    let last = refused.last().unwrap();
    assert!(
        last.starts_with("partition 1 is out of service") && last.contains(reason),
        "{last}"
    );
    let (status, body) = server.http("GET", "/health/ready", "");
    assert!(
        status == 503 && body.contains("partition 1"),
        "{status} {body}"
    );
    let inserts: Vec<_> = (1..=20)
        .map(|n| {
            server.query(&format!(
                "insert into t values ({}, 'new') on conflict do nothing",
                ROWS + n
            ))
        })
        .collect();
    let written = inserts.iter().filter(|(status, _)| *status == 200).count();
    assert!((1..20).contains(&written), "{inserts:?}");
    assert_ne!(server.query("select count(*) from t").0, 200);
}

#[test]
fn damaged_pages_end_their_partition_and_the_others_serve() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    filled(&dir, Server::stop);
    let path = dir.join("p0001/data.pages");
    let mut pages = std::fs::read(&path).unwrap();
    for page in pages.chunks_exact_mut(PAGE).skip(2) {
        let leaf = page[24] == 1;
        page[PAGE - 1] ^= u8::from(leaf);
    }
    std::fs::write(&path, pages).unwrap();
    for cores in [2, 1] {
        let server = Server::start(&dir, cores);
        serves_the_other(&server, "data corrupted in the page file at page");
        server.kill();
    }
}

#[test]
fn a_damaged_log_ends_its_partition_at_the_start_and_the_others_serve() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    filled(&dir, Server::kill);
    let log = dir.join("p0001/wal-0000000000001000");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[PAGE + 30_000] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    for cores in [2, 1] {
        let server = Server::unready(&dir, cores, &[]);
        serves_the_other(&server, "data corrupted in the write-ahead log at lsn");
        server.kill();
    }
    // What is out of service is as it was: mended, it is all there.
    bytes[PAGE + 30_000] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let server = Server::start(&dir, 2);
    let (read, refused) = read_all(&server);
    assert_eq!((read, refused.len()), (ROWS as usize, 0));
    server.stop();
}

/// What `verify` prints, and whether it was content.
pub fn verify(dir: &Path) -> (bool, String) {
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
        .arg("verify")
        .arg("--data-dir")
        .arg(dir)
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn verify_says_page_by_page_what_is_damaged_and_leaves_a_running_server_alone() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    filled(&dir, Server::kill);
    let (content, told) = verify(&dir);
    assert!(
        content && told.contains("2 partitions checked, nothing damaged"),
        "{told}"
    );
    let server = Server::start(&dir, 2);
    let (content, told) = verify(&dir);
    assert!(
        !content && told.contains("another process has it open"),
        "{told}"
    );
    server.stop();
    let path = dir.join("p0001/data.pages");
    let mut pages = std::fs::read(&path).unwrap();
    let leaf = (2..pages.len() / PAGE)
        .find(|n| pages[n * PAGE + 24] == 1 && pages[n * PAGE + 26] > 0)
        .unwrap();
    pages[leaf * PAGE + PAGE - 1] ^= 1;
    std::fs::write(&path, pages).unwrap();
    let (content, told) = verify(&dir);
    let line = format!("damage  page {leaf}: checksum mismatch");
    assert!(!content && told.contains(&line), "{told}");
    assert!(told.contains("2 partitions checked, 1 damaged"), "{told}");
    let (content, told) = verify(&data.path().join("nowhere"));
    assert!(!content && told.contains("No such file"), "{told}");
    let (content, told) = verify(data.path());
    assert!(!content && told.contains("not a data directory"), "{told}");
}
