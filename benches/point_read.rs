//! A row by its primary key over PostgreSQL's wire, against the built server on loopback.
//!
//! `alone` is one request at a time on one connection: the latency. `pipelined_32` has 32 on their way on it, `text` is the
//! simple protocol's way: the statement's text each time. The client is tokio-postgres on a thread of its own, so on a
//! machine of two cores it takes one of them.

mod percentiles;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use percentiles::Percentiles;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, Statement};

const ROWS: i32 = 100_000;
const IN_FLIGHT: usize = 32;
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    process: Child,
    port: u16,
    _data: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let data = tempfile::tempdir().expect("a temporary directory");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let process = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
            .args(["--cores", "2", "--http-port", "0"])
            .args(["--sql-port", &port.to_string()])
            .arg("--data-dir")
            .arg(data.path().join("data"))
            .stdout(Stdio::null())
            .spawn()
            .expect("the server");
        Server {
            process,
            port,
            _data: data,
        }
    }

    async fn connect(&self) -> Client {
        let config = format!(
            "host=127.0.0.1 port={} user=rustydb dbname=rustydb",
            self.port
        );
        let begun = Instant::now();
        loop {
            match tokio_postgres::connect(&config, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) => assert!(begun.elapsed() < PATIENCE, "no server: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn read(client: &Client, statement: &Statement, key: i32, each: &Percentiles) {
    let begun = Instant::now();
    let row = client.query_one(statement, &[&key]).await.expect("a row");
    assert_eq!(row.get::<_, i32>(0), key * 2);
    each.record(begun.elapsed());
}

/// Keys in an order the server cannot guess.
fn key(n: u64) -> i32 {
    (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as i32 % ROWS
}

fn over_the_wire(c: &mut Criterion) {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let client = runtime.block_on(server.connect());
    let statement = runtime.block_on(async {
        let load = format!(
            "create table points (id int primary key, twice int);
             insert into points select g, g * 2 from generate_series(0, {}) g",
            ROWS - 1
        );
        client.batch_execute(&load).await.expect("the rows");
        let sql = "select twice from points where id = $1";
        client.prepare(sql).await.expect("a statement")
    });
    let each = [(); 3].map(|()| Percentiles::new());
    let [alone, text, pipelined] = &each;
    let mut group = c.benchmark_group("point_read");
    group.throughput(Throughput::Elements(1));
    group.bench_function("alone", |b| {
        b.iter_custom(|iterations| {
            runtime.block_on(async {
                let begun = Instant::now();
                for n in 0..iterations {
                    read(&client, &statement, key(n), alone).await;
                }
                begun.elapsed()
            })
        });
    });
    group.bench_function("text", |b| {
        b.iter_custom(|iterations| {
            runtime.block_on(async {
                let begun = Instant::now();
                for n in 0..iterations {
                    let sql = format!("select twice from points where id = {}", key(n));
                    let asked = Instant::now();
                    let got = client.simple_query(&sql).await.expect("a row");
                    text.record(asked.elapsed());
                    assert!(got.iter().any(|m| matches!(m, SimpleQueryMessage::Row(_))));
                }
                begun.elapsed()
            })
        });
    });
    group.throughput(Throughput::Elements(IN_FLIGHT as u64));
    group.bench_function("pipelined_32", |b| {
        b.iter_custom(|iterations| {
            runtime.block_on(async {
                let begun = Instant::now();
                for n in 0..iterations {
                    let first = n * IN_FLIGHT as u64;
                    let reads = (first..first + IN_FLIGHT as u64)
                        .map(|n| read(&client, &statement, key(n), pipelined));
                    futures_util::future::join_all(reads).await;
                }
                begun.elapsed()
            })
        });
    });
    group.finish();
    for (each, name) in each.iter().zip(["alone", "text", "pipelined_32"]) {
        each.print(&format!("point_read/{name}"));
    }
}

criterion_group!(benches, over_the_wire);
criterion_main!(benches);
