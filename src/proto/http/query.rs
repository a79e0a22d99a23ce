//! `POST /api/v1/query`: one statement through the door, its rows as one JSON object or as a line each.
//!
//! Owns: the life of a request's session: open, one `Operation::Query`, closed by drop. Asked by: `routes`.
//! Never: keeps a session for the next request; answers 200 before the statement has shown its first rows or its end.
//! Bounds: `Options::answer_bytes_max` and the shard's budget for a whole answer; a streamed one holds one batch.
//! A statement that fails after its first rows were streamed ends with a line `{"error":…}` and a broken body.

use super::Http;
use super::body::{Body, Broken, Held, Segments};
use super::codec::{Columns, Query};
use super::error::{self, Problem};
use super::framing::{self, Format};
use super::routes::Caller;
use crate::net;
use crate::service::{Event, Forms, Hello, Operation, Protocol, Reply, Request, Results, Session};
use crate::telemetry::Metrics;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;
use types::{Error, Result, RowBatch, SqlState};

/// hyper forgets what it has not yet sent when a body breaks: this is its time to send the line that says why.
const BREAK_AFTER: Duration = Duration::from_millis(50);

pub async fn query(
    http: &Rc<Http>,
    caller: &Caller,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Problem> {
    let (head, body) = request.into_parts();
    let (query, size) = match read(http, &head.headers, body).await {
        Ok(read) => read,
        Err(problem) => {
            // What gets further is counted by the chain behind the door.
            Metrics::current().request("http", "query", Some(problem.error.code()));
            return Err(problem);
        }
    };
    let database = framing::database(&head.headers, &http.options.database)?;
    let statement = Statement::start(http, caller, database, query, size).await?;
    match framing::accepted(&head.headers) {
        Format::Json => whole(http, statement).await,
        Format::Ndjson => lines(statement, caller.request_id.clone()).await,
    }
}

/// The request's query, and its size on the wire.
async fn read(http: &Http, headers: &HeaderMap, body: Incoming) -> Result<(Query, usize), Problem> {
    framing::require_json(headers)?;
    let (bytes, _held) = framing::read_body(http, headers, body).await?;
    Ok((Query::parse(&bytes)?, bytes.len()))
}

/// A running statement and what keeps it alive.
struct Statement {
    results: Box<dyn Results>,
    forms: Forms,
    /// After `results`: dropping the last reference ends the session.
    _session: Rc<dyn Session>,
}

/// What of the events matters here.
enum Step {
    Columns(Columns),
    Rows(RowBatch),
    Done(String),
}

impl Statement {
    async fn start(
        http: &Http,
        caller: &Caller,
        database: String,
        query: Query,
        bytes: usize,
    ) -> Result<Statement> {
        let hello = Hello {
            protocol: Protocol::Http,
            user: http.options.user.clone(),
            database,
            peer: caller.peer,
            local: caller.local,
            settings: Vec::new(),
        };
        let session = http.door.open(hello).await?;
        let mut request = Request::new(Operation::Query {
            sql: query.sql.into(),
            params: query.params,
        });
        request.id = caller.number;
        request.timeout = query.timeout;
        request.bytes = bytes;
        let forms = session.forms();
        match session.call(request).get().await? {
            Reply::Results(results) => Ok(Statement {
                results,
                forms,
                _session: session,
            }),
            Reply::Done | Reply::Statement { .. } | Reply::Portal { .. } | Reply::Whole(_) => {
                Err(Error::internal("a query was answered without results"))
            }
        }
    }

    /// The next event that matters, or `None` at the end.
    async fn step(&mut self) -> Result<Option<Step>> {
        loop {
            let Some(event) = self.results.next().await? else {
                return Ok(None);
            };
            return Ok(Some(match event {
                Event::Columns(columns) => Step::Columns(Columns::new(&columns)),
                Event::Rows(batch) => Step::Rows(batch),
                Event::Complete { tag } => Step::Done(tag),
                Event::Empty => Step::Done(String::new()),
                Event::Notice(_) | Event::Parameter { .. } => continue,
                Event::Suspended => {
                    return Err(Error::internal("a query without a row limit was suspended"));
                }
                Event::CopyIn { .. } | Event::CopyOut { .. } | Event::CopyData(_) => {
                    return Err(Error::unsupported("COPY is not available over HTTP")
                        .with_hint("use COPY on the SQL port, with psql or a driver"));
                }
            }));
        }
    }
}

/// Gathers the answer, so that any error has its status and a success its length.
async fn whole(http: &Http, mut statement: Statement) -> Result<Response<Body>, Problem> {
    let mut answer = Whole::new(http);
    let mut columns: Option<Columns> = None;
    let mut tag = String::new();
    while let Some(step) = statement.step().await? {
        match step {
            Step::Columns(these) => {
                answer.text.out().push_str(&these.description);
                answer.text.out().push_str(",\"rows\":[");
                columns = Some(these);
            }
            Step::Rows(batch) => {
                let Some(columns) = &columns else {
                    return Err(Error::internal("rows came before their columns").into());
                };
                answer.push(&batch, columns, &statement.forms)?;
            }
            Step::Done(this) => tag = this,
        }
    }
    // What is committed is committed: from here on the answer must not fail.
    let count = affected(&tag).unwrap_or(answer.rows);
    let out = answer.text.out();
    if columns.is_none() {
        out.push_str("[],\"rows\":[");
    }
    let _ = write!(out, "],\"row_count\":{count},\"command\":");
    super::codec::push_string(&tag, out);
    out.push_str("}\n");
    Ok(respond(
        "application/json",
        Body::Whole {
            pieces: answer.text.take(),
            held: Some(answer.held),
        },
    ))
}

/// A whole answer as it grows.
struct Whole {
    text: Segments,
    held: Held,
    rows: u64,
    bytes_max: usize,
}

impl Whole {
    fn new(http: &Http) -> Whole {
        let mut text = Segments::default();
        text.out().push_str("{\"columns\":");
        Whole {
            text,
            held: Held::nothing(&http.budget),
            rows: 0,
            bytes_max: http.options.answer_bytes_max,
        }
    }

    fn push(&mut self, batch: &RowBatch, columns: &Columns, forms: &Forms) -> Result<()> {
        for row in &batch.rows {
            let out = self.text.out();
            if self.rows > 0 {
                out.push(',');
            }
            columns.push_row(row, forms, out);
            self.text.settle();
            self.rows += 1;
            if self.text.len() > self.bytes_max {
                return Err(Error::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    format!("the answer is larger than {} bytes", self.bytes_max),
                )
                .with_hint(
                    "ask for \"accept: application/x-ndjson\", which is streamed, or use LIMIT",
                ));
            }
        }
        self.held
            .grow(self.text.len().saturating_sub(self.held.bytes()))
    }
}

/// Streams a line per row, each batch made when the client has taken the one before.
async fn lines(mut statement: Statement, request_id: String) -> Result<Response<Body>, Problem> {
    // Up to the first rows an error still has its status.
    let mut columns = None;
    let mut first = Segments::default();
    loop {
        match statement.step().await? {
            Some(Step::Columns(these)) => columns = Some(these),
            Some(Step::Rows(batch)) if batch.is_empty() => {}
            Some(Step::Rows(batch)) => {
                push_lines(&batch, columns.as_ref(), &statement.forms, &mut first)?;
                break;
            }
            Some(Step::Done(_)) => {}
            None => return Ok(respond("application/x-ndjson", Body::text(Bytes::new()))),
        }
    }
    let state = Lines {
        statement: Some(statement),
        columns,
        ready: first.take(),
        broken: false,
        request_id,
    };
    let pieces = stream::unfold(state, |mut state| async move {
        let piece = state.next().await?;
        Some((piece, state))
    });
    Ok(respond(
        "application/x-ndjson",
        Body::Stream(pieces.boxed_local()),
    ))
}

/// A streamed answer between two pieces.
struct Lines {
    /// `None` once it has ended: the session is not kept for a client that still reads.
    statement: Option<Statement>,
    columns: Option<Columns>,
    ready: VecDeque<Bytes>,
    broken: bool,
    request_id: String,
}

impl Lines {
    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            if self.broken {
                self.broken = false;
                net::sleep(BREAK_AFTER).await;
                return Some(Err(Broken));
            }
            let statement = self.statement.as_mut()?;
            let stepped = AssertUnwindSafe(statement.step()).catch_unwind().await;
            match stepped.unwrap_or_else(|_| {
                Metrics::current().panics.inc();
                Err(Error::internal("the request failed inside the server"))
            }) {
                Ok(Some(Step::Rows(batch))) => {
                    let mut text = Segments::default();
                    let pushed =
                        push_lines(&batch, self.columns.as_ref(), &statement.forms, &mut text);
                    self.ready = text.take();
                    if let Err(error) = pushed {
                        self.fail(&error);
                    }
                }
                Ok(Some(Step::Columns(_) | Step::Done(_))) => {}
                Ok(None) => self.statement = None,
                Err(error) => self.fail(&error),
            }
        }
    }

    fn fail(&mut self, error: &Error) {
        self.statement = None;
        self.broken = true;
        let mut line = error::to_json(error, &self.request_id);
        line.push('\n');
        self.ready.push_back(Bytes::from(line));
    }
}

fn push_lines(
    batch: &RowBatch,
    columns: Option<&Columns>,
    forms: &Forms,
    text: &mut Segments,
) -> Result<()> {
    let columns = columns.ok_or_else(|| Error::internal("rows came before their columns"))?;
    for row in &batch.rows {
        columns.push_row(row, forms, text.out());
        text.out().push('\n');
        text.settle();
    }
    Ok(())
}

/// The count at the end of a command tag: `INSERT 0 5` → 5.
fn affected(tag: &str) -> Option<u64> {
    tag.rsplit(' ').next()?.parse().ok()
}

fn respond(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let value = http::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
