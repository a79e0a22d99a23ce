//! A door for tests: the statement's text says what its results do, and counters say what became of them.

use crate::service::*;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use types::{Array, Column, DataType, Error, Numeric, Result, Row, RowBatch, SqlState, Value};

/// Seen from the test's thread.
#[derive(Default)]
pub struct Seen {
    pub drain: AtomicBool,
    pub full: AtomicBool,
    pub slots: AtomicUsize,
    pub sessions: AtomicUsize,
    pub batches: AtomicUsize,
    pub timeout_ms: AtomicUsize,
}

pub struct FakeDoor(pub Arc<Seen>);

struct Count(Arc<Seen>, fn(&Seen) -> &AtomicUsize);

impl Count {
    fn begin(seen: &Arc<Seen>, of: fn(&Seen) -> &AtomicUsize) -> Count {
        of(seen).fetch_add(1, SeqCst);
        Count(seen.clone(), of)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, SeqCst);
    }
}

impl Door for FakeDoor {
    fn open(&self, hello: Hello) -> LocalBoxFuture<'_, Result<Rc<dyn Session>>> {
        assert_eq!(
            (hello.user.as_str(), hello.protocol),
            ("rustydb", Protocol::Http)
        );
        let session: Rc<dyn Session> = Rc::new(FakeSession {
            seen: self.0.clone(),
            _count: Count::begin(&self.0, |s| &s.sessions),
        });
        async move { Ok(session) }.boxed_local()
    }

    fn cancel(&self, _: CancelKey) -> LocalBoxFuture<'_, ()> {
        async {}.boxed_local()
    }

    fn ready(&self) -> LocalBoxFuture<'_, Result<(), String>> {
        let draining = self.is_draining();
        async move {
            match draining {
                true => Err("the server is stopping".to_owned()),
                false => Ok(()),
            }
        }
        .boxed_local()
    }

    fn metrics(&self) -> LocalBoxFuture<'_, Result<String>> {
        let own = crate::telemetry::Metrics::current().snapshot();
        async move { Ok(crate::telemetry::encode(&[own])) }.boxed_local()
    }

    fn tables(&self, database: &str) -> Result<Vec<TableInfo>> {
        if database != "rustydb" {
            return Err(Error::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{database}\" does not exist"),
            ));
        }
        Ok(vec![TableInfo {
            schema: "public".to_owned(),
            name: "a b".to_owned(),
            columns: vec![ColumnInfo {
                name: "id".to_owned(),
                data_type: "integer".to_owned(),
                nullable: false,
                default: None,
            }],
            primary_key: vec!["id".to_owned()],
            indexes: Vec::new(),
        }])
    }

    fn draining(&self) -> LocalBoxFuture<'static, ()> {
        let seen = self.0.clone();
        async move {
            while !seen.drain.load(SeqCst) {
                runtime::sleep(Duration::from_millis(2)).await;
            }
        }
        .boxed_local()
    }

    fn is_draining(&self) -> bool {
        self.0.drain.load(SeqCst)
    }

    fn slot(&self) -> Result<Slot> {
        if self.0.full.load(SeqCst) {
            return Err(Error::new(
                SqlState::TOO_MANY_CONNECTIONS,
                "sorry, too many clients already",
            ));
        }
        Ok(Slot(Box::new(Count::begin(&self.0, |s| &s.slots))))
    }
}

struct FakeSession {
    seen: Arc<Seen>,
    _count: Count,
}

impl Session for FakeSession {
    fn call(&self, request: Request) -> Answer<'_> {
        let Operation::Query { sql, params } = request.op else {
            panic!("HTTP makes queries only");
        };
        let millis = request.timeout.map_or(0, |t| t.as_millis() as usize);
        self.seen.timeout_ms.store(millis, SeqCst);
        if let Some(code) = sql.strip_prefix("fail ") {
            let code: [u8; 5] = code.as_bytes().try_into().unwrap();
            return Answer::Now(Err(Error::new(SqlState(code), "asked for").at(3)));
        }
        assert_ne!(&*sql, "panic");
        let script = script(&sql, params);
        Answer::Now(Ok(Reply::Results(Box::new(FakeResults {
            seen: self.seen.clone(),
            script: script.into_iter(),
            endless: sql.starts_with("endless"),
        }))))
    }

    fn cancel_key(&self) -> CancelKey {
        CancelKey { pid: 0, secret: 0 }
    }

    fn status(&self) -> TxnStatus {
        TxnStatus::Idle
    }

    fn parameters(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn prepared(&self, _: &str) -> Result<Prepared> {
        Err(Error::unsupported("only PostgreSQL's protocol asks this"))
    }

    fn forms(&self) -> Forms {
        Forms {
            zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(2)),
            ..Forms::UTC
        }
    }
}

enum Act {
    Event(Event),
    Fail,
    Panic,
    Wait(Duration),
}

struct FakeResults {
    seen: Arc<Seen>,
    script: std::vec::IntoIter<Act>,
    endless: bool,
}

impl Results for FakeResults {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<Event>>> {
        async {
            loop {
                match self.script.next() {
                    Some(Act::Event(event)) => return Ok(Some(event)),
                    Some(Act::Fail) => {
                        return Err(Error::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
                    }
                    Some(Act::Panic) => panic!("asked for"),
                    Some(Act::Wait(time)) => runtime::sleep(time).await,
                    None if self.endless => {
                        self.seen.batches.fetch_add(1, SeqCst);
                        return Ok(Some(Event::Rows(rows(0..1024))));
                    }
                    None => return Ok(None),
                }
            }
        }
        .boxed_local()
    }

    fn copy(&mut self, _: CopyInput) -> LocalBoxFuture<'_, Result<()>> {
        async { panic!("HTTP never copies") }.boxed_local()
    }
}

fn rows(range: std::ops::Range<i32>) -> RowBatch {
    let row = |i| vec![Value::Int4(i), Value::from("x".repeat(100))];
    range.map(row).collect::<Vec<Row>>().into()
}

fn columns(of: &[(&str, DataType)]) -> Act {
    let columns = of
        .iter()
        .map(|(name, ty)| Column::new(*name, *ty))
        .collect();
    Act::Event(Event::Columns(Arc::new(columns)))
}

fn done(tag: &str) -> Act {
    Act::Event(Event::Complete {
        tag: tag.to_owned(),
    })
}

fn script(sql: &str, params: Vec<Option<String>>) -> Vec<Act> {
    let two = || columns(&[("id", DataType::Int4), ("text", DataType::Text)]);
    let some = |n: i32| Act::Event(Event::Rows(rows(0..n)));
    match sql {
        "endless" => vec![two()],
        "insert" => vec![done("INSERT 0 5")],
        "empty" => vec![Act::Event(Event::Empty)],
        "copy" => vec![Act::Event(Event::CopyOut {
            columns: 1,
            binary: false,
        })],
        "late failure" => vec![two(), some(2), Act::Fail],
        "late panic" => vec![two(), some(2), Act::Panic],
        "sleep" => vec![
            two(),
            Act::Wait(Duration::from_millis(300)),
            some(1),
            done("SELECT 1"),
        ],
        "forever" => vec![two(), Act::Wait(Duration::from_secs(600))],
        "echo" => {
            let names = vec![("p", DataType::Text); params.len()];
            let row = params
                .into_iter()
                .map(|p| p.map_or(Value::Null, Value::from));
            let batch = RowBatch::from(vec![row.collect::<Row>()]);
            vec![
                columns(&names),
                Act::Event(Event::Rows(batch)),
                done("SELECT 1"),
            ]
        }
        "values" => values(),
        _ => {
            let n = sql.strip_prefix("rows ").and_then(|n| n.parse().ok());
            let n: i32 = n.expect("a statement this door knows");
            vec![two(), some(n), done(&format!("SELECT {n}"))]
        }
    }
}

fn values() -> Vec<Act> {
    let cells = [
        ("n", DataType::Int4, Value::Null),
        ("b", DataType::Bool, Value::Bool(true)),
        ("i", DataType::Int8, Value::Int8(i64::MIN)),
        ("f", DataType::Float8, Value::Float8(1e300)),
        ("f4", DataType::Float4, Value::Float4(0.1)),
        ("nan", DataType::Float8, Value::Float8(f64::NAN)),
        ("inf", DataType::Float4, Value::Float4(f32::NEG_INFINITY)),
        (
            "num",
            DataType::Numeric,
            Value::Numeric("123456789012345678901234567890.10".parse().unwrap()),
        ),
        ("num_nan", DataType::Numeric, Value::Numeric(Numeric::NaN)),
        ("t", DataType::Text, Value::from("a\"\\\n\u{1}é")),
        ("by", DataType::Bytea, Value::Bytea(Arc::new([0, 255]))),
        (
            "j",
            DataType::Jsonb,
            Value::Jsonb(Arc::new(types::Json::parse("{\"a\":[1.50,null]}").unwrap())),
        ),
        ("ts", DataType::Timestamp, Value::Timestamp(1_500_000)),
        ("tz", DataType::Timestamptz, Value::Timestamptz(0)),
        ("ti", DataType::Timestamptz, Value::Timestamptz(i64::MAX)),
        ("d", DataType::Date, Value::Date(1)),
        (
            "a",
            DataType::Int4Array,
            Value::Array(Arc::new(Array {
                element: DataType::Int4,
                items: vec![Value::Int4(1), Value::Null],
            })),
        ),
        ("t", DataType::Text, Value::from("again")),
        ("t_2", DataType::Text, Value::from("taken")),
    ];
    let names: Vec<(&str, DataType)> = cells.iter().map(|(n, ty, _)| (*n, *ty)).collect();
    let row: Row = cells.iter().map(|(_, _, v)| v.clone()).collect();
    vec![
        columns(&names),
        Act::Event(Event::Rows(RowBatch::from(vec![row]))),
        done("SELECT 1"),
    ]
}
