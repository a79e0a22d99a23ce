//! Narrow stories that a crash once told, each as short as it can be.

use crate::database::Database;
use runtime::sim::{self, Crash, Disk, Random};
use storage::planted::{Planted, plant};
use types::Value;

/// Runs scripts, each in a session of its own that stays open, in this order; then the power fails.
fn after_power_failure(disk: &Disk, steps: &[(usize, &str)]) -> Disk {
    let steps: Vec<(usize, String)> = steps.iter().map(|(n, sql)| (*n, sql.to_string())).collect();
    sim::run(1, disk, async move {
        let database = Database::open().await.unwrap();
        let sessions: Vec<_> = (0..3).map(|_| database.client().unwrap()).collect();
        for (session, sql) in steps {
            match sql.strip_prefix("copy ") {
                Some(table) => {
                    let lines: String = (1..=20).map(|i| format!("{i}\n")).collect();
                    let sql = format!("copy {table} from stdin");
                    sessions[session].copy(&sql, &lines).await.unwrap();
                }
                None => drop(sessions[session].run(&sql).await.unwrap()),
            }
        }
    });
    Disk::of(disk.image().crash(Crash::Least))
}

fn count(disk: &Disk, table: &str) -> i64 {
    let sql = format!("select count(*) from {table}");
    let rows = sim::run(2, disk, async move {
        let database = Database::open().await.unwrap();
        let client = database.client().unwrap();
        client.run(&sql).await.unwrap()
    });
    match rows[0][0] {
        Value::Int8(n) => n,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn rows_loaded_into_a_table_that_was_rolled_back_never_come_back_in_another() {
    let disk = after_power_failure(
        &Disk::new(),
        &[
            (0, "begin"),
            (0, "create table gone (id int primary key)"),
            (0, "copy gone"),
            (1, "checkpoint"),
            (0, "rollback"),
            (1, "create table other (id int primary key)"),
            (1, "insert into other values (99)"),
        ],
    );
    assert_eq!(count(&disk, "other"), 1);
}

#[test]
fn rows_loaded_into_a_table_that_a_crash_ended_never_come_back_in_another() {
    let disk = after_power_failure(
        &Disk::new(),
        &[
            (0, "begin"),
            (0, "create table gone (id int primary key)"),
            (0, "copy gone"),
            (1, "checkpoint"),
        ],
    );
    let disk = after_power_failure(
        &disk,
        &[
            (0, "create table other (id int primary key)"),
            (0, "insert into other values (99)"),
        ],
    );
    assert_eq!(count(&disk, "other"), 1);
}

#[test]
fn what_is_read_after_a_kill_is_there_after_a_power_failure() {
    let mut random = Random::new(1);
    for kill in 0..60 {
        let disk = Disk::new();
        sim::run(kill, &disk, async move {
            let database = Database::open().await.unwrap();
            let client = database.client().unwrap();
            client
                .run("create table t (id int primary key)")
                .await
                .unwrap();
            client
                .run("insert into t values (1), (2), (3); checkpoint")
                .await
                .unwrap();
            client
                .run("insert into t values (4); checkpoint")
                .await
                .unwrap();
        });
        let events = disk.log();
        let upto = random.below(events.len() as u64 + 1) as usize;
        let mut image = sim::Image::new();
        events[..upto].iter().for_each(|e| image.apply(e));
        let second = Disk::of(image.crash(Crash::Kill(kill)));
        let third = after_power_failure(
            &second,
            &[
                (0, "create table if not exists t (id int primary key)"),
                (0, "delete from t"),
                (0, "insert into t select g from generate_series(10, 300) g"),
            ],
        );
        assert_eq!(count(&third, "t"), 291, "killed after {upto} events");
    }
}

#[test]
fn no_crash_leaves_a_child_without_its_parent() {
    let disk = Disk::new();
    sim::run(7, &disk, async move {
        let database = Database::open().await.unwrap();
        let client = database.client().unwrap();
        let tables = "create table p (id int primary key);
            create table c (id int primary key, p int references p on delete cascade);
            create index on c (p)";
        client.run(tables).await.unwrap();
        for step in [
            "insert into p select g from generate_series(1, 12) g",
            "insert into c select g, g % 12 + 1 from generate_series(1, 60) g",
            "delete from p where id < 5; checkpoint",
            "begin; insert into p values (1), (2); insert into c values (100, 1), (101, 2); commit",
            "update c set p = 2 where p = 7; delete from p where id in (1, 8, 9)",
            "delete from p",
        ] {
            client.run(step).await.unwrap();
        }
    });
    let events = disk.log();
    let mut image = sim::Image::new();
    for (n, event) in events.iter().enumerate() {
        image.apply(event);
        // Tables come first; each boundary costs a start of the whole database.
        if n % 7 != 0 {
            continue;
        }
        let crashed = Disk::of(image.crash(Crash::Least));
        let there = "pg_class where relname = 'c'";
        if count(&crashed, there) == 1 {
            let orphans = "c left join p on p.id = c.p where p.id is null";
            assert_eq!(count(&crashed, orphans), 0, "after {n} events");
        }
    }
}

/// Transactions that hand one row on before they are on the disk, and say what they have seen of it as soon as they may.
async fn hand_on(database: &Database, disk: &Disk) {
    let tables = "create table c (id int primary key, n int) partition by hash (id);
        create table j (id int, n int, primary key (id, n)) partition by hash (id);
        insert into c values (1, 0)";
    database.client().unwrap().run(tables).await.unwrap();
    let mut running = Vec::new();
    for who in 0..4 {
        let (client, disk) = (database.client().unwrap(), disk.clone());
        running.push(runtime::spawn(async move {
            let told = |rows: Vec<Vec<Value>>, own: i32| match rows[0][0] {
                Value::Int4(n) => disk.mark((n - own) as u64),
                ref other => panic!("{other:?}"),
            };
            for round in 0..6 {
                match (who + round) % 3 {
                    0 => {
                        let sql = "with u as (update c set n = n + 1 where id = 1 returning n)
                            insert into j select 1, n from u returning n";
                        told(client.run(sql).await.unwrap(), 0);
                        continue;
                    }
                    1 => {
                        client.run("begin").await.unwrap();
                        let sql = "update c set n = n + 1 where id = 1 returning n";
                        told(client.run(sql).await.unwrap(), 1);
                    }
                    _ => {
                        client.run("begin").await.unwrap();
                        let sql = "update c set n = n + 1 where id = 1";
                        client.run(sql).await.unwrap();
                        let sql = "select n from c where id = 1";
                        told(client.run(sql).await.unwrap(), 1);
                    }
                }
                let sql = "insert into j select id, n from c";
                client.run(sql).await.unwrap();
                client.run("commit").await.unwrap();
            }
        }));
    }
    for client in running {
        client.await;
    }
}

/// How often more has been told than a crash at that moment leaves.
fn told_too_early() -> usize {
    let disk = Disk::new();
    let used = disk.clone();
    sim::run(11, &disk, async move {
        let database = Database::open().await.unwrap();
        hand_on(&database, &used).await;
    });
    let (mut image, mut told, mut trials, mut early) = (sim::Image::new(), 0, 0, 0);
    for event in disk.log() {
        image.apply(&event);
        let sim::Event::Mark(n) = event else { continue };
        (told, trials) = (told.max(n), trials + 1);
        let crashed = Disk::of(image.crash(Crash::Least));
        let there = count(&crashed, "j");
        early += usize::from(there < told as i64);
        let apart = "c where n <> (select count(*) from j) or n <> (select max(n) from j)";
        assert_eq!(count(&crashed, apart), 0, "of {told}");
    }
    assert!(told >= 23 && trials == 24, "{told} of {trials}");
    early
}

#[test]
fn nothing_is_told_of_a_row_that_was_handed_on_and_a_crash_takes_back() {
    assert_eq!(told_too_early(), 0);
}

#[test]
fn what_is_told_too_early_of_a_row_that_was_handed_on_is_noticed() {
    let _planted = plant(Planted::ToldEarly);
    assert!(told_too_early() > 0);
}
