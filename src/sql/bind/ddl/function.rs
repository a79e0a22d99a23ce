//! CREATE FUNCTION.
//!
//! Owns: what a function of this server may be, but for those of triggers (`trigger`): in SQL, of one query that changes nothing. The query is bound once here, with the
//! arguments as parameters, so that what is wrong with it is said now, and kept as text with what its names mean (`bind::call`
//! puts it in the place of calls). Source: PostgreSQL 15, `functioncmds.c`, `functions.c` (`check_sql_fn_retval`).

use super::super::call::{Argument, Arguments};
use super::super::{Binder, names, unplaced};
use crate::parse::define::{Action, FunctionBody, FunctionDef, Returns as Written, Signature};
use crate::parse::{self, Ast};
use crate::statement::Statement;
use engine::catalog::objects::{ReadColumn, Reads, ViewColumn};
use engine::catalog::{Attribute, ColumnDef, Function, FunctionArg, Language, Returns, Stated};
use engine::exec::cast::{self, CastContext};
use engine::plan::ddl::{AlterTarget, Ddl, FunctionAction};
use engine::plan::{Expr, QualifiedName};
use sqlparser::ast;
use std::cell::RefCell;
use types::{Column, DataType, Error, Result, SqlState, TableId};

/// Arguments of one function, as in PostgreSQL.
const ARGUMENTS_MAX: usize = 100;

/// Languages that PostgreSQL's users may expect.
const LANGUAGES: [&str; 10] = [
    "plpgsql",
    "c",
    "internal",
    "plpython3u",
    "plpythonu",
    "plperl",
    "plperlu",
    "pltcl",
    "plv8",
    "plr",
];

impl<'a> Binder<'a> {
    pub(super) fn create_function(&mut self, def: &'a FunctionDef) -> Result<Statement> {
        if returns_trigger(def) && def.language.as_deref() == Some("plpgsql") {
            return self.create_trigger_function(def);
        }
        let name = self.creation(&def.name, false)?;
        let body = body_text(def)?;
        let args = self.function_arguments(def)?;
        let returns = self.function_returns(def)?;
        let (body, columns) = self.function_body(&name, &args, &returns, body)?;
        check_result(&returns, &columns, &self.shown_return(&returns))?;
        let function = Function {
            oid: 0,
            schema: name.schema,
            name: name.name,
            args,
            returns,
            volatility: def.volatility.unwrap_or('v'),
            strict: def.strict.unwrap_or(false),
            body,
            language: Language::Sql,
        };
        Ok(Statement::Ddl(Ddl::CreateFunction {
            function: Box::new(function),
            or_replace: def.or_replace,
        }))
    }

    fn function_arguments(&mut self, def: &'a FunctionDef) -> Result<Vec<FunctionArg>> {
        if def.args.len() > ARGUMENTS_MAX {
            return Err(Error::new(
                SqlState::TOO_MANY_ARGUMENTS,
                format!("functions cannot have more than {ARGUMENTS_MAX} arguments"),
            ));
        }
        let mut out: Vec<FunctionArg> = Vec::with_capacity(def.args.len());
        for written in &def.args {
            let to = self.declared_type(&written.ty)?;
            if let DataType::Void | DataType::Unknown | DataType::Record = to.ty {
                return Err(definition(format!(
                    "SQL functions cannot have arguments of type {}",
                    to.ty
                )));
            }
            let name = written.name.as_ref().map(names::ident);
            if name.is_some() && out.iter().any(|a| a.name == name) {
                return Err(definition(format!(
                    "parameter name \"{}\" used more than once",
                    name.unwrap_or_default()
                )));
            }
            let column = ColumnDef::new(name.clone().unwrap_or_default(), to.ty, 1);
            let default = match &written.default {
                Some(e) => Some(self.column_default(e, &column)?),
                None if out.last().is_some_and(|a| a.default.is_some()) => {
                    return Err(definition(
                        "input parameters after one with a default value must also have defaults",
                    ));
                }
                None => None,
            };
            out.push(FunctionArg {
                name,
                ty: to.ty,
                declared: to.declared,
                default,
            });
        }
        Ok(out)
    }

    fn function_returns(&mut self, def: &'a FunctionDef) -> Result<Returns> {
        let plain = |ty: DataType, declared: u32, set: bool| Returns {
            ty,
            declared,
            set,
            columns: Vec::new(),
            row_of: None,
        };
        match &def.returns {
            None => Err(definition("function result type must be specified")),
            Some(Written::Table(columns)) => {
                let mut out: Vec<ViewColumn> = Vec::with_capacity(columns.len());
                for (name, ty) in columns {
                    let (ty, _) = self.data_type(ty)?;
                    let name = names::ident(name);
                    if out.iter().any(|c| c.name == name) {
                        return Err(definition(format!(
                            "parameter name \"{name}\" used more than once"
                        )));
                    }
                    out.push(ViewColumn {
                        name,
                        ty,
                        typmod: -1,
                    });
                }
                Ok(Returns {
                    columns: out,
                    ..plain(DataType::Void, 0, true)
                })
            }
            Some(Written::Value(ty) | Written::SetOf(ty)) => {
                let set = matches!(def.returns, Some(Written::SetOf(_)));
                if let Some(returns) = self.row_of_relation(ty, set)? {
                    return Ok(returns);
                }
                let to = self.declared_type(ty)?;
                if set && to.ty == DataType::Void {
                    return Err(definition("return type void is not a set"));
                }
                Ok(plain(to.ty, to.declared, set))
            }
        }
    }

    /// A row, or rows, of a table, view or composite type: its columns, as they are now.
    fn row_of_relation(&self, ty: &ast::DataType, set: bool) -> Result<Option<Returns>> {
        let ast::DataType::Custom(name, _) = ty else {
            return Ok(None);
        };
        let (schema, base) = self.qualified(name)?;
        if schema.is_none() && matches!(base.as_str(), "record" | "event_trigger") {
            return Err(Error::unsupported(format!(
                "functions returning {base} are not supported"
            ))
            .with_hint("RETURNS TABLE (…) gives rows; triggers are of tables."));
        }
        let Some(DataType::Composite(id)) = self.user_type(name)? else {
            return Ok(None);
        };
        let attributes = self.env.catalog.attributes(id).unwrap_or_default();
        let column = |a: Attribute| ViewColumn {
            name: a.name,
            ty: a.ty,
            typmod: a.typmod,
        };
        Ok(Some(Returns {
            ty: DataType::Void,
            declared: 0,
            set,
            columns: attributes.into_iter().map(column).collect(),
            row_of: Some(TableId(id)),
        }))
    }

    /// The body with what its names mean, and its columns.
    fn function_body(
        &mut self,
        name: &QualifiedName,
        args: &[FunctionArg],
        returns: &Returns,
        text: String,
    ) -> Result<(Stated, Vec<Column>)> {
        let parsed = parse::parse(&text).map_err(unplaced)?;
        let [parsed] = parsed.as_slice() else {
            return Err(one_query(match parsed.len() {
                0 => "functions without a query are not supported",
                _ => "functions of more than one statement are not supported",
            }));
        };
        let q = match &parsed.ast {
            Ast::Sql(s) => match &**s {
                ast::Statement::Query(q) if super::super::changed_by(q).is_none() => q,
                _ => return Err(one_query("functions that change rows are not supported")),
            },
            Ast::Command(_) => return Err(one_query("commands in functions are not supported")),
        };
        let mut inner = Binder::new(self.env, &parsed.lines);
        inner.path.clone_from(&self.path);
        inner.reading = Some(RefCell::default());
        inner.params = args.iter().map(|a| Some(a.ty)).collect();
        let value = |(n, a): (usize, &FunctionArg)| Argument::Value(Expr::Param(n as u16, a.ty));
        inner.arguments = Some(Arguments {
            function: name.name.clone(),
            names: args.iter().map(|a| a.name.clone()).collect(),
            values: args.iter().enumerate().map(value).collect(),
        });
        let query = inner.top_query(q).map_err(unplaced)?;
        if !inner.changes.is_empty() {
            return Err(one_query("functions that change rows are not supported"));
        }
        let mut stated = inner.stated_query(&query, text.clone());
        if let Some(relation) = returns.row_of {
            // Under a name that no query can say.
            stated.reads.push(row_type(relation));
            stated.uses.push(relation.0);
        }
        let declared = args.iter().map(|a| (a.ty, a.declared));
        let columns = returns.columns.iter().map(|c| (c.ty, 0));
        let own = std::iter::once((returns.ty, returns.declared));
        for (ty, declared) in declared.chain(columns).chain(own) {
            let oid = if declared != 0 {
                Some(declared)
            } else {
                ty.user_oid()
            };
            if let Some(oid) = oid
                && !stated.uses.contains(&oid)
            {
                stated.uses.push(oid);
            }
        }
        if self.reads_temporary(&stated) {
            return Err(Error::unsupported(
                "functions that read temporary tables are not supported",
            ));
        }
        Ok((stated, query.columns.to_vec()))
    }

    fn shown_return(&self, returns: &Returns) -> String {
        if let Some(id) = returns.row_of {
            return self.type_text(DataType::Composite(id.0));
        }
        match returns.columns.as_slice() {
            [] => self.type_text(returns.ty),
            [only] => self.type_text(only.ty),
            _ => "record".into(),
        }
    }

    pub(super) fn alter_function(&self, s: &Signature, actions: &[Action]) -> Result<AlterTarget> {
        let name = self.function_name_of(&s.name)?;
        let args = self.signature(s)?;
        let oid = self.env.catalog.function_named(&name, args.as_deref())?.oid;
        let action = match actions {
            [Action::RenameTo(to)] => FunctionAction::RenameTo(names::ident(to)),
            [Action::SetSchema(to)] => FunctionAction::SetSchema(names::ident(to)),
            [Action::Owner(_)] => return Ok(AlterTarget::Nothing),
            _ => return Err(super::super::syntax("syntax error in ALTER FUNCTION")),
        };
        Ok(AlterTarget::Function { oid, action })
    }

    /// The types of a signature's arguments, each with its domain.
    pub(super) fn signature(&self, s: &Signature) -> Result<Option<Vec<(DataType, u32)>>> {
        let Some(types) = &s.args else {
            return Ok(None);
        };
        let one = |ty: &ast::DataType| self.declared_type(ty).map(|to| (to.ty, to.declared));
        types.iter().map(one).collect::<Result<_>>().map(Some)
    }

    /// A function by its name: where one is found, else where it would be made.
    pub(super) fn function_name_of(&self, name: &ast::ObjectName) -> Result<QualifiedName> {
        let (schema, base) = self.qualified(name)?;
        let schema = match schema {
            Some(schema) => schema,
            None => {
                let all = &self.env.catalog.functions;
                let has = |schema: &&String| {
                    let mut all = all.values();
                    all.any(|f| f.schema == **schema && f.name == base)
                };
                let found = self.path.iter().find(has).cloned();
                found.map_or_else(|| engine::catalog::path::creation(self.env.context), Ok)?
            }
        };
        Ok(QualifiedName { schema, name: base })
    }
}

fn returns_trigger(def: &FunctionDef) -> bool {
    let is = |ty: &ast::DataType| match ty {
        ast::DataType::Trigger => true,
        ast::DataType::Custom(name, _) => {
            matches!(names::qualified(name), Ok((None, base)) if base == "trigger")
        }
        _ => false,
    };
    matches!(&def.returns, Some(Written::Value(ty)) if is(ty))
}

/// The text of the one query that the function is.
fn body_text(def: &FunctionDef) -> Result<String> {
    if returns_trigger(def) && def.language.as_deref() == Some("sql") {
        return Err(definition("SQL functions cannot return type trigger"));
    }
    match (def.language.as_deref(), &def.body) {
        (None, Some(FunctionBody::Text(_)) | None) => {
            return Err(definition("no language specified"));
        }
        (Some("sql") | None, _) => {}
        (Some(other), _) if LANGUAGES.contains(&other) => {
            return Err(Error::unsupported(format!(
                "functions in language \"{other}\" are not supported"
            ))
            .with_hint(
                "LANGUAGE sql is, for functions of one query; plpgsql is, for those that return trigger.",
            ));
        }
        (Some(other), _) => {
            return Err(Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("language \"{other}\" does not exist"),
            ));
        }
    }
    match &def.body {
        Some(FunctionBody::Text(text)) => Ok(text.clone()),
        Some(FunctionBody::Return(text)) => Ok(format!("SELECT {text}")),
        None => Err(definition("no function body specified")),
    }
}

/// 42P13 where the query does not give what the function returns.
fn check_result(returns: &Returns, columns: &[Column], shown: &str) -> Result<()> {
    let row = returns.row_of.map(|id| DataType::Composite(id.0));
    if matches!(columns, [only] if Some(only.ty) == row) {
        return Ok(());
    }
    let wanted: Vec<DataType> = match returns.columns.as_slice() {
        [] if returns.ty == DataType::Void => return Ok(()),
        [] => vec![returns.ty],
        columns => columns.iter().map(|c| c.ty).collect(),
    };
    let mismatch = |detail: String| {
        Err(definition(format!(
            "return type mismatch in function declared to return {shown}"
        ))
        .with_detail(detail))
    };
    if wanted.len() == 1 && columns.len() != 1 {
        return mismatch("Final statement must return exactly one column.".into());
    }
    if columns.len() != wanted.len() {
        let what = match columns.len() < wanted.len() {
            true => "few",
            false => "many",
        };
        return mismatch(format!("Final statement returns too {what} columns."));
    }
    for (at, (column, to)) in columns.iter().zip(&wanted).enumerate() {
        if column.ty == *to || cast::can_cast(column.ty, *to, CastContext::Assignment) {
            continue;
        }
        return mismatch(match returns.columns.is_empty() {
            true => format!("Actual return type is {}.", column.ty),
            false => format!(
                "Final statement returns {} instead of {to} at column {}.",
                column.ty,
                at + 1
            ),
        });
    }
    Ok(())
}

fn row_type(relation: TableId) -> Reads {
    Reads {
        relation,
        schema: None,
        name: String::new(),
        columns: Vec::<ReadColumn>::new(),
    }
}

pub(super) fn definition(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_FUNCTION_DEFINITION, message)
}

fn one_query(message: &str) -> Error {
    Error::unsupported(message).with_hint(
        "A function's body is one SELECT. Send the statements one by one, in a transaction.",
    )
}
