//! Backups taken from a server at work, and what can be restored from them.

use crate::support::{Server, client_runtime, value};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

struct Place {
    _root: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Place {
        let root = tempfile::tempdir().unwrap();
        Place {
            root: root.path().to_path_buf(),
            _root: root,
        }
    }

    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    fn backup(&self, name: &str) -> PathBuf {
        self.root.join("backups").join(name)
    }

    fn archive(&self) -> PathBuf {
        self.root.join("archive")
    }

    /// A server on the data directory, whose backups go here.
    fn start(&self, cores: usize, flags: &[&str]) -> Server {
        self.start_on(&self.data(), cores, flags)
    }

    fn start_on(&self, data: &Path, cores: usize, flags: &[&str]) -> Server {
        let backups = self.root.join("backups").display().to_string();
        let mut all = vec!["--backup-dir", &backups];
        all.extend(flags);
        Server::with_flags(data, cores, &all)
    }

    fn restore(&self, to: &str, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
            .arg("restore")
            .args(args)
            .arg("--data-dir")
            .arg(self.root.join(to))
            .output()
            .unwrap()
    }

    fn restored(&self, to: &str, args: &[&str]) -> PathBuf {
        let output = self.restore(to, args);
        assert!(output.status.success(), "{}", told(&output));
        self.root.join(to)
    }

    fn verify(&self, name: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
            .args(["verify", "--backup"])
            .arg(self.backup(name))
            .output()
            .unwrap()
    }
}

fn told(output: &Output) -> String {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(text).unwrap()
}

fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

const TABLES: &str = "create table account (id int primary key, balance int not null);
    insert into account select g, 100 from generate_series(1, 200) g;
    create table t (id int primary key, u int unique, big text);
    insert into t select g, g, repeat('b', 2500) from generate_series(1, 2000) g;
    create table event (at bigint, who int)";

/// Moves money between two accounts, mostly of two partitions, and writes an event in the same transaction.
async fn transfer(client: &mut tokio_postgres::Client, n: i64) {
    let (a, b) = ((n * 7 % 200) as i32 + 1, (n * 13 % 200) as i32 + 1);
    let txn = client.transaction().await.unwrap();
    let done = async {
        txn.execute(
            "update account set balance = balance - 1 where id = $1",
            &[&a.min(b)],
        )
        .await?;
        txn.execute(
            "update account set balance = balance + 1 where id = $1",
            &[&a.max(b)],
        )
        .await?;
        txn.execute("insert into event values ($1, $2)", &[&n, &a])
            .await
    };
    match done.await {
        Ok(_) => txn.commit().await.unwrap(),
        Err(e) => assert_eq!(crate::support::code(&e), "40001"),
    }
}

/// Accounts keep their sum and every index agrees with its table.
async fn check(server: &Server) -> i64 {
    let client = server.connect().await;
    let sum: i64 = value(&client, "select sum(balance) from account").await;
    assert_eq!(sum, 20_000);
    let by_index: i64 = value(
        &client,
        "select count(*) from t a where exists (select 1 from t b where b.u = a.u)",
    )
    .await;
    let rows: i64 = value(&client, "select count(*) from t").await;
    assert_eq!(by_index, rows);
    value(&client, "select count(*) from event").await
}

/// Clients transfer until `work` is done. Returns how many events were acknowledged before it began.
async fn under_load<T>(server: &Server, work: impl AsyncFnOnce(&AtomicI64) -> T) -> T {
    let (stop, done) = (AtomicBool::new(false), AtomicI64::new(0));
    let writer = async |seed: i64| {
        let mut client = server.connect().await;
        let mut n = seed;
        while !stop.load(Ordering::Relaxed) {
            transfer(&mut client, n).await;
            done.fetch_add(1, Ordering::Relaxed);
            n += 4;
        }
    };
    let changer = async {
        let client = server.connect().await;
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            n += 1;
            // A table is made, filled past the log, indexed and dropped; another is churned.
            let sql = format!(
                "begin; create table made{n} (id int primary key, n int); \
                 insert into made{n} select g, g from generate_series(1, 300) g; \
                 create index on made{n} (n); commit; \
                 update t set big = repeat('c', 2400 + {n} % 200) where id % 7 = {n} % 7; \
                 drop table made{n}"
            );
            client.batch_execute(&sql).await.unwrap();
        }
    };
    let work = async {
        let result = work(&done).await;
        stop.store(true, Ordering::Relaxed);
        result
    };
    let (_, _, _, _, _, result) =
        tokio::join!(writer(0), writer(1), writer(2), writer(3), changer, work);
    result
}

#[test]
fn a_backup_under_load_restores_to_one_moment() {
    for cores in [1, 2] {
        let place = Place::new();
        let flags = [
            "--partitions",
            "2",
            "--checkpoint-wal-bytes",
            "1MiB",
            "--wal-segment-bytes",
            "1MiB",
        ];
        let server = place.start(cores, &flags);
        let (before, after) = client_runtime().block_on(async {
            let client = server.connect().await;
            client.batch_execute(TABLES).await.unwrap();
            under_load(&server, async |_done| {
                tokio::time::sleep(Duration::from_millis(400)).await;
                let before: i64 = value(&client, "select count(*) from event").await;
                client.batch_execute("backup to 'one'").await.unwrap();
                let after: i64 = value(&client, "select count(*) from event").await;
                // It goes on changing what the backup has, and the backup does not change.
                tokio::time::sleep(Duration::from_millis(300)).await;
                client.batch_execute("checkpoint").await.unwrap();
                (before, after)
            })
            .await
        });
        server.kill();
        let verified = place.verify("one");
        assert!(verified.status.success(), "{}", told(&verified));
        let data = place.restored("restored", &["--from", arg(&place.backup("one"))]);
        for cores in [1, 2] {
            let restored = place.start_on(&data, cores, &[]);
            let events = client_runtime().block_on(check(&restored));
            assert!(
                (before..=after).contains(&events),
                "{before} {events} {after}"
            );
            restored.stop();
        }
        // The original is none the worse.
        let server = place.start(cores, &flags);
        assert!(client_runtime().block_on(check(&server)) >= after);
        server.stop();
    }
}

#[test]
fn incremental_backups_go_on_where_the_base_ends() {
    let place = Place::new();
    let flags = [
        "--wal-keep-bytes",
        "1GiB",
        "--checkpoint-wal-bytes",
        "1MiB",
        "--wal-segment-bytes",
        "1MiB",
    ];
    let server = place.start(2, &flags);
    let counts = client_runtime().block_on(async {
        let client = server.connect().await;
        client.batch_execute(TABLES).await.unwrap();
        client.batch_execute("backup to 'full'").await.unwrap();
        under_load(&server, async |_| {
            let mut counts = Vec::new();
            for (name, base) in [("inc1", "full"), ("inc2", "inc1")] {
                tokio::time::sleep(Duration::from_millis(400)).await;
                let before: i64 = value(&client, "select count(*) from event").await;
                let sql = format!("backup to '{name}' incremental from '{base}'");
                client.batch_execute(&sql).await.unwrap();
                let after: i64 = value(&client, "select count(*) from event").await;
                counts.push((before, after));
            }
            counts
        })
        .await
    });
    server.kill();
    let (full, inc1, inc2) = (
        place.backup("full"),
        place.backup("inc1"),
        place.backup("inc2"),
    );
    for (to, args, (least, most)) in [
        ("r0", vec!["--from", arg(&full)], (0, 0)),
        (
            "r1",
            vec!["--from", arg(&full), "--incremental", arg(&inc1)],
            counts[0],
        ),
        (
            "r2",
            vec![
                "--from",
                arg(&full),
                "--incremental",
                arg(&inc1),
                "--incremental",
                arg(&inc2),
            ],
            counts[1],
        ),
    ] {
        let data = place.restored(to, &args);
        let server = place.start_on(&data, 2, &[]);
        let events = client_runtime().block_on(check(&server));
        assert!(
            (least..=most).contains(&events),
            "{to}: {least} {events} {most}"
        );
        server.stop();
    }
    for name in ["full", "inc1", "inc2"] {
        let verified = place.verify(name);
        assert!(verified.status.success(), "{}", told(&verified));
    }
    let wrong = place.restore("r3", &["--from", arg(&full), "--incremental", arg(&inc2)]);
    assert!(
        told(&wrong).contains("does not go on from"),
        "{}",
        told(&wrong)
    );
    let wrong = place.restore("r3", &["--from", arg(&inc1)]);
    assert!(told(&wrong).contains("is incremental"), "{}", told(&wrong));
}

#[test]
fn any_moment_after_a_backup_can_be_restored_from_the_archive() {
    let place = Place::new();
    let archive = place.archive();
    let flags = [
        "--wal-archive-dir",
        arg(&archive),
        "--wal-archive-timeout",
        "200ms",
        "--checkpoint-wal-bytes",
        "1MiB",
        "--wal-segment-bytes",
        "1MiB",
    ];
    let server = place.start(2, &flags);
    let moments = client_runtime().block_on(async {
        let client = server.connect().await;
        client.batch_execute(TABLES).await.unwrap();
        client.batch_execute("backup to 'full'").await.unwrap();
        let moments = under_load(&server, async |_| {
            let mut moments = Vec::new();
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(400)).await;
                let before: i64 = value(&client, "select count(*) from event").await;
                let time: String = value(&client, "select clock_timestamp()::text").await;
                let after: i64 = value(&client, "select count(*) from event").await;
                moments.push((before, time, after));
            }
            moments
        })
        .await;
        client
            .batch_execute("insert into event values (-1, -1)")
            .await
            .unwrap();
        // Everything is in the archive one timeout and a little later.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        moments
    });
    server.kill();
    let full = place.backup("full");
    let from = ["--from", arg(&full), "--archive", arg(&archive)];
    for (n, (least, time, most)) in moments.iter().enumerate() {
        let mut args = from.to_vec();
        args.extend(["--to-time", time]);
        let data = place.restored(&format!("r{n}"), &args);
        let server = place.start_on(&data, 1, &[]);
        let events = client_runtime().block_on(check(&server));
        assert!(
            (*least..=*most).contains(&events),
            "{least} {events} {most}"
        );
        server.stop();
    }
    let data = place.restored("all", &from);
    let server = place.start_on(&data, 2, &flags);
    client_runtime().block_on(async {
        check(&server).await;
        let client = server.connect().await;
        let last: i64 = value(&client, "select count(*) from event where at = -1").await;
        assert_eq!(last, 1);
        // The new history goes into the same archive, beside the old one.
        client
            .batch_execute("backup to 'second'; insert into event values (-2, -2)")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    });
    server.kill();
    let second = place.backup("second");
    let data = place.restored(
        "again",
        &["--from", arg(&second), "--archive", arg(&archive)],
    );
    let server = place.start_on(&data, 2, &[]);
    client_runtime().block_on(async {
        let client = server.connect().await;
        let both: i64 = value(&client, "select count(*) from event where at < 0").await;
        assert_eq!(both, 2);
    });
    server.stop();
    // And the old one can still be restored.
    let mut args = from.to_vec();
    args.extend(["--to-time", &moments[0].1]);
    place.restored("old", &args);
    let too_early = place.restore(
        "x",
        &["--from", arg(&full), "--to-time", "2020-01-01T00:00:00Z"],
    );
    assert!(
        told(&too_early).contains("the backup begins at"),
        "{}",
        told(&too_early)
    );
    let too_late = place.restore(
        "y",
        &["--from", arg(&full), "--to-time", "2200-01-01T00:00:00Z"],
    );
    assert!(
        told(&too_late).contains("the log ends at"),
        "{}",
        told(&too_late)
    );
}

#[test]
fn what_cannot_be_a_backup_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let server = place.start(
        2,
        &[
            "--checkpoint-wal-bytes",
            "1MiB",
            "--wal-segment-bytes",
            "1MiB",
        ],
    );
    client_runtime().block_on(async {
        let client = server.connect().await;
        client.batch_execute(TABLES).await.unwrap();
        let refused = async |sql: &str| {
            let e = client.batch_execute(sql).await.unwrap_err();
            crate::support::code(&e)
        };
        client.batch_execute("backup to 'a'").await.unwrap();
        assert_eq!(refused("backup to 'a'").await, "58P02");
        assert_eq!(
            refused("backup to 'b' incremental from 'none'").await,
            "58P01"
        );
        for name in ["", "../b", "/srv/b", ".b", "a/b"] {
            assert_eq!(
                refused(&format!("backup to '{name}'")).await,
                "22023",
                "{name}"
            );
        }
        client.batch_execute("begin").await.unwrap();
        assert_eq!(refused("backup to 'b'").await, "25001");
        client.batch_execute("rollback").await.unwrap();
        // Without wal_keep_bytes a few checkpoints are enough to lose the base's end.
        for _ in 0..4 {
            let sql = "update t set big = repeat('x', 2500); checkpoint";
            client.batch_execute(sql).await.unwrap();
        }
        assert_eq!(refused("backup to 'b' incremental from 'a'").await, "55000");
        assert!(!place.backup("b").exists());
    });
    server.stop();
    // A damaged backup is noticed.
    let pages = place.backup("a").join("p0000/data.pages");
    let mut bytes = std::fs::read(&pages).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096 + 100;
    bytes[middle] ^= 1;
    std::fs::write(&pages, bytes).unwrap();
    let verified = place.verify("a");
    assert!(
        !verified.status.success() && told(&verified).contains("damage"),
        "{}",
        told(&verified)
    );
    let manifest = place.backup("a").join("backup.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("generation = 0", "generation = 1")).unwrap();
    let refused = place.restore("r", &["--from", arg(&place.backup("a"))]);
    assert!(told(&refused).contains("is damaged"), "{}", told(&refused));
    assert!(!place.root.join("r").join("FORMAT").exists());
}

#[test]
fn a_backup_that_is_cancelled_leaves_nothing_and_holds_nothing() {
    let place = Place::new();
    let server = place.start(2, &[]);
    client_runtime().block_on(async {
        let client = server.connect().await;
        client.batch_execute(TABLES).await.unwrap();
        client
            .batch_execute("insert into t select g, g, repeat('z', 2500) from generate_series(2001, 20000) g")
            .await
            .unwrap();
        let other = server.connect().await;
        let cancel = client.cancel_token();
        let watch = async {
            loop {
                let rows = other
                    .query("select pid, phase, backup_total, backup_streamed from pg_stat_progress_basebackup", &[])
                    .await
                    .unwrap();
                if let Some(row) = rows.first()
                    && row.get::<_, i64>(3) > 0
                {
                    assert!(row.get::<_, i64>(2) >= row.get::<_, i64>(3));
                    break;
                }
            }
            let busy = other.batch_execute("backup to 'other'").await.unwrap_err();
            assert_eq!(crate::support::code(&busy), "55006");
            cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
        };
        let (taken, ()) = tokio::join!(client.batch_execute("backup to 'cut'"), watch);
        assert_eq!(crate::support::code(&taken.unwrap_err()), "57014");
        assert!(!place.backup("cut").exists() && !place.backup("other").exists());
        client.batch_execute("backup to 'whole'").await.unwrap();
        let rows = client.query("select * from pg_stat_progress_basebackup", &[]).await.unwrap();
        assert!(rows.is_empty());
    });
    server.stop();
    place.restored("r", &["--from", arg(&place.backup("whole"))]);
}

/// Rows that go past the log unless somebody needs them there: a COPY into a new table, and an index over an old one.
async fn load(client: &tokio_postgres::Client) {
    use futures_util::SinkExt;
    client
        .batch_execute("begin; create table loaded (id int primary key, n int)")
        .await
        .unwrap();
    let sink = client
        .copy_in::<_, bytes::Bytes>("copy loaded from stdin")
        .await
        .unwrap();
    let mut sink = std::pin::pin!(sink);
    let lines: String = (0..20_000).map(|n| format!("{n}\t{}\n", n % 10)).collect();
    sink.send(lines.into()).await.unwrap();
    sink.close().await.unwrap();
    client
        .batch_execute("commit; create unique index on t (id, u); create index on loaded (n)")
        .await
        .unwrap();
}

#[test]
fn what_is_loaded_past_the_log_is_in_it_when_it_is_needed_there() {
    // With a log that is kept they are logged; without, a restore over them is refused.
    for keep in ["1GiB", "0B"] {
        let place = Place::new();
        let server = place.start(2, &["--wal-keep-bytes", keep]);
        client_runtime().block_on(async {
            let client = server.connect().await;
            client.batch_execute(TABLES).await.unwrap();
            client.batch_execute("backup to 'full'").await.unwrap();
            load(&client).await;
            let sql = "insert into event values (1, 1); backup to 'inc' incremental from 'full'; \
                backup to 'full2'";
            for sql in sql.split(';') {
                let done = client.batch_execute(sql).await;
                assert!(done.is_ok() || keep == "0B", "{done:?}");
            }
        });
        server.kill();
        let (full, inc) = (place.backup("full"), place.backup("inc"));
        let both = ["--from", arg(&full), "--incremental", arg(&inc)];
        if keep == "0B" {
            if inc.exists() {
                let refused = place.restore("r", &both);
                assert!(
                    told(&refused).contains("without being logged"),
                    "{}",
                    told(&refused)
                );
            }
            place.restored("full2", &["--from", arg(&place.backup("full2"))]);
            continue;
        }
        let data = place.restored("r", &both);
        let server = place.start_on(&data, 2, &[]);
        client_runtime().block_on(async {
            check(&server).await;
            let client = server.connect().await;
            for (sql, expected) in [
                ("select count(*) from loaded", 20_000),
                ("select count(*) from loaded where n = 3", 2_000),
                ("select n::bigint from loaded where id = 19999", 9),
            ] {
                assert_eq!(value::<i64>(&client, sql).await, expected, "{sql}");
            }
        });
        server.stop();
    }
}
