//! Hermitage's cases, one by one, at each isolation level: what every session sees, who waits, who fails with 40001.
//!
//! Source: Kleppmann, `ept/hermitage`, `postgres.md`, for what PostgreSQL does; at SERIALIZABLE here who commits first wins.

use crate::support::{code, on_server};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Level {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}
use Level::{ReadCommitted, RepeatableRead, Serializable};

#[derive(Clone)]
struct Session(Arc<Client>);

impl Session {
    /// The rows' values, joined; or the error's code.
    async fn says(&self, sql: &str) -> String {
        told(self.0.simple_query(sql).await)
    }

    async fn does(&self, sql: &str) {
        self.0.batch_execute(sql).await.unwrap();
    }

    /// Begins a statement that must wait for somebody.
    async fn waits(&self, sql: &str) -> JoinHandle<String> {
        let (client, sql) = (self.0.clone(), sql.to_owned());
        let statement = tokio::spawn(async move { told(client.simple_query(&sql).await) });
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(!statement.is_finished());
        statement
    }
}

fn told(outcome: Result<Vec<SimpleQueryMessage>, Error>) -> String {
    match outcome {
        Ok(messages) => {
            let rows = messages.iter().filter_map(|m| match m {
                SimpleQueryMessage::Row(row) => row.get(row.len() - 1),
                _ => None,
            });
            rows.collect::<Vec<_>>().join(" ")
        }
        Err(e) => code(&e),
    }
}

const ALL: &str = "select id, value from test order by id";

/// Runs a case at every level and in several layouts, on a new table with (1, 10) and (2, 20).
fn case(play: impl AsyncFn(Level, Session, Session, Session)) {
    for (cores, partitions) in [(1, "1"), (2, "2"), (4, "4")] {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            for (level, name) in [
                (ReadCommitted, "read committed"),
                (RepeatableRead, "repeatable read"),
                (Serializable, "serializable"),
            ] {
                let table = "drop table if exists test;
                    create table test (id int primary key, value int);
                    insert into test values (1, 10), (2, 20)";
                client.batch_execute(table).await.unwrap();
                let session = async || {
                    let client = server.connect().await;
                    let begin = format!("begin isolation level {name}");
                    client.batch_execute(&begin).await.unwrap();
                    Session(Arc::new(client))
                };
                let (a, b, c) = (session().await, session().await, session().await);
                play(level, a, b, c).await;
            }
        });
    }
}

fn at(level: Level, committed: &'static str, stable: &'static str) -> &'static str {
    match level {
        ReadCommitted => committed,
        RepeatableRead | Serializable => stable,
    }
}

fn serializable(level: Level, weaker: &'static str, fails: &'static str) -> &'static str {
    match level {
        ReadCommitted | RepeatableRead => weaker,
        Serializable => fails,
    }
}

#[test]
fn g0_dirty_writes() {
    case(async |level, t1, t2, _| {
        t1.does("update test set value = 11 where id = 1").await;
        let blocked = t2.waits("update test set value = 12 where id = 1").await;
        t1.does("update test set value = 21 where id = 2").await;
        t1.does("commit").await;
        assert_eq!(blocked.await.unwrap(), at(level, "", "40001"));
        assert_eq!(t1.says(ALL).await, "11 21");
        if level == ReadCommitted {
            t2.does("update test set value = 22 where id = 2").await;
        }
        t2.does("commit").await;
        assert_eq!(t1.says(ALL).await, at(level, "12 22", "11 21"));
    });
}

#[test]
fn g1a_aborted_reads() {
    case(async |_, t1, t2, _| {
        t1.does("update test set value = 101 where id = 1").await;
        assert_eq!(t2.says(ALL).await, "10 20");
        t1.does("rollback").await;
        assert_eq!(t2.says(ALL).await, "10 20");
        t2.does("commit").await;
    });
}

#[test]
fn g1b_intermediate_reads() {
    case(async |level, t1, t2, _| {
        t1.does("update test set value = 101 where id = 1").await;
        assert_eq!(t2.says(ALL).await, "10 20");
        t1.does("update test set value = 11 where id = 1").await;
        t1.does("commit").await;
        assert_eq!(t2.says(ALL).await, at(level, "11 20", "10 20"));
        t2.does("commit").await;
    });
}

#[test]
fn g1c_circular_information_flow() {
    case(async |level, t1, t2, _| {
        t1.does("update test set value = 11 where id = 1").await;
        t2.does("update test set value = 22 where id = 2").await;
        assert_eq!(t1.says("select * from test where id = 2").await, "20");
        assert_eq!(t2.says("select * from test where id = 1").await, "10");
        t1.does("commit").await;
        assert_eq!(t2.says("commit").await, serializable(level, "", "40001"));
    });
}

#[test]
fn otv_observed_transaction_vanishes() {
    case(async |level, t1, t2, t3| {
        t1.does("update test set value = 11 where id = 1").await;
        t1.does("update test set value = 19 where id = 2").await;
        let blocked = t2.waits("update test set value = 12 where id = 1").await;
        t1.does("commit").await;
        assert_eq!(blocked.await.unwrap(), at(level, "", "40001"));
        assert_eq!(t3.says("select * from test where id = 1").await, "11");
        if level == ReadCommitted {
            t2.does("update test set value = 18 where id = 2").await;
        }
        assert_eq!(t3.says("select * from test where id = 2").await, "19");
        t2.does("commit").await;
        assert_eq!(t3.says(ALL).await, at(level, "12 18", "11 19"));
        t3.does("commit").await;
    });
}

#[test]
fn pmp_predicates_and_many_preceders() {
    case(async |level, t1, t2, _| {
        assert_eq!(t1.says("select * from test where value = 30").await, "");
        t2.does("insert into test values (3, 30)").await;
        t2.does("commit").await;
        let thirds = "select * from test where value % 3 = 0";
        assert_eq!(t1.says(thirds).await, at(level, "30", ""));
        t1.does("commit").await;
    });
}

#[test]
fn pmp_with_a_write_by_predicate() {
    case(async |level, t1, t2, _| {
        t1.does("update test set value = value + 10").await;
        let blocked = t2.waits("delete from test where value = 20").await;
        t1.does("commit").await;
        assert_eq!(blocked.await.unwrap(), at(level, "", "40001"));
        if level == ReadCommitted {
            // The row that now has 20 had 10 when the statement began.
            let twenty = "select * from test where value = 20";
            assert_eq!(t2.says(twenty).await, "20");
        }
        t2.does("commit").await;
    });
}

#[test]
fn p4_lost_update() {
    case(async |level, t1, t2, _| {
        let read = "select * from test where id = 1";
        assert_eq!(t1.says(read).await, "10");
        assert_eq!(t2.says(read).await, "10");
        t1.does("update test set value = 11 where id = 1").await;
        let blocked = t2.waits("update test set value = 11 where id = 1").await;
        t1.does("commit").await;
        assert_eq!(blocked.await.unwrap(), at(level, "", "40001"));
        t2.does("commit").await;
    });
}

#[test]
fn g_single_read_skew() {
    case(async |level, t1, t2, _| {
        assert_eq!(t1.says("select * from test where id = 1").await, "10");
        assert_eq!(t2.says(ALL).await, "10 20");
        t2.does("update test set value = 12 where id = 1").await;
        t2.does("update test set value = 18 where id = 2").await;
        t2.does("commit").await;
        let second = "select * from test where id = 2";
        assert_eq!(t1.says(second).await, at(level, "18", "20"));
        t1.does("commit").await;
    });
}

#[test]
fn g_single_read_skew_by_predicates() {
    case(async |level, t1, t2, _| {
        let fifths = "select * from test where value % 5 = 0 order by id";
        assert_eq!(t1.says(fifths).await, "10 20");
        t2.does("update test set value = 12 where value = 10").await;
        t2.does("commit").await;
        let thirds = "select * from test where value % 3 = 0";
        assert_eq!(t1.says(thirds).await, at(level, "12", ""));
        t1.does("commit").await;
    });
}

#[test]
fn g_single_read_skew_by_a_write_predicate() {
    case(async |level, t1, t2, _| {
        assert_eq!(t1.says("select * from test where id = 1").await, "10");
        assert_eq!(t2.says(ALL).await, "10 20");
        t2.does("update test set value = 12 where id = 1").await;
        t2.does("update test set value = 18 where id = 2").await;
        t2.does("commit").await;
        let delete = "delete from test where value = 20";
        assert_eq!(t1.says(delete).await, at(level, "", "40001"));
        t1.does("commit").await;
        assert_eq!(t2.says(ALL).await, "12 18");
    });
}

#[test]
fn g_single_with_a_write_that_is_rolled_back() {
    case(async |_, t1, t2, _| {
        assert_eq!(t1.says("select * from test where id = 1").await, "10");
        assert_eq!(t2.says(ALL).await, "10 20");
        t2.does("update test set value = 12 where id = 1").await;
        t1.does("delete from test where value = 20").await;
        let blocked = t2.waits("update test set value = 18 where id = 2").await;
        t1.does("rollback").await;
        assert_eq!(blocked.await.unwrap(), "");
        t2.does("commit").await;
        assert_eq!(t1.says(ALL).await, "12 18");
    });
}

#[test]
fn g2_item_write_skew() {
    case(async |level, t1, t2, _| {
        let both = "select * from test where id in (1, 2) order by id";
        assert_eq!(t1.says(both).await, "10 20");
        assert_eq!(t2.says(both).await, "10 20");
        t1.does("update test set value = 11 where id = 1").await;
        t2.does("update test set value = 21 where id = 2").await;
        t1.does("commit").await;
        assert_eq!(t2.says("commit").await, serializable(level, "", "40001"));
    });
}

#[test]
fn g2_anti_dependency_by_predicates() {
    case(async |level, t1, t2, _| {
        let thirds = "select * from test where value % 3 = 0 order by id";
        assert_eq!(t1.says(thirds).await, "");
        assert_eq!(t2.says(thirds).await, "");
        t1.does("insert into test values (3, 30)").await;
        t2.does("insert into test values (4, 42)").await;
        t1.does("commit").await;
        assert_eq!(t2.says("commit").await, serializable(level, "", "40001"));
        let left = serializable(level, "30 42", "30");
        assert_eq!(t1.says(thirds).await, left);
    });
}

#[test]
fn g2_two_anti_dependencies() {
    case(async |level, t1, t2, t3| {
        assert_eq!(t1.says(ALL).await, "10 20");
        t2.does("update test set value = value + 5 where id = 2")
            .await;
        t2.does("commit").await;
        assert_eq!(t3.says(ALL).await, "10 25");
        t3.does("commit").await;
        t1.does("update test set value = 0 where id = 1").await;
        assert_eq!(t1.says("commit").await, serializable(level, "", "40001"));
    });
}
