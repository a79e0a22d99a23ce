//! Commands that were read by hand: settings, transactions, COPY, EXPLAIN, maintenance.
//!
//! Owns: looking up what they name. Never: carries one out.

use super::{Binder, Clause, Cx, names, syntax, unsupported};
use crate::parse::{Command, CopySource};
use crate::statement::{CopyOptions, ExplainOptions, ForceColumns, Scroll, Statement};
use engine::catalog::Table;
use engine::plan::{Expr, Given, Plan, QualifiedName, Query};
use sqlparser::ast;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, SqlState};

impl<'a> Binder<'a> {
    pub(super) fn command(&mut self, c: &'a Command) -> Result<Statement> {
        if let Some(statement) = as_written(c) {
            return Ok(statement);
        }
        Ok(match c {
            Command::Begin { .. }
            | Command::Commit { .. }
            | Command::Rollback { .. }
            | Command::Savepoint { .. }
            | Command::Release { .. }
            | Command::RollbackTo { .. }
            | Command::SetTransaction { .. }
            | Command::Set { .. }
            | Command::Show { .. }
            | Command::Reset { .. }
            | Command::Discard(_)
            | Command::Deallocate { .. }
            | Command::Fetch { .. }
            | Command::Close { .. }
            | Command::Listen { .. }
            | Command::Unlisten { .. }
            | Command::Do { .. }
            | Command::Notify { .. } => {
                return Err(Error::internal("a command that names nothing"));
            }
            Command::Authorize { user, tag } => self.authorize(user.as_deref(), tag)?,
            Command::SetConstraints { names, deferred } => Statement::SetConstraints {
                names: names.clone(),
                deferred: *deferred,
            },
            Command::Prepare { name, types, text } => prepare(self, name, types, text)?,
            Command::Explain { statement, options } => self.explain(statement, *options)?,
            Command::Copy {
                source,
                from,
                filter,
                options,
            } => self.copy_command(source, *from, filter.as_deref(), options)?,
            Command::Vacuum { tables, analyze } => Statement::Vacuum {
                tables: self.table_names(tables)?,
                analyze: *analyze,
            },
            Command::Analyze { tables } => Statement::Analyze {
                tables: self.table_names(tables)?,
            },
            Command::Lock {
                tables,
                exclusive,
                nowait,
            } => self.lock_command(tables, *exclusive, *nowait)?,
            Command::Define(definition) => self.define(definition)?,
            Command::Checkpoint => Statement::Checkpoint,
            Command::Backup { name, base } => Statement::Backup {
                name: name.clone(),
                base: base.clone(),
            },
            Command::Declare {
                name,
                scroll,
                hold,
                query,
            } => self.declare(name, *scroll, *hold, query)?,
            Command::Call(f) => self.call_procedure(f)?,
            Command::Refused(e) => return Err(e.clone()),
        })
    }

    fn lock_command(
        &self,
        tables: &[ast::ObjectName],
        exclusive: bool,
        nowait: bool,
    ) -> Result<Statement> {
        let tables = tables.iter().map(|t| self.base_table(t));
        Ok(Statement::LockTable {
            tables: tables.collect::<Result<_>>()?,
            exclusive,
            nowait,
        })
    }

    fn declare(
        &mut self,
        name: &str,
        scroll: Scroll,
        hold: bool,
        q: &'a ast::Query,
    ) -> Result<Statement> {
        if super::changed_by(q).is_some() {
            return Err(syntax("syntax error in DECLARE CURSOR"));
        }
        let query = self.top_query(q)?;
        if !self.changes.is_empty() {
            return Err(Error::unsupported(
                "DECLARE CURSOR must not contain data-modifying statements in WITH",
            ));
        }
        if query.plan.locks_rows() {
            let word = match &q.locks.first().map(|l| &l.lock_type) {
                Some(ast::LockType::Share) => "FOR SHARE",
                _ => "FOR UPDATE",
            };
            if hold {
                return Err(Error::unsupported(format!(
                    "DECLARE CURSOR WITH HOLD ... {word} is not supported"
                ))
                .with_detail("Holdable cursors must be READ ONLY."));
            }
            if scroll == Scroll::Yes {
                return Err(Error::unsupported(format!(
                    "DECLARE SCROLL CURSOR ... {word} is not supported"
                ))
                .with_detail("Scrollable cursors must be READ ONLY."));
            }
        }
        Ok(Statement::Declare {
            name: name.to_string(),
            query,
            scroll,
            hold,
            text: self.text.clone(),
        })
    }

    fn explain(&mut self, s: &'a ast::Statement, options: ExplainOptions) -> Result<Statement> {
        match s {
            ast::Statement::Query(_)
            | ast::Statement::Insert(_)
            | ast::Statement::Update(_)
            | ast::Statement::Delete(_)
            | ast::Statement::Merge(_) => Ok(Statement::Explain {
                statement: Box::new(self.statement(s)?),
                options,
            }),
            // What is prepared is known to the session.
            ast::Statement::Execute { .. } => Ok(Statement::Explain {
                statement: Box::new(self.execute(s)?),
                options,
            }),
            _ => Err(unsupported("EXPLAIN of this statement")),
        }
    }

    fn table_names(&self, tables: &[ast::ObjectName]) -> Result<Vec<QualifiedName>> {
        let name = |t| {
            self.base_table(t).map(|t| QualifiedName {
                schema: t.schema.clone(),
                name: t.name.clone(),
            })
        };
        tables.iter().map(name).collect()
    }

    fn copy_command(
        &mut self,
        source: &'a CopySource,
        from: bool,
        filter: Option<&'a ast::Expr>,
        options: &CopyOptions,
    ) -> Result<Statement> {
        let options = options.clone();
        let (name, columns) = match source {
            CopySource::Query(q) => {
                let query = match super::changed_by(q) {
                    Some(inner) => self.copied_change(q, inner)?,
                    None => self.top_query(q)?,
                };
                let names: Vec<&str> = query.columns.iter().map(|c| c.name.as_str()).collect();
                check_forced(&options, &names)?;
                return Ok(Statement::CopyTo { query, options });
            }
            CopySource::Table { name, columns } => (name, columns),
        };
        let table = if from {
            self.base_table(name)?
        } else {
            match self.readable(name)? {
                Ok(table) => table,
                Err(query) => return Ok(Statement::CopyTo { query, options }),
            }
        };
        let columns = self.copied_columns(&table, columns)?;
        let listed: Vec<&str> = columns
            .iter()
            .filter_map(|i| table.columns.get(*i))
            .map(|c| c.name.as_str())
            .collect();
        check_forced(&options, &listed)?;
        if from {
            let filter = match filter {
                Some(e) => Some(self.copied(e, &table)?),
                None => None,
            };
            return Ok(Statement::CopyFrom {
                table,
                columns,
                filter,
                options,
            });
        }
        let schema = table.schema();
        let described = columns.iter().filter_map(|i| schema.get(*i).cloned());
        let exprs = columns.iter().filter_map(|i| {
            let c = schema.get(*i)?;
            Some(Expr::Column(*i, c.ty))
        });
        let query = Query {
            columns: Arc::new(described.collect()),
            plan: Plan::Project {
                exprs: exprs.collect(),
                input: Box::new(Plan::scan(table.clone())),
            },
        };
        Ok(Statement::CopyTo { query, options })
    }

    /// COPY (INSERT … RETURNING …): what the change returns.
    fn copied_change(&mut self, q: &'a ast::Query, inner: &'a ast::Statement) -> Result<Query> {
        let change = self.with_before(q, inner)?;
        let Some(returning) = change.returning() else {
            return Err(Error::unsupported(
                "COPY query must have a RETURNING clause",
            ));
        };
        let columns = returning.columns.clone();
        let given = Given {
            name: "copied".into(),
            slot: self.changes.len(),
            columns: columns.to_vec(),
        };
        self.changes.push(("copied".into(), change));
        Ok(Query {
            plan: Plan::Given(given),
            columns,
        })
    }

    /// The condition of COPY FROM … WHERE.
    fn copied(&mut self, e: &'a ast::Expr, table: &Table) -> Result<Expr> {
        let mut cx = Cx::new(self.table_scope(table, None), Clause::CopyWhere);
        let e = self.expr(e, &mut cx)?;
        let e = self.condition(e, "WHERE")?;
        if e.any(&mut |e| matches!(e, Expr::Subquery { .. })) {
            return Err(Error::unsupported(
                "cannot use subquery in COPY FROM WHERE condition",
            ));
        }
        Ok(e)
    }

    /// COPY TO reads system relations too: those come back as a query.
    fn readable(&mut self, name: &'a ast::ObjectName) -> Result<Result<Arc<Table>, Query>> {
        let (schema, base) = self.qualified(name)?;
        let (plan, relation) = self.relation(schema.as_deref(), &base, None)?;
        if relation.base {
            return self.base_table(name).map(Ok);
        }
        let columns = relation.columns.iter().map(|e| e.column());
        let columns = Arc::new(columns.collect());
        Ok(Err(Query { plan, columns }))
    }

    fn copied_columns(&self, table: &Table, columns: &[ast::Ident]) -> Result<Vec<usize>> {
        if columns.is_empty() {
            let columns = table.columns.iter().enumerate();
            let given = columns.filter(|(_, c)| c.generated.is_none());
            return Ok(given.map(|(at, _)| at).collect());
        }
        let mut out = Vec::with_capacity(columns.len());
        for i in columns {
            let name = names::ident(i);
            let ordinal = table.column(&name).ok_or_else(|| {
                let e = Error::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!(
                        "column \"{name}\" of relation \"{}\" does not exist",
                        table.name
                    ),
                );
                self.at(e, i.span)
            })?;
            if table
                .columns
                .get(ordinal)
                .is_some_and(|c| c.generated.is_some())
            {
                return Err(Error::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("column \"{name}\" is a generated column"),
                )
                .with_detail("Generated columns cannot be used in COPY."));
            }
            if out.contains(&ordinal) {
                return Err(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{name}\" specified more than once"),
                ));
            }
            out.push(ordinal);
        }
        Ok(out)
    }

    /// EXECUTE name (values): values without a row. Untyped literals stay so: the prepared statement knows their types.
    pub(super) fn execute(&mut self, s: &'a ast::Statement) -> Result<Statement> {
        let ast::Statement::Execute {
            name: Some(name),
            parameters,
            immediate: false,
            into,
            using,
            output: false,
            default: false,
            ..
        } = s
        else {
            return Err(syntax("syntax error in EXECUTE"));
        };
        if !into.is_empty() || !using.is_empty() {
            return Err(syntax("syntax error in EXECUTE"));
        }
        let mut cx = Cx::new(Rc::default(), Clause::Execute);
        let args = self.exprs(parameters, &mut cx)?;
        let mut subquery = false;
        for e in &args {
            e.each(&mut |x| subquery |= matches!(x, Expr::Subquery { .. }));
        }
        if subquery {
            return Err(Error::unsupported(
                "cannot use subquery in EXECUTE parameter",
            ));
        }
        let (_, name) = self.qualified(name)?;
        Ok(Statement::ExecutePrepared { name, args })
    }
}

impl Binder<'_> {
    /// There are no roles: a session can only stay who it is.
    fn authorize(&self, user: Option<&str>, tag: &'static str) -> Result<Statement> {
        match user {
            Some(user) if user != self.env.context.session.user => Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("role \"{user}\" does not exist"),
            )),
            _ => Ok(Statement::Nothing { tag }),
        }
    }
}

fn prepare(
    b: &Binder<'_>,
    name: &str,
    types: &[ast::DataType],
    text: &Arc<str>,
) -> Result<Statement> {
    let types = types.iter().map(|t| b.data_type(t).map(|(ty, _)| ty));
    Ok(Statement::Prepare {
        name: name.to_owned(),
        types: types.collect::<Result<_>>()?,
        text: text.clone(),
    })
}

/// LISTEN and its like.
fn heard(c: &Command) -> Option<Statement> {
    Some(match c {
        Command::Listen { channel } => Statement::Listen {
            channel: channel.clone(),
        },
        Command::Unlisten { channel } => Statement::Unlisten {
            channel: channel.clone(),
        },
        Command::Notify { channel, text } => Statement::Notify {
            channel: channel.clone(),
            text: text.clone(),
        },
        _ => return None,
    })
}

/// A command in which there is nothing to look up.
fn as_written(c: &Command) -> Option<Statement> {
    Some(match c {
        Command::Begin {
            start,
            isolation,
            read_only,
        } => Statement::Begin {
            start: *start,
            isolation: *isolation,
            read_only: *read_only,
        },
        Command::Commit { chain } => Statement::Commit { chain: *chain },
        Command::Rollback { chain } => Statement::Rollback { chain: *chain },
        Command::Savepoint { name } => Statement::Savepoint { name: name.clone() },
        Command::Release { name } => Statement::Release { name: name.clone() },
        Command::RollbackTo { name } => Statement::RollbackTo { name: name.clone() },
        Command::SetTransaction {
            isolation,
            read_only,
            session,
        } => Statement::SetTransaction {
            isolation: *isolation,
            read_only: *read_only,
            session: *session,
        },
        Command::Set { name, value, local } => Statement::Set {
            name: name.clone(),
            value: value.clone(),
            local: *local,
        },
        Command::Show { name } => Statement::Show { name: name.clone() },
        Command::Reset { name } => Statement::Reset { name: name.clone() },
        Command::Discard(what) => Statement::Discard(*what),
        Command::Deallocate { name } => Statement::Deallocate { name: name.clone() },
        Command::Fetch { name, way, moves } => Statement::Fetch {
            name: name.clone(),
            way: *way,
            moves: *moves,
        },
        Command::Close { name } => Statement::Close { name: name.clone() },
        Command::Listen { .. } | Command::Unlisten { .. } | Command::Notify { .. } => {
            return heard(c);
        }
        Command::Do { body } => Statement::Do { body: body.clone() },
        Command::Prepare { .. }
        | Command::Call(_)
        | Command::SetConstraints { .. }
        | Command::Explain { .. }
        | Command::Copy { .. }
        | Command::Vacuum { .. }
        | Command::Analyze { .. }
        | Command::Lock { .. }
        | Command::Define(_)
        | Command::Checkpoint
        | Command::Backup { .. }
        | Command::Declare { .. }
        | Command::Authorize { .. }
        | Command::Refused(_) => return None,
    })
}

/// FORCE_QUOTE and its like name columns of the data.
fn check_forced(options: &CopyOptions, columns: &[&str]) -> Result<()> {
    let quoted: &[String] = match &options.force_quote {
        ForceColumns::Columns(list) => list,
        ForceColumns::None | ForceColumns::All => &[],
    };
    let named = quoted
        .iter()
        .chain(&options.force_not_null)
        .chain(&options.force_null);
    for name in named {
        if !columns.contains(&name.as_str()) {
            return Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!("column \"{name}\" not referenced by COPY"),
            ));
        }
    }
    Ok(())
}
