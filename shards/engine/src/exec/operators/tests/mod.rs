//! Operators against straightforward models, over rows in memory.

mod aggregates;
mod joins;
mod rows;
mod spill;
mod subqueries;
mod windows;

use super::{Exec, RowSource, Source, open};
use crate::catalog::{Catalog, ColumnDef, Table};
use crate::exec::eval::{Env, eval};
use crate::exec::fragment::Fragment;
use crate::exec::memory::Memory;
use crate::exec::{Context, SessionInfo, resolve};
use crate::plan::{Access, AggregateCall, Expr, FuncRef, Plan, Scan, SortKey};
use futures_util::future::LocalBoxFuture;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use types::{DataType, Error, Result, Row, RowBatch, TableId, TreeId, Value};

/// Tables as lists of partitions; scans run a `Fragment` over each, as shards do.
#[derive(Default)]
pub(super) struct MemorySource {
    pub(super) tables: HashMap<TableId, Vec<Vec<Row>>>,
    pub(super) scans: Rc<Cell<usize>>,
}

impl Source for MemorySource {
    fn scan(
        &self,
        scan: Arc<Scan>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>> {
        Box::pin(async move {
            self.scans.set(self.scans.get() + 1);
            let mut batches = Vec::new();
            for rows in &self.tables[&scan.table.id] {
                let mut fragment = Fragment::new(scan.clone(), ctx.clone());
                for row in rows {
                    if !found(&scan, row, &ctx)? {
                        continue;
                    }
                    fragment.push(row.clone())?;
                    if fragment.batch_full() {
                        batches.push(fragment.take()?);
                    }
                }
                let last = fragment.take()?;
                if !last.is_empty() {
                    batches.push(last);
                }
            }
            Ok(Box::new(Given(batches.into_iter())) as Box<dyn RowSource>)
        })
    }
}

/// Exact keys are the only access that replaces a condition.
fn found(scan: &Scan, row: &Row, ctx: &Context) -> Result<bool> {
    let Access::Keys(keys) = &scan.access else {
        return Ok(true);
    };
    let env = Env { ctx, outer: &[] };
    for key in keys {
        let key = key.iter().map(|e| eval(e, &[], &env));
        let key = key.collect::<Result<Row>>()?;
        let own: Row = scan
            .table
            .primary_key
            .iter()
            .map(|c| row[*c].clone())
            .collect();
        if super::rows::same(&key, &own) {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Given(std::vec::IntoIter<RowBatch>);

impl RowSource for Given {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async { Ok(self.0.next()) })
    }
}

pub(super) fn context() -> Arc<Context> {
    Arc::new(Context {
        params: Vec::new(),
        catalog: Arc::new(Catalog::empty(2)),
        transaction_micros: 0,
        backup: None,
        building: Vec::new(),
        triggers_deep: 0,
        statement_micros: 0,
        session: Arc::new(SessionInfo {
            cursors: None,
            user: "rustydb".into(),
            database: "rustydb".into(),
            backend_pid: 1,
            client_addr: None,
            server_port: 0,
            server_start_micros: 0,
            forms: ::types::text::Forms::UTC,
            settings: Arc::default(),
        }),
    })
}

/// What a test runs plans with.
pub(super) struct Bench {
    pub(super) tables: HashMap<TableId, Vec<Vec<Row>>>,
    pub(super) bytes_max: usize,
    /// How many checks pass before the statement counts as cancelled.
    pub(super) checks: usize,
    /// What temporary files may take; `None`: there are none.
    pub(super) temp_bytes_max: Option<u64>,
}

/// What a run gave.
pub(super) struct Outcome {
    pub(super) result: Result<Vec<Row>>,
    pub(super) scans: usize,
    pub(super) peak: usize,
    pub(super) left_over: usize,
    /// Bytes written to temporary files, and how many of those are left.
    pub(super) spilled: u64,
    pub(super) temp_left: u64,
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench {
            tables: HashMap::new(),
            bytes_max: 64 << 20,
            checks: usize::MAX,
            temp_bytes_max: None,
        }
    }

    /// A table of int4 columns, spread over two partitions.
    pub(super) fn table(&mut self, id: u32, width: usize, rows: &[Row]) -> Arc<Table> {
        let mut partitions = vec![Vec::new(), Vec::new()];
        for (i, row) in rows.iter().enumerate() {
            partitions[i % 2].push(row.clone());
        }
        self.tables.insert(TableId(id), partitions);
        table(id, width)
    }

    pub(super) fn run(&self, plan: Plan) -> Outcome {
        let tables = self.tables.clone();
        let (bytes_max, checks) = (self.bytes_max, self.checks);
        let quota = self.temp_bytes_max.map(runtime::TempQuota::new);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_path_buf();
        runtime::block_on(async move {
            let memory = Memory::new(bytes_max);
            let scans = Rc::new(Cell::new(0));
            let source = MemorySource {
                tables,
                scans: scans.clone(),
            };
            let left = Cell::new(checks);
            let check = move || match left.get().checked_sub(1) {
                Some(rest) => {
                    left.set(rest);
                    Ok(())
                }
                None => Err(Error::new(types::SqlState::QUERY_CANCELED, "canceled")),
            };
            let mut exec = Exec::new(context(), Rc::new(source), memory.clone(), Rc::new(check));
            let mut temp = None;
            if let Some(quota) = quota {
                let dir = runtime::Dir::open_or_create(&path).await.unwrap();
                let made = runtime::TempDir::new(dir, quota);
                temp = Some(made.clone());
                exec = exec.with_temp(made);
            }
            let result = drain(plan, Rc::new(exec)).await;
            let stats = temp.map(|t| t.stats()).unwrap_or_default();
            Outcome {
                result,
                scans: scans.get(),
                peak: memory.peak(),
                left_over: memory.used(),
                spilled: stats.bytes_written,
                temp_left: stats.files_open + stats.bytes_held,
            }
        })
    }

    pub(super) fn rows(&self, plan: Plan) -> Vec<Row> {
        self.run(plan).result.unwrap()
    }
}

async fn drain(plan: Plan, exec: Rc<Exec>) -> Result<Vec<Row>> {
    let mut rows = open(Arc::new(plan), exec)?;
    let mut out = Vec::new();
    while let Some(batch) = rows.next().await? {
        out.extend(batch.rows);
    }
    assert!(rows.next().await?.is_none(), "the end stays the end");
    Ok(out)
}

pub(super) fn table(id: u32, width: usize) -> Arc<Table> {
    let column = |i: usize| ColumnDef::new(format!("c{i}"), DataType::Int4, i as i16 + 1);
    Arc::new(Table {
        id: TableId(id),
        schema: "public".into(),
        name: format!("t{id}"),
        tree: TreeId(id),
        columns: (0..width).map(column).collect(),
        primary_key: vec![0],
        primary_key_id: TableId(id + 1000),
        primary_key_name: format!("t{id}_pkey"),
        ..Table::default()
    })
}

pub(super) fn values(width: usize, rows: &[Row]) -> Plan {
    if rows.is_empty() {
        let nulls = vec![(Value::Null, DataType::Int4); width];
        return filter(Plan::constants(vec![nulls]), constant(Value::Bool(false)));
    }
    let typed = |row: &Row| row.iter().map(|v| (v.clone(), DataType::Int4)).collect();
    Plan::constants(rows.iter().map(typed).collect())
}

pub(super) fn filter(input: Plan, predicate: Expr) -> Plan {
    Plan::Filter {
        input: Box::new(input),
        predicate,
    }
}

pub(super) fn project(input: Plan, exprs: Vec<Expr>) -> Plan {
    Plan::Project {
        input: Box::new(input),
        exprs,
    }
}

pub(super) fn constant(value: Value) -> Expr {
    let ty = match value {
        Value::Bool(_) => DataType::Bool,
        Value::Int8(_) => DataType::Int8,
        _ => DataType::Int4,
    };
    Expr::Const(value, ty)
}

pub(super) fn int(i: i32) -> Expr {
    constant(Value::Int4(i))
}

pub(super) fn col(i: usize) -> Expr {
    Expr::Column(i, DataType::Int4)
}

pub(super) fn outer(depth: usize, column: usize) -> Expr {
    Expr::Outer {
        depth,
        column,
        ty: DataType::Int4,
    }
}

pub(super) fn op(symbol: &str, left: Expr, right: Expr) -> Expr {
    let resolved = resolve::operator(symbol, Some(left.ty()), right.ty()).unwrap();
    Expr::Call {
        func: FuncRef(resolved.func),
        args: vec![left, right],
        ty: resolved.ret,
    }
}

pub(super) fn asc(expr: Expr) -> SortKey {
    SortKey {
        expr,
        descending: false,
        nulls_first: false,
    }
}

pub(super) fn call(name: &str, args: Vec<Expr>) -> AggregateCall {
    let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
    let resolved = resolve::aggregate(name, &types, args.is_empty()).unwrap();
    AggregateCall {
        func: resolved.func,
        args,
        distinct: false,
        filter: None,
        order: Vec::new(),
        ty: resolved.ret,
    }
}

pub(super) fn ints(values: &[i32]) -> Row {
    values.iter().map(|v| Value::Int4(*v)).collect()
}

/// An order for comparing results whose order does not matter.
pub(super) fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| {
        let pairs = a.iter().zip(b).map(|(a, b)| types::order::compare(a, b));
        let unequal = pairs.into_iter().find(|o| o.is_ne());
        unequal.unwrap_or(a.len().cmp(&b.len()))
    });
    rows
}
