//! Commands that were read by hand: settings, transactions, COPY, EXPLAIN, maintenance.
//!
//! Owns: looking up what they name. Never: carries one out.

use super::{Binder, Clause, Cx, datatype, names, syntax, unsupported};
use crate::sql::parse::{Command, CopySource};
use crate::sql::statement::{CopyOptions, ExplainOptions, ForceColumns, Statement};
use engine::catalog::Table;
use engine::plan::{Ddl, Expr, Plan, Query};
use sqlparser::ast;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, SqlState};

impl<'a> Binder<'a> {
    pub(super) fn command(&mut self, c: &'a Command) -> Result<Statement> {
        Ok(match c {
            Command::Begin {
                isolation,
                read_only,
            } => Statement::Begin {
                isolation: *isolation,
                read_only: *read_only,
            },
            Command::Commit => Statement::Commit,
            Command::Rollback => Statement::Rollback,
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
            Command::Prepare { name, types, text } => Statement::Prepare {
                name: name.clone(),
                types: types
                    .iter()
                    .map(|t| datatype::resolve(t).map(|(ty, _)| ty))
                    .collect::<Result<_>>()?,
                text: text.clone(),
            },
            Command::Explain { statement, options } => self.explain(statement, *options)?,
            Command::Copy {
                source,
                from,
                options,
            } => self.copy_command(source, *from, options)?,
            Command::Vacuum { tables, analyze } => Statement::Vacuum {
                tables: self.table_names(tables)?,
                analyze: *analyze,
            },
            Command::Analyze { tables } => Statement::Analyze {
                tables: self.table_names(tables)?,
            },
            Command::Truncate { tables } => Statement::Ddl(Ddl::Truncate {
                names: self.table_names(tables)?,
            }),
            Command::Checkpoint => Statement::Checkpoint,
            Command::Backup { name, base } => Statement::Backup {
                name: name.clone(),
                base: base.clone(),
            },
            Command::Nothing { tag } => Statement::Nothing { tag },
            Command::Refused(e) => return Err(e.clone()),
        })
    }

    fn explain(&mut self, s: &'a ast::Statement, options: ExplainOptions) -> Result<Statement> {
        match s {
            ast::Statement::Query(_)
            | ast::Statement::Insert(_)
            | ast::Statement::Update(_)
            | ast::Statement::Delete(_) => Ok(Statement::Explain {
                statement: Box::new(self.statement(s)?),
                options,
            }),
            _ => Err(unsupported("EXPLAIN of this statement")),
        }
    }

    fn table_names(&self, tables: &[ast::ObjectName]) -> Result<Vec<String>> {
        let name = |t| self.base_table(t).map(|t| t.name.clone());
        tables.iter().map(name).collect()
    }

    fn copy_command(
        &mut self,
        source: &'a CopySource,
        from: bool,
        options: &CopyOptions,
    ) -> Result<Statement> {
        let options = options.clone();
        let (name, columns) = match source {
            CopySource::Query(q) => {
                let query = self.top_query(q)?;
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
            return Ok(Statement::CopyFrom {
                table,
                columns,
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

    /// COPY TO reads system relations too: those come back as a query.
    fn readable(&mut self, name: &'a ast::ObjectName) -> Result<Result<Arc<Table>, Query>> {
        let (schema, base) = names::qualified(name)?;
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
            return Ok((0..table.columns.len()).collect());
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
        let (_, name) = names::qualified(name)?;
        Ok(Statement::ExecutePrepared { name, args })
    }
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
