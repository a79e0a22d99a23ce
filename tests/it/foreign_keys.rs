//! Foreign keys under concurrency and through crashes: no child is ever without its parent.
//!
//! Owns: races of parents that go against children that come, at each isolation level and over several partitions, and the
//! same load against a server that is killed. What each statement answers by itself is in tests/sql.

use crate::support::{Server, client_runtime, code, on_server, value};
use runtime::sim::Random;
use std::time::Duration;
use tokio_postgres::Client;

const PLACES: [(usize, &str); 3] = [(1, "1"), (2, "2"), (4, "4")];
const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];
const PARENTS: u64 = 6;

const TABLES: &str = "
    create table p (id int primary key, u int unique, n int not null default 0);
    create table by_key (id serial primary key, p int references p);
    create table by_unique (id serial primary key, u int references p (u) on delete set null);
    create table cascaded (id serial primary key, p int references p on delete cascade on update cascade);
    create table below (id serial primary key, c int references cascaded on delete cascade);
    create table late (id serial primary key, p int references p deferrable initially deferred);
    create index on by_key (p);
    create index on cascaded (p);
    insert into p select g, g from generate_series(1, 6) g";

/// How many children of each kind have no parent.
const ORPHANS: &str = "
    select (select count(*) from by_key c left join p on p.id = c.p where c.p is not null and p.id is null)
         + (select count(*) from by_unique c left join p on p.u = c.u where c.u is not null and p.u is null)
         + (select count(*) from cascaded c left join p on p.id = c.p where c.p is not null and p.id is null)
         + (select count(*) from below b left join cascaded c on c.id = b.c where b.c is not null and c.id is null)
         + (select count(*) from late c left join p on p.id = c.p where c.p is not null and p.id is null)";

/// One transaction that changes either side, or both.
fn statements(random: &mut Random) -> String {
    let p = random.below(PARENTS) + 1;
    let q = random.below(PARENTS) + 1;
    match random.below(11) {
        0 | 1 => format!("insert into by_key (p) values ({p}), ({q})"),
        2 => format!("insert into by_unique (u) values ({p})"),
        3 => format!("with c as (select {p} as p) insert into cascaded (p) select p from c"),
        4 => format!("insert into below (c) select id from cascaded where p = {p}"),
        5 => format!("insert into late (p) values ({p}); delete from p where id = {q}"),
        6 => format!(
            "delete from by_key where p = {p}; delete from late where p = {p}; delete from p where id = {p}"
        ),
        7 => format!("delete from p where id in ({p}, {q})"),
        8 => format!(
            "update cascaded set p = {q} where p = {p}; update p set n = n + 1 where id = {p}"
        ),
        9 => format!("update p set id = {} where id = {p}", p + PARENTS),
        _ => format!(
            "insert into p values ({p}, {p}) on conflict do nothing; update p set id = {q} where id = {}",
            q + PARENTS
        ),
    }
}

/// Runs transactions until the server goes or all are done; answers how many committed.
async fn works(client: &Client, level: &str, seed: u64, rounds: usize) -> usize {
    let mut random = Random::new(seed);
    let mut committed = 0;
    for _ in 0..rounds {
        let work = statements(&mut random);
        let outcome = async {
            client
                .batch_execute(&format!("begin isolation level {level}"))
                .await?;
            client.batch_execute(&work).await?;
            client.batch_execute("commit").await
        };
        match outcome.await {
            Ok(()) => committed += 1,
            Err(e) if code(&e) == "lost" => return committed,
            Err(e) => {
                let refused = ["23503", "23505", "40001", "40P01"];
                assert!(refused.contains(&code(&e).as_str()), "{work}: {e:?}");
                let _ = client.batch_execute("rollback").await;
            }
        }
    }
    committed
}

async fn race(server: &Server, level: &str, rounds: usize) -> usize {
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(server.connect().await);
    }
    let work = clients
        .iter()
        .zip(1..)
        .map(|(c, seed)| works(c, level, seed, rounds));
    futures_util::future::join_all(work).await.iter().sum()
}

#[test]
fn parents_that_go_and_children_that_come_exclude_each_other() {
    for (cores, partitions) in PLACES {
        on_server(
            cores,
            &["--partitions", partitions],
            async |server, client| {
                client.batch_execute(TABLES).await.unwrap();
                for level in LEVELS {
                    let committed = race(server, level, 60).await;
                    assert!(committed > 40, "{level}: {committed}");
                    assert_eq!(value::<i64>(&client, ORPHANS).await, 0, "{level}");
                }
            },
        );
    }
}

#[test]
fn no_kill_leaves_a_child_without_its_parent() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("data");
    for (round, cores) in [2, 1, 4].into_iter().enumerate() {
        let server = Server::with_flags(&path, cores, &["--partitions", "4"]);
        client_runtime().block_on(async {
            let client = server.connect().await;
            if round == 0 {
                client.batch_execute(TABLES).await.unwrap();
            }
            assert_eq!(value::<i64>(&client, ORPHANS).await, 0);
            let killed = async {
                tokio::time::sleep(Duration::from_millis(700)).await;
                server.signal("KILL");
            };
            tokio::join!(race(&server, "read committed", 100_000), killed);
        });
        server.kill();
    }
    let server = Server::with_flags(&path, 2, &[]);
    client_runtime().block_on(async {
        let client = server.connect().await;
        assert_eq!(value::<i64>(&client, ORPHANS).await, 0);
    });
    server.stop();
}

/// Whether a statement has to wait.
async fn waits(client: &Client, sql: &str) -> bool {
    client
        .batch_execute("set lock_timeout = 100")
        .await
        .unwrap();
    match client.batch_execute(sql).await {
        Ok(()) => false,
        Err(e) if code(&e) == "55P03" => true,
        Err(e) => panic!("{sql}: {e:?}"),
    }
}

#[test]
fn a_parent_changes_beside_its_children_but_for_its_key() {
    for (cores, partitions) in PLACES {
        on_server(
            cores,
            &["--partitions", partitions],
            async |server, client| {
                client.batch_execute(TABLES).await.unwrap();
                let other = server.connect().await;
                client
                .batch_execute("begin; insert into by_key (p) values (1); insert into by_unique (u) values (2)")
                .await
                .unwrap();
                assert!(!waits(&other, "update p set n = 1 where id in (1, 2)").await);
                assert!(!waits(&other, "insert into by_key (p) values (1)").await);
                assert!(!waits(&other, "delete from p where id = 6").await);
                for sql in [
                    "delete from p where id = 1",
                    "update p set id = 9 where id = 1",
                    "select 1 from p where id = 1 for update",
                    "update p set u = 9 where id = 2",
                ] {
                    assert!(waits(&other, sql).await, "{sql}");
                }
                client.batch_execute("rollback").await.unwrap();
                // The other way round: who refers to a key waits for what becomes of it.
                client
                    .batch_execute("begin; delete from p where id = 3")
                    .await
                    .unwrap();
                assert!(waits(&other, "insert into cascaded (p) values (3)").await);
                assert!(!waits(&other, "insert into cascaded (p) values (4)").await);
                client.batch_execute("commit").await.unwrap();
                let refused = other
                    .batch_execute("insert into cascaded (p) values (3)")
                    .await;
                assert_eq!(code(&refused.unwrap_err()), "23503");
            },
        );
    }
}

#[test]
fn a_snapshot_that_is_too_old_fails_instead_of_leaving_orphans() {
    on_server(2, &["--partitions", "2"], async |server, client| {
        client.batch_execute(TABLES).await.unwrap();
        let other = server.connect().await;
        let old = "begin isolation level repeatable read; select count(*) from p";
        // A child that came since cannot be seen, so it cannot go with its parent.
        client.batch_execute(old).await.unwrap();
        other
            .batch_execute("insert into cascaded (p) values (1)")
            .await
            .unwrap();
        let refused = client.batch_execute("delete from p where id = 1").await;
        assert_eq!(code(&refused.unwrap_err()), "40001");
        client.batch_execute("rollback").await.unwrap();
        // A parent that has gone since.
        client.batch_execute(old).await.unwrap();
        other
            .batch_execute("delete from p where id = 2")
            .await
            .unwrap();
        let refused = client
            .batch_execute("insert into by_key (p) values (2)")
            .await;
        assert_eq!(code(&refused.unwrap_err()), "40001");
        client.batch_execute("rollback").await.unwrap();
        // A parent that came since is not there yet.
        client.batch_execute(old).await.unwrap();
        other
            .batch_execute("insert into p values (50, 50)")
            .await
            .unwrap();
        let refused = client
            .batch_execute("insert into by_key (p) values (50)")
            .await;
        assert_eq!(code(&refused.unwrap_err()), "23503");
    });
}

#[test]
fn the_error_names_the_constraint_and_the_key() {
    on_server(2, &[], async |_, client| {
        client.batch_execute(TABLES).await.unwrap();
        let refused = client
            .batch_execute("insert into by_key (p) values (77)")
            .await;
        let refused = refused.unwrap_err();
        let e = refused.as_db_error().unwrap();
        assert_eq!(
            e.detail(),
            Some("Key (p)=(77) is not present in table \"p\".")
        );
        assert_eq!(e.table(), Some("by_key"));
        assert_eq!(e.constraint(), Some("by_key_p_fkey"));
        client
            .batch_execute("insert into by_key (p) values (1)")
            .await
            .unwrap();
        let refused = client
            .batch_execute("delete from p where id = 1")
            .await
            .unwrap_err();
        let e = refused.as_db_error().unwrap();
        assert_eq!(
            e.detail(),
            Some("Key (id)=(1) is still referenced from table \"by_key\".")
        );
        assert_eq!(e.table(), Some("by_key"));
    });
}

#[test]
fn more_keys_than_are_kept_are_looked_at_on_the_way() {
    on_server(2, &["--partitions", "2"], async |_, client| {
        let big = "
            create table p (id int primary key);
            create table c (id int primary key, p int not null references p on delete cascade);
            create index on c (p);
            create table t (id int primary key, up int references t);
            insert into p select g from generate_series(1, 30000) g;
            insert into c select g, (g * 7) % 30000 + 1 from generate_series(1, 60000) g;
            insert into t select g, g + 1 from generate_series(1, 20000) g union all select 20001, null";
        client.batch_execute(big).await.unwrap();
        let bad = client
            .batch_execute("insert into c select g, g from generate_series(60001, 90001) g")
            .await;
        assert_eq!(code(&bad.unwrap_err()), "23503");
        client
            .batch_execute("delete from p where id > 10")
            .await
            .unwrap();
        assert_eq!(value::<i64>(&client, "select count(*) from c").await, 20);
        client.batch_execute("delete from t").await.unwrap();
    });
}
