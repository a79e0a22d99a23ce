//! Calls of functions: the statements of one in SQL, one after the other, in the transaction of whoever calls; the program of one in
//! PL/pgSQL (`machine`).
//!
//! Owns: what a call gives of its last statement, and where an error was. A volatile function's statements see what has been done until
//! then, as those of triggers do; another's see what the calling statement sees, and change nothing. Asked by: `TxnSource`. Never: reads a
//! body (`sql::routine` has bound it).
//! Bounds: `Deep`; rows that a call returns are counted to the statement's memory, and go to temporary files from there.
//! Source: PostgreSQL 15, `functions.c` (`fmgr_sql`).

use super::machine::{Machine, Scene};
use super::modify::{WriteEnv, first_of};
use super::scan::TxnSource;
use engine::catalog::{Function, path};
use engine::exec::Context;
use engine::exec::operators::stash::Stashed;
use engine::exec::operators::{Called, Exec, RowSource, Rows, Stash, open_in_place};
use engine::plan::FunctionCall;
use sql::program::{self, Program};
use sql::routine::{self, Routine};
use sql::{BindEnv, Statement};
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, Row, SqlState, Value};

impl TxnSource {
    pub(super) async fn called(
        &self,
        call: &FunctionCall,
        args: Row,
        exec: &Rc<Exec>,
    ) -> Result<Called> {
        self.txn.stop.check()?;
        runtime::yield_if_needed().await;
        self.deep.one_more()?;
        let f = exec.ctx.catalog.function(call.function);
        let f = f.ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function with OID {} does not exist", call.function),
            )
        })?;
        if f.is_program() {
            return Box::pin(self.programmed(&f, call, args, exec)).await;
        }
        let mut rows = Stash::new(exec, "Function Scan");
        if !f.strict || !args.iter().any(Value::is_null) {
            let ctx = path::set(&exec.ctx, &f.settings);
            let ctx = Context {
                params: args,
                ..ctx.unwrap_or_else(|| Context::clone(&exec.ctx))
            };
            Box::pin(self.run(&f, call.set, Arc::new(ctx), exec, &mut rows)).await?;
        }
        if call.set {
            rows.seal().await?;
            return Ok(Called::Rows(Box::new(rows)));
        }
        let first = first_of(Some(rows), 1).await?.pop();
        Ok(Called::One(
            first.unwrap_or_else(|| vec![Value::Null; call.types.len()]),
        ))
    }

    /// A call of one in PL/pgSQL.
    async fn programmed(
        &self,
        f: &Function,
        call: &FunctionCall,
        args: Row,
        exec: &Rc<Exec>,
    ) -> Result<Called> {
        let mut rows = Stash::new(exec, "Function Scan");
        let nothing = f.strict && args.iter().any(Value::is_null);
        if nothing && call.set {
            rows.seal().await?;
            return Ok(Called::Rows(Box::new(rows)));
        }
        if nothing {
            return Ok(Called::One(vec![Value::Null; call.types.len()]));
        }
        let ctx = path::set(&exec.ctx, &f.settings);
        let ctx = ctx.unwrap_or_else(|| Context::clone(&exec.ctx));
        let bind = || compiled(f, &ctx);
        let program = self.router.functions.under(&ctx, f.oid, bind)?;
        let ctx = Context {
            params: slots_of(f, args),
            ..ctx
        };
        let scene = Scene {
            router: &self.router,
            source: self,
            exec,
            txn: &self.owner,
            apart: self.txn.apart,
            deep: self.deep.in_function(),
            volatile: f.volatility == 'v',
            settled: !f.settings.is_empty(),
        };
        let mut machine = Machine::new(scene, &program, ctx, call.set.then_some(&mut rows));
        let gave = Box::pin(machine.run()).await?;
        if call.set {
            drop(machine);
            rows.seal().await?;
            return Ok(Called::Rows(Box::new(rows)));
        }
        machine.result(gave).map(Called::One)
    }

    /// All statements; of the last one's rows all or the first are kept.
    async fn run(
        &self,
        f: &Function,
        all: bool,
        ctx: Arc<Context>,
        exec: &Rc<Exec>,
        out: &mut Stash,
    ) -> Result<()> {
        let bound = self.router.routines.under(&ctx, f.oid, || bind(f, &ctx));
        let routine = bound.map_err(|e| said_in(e, f, "during startup"))?;
        for (at, statement) in routine.statements.iter().enumerate() {
            let last = at + 1 == routine.statements.len() && !routine.outputs.is_empty();
            let env = self.inside(exec, ctx.clone(), f.volatility == 'v');
            let kept = last.then_some((&*routine, all, &mut *out));
            let done = self.statement(&env, statement, kept).await;
            done.map_err(|e| said_in(e, f, &format!("statement {}", at + 1)))?;
        }
        Ok(())
    }

    /// What a statement of a function works in.
    fn inside(&self, exec: &Rc<Exec>, ctx: Arc<Context>, volatile: bool) -> WriteEnv {
        let deep = self.deep.in_function();
        if volatile {
            return WriteEnv::inside(&self.owner, self, exec, (ctx, self.txn.apart, deep));
        }
        let source = Rc::new(self.within(self.txn.clone(), self.snapshot.clone(), deep));
        WriteEnv {
            txn: self.owner.clone(),
            by: self.txn.clone(),
            exec: Rc::new(exec.within(ctx.clone(), source.clone())),
            ctx,
            source,
            fuse: false,
        }
    }

    async fn statement(
        &self,
        env: &WriteEnv,
        statement: &Statement,
        kept: Option<(&Routine, bool, &mut Stash)>,
    ) -> Result<()> {
        let mut rows: Box<dyn RowSource> = match statement {
            Statement::Query(query) => open_in_place(&query.plan, &env.exec)?,
            change => {
                self.may_change(change)?;
                // Apart, as its state is large and calls go deep.
                let (_, rows) = Box::pin(self.router.change_within(env, change)).await?;
                let Some(mut rows) = rows else { return Ok(()) };
                rows.seal().await?;
                Box::new(Stashed::new(Rc::new(rows)))
            }
        };
        let Some((routine, all, out)) = kept else {
            while rows.next().await?.is_some() {}
            return Ok(());
        };
        let outputs = Rows::new(Some(&routine.outputs), &env.exec);
        while let Some(batch) = rows.next().await? {
            for row in batch.rows {
                if all || out.is_empty() {
                    out.push(outputs.over(row).await?).await?;
                }
            }
        }
        Ok(())
    }

    fn may_change(&self, change: &Statement) -> Result<()> {
        if !self.read_only {
            return Ok(());
        }
        Err(Error::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!(
                "cannot execute {} in a read-only transaction",
                change.verb()
            ),
        ))
    }
}

fn bind(f: &Function, ctx: &Context) -> Result<Routine> {
    let env = BindEnv {
        catalog: &ctx.catalog,
        param_types: &[],
        context: ctx,
        rows: &[],
    };
    let routine = routine::compile(f, &env, false)?;
    let change = routine.statements.iter().find(|s| s.changes_rows());
    match change.map(Statement::verb) {
        Some(verb) if f.volatility != 'v' => Err(Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{verb} is not allowed in a non-volatile function"),
        )),
        _ => Ok(routine),
    }
}

fn compiled(f: &Function, ctx: &Context) -> Result<Program> {
    let env = BindEnv {
        catalog: &ctx.catalog,
        param_types: &[],
        context: ctx,
        rows: &[],
    };
    program::compile(f, &env).map_err(|e| {
        let place = format!("compilation of PL/pgSQL function \"{}\"", f.name);
        super::said_in(e, place)
    })
}

/// FOUND, and the arguments in their places among all that the body has names for.
fn slots_of(f: &Function, args: Row) -> Vec<Value> {
    let mut args = args.into_iter();
    let all = f.parameters();
    let value = |mode: char| match mode {
        'o' | 't' => Value::Null,
        _ => args.next().unwrap_or(Value::Null),
    };
    let found = std::iter::once(Value::Bool(false));
    found.chain(all.iter().map(|a| a.mode).map(value)).collect()
}

fn said_in(e: Error, f: &Function, place: &str) -> Error {
    super::said_in(e, format!("SQL function \"{}\" {place}", f.name))
}
