//! Running a program in PL/pgSQL: of a trigger, a function, a procedure or DO.
//!
//! Owns: the values of the variables, which are the parameters of what runs, and the way from statement to statement. Asked by:
//! `triggers`, `functions`, and session for DO. Never: reads a body (`sql::program` has). Each error says where it was, as PostgreSQL's
//! CONTEXT does.
//! Bounds: `Deep`; each turn of a loop looks at the deadline; rows that a program gathers go to temporary files when they outgrow
//! the statement's memory. Source: PostgreSQL 15, `pl_exec.c`.

mod block;
mod execute;
mod flow;
mod loops;
mod put;
mod raise;
mod returned;
mod statement;

use super::host::Host;
use super::modify::WriteEnv;
use super::scan::TxnSource;
use super::{Deep, Router, Txn, said_in};
use engine::exec::Context;
use engine::exec::eval::{self, Env};
use engine::exec::operators::{Exec, Stash, open_in_place};
use engine::plan::Query;
use sql::BindEnv;
use sql::program::{Computed, Moment, Program, Settings, Shape, Side, Text, Use};
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, Row, SqlState, Value};

/// What a program runs in.
pub(super) struct Scene<'a> {
    pub router: &'a Router,
    pub source: &'a TxnSource,
    pub exec: &'a Rc<Exec>,
    pub txn: &'a Rc<Txn>,
    /// Of the statement around, where that does not see what it writes.
    pub apart: u32,
    /// Of what it runs.
    pub deep: Deep,
    /// Its statements see what has been done until then.
    pub volatile: bool,
    /// It has settings of its own, which are not the session's.
    pub settled: bool,
}

pub(super) struct Machine<'a> {
    scene: Scene<'a>,
    program: &'a Program,
    /// Its parameters are the slots.
    ctx: Arc<Context>,
    settings: Rc<Settings>,
    /// By the numbers of variables.
    shapes: Vec<Option<Rc<Shape>>>,
    /// Errors that handlers are about, the innermost last.
    caught: Vec<Error>,
    row_count: u64,
    /// Whether there are NEW and OLD.
    has: (bool, bool),
    /// What RETURN NEXT and RETURN QUERY give.
    rows: Option<&'a mut Stash>,
}

/// Where a program goes on.
enum Flow {
    On,
    Returned(Gave),
    /// EXIT and CONTINUE, of the loop or block with that label.
    Leave {
        exit: bool,
        label: Option<String>,
    },
}

/// What RETURN gives.
pub(super) enum Gave {
    /// Control has reached the end.
    End,
    Nothing,
    Side(Side),
    Value(Value),
}

impl<'a> Machine<'a> {
    /// `ctx`: with the values of slots, those that are given; the others are NULL.
    pub(super) fn new(
        scene: Scene<'a>,
        program: &'a Program,
        mut ctx: Context,
        rows: Option<&'a mut Stash>,
    ) -> Machine<'a> {
        ctx.params.resize(program.slots(), Value::Null);
        Machine {
            scene,
            program,
            ctx: Arc::new(ctx),
            settings: program.settings.clone(),
            shapes: vec![None; program.variables.len()],
            caught: Vec::new(),
            row_count: 0,
            has: (false, false),
            rows,
        }
    }

    /// Whether the event has NEW and OLD.
    pub(super) fn has(&mut self, new: bool, old: bool) {
        self.has = (new, old);
    }

    pub(super) async fn run(&mut self) -> Result<Gave> {
        let program = self.program;
        self.now();
        match self.block(&program.body.block).await? {
            Flow::Returned(gave) => Ok(gave),
            Flow::On | Flow::Leave { .. } => Ok(Gave::End),
        }
    }

    /// The values of NEW or OLD.
    pub(super) fn side(&self, side: Side) -> Row {
        let slots = self.program.side(side);
        self.ctx.params.get(slots).unwrap_or_default().to_vec()
    }

    fn host(&self) -> Result<&Rc<dyn Host>> {
        let host = self.scene.source.host.as_ref();
        host.ok_or_else(|| Error::internal("there is no session"))
    }

    /// What has been defined and set until now is there.
    fn now(&mut self) {
        if !self.scene.volatile {
            return;
        }
        let Some(host) = &self.scene.source.host else {
            return;
        };
        let (catalog, session) = host.now();
        let same = Arc::ptr_eq(&catalog, &self.ctx.catalog);
        let set = !self.scene.settled && !Arc::ptr_eq(&session, &self.ctx.session);
        if same && !set {
            return;
        }
        let ctx = Arc::make_mut(&mut self.ctx);
        ctx.catalog = catalog;
        if set {
            ctx.session = session;
        }
        self.settings = Rc::new(Settings::of(ctx));
    }

    fn moment(&self) -> Moment<'_> {
        Moment {
            env: BindEnv {
                catalog: &self.ctx.catalog,
                param_types: &[],
                context: &self.ctx,
                rows: &[],
            },
            settings: &self.settings,
            shapes: &self.shapes,
        }
    }

    /// What a statement works in.
    fn env(&self, ctx: Arc<Context>) -> WriteEnv {
        let Scene {
            source, exec, txn, ..
        } = &self.scene;
        let (apart, deep) = (self.scene.apart, self.scene.deep);
        if self.scene.volatile {
            return WriteEnv::inside(txn, source, exec, (ctx, apart, deep));
        }
        let within = source.within(source.txn.clone(), source.snapshot.clone(), deep);
        let within = Rc::new(within);
        WriteEnv {
            txn: Rc::clone(txn),
            by: source.txn.clone(),
            exec: Rc::new(exec.within(ctx.clone(), within.clone())),
            ctx,
            source: within,
            fuse: false,
        }
    }

    /// Whether it may go on; others may, if it is time.
    async fn turn(&self) -> Result<()> {
        self.scene.source.txn.stop.check()?;
        runtime::yield_if_needed().await;
        Ok(())
    }

    async fn value(&self, text: &Text, used: Use<'_>) -> Result<Value> {
        let computed = self.program.value(text, used, &self.moment())?;
        self.computed(&computed).await
    }

    async fn computed(&self, computed: &Computed) -> Result<Value> {
        let (query, over) = match computed {
            Computed::Expr(e) => return eval::eval(e, &[], &self.within()),
            Computed::Query { query, value } => (query, value),
        };
        let mut found = self.first_rows(query, 2).await?;
        if found.len() > 1 {
            return Err(Error::new(
                SqlState::CARDINALITY_VIOLATION,
                "query returned more than one row",
            ));
        }
        match found.pop() {
            Some(row) => eval::eval(over, &row, &self.within()),
            None => Ok(Value::Null),
        }
    }

    fn within(&self) -> Env<'_> {
        Env {
            ctx: &self.ctx,
            outer: &[],
        }
    }

    /// At most so many rows of a query, which is run no further.
    async fn first_rows(&self, query: &Query, most: usize) -> Result<Vec<Row>> {
        let env = self.env(self.ctx.clone());
        let mut source = open_in_place(&query.plan, &env.exec)?;
        let mut out = Vec::new();
        while out.len() < most
            && let Some(batch) = source.next().await?
        {
            out.extend(batch.rows.into_iter().take(most - out.len()));
        }
        Ok(out)
    }

    /// With the place of a statement.
    fn at(&self, e: Error, line: u64, what: &str) -> Error {
        said_in(
            e,
            format!(
                "PL/pgSQL function {} line {line} {what}",
                self.program.shown
            ),
        )
    }
}

impl Router {
    /// DO: a body of nothing but statements.
    pub async fn run_block(&self, env: &WriteEnv, text: &str) -> Result<()> {
        env.by.stop.check()?;
        env.source.deep.one_more()?;
        let ctx = Context {
            params: vec![Value::Bool(false)],
            ..Context::clone(&env.ctx)
        };
        let bind = BindEnv {
            catalog: &ctx.catalog,
            param_types: &[],
            context: &ctx,
            rows: &[],
        };
        let program = sql::program::compile_block(text, &bind)?;
        let scene = Scene {
            router: self,
            source: &env.source,
            exec: &env.exec,
            txn: &env.txn,
            apart: env.by.apart,
            deep: env.source.deep.in_function(),
            volatile: true,
            settled: false,
        };
        Box::pin(Machine::new(scene, &program, ctx, None).run()).await?;
        Ok(())
    }
}
