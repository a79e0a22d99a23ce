//! What a statement costs between the wire and the pages: requests to a session on the simulated machine, where nothing
//! waits and nobody else runs, so that instructions can be counted:
//!
//! ```text
//! valgrind --tool=callgrind target/release/deps/statement-* read 3000
//! ```
//!
//! The difference of two counts, by the difference of the requests, is what one takes. By itself it prints the time.

#[allow(dead_code)]
#[path = "../tests/crash/database.rs"]
mod database;

use database::{Client, DIR, Database, drain};
use engine::txn::Stop;
use runtime::sim::{self, Disk};
use rustydb_shard::service::{Operation, Request};
use std::time::Instant;
use types::{Result, Row, Value};

const ROWS: usize = 1_000;

fn main() {
    let mut args = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let way = args.next().unwrap_or_else(|| "read".into());
    let requests = args.next().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let took = sim::run(1, &Disk::new(), async move { run(&way, requests).await });
    println!("{requests} requests, {took:?} each");
}

/// What is prepared before, by name.
const PREPARED: [(&str, &str); 5] = [
    ("begin", "begin"),
    ("read", "select balance from t where id = $1"),
    ("update", "update t set balance = balance + 1 where id = $1"),
    ("insert", "insert into h (id, at) values ($1, now())"),
    ("commit", "commit"),
];

async fn run(way: &str, requests: usize) -> std::time::Duration {
    let database = Database::open().await.expect(DIR);
    let client = database.client().expect("a session");
    let table = format!(
        "create table t (id int primary key, balance int, filler char(84));
         create table h (id int, at timestamptz);
         insert into t select g, g, '' from generate_series(1, {ROWS}) g"
    );
    client.run(&table).await.expect("a table");
    for (name, sql) in PREPARED {
        let parse = Operation::Parse {
            name: name.into(),
            sql: sql.into(),
            types: Vec::new(),
        };
        client.tell(parse).await.expect("a prepared statement");
    }
    let began = Instant::now();
    for n in 0..requests {
        let id = (n * 7 % ROWS + 1) as i32;
        client.request(way, id).await.expect(way);
    }
    began.elapsed() / requests as u32
}

impl Client {
    /// A request that is answered without rows.
    async fn tell(&self, op: Operation) -> Result<()> {
        let stop = || Stop::at(None);
        self.0.work(Request::new(op), stop).get().await.map(drop)
    }

    /// One of each kind: `simple` (a read as text), `prepared` (a read, message by message), a name of `PREPARED`, or `block`, all
    /// of them in a transaction.
    async fn request(&self, way: &str, id: i32) -> Result<()> {
        match way {
            "simple" => {
                let sql = format!("select balance from t where id = {id}");
                assert_eq!(self.run(&sql).await?.len(), 1);
            }
            "prepared" => assert_eq!(self.step_by_step("read", id).await?.len(), 1),
            "block" => {
                for (name, _) in PREPARED {
                    self.whole(name, id).await?;
                }
            }
            one => drop(self.whole(one, id).await?),
        }
        Ok(())
    }

    /// What drivers send in one piece.
    async fn whole(&self, statement: &str, id: i32) -> Result<Vec<Row>> {
        let params = match self.0.prepared(statement)?.params.len() {
            0 => Vec::new(),
            _ => vec![Value::Int4(id)],
        };
        if !self.0.prepared(statement)?.runs {
            return self.step_by_step_with(statement, params).await;
        }
        let run = Operation::Run {
            statement: statement.into(),
            params,
        };
        drain(self.begin(run).await?, None).await
    }

    async fn step_by_step(&self, statement: &str, id: i32) -> Result<Vec<Row>> {
        self.step_by_step_with(statement, vec![Value::Int4(id)])
            .await
    }

    async fn step_by_step_with(&self, statement: &str, params: Vec<Value>) -> Result<Vec<Row>> {
        self.tell(Operation::Bind {
            portal: String::new(),
            statement: statement.into(),
            params,
        })
        .await?;
        self.tell(Operation::DescribePortal {
            name: String::new(),
        })
        .await?;
        let execute = Operation::Execute {
            portal: String::new(),
            rows_max: 0,
        };
        let rows = drain(self.begin(execute).await?, None).await?;
        self.tell(Operation::Sync).await?;
        Ok(rows)
    }
}
