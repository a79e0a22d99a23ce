//! COPY: rows from and to the client.
//!
//! Owns: batches between the client's bytes and the router. Never: holds more than one batch and one unfinished record.
//! Bounds: a record of `ROW_BYTES_MAX`, a batch of `BATCH_ROWS_MAX` rows or `BATCH_BYTES_MAX` bytes of input.

mod binary;
mod csv;
mod encode;
mod text;

use super::Session;
use super::statement::{Running, Work, start_query};
use crate::router::modify::WriteEnv;
use crate::router::triggers::Around;
use crate::service::CopyRows;
use encode::Encoder;
use engine::catalog::change::identity_value;
use engine::catalog::{Catalog, Table};
use engine::exec::Context;
use engine::exec::eval::{self, Env};
use engine::exec::operators::Rows;
use engine::plan::{Expr, Query};
use engine::shard::generate;
use sql::{CopyFormat, CopyOptions};
use std::rc::Rc;
use std::sync::Arc;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, ROW_BYTES_MAX};
use types::text::ParseEnv;
use types::{DataType, Error, Result, Row, SqlState, Value};

/// What a field is read as.
pub(super) struct Field {
    pub name: String,
    pub ty: DataType,
    pub typmod: i32,
    /// CSV: never NULL, whatever it says.
    pub never_null: bool,
    /// CSV: NULL even when quoted.
    pub null_when_quoted: bool,
}

/// Cuts bytes into records and those into values.
trait Decoder {
    /// The next record, of `fields`, from the front of `input`; how many bytes it took. `None`: more bytes are needed.
    fn record(
        &mut self,
        input: &[u8],
        last: bool,
        reader: &Reader,
    ) -> Result<Option<(usize, Record)>>;
}

enum Record {
    Row(Vec<Value>),
    /// A header or an empty remainder.
    Skip,
    /// The end was marked; what follows is ignored.
    End,
}

/// The fields of a record and how their text is read.
struct Reader {
    relation: String,
    fields: Vec<Field>,
    ctx: Arc<Context>,
}

impl Reader {
    fn value(&self, field: &Field, text: &str) -> Result<Value> {
        let env = ParseEnv {
            forms: &self.ctx.session.forms,
            now_micros: self.ctx.statement_micros,
        };
        types::text::parse(text, field.ty, field.typmod, &env)
            .and_then(|v| self.ctx.catalog.from_labels(v, field.ty, &self.ctx))
            .map_err(|e| e.with_context(format!("column {}: \"{}\"", field.name, shown(text))))
    }
}

/// What PostgreSQL shows of data in an error.
const SHOWN_BYTES: usize = 100;

fn shown(text: &str) -> String {
    if text.len() <= SHOWN_BYTES {
        return text.to_owned();
    }
    let mut end = SHOWN_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end])
}

/// An error about the whole line, unless it is about one of its columns.
fn of_line(e: Error, line: &[u8]) -> Error {
    match (e.context(), std::str::from_utf8(line)) {
        (None, Ok(line)) => {
            let line = line.trim_end_matches(['\n', '\r']);
            e.with_context(format!("\"{}\"", shown(line)))
        }
        _ => e,
    }
}

/// COPY FROM STDIN.
pub struct CopyIn {
    session: Rc<Session>,
    env: WriteEnv,
    table: Arc<Table>,
    /// Ordinal of each field's column.
    columns: Vec<usize>,
    reader: Reader,
    decoder: Box<dyn Decoder>,
    binary: bool,
    /// Of columns that are not among them.
    defaults: Rows,
    /// The table's trees are this transaction's alone.
    fresh: bool,
    unread: Vec<u8>,
    rows: Vec<Row>,
    bytes: usize,
    count: u64,
    line: u64,
    ended: bool,
    /// Over the table's row: whether it is wanted.
    filter: Option<Expr>,
    /// Triggers of the statement, whose BEFORE ones have been called once `begun`.
    around: Option<Around>,
    begun: bool,
}

impl CopyIn {
    pub(super) fn new(
        session: Rc<Session>,
        work: &Work<'_>,
        table: Arc<Table>,
        columns: Vec<usize>,
        options: &CopyOptions,
        filter: Option<&Expr>,
        fresh: bool,
    ) -> Result<CopyIn> {
        let named = |list: &[String], name: &str| list.iter().any(|n| n == name);
        let field = |c: &usize| {
            let column = table.columns.get(*c)?;
            Some(Field {
                name: column.name.clone(),
                ty: column.ty,
                typmod: column.typmod,
                never_null: named(&options.force_not_null, &column.name),
                null_when_quoted: named(&options.force_null, &column.name),
            })
        };
        let reader = Reader {
            relation: table.name.clone(),
            fields: columns.iter().filter_map(field).collect(),
            ctx: work.ctx.clone(),
        };
        let decoder: Box<dyn Decoder> = match options.format {
            CopyFormat::Text => Box::new(text::Text::new(options)),
            CopyFormat::Csv => Box::new(csv::Csv::new(options)),
            CopyFormat::Binary => Box::new(binary::Binary::default()),
        };
        let mut env = work.write_env();
        env.fuse = false;
        let ordinals = table.columns.iter().enumerate();
        let defaults: Vec<Expr> = ordinals
            .map(
                |(at, c)| match (columns.contains(&at), &c.default, &c.identity) {
                    (false, Some(default), _) => default.expr.clone(),
                    (false, None, Some(identity)) => identity_value(identity.sequence, c.ty),
                    (false, None, None) => work.ctx.catalog.implied_value(c),
                    _ => Expr::Const(Value::Null, c.ty),
                },
            )
            .collect();
        Ok(CopyIn {
            session,
            around: Around::of_copy(&env, &table),
            begun: false,
            defaults: Rows::new(Some(&defaults), &env.exec),
            env,
            table,
            columns,
            reader,
            decoder,
            binary: options.format == CopyFormat::Binary,
            fresh,
            unread: Vec::new(),
            rows: Vec::new(),
            bytes: 0,
            count: 0,
            line: 0,
            ended: false,
            filter: filter.cloned(),
        })
    }

    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    pub fn is_binary(&self) -> bool {
        self.binary
    }

    pub async fn data(&mut self, data: &[u8]) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.env.by.stop.check()?;
        let mut input = std::mem::take(&mut self.unread);
        input.extend_from_slice(data);
        let used = self.records(&input, false).await?;
        input.drain(..used);
        if input.len() > ROW_BYTES_MAX {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a record of COPY data exceeds {ROW_BYTES_MAX} bytes"),
            ));
        }
        self.unread = input;
        Ok(())
    }

    pub async fn finish(mut self: Box<Self>) -> Result<String> {
        let input = std::mem::take(&mut self.unread);
        if !self.ended {
            self.records(&input, true).await?;
        }
        self.begin().await?;
        self.flush().await?;
        if let Some(around) = &self.around {
            let router = &self.session.node.router;
            router.after_statement(&self.env, around).await?;
        }
        self.session.node.metrics.rows_affected.add(self.count);
        Ok(format!("COPY {}", self.count))
    }

    /// Takes whole records off the front of `input`; answers how many bytes they were.
    async fn records(&mut self, input: &[u8], last: bool) -> Result<usize> {
        let mut used = 0;
        while !self.ended {
            let record = self
                .decoder
                .record(&input[used..], last, &self.reader)
                .map_err(|e| self.at_line(e))?;
            let Some((taken, record)) = record else { break };
            used += taken;
            self.line += 1;
            match record {
                Record::End => self.ended = true,
                Record::Skip => {}
                Record::Row(values) => {
                    let row = self.whole(values).await?;
                    if !self.wants(&row)? {
                        continue;
                    }
                    self.rows.push(row);
                    self.bytes += taken;
                    if self.rows.len() >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX {
                        self.flush().await?;
                    }
                }
            }
        }
        Ok(used)
    }

    fn wants(&self, row: &Row) -> Result<bool> {
        let env = Env {
            ctx: &self.env.ctx,
            outer: &[],
        };
        match &self.filter {
            Some(filter) => eval::eval_bool(filter, row, &env),
            None => Ok(true),
        }
    }

    /// A row of the table: columns that COPY does not name get their default.
    async fn whole(&self, values: Vec<Value>) -> Result<Row> {
        let all = self.columns.len() == self.table.columns.len();
        if all && self.columns.iter().enumerate().all(|(i, c)| i == *c) {
            return Ok(values);
        }
        let mut row = self.defaults.over(Row::new()).await?;
        for (ordinal, value) in self.columns.iter().zip(values) {
            if let Some(slot) = row.get_mut(*ordinal) {
                *slot = value;
            }
        }
        generate(&self.table, &mut row, &self.env.ctx)?;
        Ok(row)
    }

    /// Once, before the first row.
    async fn begin(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true)
            && let Some(around) = &self.around
        {
            let router = &self.session.node.router;
            router.before_statement(&self.env, around).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.begin().await?;
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let router = self.session.node.router.clone();
        if self.fresh {
            self.count += router.load_rows(&self.env, &self.table, rows).await?;
        } else {
            self.count += router.insert_copied(&self.env, &self.table, rows).await?;
        }
        Ok(())
    }

    fn at_line(&self, e: Error) -> Error {
        let place = format!("COPY {}, line {}", self.reader.relation, self.line + 1);
        let context = match e.context() {
            None => place,
            Some(line) if line.starts_with('"') => format!("{place}: {line}"),
            Some(column) => format!("{place}, {column}"),
        };
        e.with_context(context)
    }
}

/// COPY TO STDOUT.
pub struct CopyOut {
    running: Running,
    encoder: Encoder,
    catalog: Arc<Catalog>,
    rows: u64,
    begun: bool,
    ended: bool,
}

impl CopyOut {
    pub(super) async fn start(
        query: &Query,
        options: &CopyOptions,
        work: &Work<'_>,
    ) -> Result<CopyOut> {
        let running = start_query(query, work).await?;
        Ok(CopyOut::of(running, query, options, work))
    }

    /// Of a query that has started.
    pub(super) fn of(
        running: Running,
        query: &Query,
        options: &CopyOptions,
        work: &Work<'_>,
    ) -> CopyOut {
        let encoder = Encoder::new(options, query.columns.clone(), work.session.forms());
        CopyOut {
            running,
            encoder,
            catalog: work.ctx.catalog.clone(),
            rows: 0,
            begun: false,
            ended: false,
        }
    }

    pub fn columns(&self) -> usize {
        self.encoder.columns()
    }

    pub fn is_binary(&self) -> bool {
        self.encoder.is_binary()
    }

    pub async fn next(&mut self) -> Result<Option<CopyRows>> {
        if self.ended {
            return Ok(None);
        }
        let mut out = CopyRows::default();
        if !std::mem::replace(&mut self.begun, true) {
            self.encoder.header(out.bytes());
        }
        let batch = self.running.next().await?;
        // A header line is a message; the binary header goes with what follows.
        let alone = !self.encoder.is_binary() || batch.as_ref().is_some_and(|b| b.rows.is_empty());
        if alone && !out.bytes().is_empty() {
            out.end();
        }
        match batch {
            Some(batch) => {
                self.rows += batch.len() as u64;
                let mut batch = batch;
                self.catalog.label_rows(&mut batch.rows);
                for row in &batch.rows {
                    self.encoder.row(row, out.bytes())?;
                    out.end();
                }
            }
            None => {
                self.ended = true;
                self.encoder.trailer(out.bytes());
                if self.encoder.is_binary() {
                    out.end();
                }
            }
        }
        Ok(Some(out))
    }

    pub fn tag(&self) -> String {
        debug_assert!(self.ended);
        format!("COPY {}", self.rows)
    }
}
