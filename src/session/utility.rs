//! Statements that neither read nor write a table's rows: transactions, settings, definitions, maintenance.

use super::Session;
use super::copy::{CopyIn, CopyOut};
use super::statement::{Started, Work, start_query};
use crate::router::DefineEnv;
use crate::router::modify::Outcome;
use crate::telemetry::StatementKind;
use engine::catalog::Table;
use engine::exec::Context;
use engine::exec::eval::{self, Env};
use engine::exec::operators::open_in_place;
use engine::plan::{Ddl, Expr, QualifiedName, Query};
use engine::shard::call::PartitionCall;
use engine::shard::{Reply, ShardCall};
use engine::txn::Stop;
use sql::{CopyOptions, Discard, Parsed, Statement};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Column, DataType, Error, Result, Row, RowBatch, SqlState, TreeId, Value};

/// A prepared statement with the types and the values of its parameters.
pub(super) type WithParameters = (Rc<Parsed>, Vec<Option<DataType>>, Vec<Value>);

impl Session {
    /// What needs no transaction. `None`: it needs one.
    pub(super) async fn without_transaction(
        &self,
        statement: &Statement,
        ctx: &Context,
        stop: &Arc<Stop>,
    ) -> Result<Option<Started>> {
        Ok(Some(match statement {
            Statement::Begin {
                start,
                isolation,
                read_only,
            } => {
                let warning = self.begin_block(*isolation, *read_only)?;
                ended(begun(*start), warning)
            }
            Statement::Commit { chain } => {
                let next = self.chained("COMMIT", *chain)?;
                let warning = self.no_block();
                let outcome = self.commit_block(stop).await;
                if outcome.is_err() {
                    self.end_assigned(false);
                }
                let ended = self.block_ended(outcome?, warning);
                self.begin_chained(next)?;
                ended
            }
            Statement::Rollback { chain } => {
                let next = self.chained("ROLLBACK", *chain)?;
                let warning = self.no_block();
                self.rollback_block();
                let ended = self.block_ended("ROLLBACK", warning);
                self.begin_chained(next)?;
                ended
            }
            Statement::Savepoint { name } => {
                self.savepoint(name)?;
                ended("SAVEPOINT", None)
            }
            Statement::Release { name } => {
                self.release(name)?;
                ended("RELEASE", None)
            }
            Statement::RollbackTo { name } => {
                let parameters = self.rollback_to(name).await?;
                match parameters.is_empty() {
                    true => ended("ROLLBACK", None),
                    false => Started::Told {
                        parameters,
                        tag: "ROLLBACK".into(),
                    },
                }
            }
            Statement::Fetch { name, way, moves } => {
                if self.block.borrow().is_failed() {
                    return Err(super::transaction::aborted());
                }
                self.fetch(name, *way, *moves, stop).await?
            }
            Statement::Close { name } => self.close(name.as_deref())?,
            Statement::SetTransaction {
                isolation,
                read_only,
                session,
            } => {
                if *session {
                    let isolation = isolation.map(sql::Isolation::name);
                    let read_only = read_only.map(|on| if on { "on" } else { "off" });
                    for (name, value) in [
                        ("default_transaction_isolation", isolation),
                        ("default_transaction_read_only", read_only),
                    ] {
                        if value.is_some() {
                            self.assign(name, value, false)?;
                        }
                    }
                    return Ok(Some(ended("SET", None)));
                }
                ended("SET", self.set_transaction(*isolation, *read_only)?)
            }
            Statement::Set { name, value, local } => self.set(name, value.as_deref(), *local)?,
            Statement::Reset { name } => {
                let parameters = match name {
                    Some(name) => self.assign(name, None, false)?.0,
                    None => {
                        let told = self.settings.borrow_mut().reset_all()?;
                        self.settings_changed();
                        told
                    }
                };
                Started::Told {
                    parameters,
                    tag: "RESET".into(),
                }
            }
            Statement::Show { name } => self.show(name)?,
            Statement::Discard(what) => {
                let told = self.discard(*what, stop).await?;
                if *what == Discard::All {
                    self.advisory.give_all().await;
                }
                told
            }
            Statement::Deallocate { name } => self.deallocate(name.as_deref())?,
            Statement::Prepare { name, types, text } => {
                let mut parsed = sql::parse(text)?;
                let types = types.iter().map(|t| Some(*t)).collect();
                let mut prepared = self.prepare(parsed.pop(), types)?;
                prepared.from_sql = true;
                self.store_statement(name.clone(), prepared)?;
                ended("PREPARE", None)
            }
            Statement::Nothing { tag } => ended(tag, None),
            Statement::Vacuum { tables, analyze } => {
                let done = self.vacuum(tables, ctx).await?;
                if *analyze {
                    // What is left of it runs in a transaction.
                    return Ok(None);
                }
                done
            }
            Statement::Checkpoint => {
                self.node.router.ask_all(|| ShardCall::Checkpoint).await?;
                ended("CHECKPOINT", None)
            }
            Statement::Ddl(
                ddl @ Ddl::CreateIndex {
                    concurrently: true, ..
                },
            ) => self.build_index(statement, ddl, stop).await?,
            Statement::Backup { name, base } => self.backup(name, base.as_deref(), stop).await?,
            _ => return Ok(None),
        }))
    }

    fn no_block(&self) -> Option<Error> {
        (!self.block.borrow().is_explicit()).then(|| {
            Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "there is no transaction in progress",
            )
        })
    }

    /// The rest, inside a transaction.
    pub(super) async fn utility(
        &self,
        statement: &Statement,
        took: Duration,
        work: &Work<'_>,
    ) -> Result<Started> {
        match statement {
            Statement::Analyze { tables } => self.analyze(tables, "ANALYZE", work).await,
            Statement::Vacuum { tables, .. } => self.analyze(tables, "VACUUM", work).await,
            Statement::Ddl(ddl) => {
                self.may_define(ddl)?;
                self.define(ddl, work).await.map(|(started, _)| started)
            }
            Statement::Fill { ddl, query } => self.fill(ddl, query, work).await,
            Statement::Explain { statement, options } => {
                self.explain(statement, *options, took, work).await
            }
            Statement::SetConstraints { names, deferred } => {
                self.set_constraints(names, *deferred, work).await
            }
            Statement::CopyFrom {
                table,
                columns,
                filter,
                options,
            } => self.copy_in((table, columns), filter.as_ref(), options, work),
            Statement::CopyTo { query, options } => Ok(Started::CopyOut(Box::new(
                CopyOut::start(query, options, work).await?,
            ))),
            Statement::LockTable {
                tables,
                exclusive,
                nowait,
            } => self.lock_tables(tables, *exclusive, *nowait, work).await,
            Statement::Listen { channel } => {
                self.listen(channel);
                Ok(ended("LISTEN", None))
            }
            Statement::Unlisten { channel } => {
                self.unlisten(channel.as_deref());
                Ok(ended("UNLISTEN", None))
            }
            Statement::Notify { channel, text } => {
                self.announcements.add(channel, text, self.key.pid)?;
                Ok(ended("NOTIFY", None))
            }
            Statement::Declare { .. } => self.declare(statement, work).await,
            Statement::Call { query, .. } => self.call(query, work).await,
            Statement::Do { body } => {
                let env = work.write_env();
                Box::pin(self.node.router.run_block(&env, body)).await?;
                Ok(ended("DO", None))
            }
            Statement::ExecutePrepared { name, args } => {
                self.execute_prepared(name, args, work).await
            }
            _ => Err(Error::unsupported("this statement is not supported")),
        }
    }

    fn copy_in(
        &self,
        (table, columns): (&Arc<Table>, &[usize]),
        filter: Option<&Expr>,
        options: &CopyOptions,
        work: &Work<'_>,
    ) -> Result<Started> {
        let fresh = self.block.borrow().is_fresh(table.tree)
            && !table.has_unique_indexes()
            && !work.ctx.catalog.has_triggers(table.id)
            && !table.checks.iter().any(|c| c.calls())
            && table.foreign_keys.is_empty();
        let copy = CopyIn::new(
            self.this()?,
            work,
            table.clone(),
            columns.to_vec(),
            options,
            filter,
            fresh,
        )?;
        Ok(Started::CopyIn(Box::new(copy)))
    }

    /// CALL: a row, where something goes out.
    async fn call(&self, query: &Query, work: &Work<'_>) -> Result<Started> {
        let env = work.write_env();
        let mut rows = open_in_place(&query.plan, &env.exec)?;
        let mut given = RowBatch::new();
        while let Some(batch) = rows.next().await? {
            batch.rows.into_iter().for_each(|row| given.push(row));
        }
        let none = query.columns.is_empty();
        Ok(Started::Done {
            kind: StatementKind::Utility,
            columns: (!none).then(|| query.columns.clone()),
            rows: if none { RowBatch::new() } else { given },
            tag: "CALL".into(),
            notices: Vec::new(),
        })
    }

    /// 25001 for what cannot be a part of a transaction.
    fn may_define(&self, ddl: &Ddl) -> Result<()> {
        let within = self.is_in_transaction_block();
        match ddl.alone().filter(|_| within) {
            Some(what) => Err(in_block(what)),
            None => Ok(()),
        }
    }

    async fn lock_tables(
        &self,
        tables: &[Arc<Table>],
        exclusive: bool,
        nowait: bool,
        work: &Work<'_>,
    ) -> Result<Started> {
        if !self.is_in_transaction_block() {
            return Err(Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "LOCK TABLE can only be used in transaction blocks",
            ));
        }
        let env = work.write_env();
        for table in tables {
            let router = &self.node.router;
            router.hold_table(&env, table, exclusive, nowait).await?;
        }
        Ok(ended("LOCK TABLE", None))
    }

    async fn execute_prepared(
        &self,
        name: &str,
        args: &[Expr],
        work: &Work<'_>,
    ) -> Result<Started> {
        let Some((parsed, types, params)) = self.prepared_with(name, args, work)? else {
            return Ok(ended("EXECUTE", None));
        };
        Box::pin(self.run(&parsed, &types, &params, None, work.alone, work.stop)).await
    }

    /// What EXECUTE executes, with the types and values of its parameters. `None`: it is the empty statement.
    pub(super) fn prepared_with(
        &self,
        name: &str,
        args: &[Expr],
        work: &Work<'_>,
    ) -> Result<Option<WithParameters>> {
        let prepared = self.statement(name)?;
        let wanted = self.current_plan(&prepared)?.bound.params.clone();
        if wanted.len() != args.len() {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .with_detail(format!(
                "Expected {} parameters but got {}.",
                wanted.len(),
                args.len()
            )));
        }
        let mut params = Vec::with_capacity(args.len());
        for (arg, ty) in args.iter().zip(wanted.iter()) {
            let value = eval::eval(
                arg,
                &[],
                &Env {
                    ctx: &work.ctx,
                    outer: &[],
                },
            )?;
            params.push(engine::exec::cast::cast(
                value,
                arg.ty(),
                *ty,
                -1,
                false,
                &work.ctx,
            )?);
        }
        let types = wanted.iter().copied().map(Some).collect();
        Ok(prepared
            .parsed
            .clone()
            .map(|parsed| (parsed, types, params)))
    }

    fn set(&self, name: &str, value: Option<&str>, local: bool) -> Result<Started> {
        Ok(match self.assign(name, value, local)? {
            (_, Some(warning)) => ended("SET", Some(warning)),
            (parameters, None) => Started::Told {
                parameters,
                tag: "SET".into(),
            },
        })
    }

    /// A block has ended: parameters that were set for it are as before.
    fn block_ended(&self, tag: &str, warning: Option<Error>) -> Started {
        let parameters = self.end_assigned(tag == "COMMIT");
        match parameters.is_empty() {
            true => ended(tag, warning),
            false => Started::Told {
                parameters,
                tag: tag.into(),
            },
        }
    }

    pub(super) fn settings_changed(&self) {
        let info = self.node.info(
            &self.hello,
            self.key,
            &self.settings.borrow(),
            self.shown_cursors.borrow().clone(),
        );
        *self.info.borrow_mut() = info;
    }

    fn show(&self, name: &str) -> Result<Started> {
        if name.eq_ignore_ascii_case("all") {
            let row = |(name, value): (String, String)| {
                vec![Value::from(name), Value::from(value), Value::from("")]
            };
            let rows: Vec<Row> = self.settings.borrow().all().into_iter().map(row).collect();
            let column = |n: &str| Column::new(n, DataType::Text);
            return Ok(Started::Done {
                kind: StatementKind::Utility,
                columns: Some(Arc::new(vec![
                    column("name"),
                    column("setting"),
                    column("description"),
                ])),
                rows: rows.into(),
                tag: "SHOW".into(),
                notices: Vec::new(),
            });
        }
        let value = match name.to_ascii_lowercase().as_str() {
            "transaction_isolation" | "transaction isolation level" => self.isolation()?,
            "transaction_read_only" => if self.block.borrow().is_read_only() {
                "on"
            } else {
                "off"
            }
            .into(),
            "time zone" => self.settings.borrow().show("TimeZone")?,
            _ => self.settings.borrow().show(name)?,
        };
        Ok(listing(name, vec![value], "SHOW"))
    }

    async fn discard(&self, what: Discard, stop: &Arc<Stop>) -> Result<Started> {
        let mut told = Vec::new();
        match what {
            Discard::All => {
                if self.is_in_transaction_block() {
                    return Err(in_block("DISCARD ALL"));
                }
                told = self.settings.borrow_mut().reset_all()?;
                self.settings_changed();
                self.prepared.borrow_mut().clear();
                self.portals.borrow_mut().clear();
                self.close_all();
                self.unlisten_now();
                self.sequences.forget();
                self.discard_temporary(stop).await?;
            }
            Discard::Sequences => self.sequences.forget(),
            Discard::Temp => self.discard_temporary(stop).await?,
            // A session keeps no plan of its own.
            Discard::Plans => {}
        }
        Ok(Started::Told {
            parameters: told,
            tag: format!("DISCARD {}", word(what)),
        })
    }

    fn deallocate(&self, name: Option<&str>) -> Result<Started> {
        match name {
            Some(name) => {
                self.statement(name)?;
                self.prepared.borrow_mut().remove(name);
                Ok(ended("DEALLOCATE", None))
            }
            None => {
                self.prepared.borrow_mut().clear();
                Ok(ended("DEALLOCATE ALL", None))
            }
        }
    }

    /// Also answers the table that is to be filled with rows.
    pub(super) async fn define(
        &self,
        ddl: &Ddl,
        work: &Work<'_>,
    ) -> Result<(Started, Option<Arc<Table>>)> {
        let what = match ddl {
            Ddl::Database(what) => Some(what),
            _ => None,
        };
        if let Some(what) = what {
            self.prepare_database(what).await?;
        }
        let own = self.block.borrow().catalogs();
        let env = DefineEnv {
            txn: work.txn.clone(),
            ctx: work.ctx.clone(),
            stop: work.stop.clone(),
            own,
            exec: work.exec(),
        };
        let mut change = self.node.router.define(&env, ddl).await?;
        self.may_have_temporary(&change.catalog);
        let found = what.and_then(|what| {
            let found = change.all.databases().named(what.name());
            found.cloned().zip(what.vacates())
        });
        if let Some((database, force)) = found {
            let vacated = self.vacate(&database, force).await?;
            self.block.borrow_mut().keep_vacated(vacated);
        }
        let notices = std::mem::take(&mut change.notices);
        let tag = change.tag.to_string();
        let fills = change.fills.take();
        self.defined(change);
        let started = Started::Done {
            kind: StatementKind::Ddl,
            columns: None,
            rows: RowBatch::new(),
            tag,
            notices: self.wanted(notices),
        };
        Ok((started, fills))
    }

    /// Makes a relation, and puts the query's rows into it.
    async fn fill(&self, ddl: &Ddl, query: &Query, work: &Work<'_>) -> Result<Started> {
        // Before the relation is there: it is not among what the query reads.
        let mut rows = start_query(query, work).await?;
        let (started, fills) = self.define(ddl, work).await?;
        let Some(table) = fills else {
            return Ok(started);
        };
        let work = Work {
            session: self,
            txn: work.txn.clone(),
            ctx: self.context(work.ctx.params.clone()),
            stop: work.stop,
            alone: false,
            calls: work.calls,
        };
        let env = work.write_env();
        let router = &self.node.router;
        let fresh = self.block.borrow().is_fresh(table.tree) && !table.has_unique_indexes();
        let mut count = 0;
        while let Some(batch) = rows.next().await? {
            count += batch.len();
            if fresh {
                router.load_rows(&env, &table, batch.rows).await?;
            } else {
                let mut out = Outcome::new(None);
                router
                    .insert_rows(&env, &table, batch.rows, None, false, &mut out)
                    .await?;
            }
        }
        Ok(match (started, ddl) {
            (
                Started::Done {
                    kind,
                    columns,
                    rows,
                    notices,
                    ..
                },
                Ddl::CreateTable(_),
            ) => Started::Done {
                kind,
                columns,
                rows,
                tag: format!("SELECT {count}"),
                notices,
            },
            (started, _) => started,
        })
    }

    /// Collects the versions nobody can see, now.
    async fn vacuum(&self, tables: &[QualifiedName], ctx: &Context) -> Result<Started> {
        if self.is_in_transaction_block() {
            return Err(in_block("VACUUM"));
        }
        let tables = self.tables(tables, ctx)?;
        let mut trees: Vec<TreeId> = tables.iter().map(|t| t.tree).collect();
        trees.extend(tables.iter().flat_map(|t| t.indexes.iter().map(|i| i.tree)));
        let replies = self
            .node
            .router
            .call_all(|_| PartitionCall::Vacuum {
                trees: trees.clone(),
            })
            .await?;
        let taken: u64 = replies
            .iter()
            .map(|r| if let Reply::Count(n) = r { *n } else { 0 })
            .sum();
        tracing::debug!(tables = tables.len(), versions = taken, "vacuumed");
        Ok(ended("VACUUM", None))
    }

    /// Those named, or all there are.
    fn tables(&self, names: &[QualifiedName], ctx: &Context) -> Result<Vec<Arc<Table>>> {
        if names.is_empty() {
            return Ok(ctx.catalog.tables.values().cloned().collect());
        }
        names.iter().map(|n| self.table(n, ctx)).collect()
    }

    /// ANALYZE, on its own or as the end of VACUUM ANALYZE.
    async fn analyze(
        &self,
        names: &[QualifiedName],
        tag: &str,
        work: &Work<'_>,
    ) -> Result<Started> {
        let mut tables = Vec::new();
        for table in self.tables(names, &work.ctx)? {
            let found = self.node.router.statistics(&work.txn, work.stop, &table);
            tables.push((table.id, Arc::new(found.await?)));
        }
        self.define(&Ddl::Statistics { tables }, work)
            .await
            .map(|(started, _)| match started {
                Started::Done {
                    kind,
                    columns,
                    rows,
                    notices,
                    ..
                } => Started::Done {
                    kind,
                    columns,
                    rows,
                    tag: tag.to_owned(),
                    notices,
                },
                other => other,
            })
    }

    fn table(&self, name: &QualifiedName, ctx: &Context) -> Result<Arc<Table>> {
        ctx.catalog
            .table_by_name(Some(&name.schema), &name.name)
            .cloned()
            .ok_or_else(|| {
                Error::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("relation \"{}\" does not exist", name.name),
                )
            })
    }

    /// Of the open transaction, or of the next one.
    fn isolation(&self) -> Result<String> {
        match self.block.borrow().isolation() {
            Some(level) => Ok(level.into()),
            None => self.settings.borrow().show("default_transaction_isolation"),
        }
    }

    /// Notices the client wants to hear.
    pub(super) fn wanted(&self, notices: Vec<Error>) -> Vec<Error> {
        let settings = self.settings.borrow();
        notices
            .into_iter()
            .filter(|n| settings.wants_notice(super::is_warning(n)))
            .collect()
    }
}

/// How the statement that begins a block says that it has.
pub(super) fn begun(start: bool) -> &'static str {
    match start {
        true => "START TRANSACTION",
        false => "BEGIN",
    }
}

pub(super) fn in_block(what: &str) -> Error {
    Error::new(
        SqlState::ACTIVE_SQL_TRANSACTION,
        format!("{what} cannot run inside a transaction block"),
    )
}

fn word(what: Discard) -> &'static str {
    match what {
        Discard::All => "ALL",
        Discard::Plans => "PLANS",
        Discard::Sequences => "SEQUENCES",
        Discard::Temp => "TEMP",
    }
}

pub(super) fn ended(tag: &str, notice: Option<Error>) -> Started {
    let kind = match tag {
        "BEGIN" | "START TRANSACTION" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
            StatementKind::Transaction
        }
        _ => StatementKind::Utility,
    };
    let notices = notice.into_iter().collect();
    Started::Done {
        kind,
        columns: None,
        rows: RowBatch::new(),
        tag: tag.into(),
        notices,
    }
}

pub(super) fn listing(column: &str, lines: Vec<String>, tag: &str) -> Started {
    let rows: Vec<Row> = lines.into_iter().map(|l| vec![Value::from(l)]).collect();
    Started::Done {
        kind: StatementKind::Utility,
        columns: Some(Arc::new(vec![Column::new(column, DataType::Text)])),
        rows: rows.into(),
        tag: tag.into(),
        notices: Vec::new(),
    }
}
