//! Tables placed alike: what is joined, grouped and found in their partitions is what any tables would give.

use crate::isolation::workload::Dice;
use crate::support::{Server, client_runtime, code, on_server, run, value};
use std::time::Duration;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Twice the same tables: `p` placed by the customer, `u` by their whole keys.
async fn filled(client: &Client, seed: u64) {
    for (name, placed) in [("p", "partition by hash (customer)"), ("u", "")] {
        run(
            client,
            &format!(
                "create table {name}_customers (id int primary key, name text, area int);
                create table {name}_orders (customer int, id int, total int, day date, primary key (customer, id)) {placed};
                create table {name}_lines (line int, customer int, id int, item text, n int, primary key (customer, id, line)) {placed};
                create index on {name}_lines (n);
                create index on {name}_orders (customer, total)"
            ),
        )
        .await;
    }
    let dice = Dice::new(seed);
    let mut scripts = Vec::new();
    for id in 0..40 {
        let area = dice.below(5);
        scripts.push(format!("customers values ({id}, 'c{id}', {area})"));
    }
    for _ in 0..150 {
        let (customer, id) = (dice.below(45), dice.below(8));
        let (total, day) = (dice.below(20), 1 + dice.below(27));
        scripts.push(format!(
            "orders values ({customer}, {id}, {total}, '2026-01-{day:02}') on conflict do nothing"
        ));
    }
    for _ in 0..400 {
        let (customer, id) = (dice.below(45), dice.below(9));
        let (line, n) = (dice.below(4), dice.below(12));
        let item = match n {
            0 => "null".to_owned(),
            n => format!("'i{n}'"),
        };
        scripts.push(format!(
            "lines values ({line}, {customer}, {id}, {item}, {n}) on conflict do nothing"
        ));
    }
    for name in ["p", "u"] {
        let all = scripts.iter().map(|s| format!("insert into {name}_{s};"));
        run(client, &all.collect::<String>()).await;
    }
}

async fn texts(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await;
    let messages = messages.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let row = |m: SimpleQueryMessage| match m {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL").to_owned());
            Some(values.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// Over tables whose names begin with `@`. The first list is done in the partitions.
const JOINED: &[&str] = &[
    "select o.customer, o.id, l.line, l.item from @orders o join @lines l on l.customer = o.customer and l.id = o.id",
    "select o.*, l.* from @orders o left join @lines l on l.customer = o.customer and l.id = o.id and l.n > 5",
    "select o.*, l.* from @orders o right join @lines l on l.customer = o.customer and l.id = o.id where l.n > 2",
    "select o.*, l.* from @orders o full join @lines l on l.customer = o.customer and l.id = o.id",
    "select o.* from @orders o where exists (select 1 from @lines l where l.customer = o.customer and l.id = o.id and l.n = 3)",
    "select o.* from @orders o where not exists (select 1 from @lines l where l.customer = o.customer and l.id = o.id)",
    "select c.name, o.id, l.item from @customers c join @orders o on o.customer = c.id join @lines l on l.customer = c.id and l.id = o.id where c.area = 2",
    "select c.area, count(*), sum(l.n), min(l.item), avg(o.total) from @customers c join @orders o on o.customer = c.id join @lines l on l.customer = o.customer and l.id = o.id group by c.area",
    "select count(*), sum(n) from @orders o join @lines l on l.customer = o.customer and l.id = o.id",
    "select count(*), sum(n) from @orders o join @lines l on l.customer = o.customer and l.id = o.id where o.total > 1000",
    "select o.customer, count(distinct l.item), string_agg(l.item, ',' order by l.item) from @orders o join @lines l on l.customer = o.customer and l.id = o.id group by o.customer having count(*) > 1",
    "select o.id, l.n from @orders o join @lines l on l.customer = o.customer and l.id = o.id where o.customer = 7",
    "select o.id, l.n from @orders o join @lines l on l.id = o.id where o.customer = 7 and l.customer = 7",
    "select o.id, l.n from @orders o join @lines l on l.customer = o.customer and l.id = o.id where o.customer in (1, 5, 9) and l.n between 2 and 8",
    "select o.customer, o.id, l.n, o.day from @orders o join @lines l on l.customer = o.customer and l.id = o.id order by l.n desc, o.customer, o.id, l.line limit 7",
    "select customer, count(distinct n) from @lines group by customer",
    "select c.name, t.total from @customers c join (select customer, sum(total) as total from @orders group by customer) t on t.customer = c.id",
    "select distinct o.customer, l.item from @orders o join @lines l on l.customer = o.customer and l.id = o.id",
    "select c.name from @customers c where c.id in (select customer from @orders where total > 10)",
    "select c.name, coalesce(o.total, -1) from @customers c left join @orders o on o.customer = c.id and o.id = 1 left join @lines l on l.customer = c.id and l.id = 1",
];

const OTHERS: &[&str] = &[
    "select o.id, l.n from @orders o join @lines l on l.customer = o.id",
    "select o.id, c.name from @orders o join @customers c on o.total = c.id",
    "select count(*) from @orders o join @lines l on l.id = o.id",
    "select * from @lines where customer = 3",
    "select * from @lines where customer in (3, 4, null, 7) and n > 2",
    "select * from @lines where customer = null",
    "select count(*) from @lines where customer = 11 and n % 2 = 0",
    "select count(*), max(n) from @lines where n = 4 and customer = 12",
    "select * from @lines where customer = 3 or customer = 4",
    "select o.id, (select count(*) from @lines l where l.customer = o.customer and l.id = o.id) from @orders o",
    "select c.name, x.n from @customers c, lateral (select o.total, l.n from @orders o join @lines l on l.customer = o.customer and l.id = o.id where o.customer = c.id) x",
    "select o.customer from @orders o join @lines l on l.customer = o.customer and l.id = o.id where o.total = (select max(total) from @orders)",
    "with w as (select o.customer, l.n from @orders o join @lines l on l.customer = o.customer and l.id = o.id) select a.customer, b.n from w a join w b on a.n = b.n and a.customer < b.customer",
];

#[test]
fn tables_placed_alike_answer_as_any_tables_do() {
    for (cores, seed) in [(1, 1), (2, 2), (4, 3)] {
        on_server(cores, &[], async |_, client| {
            filled(&client, seed).await;
            for analyzed in [false, true] {
                if analyzed {
                    run(&client, "analyze").await;
                }
                for (queries, joined) in [(JOINED, true), (OTHERS, false)] {
                    for sql in queries {
                        let placed = sql.replace('@', "p_");
                        let mut got = texts(&client, &placed).await;
                        let mut want = texts(&client, &sql.replace('@', "u_")).await;
                        if !sql.contains("limit") {
                            got.sort();
                            want.sort();
                        }
                        assert_eq!(got, want, "{cores} cores, analyzed: {analyzed}: {placed}");
                        let plan = texts(&client, &format!("explain {placed}")).await;
                        let gathered = plan.iter().any(|l| l.contains("Gather"));
                        assert!(!joined || gathered, "{placed}\n{}", plan.join("\n"));
                    }
                }
            }
        });
    }
}

const PAIRS: &str =
    "select count(*) from p_orders o join p_lines l on l.customer = o.customer and l.id = o.id";

async fn count(client: &Client) -> i64 {
    value(client, PAIRS).await
}

#[test]
fn a_join_in_the_partitions_sees_what_its_transaction_does() {
    on_server(2, &[], async |server, client| {
        filled(&client, 4).await;
        let other = server.connect().await;
        let before = count(&client).await;
        run(&client, "begin isolation level repeatable read").await;
        assert_eq!(count(&client).await, before);
        let more = "insert into p_orders select g, 100, 0, null from generate_series(1, 20) g;
            insert into p_lines select 1, g, 100, 'x', 0 from generate_series(1, 20) g";
        run(&other, more).await;
        assert_eq!(count(&other).await, before + 20);
        assert_eq!(count(&client).await, before);
        run(&client, "savepoint s").await;
        run(&client, &more.replace("100", "200")).await;
        assert_eq!(count(&client).await, before + 20);
        run(&client, "rollback to s").await;
        assert_eq!(count(&client).await, before);
        run(&client, "commit").await;
        assert_eq!(count(&client).await, before + 20);
        // A change finds its rows before it makes the first.
        let sql = "insert into p_lines select l.line + 50, l.customer, l.id, l.item, l.n from p_orders o join p_lines l
            on l.customer = o.customer and l.id = o.id";
        let made = client.execute(sql, &[]).await.unwrap();
        assert_eq!(made as i64, before + 20);
    });
}

#[test]
fn what_a_join_in_the_partitions_has_read_counts_for_serializable() {
    on_server(2, &[], async |server, client| {
        filled(&client, 5).await;
        let other = server.connect().await;
        for c in [&client, &other] {
            run(c, "begin isolation level serializable").await;
            count(c).await;
        }
        for (c, customer) in [(&client, 1), (&other, 2)] {
            let pair = format!(
                "insert into p_orders values ({customer}, 500, 0, null);
                insert into p_lines values (1, {customer}, 500, 'x', 1)"
            );
            run(c, &pair).await;
        }
        run(&client, "commit").await;
        let late = other.batch_execute("commit").await.unwrap_err();
        assert_eq!(code(&late), "40001");
    });
}

#[test]
fn rows_of_a_join_are_locked_as_ever() {
    on_server(2, &[], async |server, client| {
        filled(&client, 6).await;
        run(&client, "insert into p_orders values (1, 700, 0, null); insert into p_lines values (1, 1, 700, 'x', 1)").await;
        let other = server.connect().await;
        let sql = "select o.total from p_orders o join p_lines l on l.customer = o.customer and l.id = o.id
            where o.customer = 1 and o.id = 700 for update of o";
        run(&client, "begin").await;
        assert_eq!(client.query(sql, &[]).await.unwrap().len(), 1);
        let refused = other
            .query(&format!("{sql} nowait"), &[])
            .await
            .unwrap_err();
        assert_eq!(code(&refused), "55P03");
        run(&client, "commit").await;
    });
}

#[test]
fn a_join_in_the_partitions_goes_to_temporary_files_and_leaves_none() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), 2);
    client_runtime().block_on(async {
        let client = server.connect().await;
        run(
            &client,
            "create table a (k int, i int, v text, primary key (k, i)) partition by hash (k);
            create table b (k int, i int, v text, primary key (k, i)) partition by hash (k);
            insert into a select g, g % 3, repeat('a', 200) from generate_series(1, 20000) g;
            insert into b select g, g % 3, repeat('b', 200) from generate_series(1, 20000) g;
            set work_mem = '256kB'",
        )
        .await;
        let sql = "select a.v, b.v from a join b on a.k = b.k and a.i = b.i";
        let plan = texts(&client, &format!("explain {sql}")).await;
        assert!(plan[0].starts_with("Gather"), "{plan:?}");
        assert_eq!(client.query(sql, &[]).await.unwrap().len(), 20_000);
        assert!(server.metric("rustydb_temp_files_total") >= 1.0);
        // What a cursor has not read, and what a LIMIT does not want, ends too.
        run(
            &client,
            &format!("begin; declare c cursor for {sql}; fetch 10 from c; close c; commit"),
        )
        .await;
        assert_eq!(texts(&client, &format!("{sql} limit 5")).await.len(), 5);
        let mut tries = 0;
        while server.metric("rustydb_temp_files{") > 0.0 {
            tries += 1;
            assert!(tries < 500, "a temporary file is still open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    server.stop();
}

#[test]
fn keys_of_indexes_that_do_not_fit_leave_the_partitions_to_be_read_whole() {
    on_server(2, &[], async |_, client| {
        run(
            &client,
            "create table t (id text primary key, a int, b int);
            insert into t select 'key ' || g, g % 20, g % 30 from generate_series(1, 40000) g;
            create index on t (a);
            create index on t (b);
            analyze t",
        )
        .await;
        let sql = "select count(*), sum(a + b) from t where a = 3 or b = 4";
        let plan = texts(&client, &format!("explain {sql}")).await;
        assert!(plan.iter().any(|l| l.contains("BitmapOr")), "{plan:?}");
        let all = texts(&client, sql).await;
        run(&client, "set work_mem = '64kB'").await;
        assert_eq!(texts(&client, sql).await, all);
        let plain = "select count(*), sum(a + b) from t where a + 0 = 3 or b + 0 = 4";
        assert_eq!(texts(&client, plain).await, all);
    });
}
