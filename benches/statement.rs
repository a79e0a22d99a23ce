//! What a statement costs between the wire and the pages: requests to a session on the simulated machine, where nothing
//! waits and nobody else runs, so that instructions can be counted:
//!
//! ```text
//! valgrind --tool=callgrind target/release/deps/statement-* prepared 3000
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
    let way = args.next().unwrap_or_else(|| "prepared".into());
    let requests = args.next().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let took = sim::run(1, &Disk::new(), async move { run(&way, requests).await });
    println!("{requests} requests, {took:?} each");
}

async fn run(way: &str, requests: usize) -> std::time::Duration {
    let database = Database::open().await.expect(DIR);
    let client = database.client().expect("a session");
    let table = format!(
        "create table t (id int primary key, balance int, filler char(84));
         insert into t select g, g, '' from generate_series(1, {ROWS}) g"
    );
    client.run(&table).await.expect("a table");
    let parse = Operation::Parse {
        name: "read".into(),
        sql: "select balance from t where id = $1".into(),
        types: Vec::new(),
    };
    client.tell(parse).await.expect("a prepared statement");
    let began = Instant::now();
    for n in 0..requests {
        let id = n * 7 % ROWS + 1;
        let rows = match way {
            "simple" => {
                let sql = format!("select balance from t where id = {id}");
                client.run(&sql).await
            }
            _ => client.read("read", Value::Int4(id as i32)).await,
        };
        assert_eq!(rows.expect("a row"), vec![vec![Value::Int4(id as i32)]]);
    }
    began.elapsed() / requests as u32
}

impl Client {
    /// A request that is answered without rows.
    async fn tell(&self, op: Operation) -> Result<()> {
        let stop = || Stop::at(None);
        self.0.work(Request::new(op), stop).get().await.map(drop)
    }

    /// What a driver sends for a prepared statement, in the unnamed portal.
    async fn read(&self, statement: &str, param: Value) -> Result<Vec<Row>> {
        self.tell(Operation::Bind {
            portal: String::new(),
            statement: statement.into(),
            params: vec![param],
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
