//! The process: what it refuses to start with, and how it stops.

use crate::support::{Server, client_runtime};
use std::process::Command;
use std::time::Duration;

fn refused(args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn a_directory_in_use_and_a_taken_port_are_said_in_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let server = Server::start(&dir, 1);
    let shown = dir.display().to_string();
    let (code, text) = refused(&["--data-dir", &shown, "--sql-port", "0", "--http-port", "0"]);
    assert_ne!(code, 0);
    assert!(text.contains("another process"), "{text}");
    let other = data.path().join("other");
    let port = server.port.to_string();
    let (code, text) = refused(&[
        "--data-dir",
        &other.display().to_string(),
        "--sql-port",
        &port,
        "--http-port",
        "0",
    ]);
    assert_ne!(code, 0);
    assert!(
        text.contains(&port) && text.contains("--sql-port"),
        "{text}"
    );
    assert!(
        !other.exists(),
        "nothing is written before the ports are known to be free"
    );
    server.stop();
}

#[test]
fn a_directory_of_a_newer_format_is_refused() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("FORMAT"), "format = 99\npartitions = 1\n").unwrap();
    let shown = data.path().display().to_string();
    let (code, text) = refused(&["--data-dir", &shown, "--sql-port", "0", "--http-port", "0"]);
    assert_ne!(code, 0);
    assert!(text.contains("99"), "{text}");
}

#[test]
fn anything_but_loopback_is_refused() {
    let (code, text) = refused(&["--listen", "0.0.0.0", "--check-config"]);
    assert_ne!(code, 0);
    assert!(text.contains("loopback"), "{text}");
}

#[test]
fn term_finishes_what_runs_and_exits_with_zero() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(&data.path().join("data"), 2);
    client_runtime().block_on(async {
        let client = server.connect().await;
        let sql = "select count(*) from generate_series(1, 3000000) g";
        let term = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.signal("TERM");
        };
        let (outcome, ()) = tokio::join!(client.simple_query(sql), term);
        assert!(outcome.is_ok(), "{outcome:?}");
    });
    assert!(server.wait().success());
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--drain-timeout", "60s", "--statement-timeout", "0"];
    let mut server = Server::with_flags(&data.path().join("data"), 2, &flags);
    client_runtime().block_on(async {
        let client = server.connect().await;
        let sql = "select count(*) from generate_series(1, 2000000000) g";
        let signals = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.signal("TERM");
            tokio::time::sleep(Duration::from_millis(500)).await;
            server.signal("TERM");
        };
        let (outcome, ()) = tokio::join!(client.simple_query(sql), signals);
        assert!(outcome.is_err(), "it would have run for minutes");
    });
    assert_eq!(server.wait().code(), Some(143));
}

#[test]
fn a_drain_refuses_newcomers_and_cancels_what_outlasts_it() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--drain-timeout", "1s", "--statement-timeout", "0"];
    let mut server = Server::with_flags(&data.path().join("data"), 2, &flags);
    client_runtime().block_on(async {
        let client = server.connect().await;
        let sql = "select count(*) from generate_series(1, 2000000000) g";
        let signals = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.signal("TERM");
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_ne!(server.query("select 1").0, 200);
        };
        let (outcome, ()) = tokio::join!(client.simple_query(sql), signals);
        let error = outcome.unwrap_err();
        let code = error.code().map(|c| c.code().to_owned());
        assert!(
            matches!(code.as_deref(), Some("57P01" | "57014")),
            "{error:?}"
        );
    });
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_eviction_policy_changes_while_the_server_runs() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("conf.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("pool_policy = \"lirs\"\n");
    let flags = ["--config", file.to_str().unwrap()];
    let server = Server::with_flags(&data.path().join("data"), 2, &flags);
    let in_use = |policy: &str| {
        let (_, metrics) = server.http("GET", "/metrics", "");
        let label = format!("policy=\"{policy}\"");
        let lines = metrics
            .lines()
            .filter(|l| l.starts_with("rustydb_pool_policy"));
        lines.filter(|l| l.contains(&label)).count()
    };
    let becomes = |policy: &str| {
        let start = std::time::Instant::now();
        while in_use(policy) != 2 {
            assert!(start.elapsed() < Duration::from_secs(10), "never {policy}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    becomes("lirs");
    write("pool_policy = \"arc\"\n");
    server.signal("HUP");
    becomes("arc");
    // A file that is not valid changes nothing, and the next that is does.
    write("pool_policy = \"oldest\"\n");
    server.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(in_use("arc"), 2);
    write("pool_policy = \"2q\"\nsql_port = 1\n");
    let (status, body) = server.query("select pg_reload_conf()");
    assert_eq!(
        (status, &body["rows"][0]["pg_reload_conf"]),
        (200, &true.into())
    );
    becomes("2q");
    server.stop();
}

#[test]
fn doctor_tells_what_it_found_and_makes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let done = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
        .args(["doctor", "--data-dir", &dir.display().to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    // The servers of these tests start, so nothing is wrong here.
    assert_eq!(done.status.code(), Some(0), "{text}");
    assert!(text.contains("io_uring"), "{text}");
    assert!(!text.contains("WRONG"), "{text}");
    assert!(!dir.exists(), "{text}");
    // Where nothing can be written no server starts.
    let done = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
        .args(["doctor", "--data-dir", "/proc/none"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(1), "{text}");
    assert!(text.contains("WRONG  data directory"), "{text}");
}

#[test]
fn every_profile_is_a_good_configuration() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tuning/profiles");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let shown = path.display().to_string();
        let (code, text) = refused(&["--config", &shown, "--check-config"]);
        assert_eq!(code, 0, "{shown}: {text}");
        seen += 1;
    }
    assert!(seen >= 3, "{folder} has {seen} files");
}

#[test]
fn clients_of_the_machine_come_through_a_directory() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("sockets");
    std::fs::create_dir(&dir).unwrap();
    let shown = dir.display().to_string();
    let server = Server::with_flags(&data.path().join("data"), 2, &["--unix-socket-dir", &shown]);
    let port = server.port.to_string();
    let asked = |sql: &str| {
        let output = Command::new("psql")
            .args(["-h", &shown, "-p", &port, "-U", "rustydb", "-AtXc", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    asked("create table t (a int primary key)");
    assert_eq!(
        asked(
            "insert into t select generate_series(1, 100); select count(*), inet_client_addr() is null from t"
        ),
        "INSERT 0 100\n100|t"
    );
    // Connections that wait are spread over both shards.
    client_runtime().block_on(async {
        let mut open = Vec::new();
        for _ in 0..8 {
            open.push(server.connect_at(&shown).await);
        }
        for (n, client) in open.iter().enumerate() {
            let key = n as i32 + 1;
            let rows = client.query("select a from t where a = $1", &[&key]).await;
            assert_eq!(rows.unwrap().len(), 1);
        }
        let at = |shard: u8| {
            server.metric(&format!(
                "rustydb_connections_open{{protocol=\"postgres\",shard=\"{shard}\"}}"
            ))
        };
        assert_eq!((at(0), at(1)), (4.0, 4.0));
    });
    let socket = dir.join(format!(".s.PGSQL.{port}"));
    assert!(socket.exists());
    let (kept, dir_of_data) = (socket.clone(), data.path().join("data"));
    server.kill();
    assert!(kept.exists(), "nobody was there to remove it");
    let server = Server::with_flags(&dir_of_data, 1, &["--unix-socket-dir", &shown]);
    server.stop();
    assert!(
        std::fs::read_dir(&dir)
            .unwrap()
            .all(|one| one.unwrap().path() == kept)
    );
}
