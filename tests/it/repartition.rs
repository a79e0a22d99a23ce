//! The number of partitions changes offline, and a kill at any moment of it loses nothing.

use crate::support::{Server, client_runtime, value};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn command(dir: &Path, partitions: usize) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"));
    command
        .args(["repartition", "--partitions", &partitions.to_string()])
        .arg("--data-dir")
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn told(output: &Output) -> String {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(text).unwrap()
}

const TABLES: &str = "create table t (id int primary key, n int, u text unique, big text);
    create index on t (n);
    create table keyless (a int, b text);
    create table empty (id int primary key);
    create table placed (id int, tenant int, primary key (id, tenant)) partition by hash (tenant);
    create index on placed (tenant);
    insert into t select g, g % 10, case when g % 7 > 0 then 'u' || g end, repeat('z', g % 3 * 3000)
        from generate_series(1, 3000) g;
    delete from t where id % 5 = 0;
    insert into placed select g, g % 7 from generate_series(1, 700) g;
    insert into keyless select g % 100, 'k' || g from generate_series(1, 1000) g";

/// Every way to the rows, and that constraints still hold.
async fn check(server: &Server) {
    let client = server.connect().await;
    for (sql, expected) in [
        ("select count(*) from t", 2_400),
        ("select sum(id) from t", 3_600_000),
        ("select sum(length(big)) from t", 7_200_000),
        ("select count(*) from t where n = 3", 300),
        ("select count(*) from t where u is null", 343),
        ("select id::bigint from t where u = 'u1234'", 1_234),
        ("select count(*) from keyless", 1_000),
        ("select count(distinct b) from keyless where a = 7", 10),
        ("select count(*) from empty", 0),
        ("select count(*) from placed where tenant = 3", 100),
        ("select tenant from placed where id = 10 and tenant = 3", 3),
        ("select sum(id) from placed where tenant = 0", 35_350),
    ] {
        let sql = format!("select ({sql})::bigint");
        assert_eq!(value::<i64>(&client, &sql).await, expected, "{sql}");
    }
    for taken in [
        "insert into t values (1, 0, 'new', '')",
        "insert into t values (5, 0, 'u1234', '')",
    ] {
        let code = client.batch_execute(taken).await.unwrap_err();
        assert_eq!(code.code().unwrap().code(), "23505", "{taken}");
    }
    // And it goes on: as many rows come as go.
    client
        .batch_execute(
            "insert into keyless values (-1, 'new'); delete from keyless where a = -1;
            insert into t values (5, 5, 'u5', ''); delete from t where id = 5",
        )
        .await
        .unwrap();
}

fn check_with(dir: &Path, cores: usize, stop: fn(Server)) {
    let server = Server::start(dir, cores);
    client_runtime().block_on(check(&server));
    stop(server);
}

fn fill(dir: &Path, cores: usize, stop: fn(Server)) {
    let server = Server::start(dir, cores);
    client_runtime().block_on(async {
        let client = server.connect().await;
        client.batch_execute(TABLES).await.unwrap();
    });
    stop(server);
}

#[test]
fn every_row_and_entry_is_there_with_any_number_of_partitions() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    fill(&dir, 2, Server::kill);
    for (partitions, cores) in [(3, 2), (1, 2), (4, 1), (2, 4)] {
        let done = command(&dir, partitions).output().unwrap();
        assert!(done.status.success(), "{}", told(&done));
        let line = format!("partitions to {partitions}");
        assert!(told(&done).contains(&line), "{}", told(&done));
        check_with(&dir, cores, Server::kill);
        check_with(&dir, cores, Server::stop);
    }
    let again = command(&dir, 2).output().unwrap();
    assert!(told(&again).contains("there are 2 partitions already"));
    let none = command(&dir, 0).output().unwrap();
    assert!(!none.status.success() && told(&none).contains("1 to 1024"));
    let server = Server::start(&dir, 1);
    let busy = command(&dir, 3).output().unwrap();
    assert!(!busy.status.success() && told(&busy).contains("another process has it open"));
    server.stop();
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_partitions_or_the_new_ones() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    fill(&dir, 2, Server::stop);
    let mut killed = 0;
    for n in 0..12u64 {
        let mut running = command(&dir, 3 - (n as usize % 2)).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 + n * 23));
        let _ = running.kill();
        killed += usize::from(!running.wait().unwrap().success());
        if n % 4 == 3 {
            check_with(&dir, 2, Server::stop);
        }
    }
    assert!(killed > 2, "{killed} of 12 were killed in time");
    let names: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("p0000"))
        .collect();
    assert_eq!(names.len(), 1, "what does not count is removed: {names:?}");
}
