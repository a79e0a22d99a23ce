//! The whole database but its sockets, on the simulated disk of the current run: one shard, two partitions.

use engine::catalog::Table;
use engine::shard::call::{EntriesCall, KeySpan, PartitionCall};
use engine::shard::entries;
use engine::shard::{Reply, Shard};
use engine::txn::{Horizon, Isolation, Stop, TxnRef};
use futures_util::future::LocalBoxFuture;
use runtime::{Dir, TempDir, TempQuota};
use rustydb_shard::router::Router;
use rustydb_shard::server::{bootstrap, directory};
use rustydb_shard::service::{CopyInput, Event, Hello, Operation, Protocol};
use rustydb_shard::service::{Reply as Answer, Request, Results};
use rustydb_shard::session::{self, Node, Session};
use rustydb_shard::telemetry::Metrics;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Error, PartitionId, Result, Row, ShardId, SqlState, Value};

pub const DIR: &str = "/data";
pub const PARTITIONS: usize = 2;

pub struct Database {
    pub shard: Rc<Shard>,
    router: Rc<Router>,
    node: Rc<Node>,
}

/// Everything as small as it can be, so that pages are evicted, segments end and checkpoints happen all the time.
fn options() -> engine::shard::Options {
    engine::shard::Options {
        storage: storage::Options {
            pool_bytes: 64 * 4096,
            wal_segment_bytes: 64 << 10,
            wal_buffer_bytes: 64 << 10,
            checkpoint_wal_bytes: 128 << 10,
            ..storage::Options::default()
        },
        txn_memory_bytes: 128 << 10,
        log_loads: false,
        archive_timeout: None,
        restore_to: None,
    }
}

impl Database {
    /// Opens the directory as a start of the server does.
    pub async fn open() -> Result<Database> {
        let failed = |what: String| Error::new(SqlState::IO_ERROR, what);
        let root = Dir::open_or_create(Path::new(DIR))
            .await
            .map_err(|e| failed(e.to_string()))?;
        let layout = directory::layout(&root, PARTITIONS).await.map_err(failed)?;
        let horizon = Horizon::new(1);
        let shard = Shard::open(ShardId(0), 1, &root, layout, &options(), horizon).await?;
        let port = runtime::mesh(1, 1).remove(0).bind();
        let metrics = Metrics::current();
        let router = Rc::new(Router::new(shard.clone(), port, metrics.clone()));
        let options = session::Options {
            statement_timeout: Duration::from_secs(3_600),
            idle_in_transaction_timeout: Duration::ZERO,
            backup_dir: "/backups".into(),
            query_bytes_max: types::limits::QUERY_BYTES_MAX,
            sql_port: 0,
            started_micros: 0,
            configured: session::Configured::default(),
        };
        let temp = root
            .subdir("tmp")
            .await
            .map_err(|e| failed(e.to_string()))?;
        let temp = TempDir::new(temp, TempQuota::new(1 << 30));
        let node = Node::new(router.clone(), metrics, temp, options);
        bootstrap::begin(&router).await?;
        Ok(Database {
            shard,
            router,
            node,
        })
    }

    pub fn client(&self) -> Result<Client> {
        let hello = Hello {
            protocol: Protocol::Postgres,
            user: "crash".into(),
            database: "rustydb".into(),
            peer: None,
            local: None,
            settings: Vec::new(),
        };
        self.node.open(hello).map(Client)
    }

    /// Every entry of every index of the table belongs to a row of its, and every row has its entries.
    pub async fn check_indexes(&self, table: &Arc<Table>) -> Result<(), String> {
        let snapshot = self.shard.snapshot();
        let txn = TxnRef {
            xid: self.shard.new_xid(),
            snapshot: snapshot.ts,
            isolation: Isolation::RepeatableRead,
            savepoint: 0,
            apart: 0,
            stop: Stop::at(None),
        };
        let text = |e: Error| e.to_string();
        let mut rows = Vec::new();
        for partition in self.router.partition_ids() {
            rows.push(self.rows(partition, &txn, table).await.map_err(text)?);
        }
        for index in &table.indexes {
            let mut expected = Vec::new();
            for (p, rows) in rows.iter().enumerate() {
                for (key, row) in rows {
                    let ctx = engine::exec::eval::blank();
                    if let Some(values) = entries::indexed(index, row, ctx).map_err(text)? {
                        expected.push((values.iter().map(sortable).collect(), p, key.clone()));
                    }
                }
            }
            expected.sort();
            let found = self.entries(&txn, table, index).await.map_err(text)?;
            let mut places: Vec<_> = expected
                .into_iter()
                .map(|(_, p, k): Entry| (p, k))
                .collect();
            places.sort();
            if found != places {
                return Err(format!(
                    "index {} of {}: {} entries for {} rows, or other ones\n{found:?}\n{places:?}",
                    index.name,
                    table.name,
                    found.len(),
                    places.len()
                ));
            }
        }
        Ok(())
    }

    async fn rows(
        &self,
        partition: PartitionId,
        txn: &TxnRef,
        table: &Arc<Table>,
    ) -> Result<Vec<(Vec<u8>, Row)>> {
        let (mut all, mut resume) = (Vec::new(), None);
        loop {
            let call = PartitionCall::Export {
                txn: txn.clone(),
                table: table.clone(),
                resume,
            };
            let Reply::Keyed { rows, resume: next } = self.router.call(partition, call).await?
            else {
                return Err(Error::internal("another answer"));
            };
            all.extend(rows);
            resume = next;
            if resume.is_none() {
                return Ok(all);
            }
        }
    }

    /// The rows that the index's entries name, as partition and key.
    async fn entries(
        &self,
        txn: &TxnRef,
        table: &Arc<Table>,
        index: &Arc<engine::catalog::Index>,
    ) -> Result<Vec<(usize, Vec<u8>)>> {
        let mut found = Vec::new();
        for partition in self.router.partition_ids() {
            let mut resume = None;
            loop {
                let call = PartitionCall::Entries(EntriesCall {
                    txn: txn.clone(),
                    table: table.clone(),
                    index: index.clone(),
                    span: KeySpan::default(),
                    resume,
                });
                let Reply::Addresses { rows, resume: next } =
                    self.router.call(partition, call).await?
                else {
                    return Err(Error::internal("another answer"));
                };
                // A local entry's payload is the row's key alone, which this call reads as an address.
                found.extend(rows.into_iter().map(|at| match index.unique {
                    true => (usize::from(at.partition.0), at.key),
                    false => (usize::from(partition.0), entries::encode_address(&at)),
                }));
                resume = next;
                if resume.is_none() {
                    break;
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

type Entry = (Vec<String>, usize, Vec<u8>);

fn sortable(value: &Value) -> String {
    format!("{value:?}")
}

/// One client of the database.
pub struct Client(pub Rc<Session>);

impl Client {
    /// Runs a script; the rows of its last statement.
    pub async fn run(&self, sql: &str) -> Result<Vec<Row>> {
        let op = Operation::Script { sql: sql.into() };
        drain(self.begin(op).await?, None).await
    }

    /// One statement with parameters.
    pub async fn query(&self, sql: &str, params: &[String]) -> Result<Vec<Row>> {
        let params = params.iter().cloned().map(Some).collect();
        let sql = sql.into();
        drain(self.begin(Operation::Query { sql, params }).await?, None).await
    }

    /// COPY … FROM STDIN with these lines.
    pub async fn copy(&self, sql: &str, lines: &str) -> Result<()> {
        let op = Operation::Script { sql: sql.into() };
        drain(self.begin(op).await?, Some(lines)).await.map(drop)
    }

    pub async fn begin(&self, op: Operation) -> Result<Box<dyn Results>> {
        let stop = Stop::at(Some(runtime::Instant::now() + Duration::from_secs(3_600)));
        match self.0.work(Request::new(op), || stop.clone()).get().await? {
            Answer::Results(results) => Ok(results),
            Answer::Whole(whole) => Ok(Box::new(Given([
                whole.columns.map(Event::Columns),
                (!whole.rows.is_empty()).then_some(Event::Rows(whole.rows)),
                Some(Event::Complete {
                    tag: whole.tag.into(),
                }),
            ]))),
            _ => Err(Error::internal("not the answer of a statement")),
        }
    }
}

/// An answer that came whole, as if it were asked for piece by piece.
struct Given([Option<Event>; 3]);

impl Results for Given {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<Event>>> {
        let next = self.0.iter_mut().find_map(Option::take);
        Box::pin(async { Ok(next) })
    }

    fn copy(&mut self, _: CopyInput) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(async { Err(Error::internal("no COPY is in progress")) })
    }
}

/// The rows of the last statement.
pub async fn drain(mut results: Box<dyn Results>, lines: Option<&str>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    while let Some(event) = results.next().await? {
        match event {
            Event::Columns(_) => rows.clear(),
            Event::Rows(batch) => rows.extend(batch.rows),
            Event::CopyIn { .. } => {
                let lines = lines.unwrap_or_default().as_bytes().to_vec();
                results.copy(CopyInput::Data(lines.into())).await?;
                results.copy(CopyInput::Done).await?;
            }
            _ => {}
        }
    }
    Ok(rows)
}
