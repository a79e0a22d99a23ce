//! Running a trigger's program for one row.
//!
//! Owns: the values of NEW, OLD and the variables, which are the parameters of what runs. Never: catches an error; it ends the
//! statement. Each error says where it was, as PostgreSQL's CONTEXT does.
//! Source: PostgreSQL 15, `pl_exec.c`.

use super::{Armed, Sides};
use crate::router::modify::{WriteEnv, first_of};
use crate::router::{Router, references, said_in};
use engine::catalog::Table;
use engine::catalog::triggers::Event;
use engine::exec::Context;
use engine::exec::eval::{self, Env};
use engine::exec::operators::{Stash, open_in_place};
use engine::plan::Query;
use futures_util::future::LocalBoxFuture;
use sql::Statement;
use sql::trigger::{
    Act, Branch, Checked, Computed, Level, Place, Program, Raise, RaiseOption, Returned, Run, Side,
    Step, given, state,
};
use std::sync::Arc;
use types::{DataType, Error, Result, Row, SqlState, Value, text};

/// A trigger that is called, and for what.
pub(super) struct Called<'a> {
    pub armed: &'a Armed,
    pub table: &'a Arc<Table>,
    pub event: Event,
}

struct Machine<'a> {
    router: &'a Router,
    env: &'a WriteEnv,
    program: &'a Program,
    /// Its parameters are the slots.
    ctx: Arc<Context>,
}

enum Flow {
    On,
    Returned(Returned),
}

/// The slots of NEW and OLD; NULLs for one that the event has not.
pub(super) fn rows(table: &Table, sides: Sides<'_>) -> Vec<Value> {
    let width = table.columns.len();
    let mut out = Vec::with_capacity(2 * width + 16);
    for side in [sides.new, sides.old] {
        let end = out.len() + width;
        out.extend(side.into_iter().flatten().take(width).cloned());
        out.resize(end, Value::Null);
    }
    out
}

impl Router {
    /// What the function returns: a row, or nothing.
    pub(super) async fn call_trigger(
        &self,
        env: &WriteEnv,
        called: Called<'_>,
        sides: Sides<'_>,
    ) -> Result<Option<Row>> {
        env.by.stop.check()?;
        runtime::yield_if_needed().await;
        env.source.deep.one_more()?;
        let program = &called.armed.program;
        let mut params = rows(called.table, sides);
        params.push(Value::Bool(false));
        params.extend(given(
            &called.armed.trigger,
            called.table,
            called.event.name(),
        ));
        params.resize(
            program.slots.variables() + program.variables.len(),
            Value::Null,
        );
        let ctx = Context {
            params,
            triggers_deep: env.source.deep.triggers as i32 + 1,
            ..Context::clone(&env.ctx)
        };
        let mut machine = Machine {
            router: self,
            env,
            program,
            ctx: Arc::new(ctx),
        };
        let returned = Box::pin(machine.run()).await?;
        let of = |side: Side| match side {
            Side::New => sides.new.map(|_| machine.side(Side::New)),
            Side::Old => sides.old.map(|_| machine.side(Side::Old)),
        };
        Ok(match returned {
            Returned::Null => None,
            Returned::Row(side) => of(side),
            Returned::Either(first, second) => of(first).or_else(|| of(second)),
        })
    }

    /// A statement inside of another: what is owed so far waits until it has settled its own.
    pub(in crate::router) async fn change_within(
        &self,
        env: &WriteEnv,
        statement: &Statement,
    ) -> Result<(u64, Option<Stash>)> {
        let _around = references::SetAside::of(&env.txn);
        let waiting = env.txn.triggers.rows.take();
        let out = self.change(env, statement).await?;
        self.settle_references(env).await?;
        self.fire_after(env).await?;
        env.txn.triggers.rows.replace(waiting);
        Ok((out.count, out.rows))
    }
}

impl Machine<'_> {
    fn side(&self, side: Side) -> Row {
        let slots = match side {
            Side::New => self.program.slots.new_row(),
            Side::Old => self.program.slots.old_row(),
        };
        self.ctx.params.get(slots).unwrap_or_default().to_vec()
    }

    async fn run(&mut self) -> Result<Returned> {
        let program = self.program;
        for variable in &program.variables {
            if let Some(default) = &variable.default {
                let value = match checked(default) {
                    Ok(computed) => self.value(computed).await,
                    Err(e) => Err(e),
                };
                let put = value.and_then(|value| self.put(&variable.to, value));
                put.map_err(|e| {
                    self.at(
                        e,
                        variable.line,
                        "during statement block local variable initialization",
                    )
                })?;
            }
        }
        match self.steps(&program.steps).await? {
            Flow::Returned(returned) => Ok(returned),
            Flow::On => Err(Error::new(
                SqlState::FUNCTION_EXECUTED_NO_RETURN_STATEMENT,
                "control reached end of trigger procedure without RETURN",
            )
            .with_context(format!("PL/pgSQL function {}()", program.function))),
        }
    }

    fn steps<'b>(&'b mut self, steps: &'b [Step]) -> LocalBoxFuture<'b, Result<Flow>> {
        Box::pin(async move {
            for step in steps {
                if let Flow::Returned(returned) = self.step(step).await? {
                    return Ok(Flow::Returned(returned));
                }
            }
            Ok(Flow::On)
        })
    }

    async fn step(&mut self, step: &Step) -> Result<Flow> {
        let line = step.line;
        match &step.act {
            Act::Nothing => {}
            Act::Return(returned) => return Ok(Flow::Returned(*returned)),
            Act::Assign { to, shown } => {
                let done = self.assign(to, shown).await;
                done.map_err(|e| self.at(e, line, "at assignment"))?;
            }
            Act::If {
                branches,
                otherwise,
            } => {
                for branch in branches {
                    if self.is_true(branch, line).await? {
                        return self.steps(&branch.steps).await;
                    }
                }
                return self.steps(otherwise).await;
            }
            Act::Raise(raise) => {
                let done = self.raise(raise).await;
                done.map_err(|e| self.at(e, line, "at RAISE"))?;
            }
            Act::Run {
                statement,
                shown,
                perform,
            } => {
                let what = match perform {
                    true => "at PERFORM",
                    false => "at SQL statement",
                };
                let run = checked(statement).map_err(|e| self.at(e, line, what))?;
                let done = self.statement(run, *perform).await;
                done.map_err(|e| {
                    let e = said_in(e, format!("SQL statement \"{shown}\""));
                    self.at(e, line, what)
                })?;
            }
        }
        Ok(Flow::On)
    }

    async fn assign(&mut self, to: &Checked<(Place, Computed)>, shown: &str) -> Result<()> {
        let (place, computed) = checked(to)?;
        let value = self.value(computed).await;
        let value = value.map_err(|e| said_in(e, format!("PL/pgSQL assignment \"{shown}\"")))?;
        self.put(place, value)
    }

    async fn is_true(&self, branch: &Branch, line: u64) -> Result<bool> {
        let value = match checked(&branch.condition) {
            Ok(computed) => self.value(computed).await,
            Err(e) => Err(e),
        };
        let value = value.map_err(|e| {
            let e = said_in(e, format!("SQL expression \"{}\"", branch.shown));
            self.at(e, line, "at IF")
        })?;
        Ok(value == Value::Bool(true))
    }

    async fn value(&self, computed: &Computed) -> Result<Value> {
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

    fn put(&mut self, to: &Place, value: Value) -> Result<()> {
        if to.not_null && value.is_null() {
            return Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                format!(
                    "null value cannot be assigned to variable \"{}\" declared NOT NULL",
                    to.name
                ),
            ));
        }
        // Nobody else has them now: a statement that had is done.
        if let Some(slot) = Arc::make_mut(&mut self.ctx).params.get_mut(to.slot) {
            *slot = value;
        }
        Ok(())
    }

    fn found(&mut self, found: bool) {
        let slot = self.program.slots.found();
        if let Some(slot) = Arc::make_mut(&mut self.ctx).params.get_mut(slot) {
            *slot = Value::Bool(found);
        }
    }

    /// At most so many rows of a query, which is run no further.
    async fn first_rows(&self, query: &Query, most: usize) -> Result<Vec<Row>> {
        let env = self.env.in_trigger(self.ctx.clone());
        let mut source = open_in_place(&query.plan, &env.exec)?;
        let mut out = Vec::new();
        while out.len() < most
            && let Some(batch) = source.next().await?
        {
            out.extend(batch.rows.into_iter().take(most - out.len()));
        }
        Ok(out)
    }

    async fn statement(&mut self, run: &Run, perform: bool) -> Result<()> {
        let most = if run.strict { 2 } else { 1 };
        let (found, rows) = match &run.statement {
            Statement::Query(query) if perform => {
                let env = self.env.in_trigger(self.ctx.clone());
                let mut source = open_in_place(&query.plan, &env.exec)?;
                let mut found = false;
                while let Some(batch) = source.next().await? {
                    found |= !batch.is_empty();
                }
                (found, Vec::new())
            }
            Statement::Query(query) => {
                let rows = self.first_rows(query, most).await?;
                (!rows.is_empty(), rows)
            }
            change => {
                let env = self.env.in_trigger(self.ctx.clone());
                let (count, rows) = self.router.change_within(&env, change).await?;
                (count > 0, first_of(rows, most).await?)
            }
        };
        self.found(found);
        let Some(into) = &run.into else {
            return Ok(());
        };
        if run.strict && rows.len() != 1 {
            return Err(match rows.len() {
                0 => Error::new(SqlState::NO_DATA_FOUND, "query returned no rows"),
                _ => Error::new(SqlState::TOO_MANY_ROWS, "query returned more than one row")
                    .with_hint("Make sure the query returns a single row, or use LIMIT 1."),
            });
        }
        let row = rows.into_iter().next();
        for (place, value) in into {
            let value = match &row {
                Some(row) => eval::eval(value, row, &self.within())?,
                None => Value::Null,
            };
            self.put(place, value)?;
        }
        Ok(())
    }

    async fn raise(&self, raise: &Raise) -> Result<()> {
        let mut message = None;
        if let Some(format) = &raise.format {
            let mut args = Vec::with_capacity(raise.args.len());
            for arg in &raise.args {
                args.push(self.shown(checked(arg)?).await?);
            }
            message = Some(filled(format, args));
        }
        let mut code = raise.condition.as_ref().map(|(_, code)| *code);
        let mut options = Vec::new();
        for (option, value) in &raise.options {
            let Value::Text(value) = self.value(checked(value)?).await? else {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "RAISE statement option cannot be null",
                ));
            };
            match option {
                RaiseOption::Errcode => code = Some(state(&value)?),
                RaiseOption::Message => message = Some(value.to_string()),
                _ => options.push((*option, value.to_string())),
            }
        }
        let code = code.unwrap_or(match raise.level {
            Level::Exception => SqlState::RAISE_EXCEPTION,
            Level::Warning => SqlState::WARNING,
            Level::Notice => SqlState::SUCCESSFUL_COMPLETION,
        });
        let name = || match &raise.condition {
            Some((name, _)) => name.clone(),
            None => code.to_string(),
        };
        let mut said = Error::new(code, message.unwrap_or_else(name));
        for (option, value) in options {
            said = match option {
                RaiseOption::Detail => said.with_detail(value),
                RaiseOption::Hint => said.with_hint(value),
                RaiseOption::Column => said.with_column(value),
                RaiseOption::Constraint => said.with_constraint(value),
                RaiseOption::Table => said.with_table_name(value),
                RaiseOption::Schema => said.with_schema(value),
                RaiseOption::Errcode | RaiseOption::Message | RaiseOption::Unsent => said,
            };
        }
        match raise.level {
            Level::Exception => return Err(said),
            Level::Warning | Level::Notice => self.env.source.notices.say(said),
        }
        Ok(())
    }

    /// As RAISE prints a value.
    async fn shown(&self, computed: &Computed) -> Result<String> {
        let value = self.value(computed).await?;
        Ok(match value {
            Value::Null => "<NULL>".into(),
            value => printed(&value, computed.ty(), &self.ctx),
        })
    }

    /// With the place of a statement.
    fn at(&self, e: Error, line: u64, what: &str) -> Error {
        said_in(
            e,
            format!(
                "PL/pgSQL function {}() line {line} {what}",
                self.program.function
            ),
        )
    }
}

fn printed(value: &Value, ty: DataType, ctx: &Context) -> String {
    text::to_string(value, ty, &ctx.session.forms)
}

/// The format with an argument for each `%`, and `%%` for one.
fn filled(format: &str, args: Vec<String>) -> String {
    let mut out = String::with_capacity(format.len());
    let mut args = args.into_iter();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '%' if rest.peek() == Some(&'%') => {
                rest.next();
                out.push('%');
            }
            '%' => out.push_str(&args.next().unwrap_or_default()),
            c => out.push(c),
        }
    }
    out
}

fn checked<T>(bound: &Checked<T>) -> Result<&T> {
    bound.as_ref().map_err(Error::clone)
}
