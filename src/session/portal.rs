//! The extended protocol: prepared statements and portals.

use super::execution::Execution;
use super::once::Once;
use super::plans::{PlanRef, cacheable};
use super::point::Point;
use super::row_counts::RowCounts;
use super::statement::Running;
use super::{Planned, Prepared, Session, edit};
use crate::service::{Answer, Reply};
use engine::exec::{Context, cast};
use engine::txn::Stop;
use sql::{BindEnv, Parsed, Statement};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Column, DataType, Error, Result, RowBatch, SqlState, Value, Xid};

/// A statement with its parameters, and how far it has been executed.
pub struct Portal {
    /// `None` for the empty statement.
    pub parsed: Option<Rc<Parsed>>,
    pub planned: Rc<Planned>,
    pub params: Rc<[Value]>,
    pub progress: Progress,
    /// Rows of it that the client has.
    pub given: u64,
}

pub enum Progress {
    New,
    /// Suspended by a row limit: rows in hand, then the rest.
    Open {
        left: RowBatch,
        running: Option<Running>,
    },
    Done,
}

impl Session {
    /// Binds a statement, or takes its plan from the shard's cache.
    pub(super) fn plan(
        &self,
        parsed: &Rc<Parsed>,
        types: &[Option<DataType>],
        ctx: &Context,
    ) -> Result<Rc<Planned>> {
        let metrics = &self.node.metrics;
        let version = ctx.catalog.version;
        let shared = self.own_catalog().is_none() && cacheable(&parsed.text);
        let (forms, search_path) = self.planning();
        let key = shared.then_some(PlanRef {
            text: &parsed.text,
            database: self.database,
            types,
            forms: &forms,
            search_path: &search_path,
        });
        if let Some(key) = key
            && let Some(hit) = self.node.plans.borrow_mut().get(key, version)
        {
            metrics.plan_cache_hits.inc();
            return Ok(hit);
        }
        metrics.plan_cache_misses.inc();
        let planned = self.bound(parsed, types, ctx, &[])?;
        if let Some(key) = key
            // The columns of these are what is in the session.
            && !matches!(
                planned.statement(),
                Statement::Fetch { .. } | Statement::ExecutePrepared { .. }
            )
        {
            let mut plans = self.node.plans.borrow_mut();
            if plans.comes_again(key) {
                plans.put(key.to_key(), planned.clone());
            }
        }
        Ok(planned)
    }

    pub(super) fn bound(
        &self,
        parsed: &Rc<Parsed>,
        types: &[Option<DataType>],
        ctx: &Context,
        rows: &[Option<u64>],
    ) -> Result<Rc<Planned>> {
        let began = runtime::Instant::now();
        let env = BindEnv {
            catalog: &ctx.catalog,
            param_types: types,
            context: ctx,
            rows,
        };
        let mut bound = sql::bind(parsed, &env)?;
        match &bound.statement {
            Statement::Fetch {
                name, moves: false, ..
            } => bound.columns = Some(self.fetched_columns(name)?),
            Statement::ExecutePrepared { name, .. } => {
                let executed = self.statement(name)?;
                let executed = self.current_plan(&executed)?;
                bound.columns.clone_from(&executed.bound.columns);
            }
            _ => {}
        }
        let (version, own) = (ctx.catalog.version, self.own_catalog());
        let (parsed, took) = (Some(parsed.clone()), began.elapsed());
        let mut planned = Planned::new(version, own, parsed, bound, took);
        planned.path = self.planning().1;
        planned.edit = edit::of(
            planned.statement(),
            &ctx.catalog,
            planned.bound.params.len(),
        );
        Ok(Rc::new(planned))
    }

    pub(super) fn parse(
        &self,
        name: String,
        sql: &str,
        types: Vec<Option<DataType>>,
    ) -> Result<()> {
        let types = self.given_types(types)?;
        if let Some((parsed, planned)) = self.known(sql::statement_text(sql), &types) {
            self.refuse_if_failed(&parsed)?;
            let prepared = Prepared {
                parsed: Some(parsed),
                bound: RefCell::new(planned),
                micros: super::now_micros(),
                from_sql: false,
            };
            return self.store_statement(name, prepared);
        }
        let mut statements = sql::parse(sql)?;
        if statements.len() > 1 {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        let prepared = self.prepare(statements.pop(), types)?;
        self.store_statement(name, prepared)
    }

    /// Types as the client gave them, those of users by their oid alone.
    fn given_types(&self, types: Vec<Option<DataType>>) -> Result<Vec<Option<DataType>>> {
        let given = |ty: Option<DataType>| match ty {
            Some(DataType::Enum(oid)) => {
                let catalog = self.catalog();
                let base = catalog.domain_base(oid).map(|(ty, _)| ty);
                let found = base.or_else(|| catalog.type_of_oid(oid));
                found.map(Some).ok_or_else(|| {
                    Error::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("type with OID {oid} does not exist"),
                    )
                })
            }
            other => Ok(other),
        };
        types.into_iter().map(given).collect()
    }

    pub(super) fn prepare(
        &self,
        parsed: Option<Parsed>,
        types: Vec<Option<DataType>>,
    ) -> Result<Prepared> {
        let parsed = parsed.map(Rc::new);
        let planned = match &parsed {
            Some(p) => {
                self.refuse_if_failed(p)?;
                self.plan(p, &types, &self.context(Vec::new()))?
            }
            None => Rc::new(Planned::empty()),
        };
        Ok(Prepared {
            parsed,
            bound: RefCell::new(planned),
            micros: super::now_micros(),
            from_sql: false,
        })
    }

    pub(super) fn describe_statement(&self, name: &str) -> Result<Reply> {
        let prepared = self.statement(name)?;
        let planned = self.current_plan(&prepared)?;
        Ok(Reply::Statement {
            params: planned.bound.params.clone(),
            columns: planned.bound.columns.clone(),
        })
    }

    /// The transaction that has changed the catalog and not committed yet.
    pub(super) fn own_catalog(&self) -> Option<(Xid, u32)> {
        let block = self.block.borrow();
        block.catalogs().and_then(|_| block.own())
    }

    /// Whether the plan was bound against the catalog of `ctx`.
    pub(super) fn is_current(&self, planned: &Planned, ctx: &Context) -> bool {
        planned.version == ctx.catalog.version && planned.own == self.own_catalog()
    }

    /// The statement's plan for the catalog and the search path as they are; planned again when one has changed.
    pub(super) fn current_plan(&self, prepared: &Prepared) -> Result<Rc<Planned>> {
        let planned = prepared.bound.borrow().clone();
        let Some(parsed) = &prepared.parsed else {
            return Ok(planned);
        };
        let shard = &self.node.router.shard;
        let same_path = planned.path == self.planning().1;
        if same_path
            && planned.own.is_none()
            && self.own_catalog().is_none()
            && !self.block.borrow().keeps_catalog()
            && planned.version == shard.catalog_version(self.database)
        {
            return Ok(planned);
        }
        let ctx = self.context(Vec::new());
        if same_path && self.is_current(&planned, &ctx) {
            return Ok(planned);
        }
        let again = self.plan(parsed, &planned.types(), &ctx)?;
        if !same_rows(&again, &planned) {
            return Err(changed_rows());
        }
        *prepared.bound.borrow_mut() = again.clone();
        Ok(again)
    }

    pub(super) fn bind(&self, name: String, statement: &str, params: Vec<Value>) -> Result<()> {
        let prepared = self.statement(statement)?;
        let planned = self.current_plan(&prepared)?;
        let params = self.bound_to(statement, &planned, params)?;
        if name.is_empty() {
            // It takes the place of the one before.
            self.portals.borrow_mut().remove("");
        }
        self.is_free(&name)?;
        let portal = Portal {
            parsed: prepared.parsed.clone(),
            planned,
            params: params.into(),
            progress: Progress::New,
            given: 0,
        };
        self.portals
            .borrow_mut()
            .insert(name, Rc::new(RefCell::new(portal)));
        Ok(())
    }

    /// What came whole: Bind, Execute and Sync of a prepared statement.
    pub(super) fn run_prepared(
        &self,
        statement: &str,
        params: Vec<Value>,
        stop: impl Fn() -> Arc<Stop>,
    ) -> Result<Answer<'_>> {
        let prepared = self.statement(statement)?;
        let planned = self.current_plan(&prepared)?;
        let params = self.bound_to(statement, &planned, params)?;
        self.portals.borrow_mut().remove("");
        let parsed = prepared.parsed.clone();
        let parsed = parsed.ok_or_else(|| Error::internal("there is no statement to run"))?;
        self.activity.begins(&parsed.text);
        let once = Once {
            parsed,
            planned,
            params,
        };
        self.once(once, stop)
    }

    /// An error of what `run_prepared` does: its Sync has come too.
    pub(super) fn guarded_end(&self, e: Error) -> Result<Reply> {
        let failed = self.guarded(Err(e));
        self.settle_implicit();
        failed
    }

    /// The parameters, if they are as many as the statement has.
    fn bound_to(
        &self,
        statement: &str,
        planned: &Planned,
        params: Vec<Value>,
    ) -> Result<Vec<Value>> {
        if params.len() != planned.bound.params.len() {
            return Err(Error::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
                    params.len(),
                    planned.bound.params.len()
                ),
            ));
        }
        self.looked_up(params, &planned.bound.params)
    }

    /// Parameters that are names of something in the catalog.
    fn looked_up(&self, mut params: Vec<Value>, types: &[DataType]) -> Result<Vec<Value>> {
        if !types.iter().any(|t| t.is_named()) {
            return Ok(params);
        }
        let ctx = self.context(Vec::new());
        for (param, ty) in params.iter_mut().zip(types) {
            let given = std::mem::take(param);
            *param = match given {
                Value::Text(_) if ty.is_named() => {
                    cast::cast(given, DataType::Text, *ty, -1, false, &ctx)?
                }
                given => ctx.catalog.from_labels(given, *ty, &ctx)?,
            };
        }
        Ok(params)
    }

    pub(super) fn describe_portal(&self, name: &str) -> Result<Reply> {
        let columns = match self.cursors.borrow().get(name) {
            Some(cursor) => Some(cursor.columns.clone()),
            None => self.portal(name)?.borrow().planned.bound.columns.clone(),
        };
        Ok(Reply::Portal { columns })
    }

    pub(super) fn execute(&self, name: &str, rows_max: u32, stop: Arc<Stop>) -> Result<Reply> {
        let rows_max = (rows_max > 0).then_some(u64::from(rows_max));
        let session = self.this()?;
        let cursor = self.cursors.borrow().get(name).cloned();
        let execution = match cursor {
            Some(cursor) => Execution::cursor(session, cursor, rows_max, stop),
            None => {
                let portal = self.portal(name)?;
                if let Some(parsed) = &portal.borrow().parsed {
                    self.activity.begins(&parsed.text);
                }
                Execution::portal(session, portal, rows_max, stop)
            }
        };
        Ok(Reply::Results(Box::new(execution)))
    }

    fn portal(&self, name: &str) -> Result<Rc<RefCell<Portal>>> {
        self.portals.borrow().get(name).cloned().ok_or_else(|| {
            Error::new(
                SqlState::INVALID_CURSOR_NAME,
                format!("portal \"{name}\" does not exist"),
            )
        })
    }

    /// Ends the implicit transaction.
    pub(super) async fn sync(&self, stop: &Arc<Stop>) -> Result<()> {
        let implicit = !self.block.borrow().is_explicit();
        if implicit {
            let committed = self.commit_block(stop).await;
            if self.has_assigned() {
                let told = self.end_assigned(committed.is_ok());
                self.told.borrow_mut().extend(told);
            }
            committed?;
        }
        Ok(())
    }
}

/// What drivers know by its routine: they prepare the statement again.
pub(super) fn changed_rows() -> Error {
    Error::unsupported("cached plan must not change result type")
        .from_routine("RevalidateCachedQuery")
}

/// Whether clients would be told of the same columns, whatever table they are of now.
pub(super) fn same_rows(a: &Planned, b: &Planned) -> bool {
    fn told(c: &Column) -> (&str, DataType, i32) {
        (&c.name, c.ty, c.typmod)
    }
    match (&a.bound.columns, &b.bound.columns) {
        (Some(a), Some(b)) => a.iter().map(told).eq(b.iter().map(told)),
        (a, b) => a.is_none() && b.is_none(),
    }
}

impl Planned {
    /// Those that its parameters were given, to plan it again.
    pub fn types(&self) -> Vec<Option<DataType>> {
        self.bound.params.iter().map(|t| Some(*t)).collect()
    }

    /// Of a statement with nothing in it.
    pub fn empty() -> Planned {
        let bound = sql::Bound {
            statement: sql::Statement::Nothing { tag: "" },
            params: [].into(),
            columns: None,
        };
        Planned::new(0, None, None, bound, Duration::ZERO)
    }

    pub(super) fn new(
        version: u64,
        own: Option<(Xid, u32)>,
        parsed: Option<Rc<Parsed>>,
        bound: sql::Bound,
        took: Duration,
    ) -> Planned {
        Planned {
            calls: bound.statement.calls(),
            point: Point::of(&bound.statement),
            row_counts: RowCounts::of(&bound.statement),
            edit: None,
            took,
            version,
            own,
            path: Rc::default(),
            parsed,
            bound,
        }
    }
}
