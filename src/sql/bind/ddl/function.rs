//! CREATE FUNCTION.
//!
//! Owns: what a function of this server may be, but for those of triggers (`trigger`). A body is kept as text, and bound where the
//! function is called; here it is bound once, with the arguments as parameters, so that what is wrong with it (of PL/pgSQL: what cannot be
//! run) is said now, unless `check_function_bodies` is off. What RETURN says is kept with what its names mean. Source: PostgreSQL 15, `functioncmds.c`.

use super::super::user_type::Declared;
use super::super::{Binder, names, program, routine, unplaced};
use crate::parse::define::{Action, FunctionBody, FunctionDef, Returns as Written, Signature};
use crate::parse::{self, Ast};
use crate::statement::{BindEnv, Statement};
use engine::catalog::generic::{self, Generic};
use engine::catalog::objects::ViewColumn;
use engine::catalog::{
    Attribute, ColumnDef, Function, FunctionArg, Language, Returns, Stated, WrittenArg,
};
use engine::plan::QualifiedName;
use engine::plan::ddl::{AlterTarget, Ddl, FunctionAction};
use sqlparser::ast;
use std::cell::RefCell;
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState, TableId};

/// Arguments of one function, as in PostgreSQL.
const ARGUMENTS_MAX: usize = 100;

/// Languages that PostgreSQL's users may expect.
const LANGUAGES: [&str; 9] = [
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
        let (language, text) = body_text(def)?;
        let args = self.function_arguments(def)?;
        let written = self.written_arguments(def)?;
        let returns = self.function_returns(def, &written)?;
        let mut function = Function {
            oid: 0,
            schema: name.schema,
            name: name.name,
            args,
            returns,
            volatility: def.traits.volatility.unwrap_or('v'),
            strict: def.traits.strict.unwrap_or(false),
            definer: def.traits.definer.unwrap_or(false),
            body: Stated {
                sql: text,
                ..Stated::default()
            },
            language,
            fixed: matches!(def.body, Some(FunctionBody::Return(_))),
            settings: self.function_settings(def)?,
            written,
        };
        generic::check_result(&function)?;
        if function.fixed {
            generic::no_return(&function)?;
            function.body = self.function_body(&function)?;
        }
        function.uses_its_types();
        if function.is_program() {
            self.check_program(&function)?;
        } else if function.is_generic() {
            // What it means is not known before it is called.
            parse::parse(&function.body.sql).map_err(unplaced)?;
        } else if function.fixed || self.checks_bodies() {
            self.check_body(&function)?;
        }
        Ok(Statement::Ddl(Ddl::CreateFunction {
            function: Box::new(function),
            or_replace: def.or_replace,
        }))
    }

    /// Its body, bound as where it is called.
    fn check_body(&self, function: &Function) -> Result<()> {
        let place = || format!("SQL function \"{}\"", function.name);
        self.as_called(function, |env| {
            routine::compile(function, env, true).map_err(|e| e.with_context(place()))
        })?;
        Ok(())
    }

    /// A body in PL/pgSQL: it can be read, and nothing in it is without a way to be run.
    fn check_program(&self, function: &Function) -> Result<()> {
        if function.is_generic() {
            return Err(Error::unsupported(
                "functions of any types (anyelement …) in PL/pgSQL are not supported",
            )
            .with_hint("Name the types, or write the body as one query in LANGUAGE sql."));
        }
        if !self.checks_bodies() {
            return Ok(());
        }
        let place = || format!("compilation of PL/pgSQL function \"{}\"", function.name);
        self.as_called(function, |env| {
            let program = program::compile(function, env);
            let program = program.map_err(|e| e.with_context(place()))?;
            program.supported(env)
        })
    }

    fn as_called<T>(
        &self,
        function: &Function,
        look: impl FnOnce(&BindEnv) -> Result<T>,
    ) -> Result<T> {
        // It may call itself.
        let catalog = Arc::new(self.env.catalog.with_function(function));
        // As where it is called.
        let context = engine::catalog::path::set(self.env.context, &function.settings);
        let env = BindEnv {
            catalog: &catalog,
            param_types: &[],
            context: context.as_ref().unwrap_or(self.env.context),
            rows: &[],
        };
        look(&env)
    }

    pub(super) fn checks_bodies(&self) -> bool {
        let mut settings = self.env.context.session.settings.iter();
        !settings.any(|(name, value)| name == "check_function_bodies" && value == "off")
    }

    /// All arguments, where some go out.
    fn written_arguments(&mut self, def: &'a FunctionDef) -> Result<Vec<WrittenArg>> {
        let mut out: Vec<WrittenArg> = Vec::new();
        if def.args.iter().all(|a| a.mode == 'i') {
            return Ok(out);
        }
        if matches!(def.returns, Some(Written::Table(_))) {
            let message = "OUT and INOUT arguments aren't allowed in TABLE functions";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message));
        }
        for arg in &def.args {
            let to = self.declared_type(&arg.ty)?;
            if to.ty == DataType::Record {
                return Err(returns_unnamed("record"));
            }
            let name = arg.name.as_ref().map(names::ident);
            if name.is_some() && out.iter().any(|w| w.name == name) {
                return Err(used_twice(&name.unwrap_or_default()));
            }
            out.push(WrittenArg {
                mode: arg.mode,
                name,
                ty: to.ty,
                declared: to.declared,
            });
        }
        Ok(out)
    }

    /// SET: settings while the function runs.
    pub(super) fn function_settings(&self, def: &FunctionDef) -> Result<Vec<(String, String)>> {
        let mut out = Vec::new();
        for (name, value) in &def.settings {
            if name != "search_path" {
                return Err(Error::unsupported(format!(
                    "SET {name} of a function is not supported"
                )));
            }
            let value = match value {
                Some(value) => value.clone(),
                None => {
                    let mut now = self.env.context.session.settings.iter();
                    let now = now.find(|(n, _)| n == name);
                    now.map_or_else(String::new, |(_, value)| value.clone())
                }
            };
            out.retain(|(n, _)| n != name);
            out.push((name.clone(), value));
        }
        Ok(out)
    }

    fn function_arguments(&mut self, def: &'a FunctionDef) -> Result<Vec<FunctionArg>> {
        if def.args.len() > ARGUMENTS_MAX {
            return Err(Error::new(
                SqlState::TOO_MANY_ARGUMENTS,
                format!("functions cannot have more than {ARGUMENTS_MAX} arguments"),
            ));
        }
        let mut out: Vec<FunctionArg> = Vec::with_capacity(def.args.len());
        for written in def.args.iter().filter(|a| a.mode != 'o') {
            let to = self.argument_type(&written.ty)?;
            let generic = Generic::by_oid(to.declared).is_some();
            if !generic && let DataType::Void | DataType::Unknown | DataType::Record = to.ty {
                return Err(definition(format!(
                    "SQL functions cannot have arguments of type {}",
                    to.ty
                )));
            }
            let name = written.name.as_ref().map(names::ident);
            if name.is_some() && out.iter().any(|a| a.name == name) {
                return Err(used_twice(&name.unwrap_or_default()));
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

    /// A type as signatures say it, `anyelement` and its like among them.
    pub(super) fn argument_type(&self, ty: &ast::DataType) -> Result<Declared> {
        let pseudo = match ty {
            ast::DataType::Custom(name, modifiers) if modifiers.is_empty() => {
                let (schema, name) = names::qualified(name)?;
                let system = schema.is_none_or(|s| s == "pg_catalog");
                Generic::by_name(&name).filter(|_| system)
            }
            _ => None,
        };
        match pseudo {
            Some(declared) => Ok(Declared {
                ty: DataType::Unknown,
                typmod: -1,
                declared,
            }),
            None => self.declared_type(ty),
        }
    }

    fn function_returns(
        &mut self,
        def: &'a FunctionDef,
        written: &[WrittenArg],
    ) -> Result<Returns> {
        if !written.is_empty() && written.iter().any(|w| w.mode != 'i') {
            return self.returned_by_arguments(def, written);
        }
        if def.procedure {
            return Ok(Returns {
                ty: DataType::Void,
                declared: 0,
                set: false,
                columns: Vec::new(),
                row_of: None,
            });
        }
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
                        return Err(used_twice(&name));
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
                let to = self.argument_type(ty)?;
                if set && to.ty == DataType::Void {
                    return Err(definition("return type void is not a set"));
                }
                Ok(plain(to.ty, to.declared, set))
            }
        }
    }

    /// What OUT and INOUT arguments give: a value, or a row of them.
    fn returned_by_arguments(
        &mut self,
        def: &'a FunctionDef,
        written: &[WrittenArg],
    ) -> Result<Returns> {
        let out: Vec<&WrittenArg> = written.iter().filter(|w| w.mode != 'i').collect();
        let set = matches!(def.returns, Some(Written::SetOf(_)));
        let wrong = |shown: &str| {
            Err(definition(format!(
                "function result type must be {shown} because of OUT parameters"
            )))
        };
        let said = match &def.returns {
            Some(Written::Value(ty) | Written::SetOf(ty)) => Some(ty),
            Some(Written::Table(_)) | None => None,
        };
        let is_record = |ty: &ast::DataType| {
            matches!(ty, ast::DataType::Custom(name, _)
                if matches!(names::qualified(name), Ok((None, base)) if base == "record"))
        };
        let returns = |ty: DataType, declared: u32, columns: Vec<ViewColumn>| Returns {
            ty,
            declared,
            set,
            columns,
            row_of: None,
        };
        if let [only] = out.as_slice() {
            if let Some(ty) = said
                && (is_record(ty) || self.declared_type(ty)?.ty != only.ty)
            {
                return wrong(&self.type_text(only.ty));
            }
            return Ok(returns(only.ty, only.declared, Vec::new()));
        }
        if let Some(ty) = said
            && !is_record(ty)
        {
            return wrong("record");
        }
        let column = |(at, w): (usize, &&WrittenArg)| ViewColumn {
            name: w
                .name
                .clone()
                .unwrap_or_else(|| format!("column{}", at + 1)),
            ty: w.ty,
            typmod: -1,
        };
        let columns = out.iter().enumerate().map(column).collect();
        Ok(returns(DataType::Void, 0, columns))
    }

    /// A row, or rows, of a table, view or composite type: its columns, as they are now.
    fn row_of_relation(&self, ty: &ast::DataType, set: bool) -> Result<Option<Returns>> {
        let ast::DataType::Custom(name, _) = ty else {
            return Ok(None);
        };
        let (schema, base) = self.qualified(name)?;
        if schema.is_none() && matches!(base.as_str(), "record" | "event_trigger") {
            return Err(returns_unnamed(&base));
        }
        let Some(DataType::Composite(id)) = self.user_type(name)? else {
            return Ok(None);
        };
        let attributes = self.env.catalog.attributes(id).unwrap_or_default();
        Ok(Some(Returns {
            ty: DataType::Void,
            declared: 0,
            set,
            columns: attributes.into_iter().map(Attribute::into_column).collect(),
            row_of: Some(TableId(id)),
        }))
    }

    /// A body that means for good what it means now: with what its names are.
    fn function_body(&mut self, f: &Function) -> Result<Stated> {
        let parsed = parse::parse(&f.body.sql).map_err(unplaced)?;
        let [parsed] = parsed.as_slice() else {
            return Err(super::super::syntax("syntax error in RETURN"));
        };
        let Ast::Sql(s) = &parsed.ast else {
            return Err(super::super::syntax("syntax error in RETURN"));
        };
        let ast::Statement::Query(q) = &**s else {
            return Err(super::super::syntax("syntax error in RETURN"));
        };
        let mut inner = Binder::new(self.env, &parsed.lines);
        inner.takes_arguments(f);
        // Not what it means already.
        (inner.path, inner.view) = (self.path.clone(), None);
        inner.reading = Some(RefCell::default());
        inner.defining = true;
        let query = inner.top_query(q).map_err(unplaced)?;
        let stated = inner.stated_query(&query, f.body.sql.clone());
        if self.reads_temporary(&stated) {
            return Err(Error::unsupported(
                "functions with RETURN that read temporary tables are not supported",
            ));
        }
        Ok(stated)
    }

    pub(super) fn alter_function(&self, s: &Signature, actions: &[Action]) -> Result<AlterTarget> {
        let name = self.function_name_of(&s.name)?;
        let args = self.signature(s)?;
        let function = self.env.catalog.function_named(&name, args.as_deref())?;
        let oid = function.oid;
        let action = match actions {
            [Action::RenameTo(to)] => FunctionAction::RenameTo(names::ident(to)),
            [Action::SetSchema(to)] => FunctionAction::SetSchema(names::ident(to)),
            [Action::Function(traits, hints)] => {
                hints.check(function.returns.set)?;
                FunctionAction::Traits(*traits)
            }
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
        let one = |ty: &ast::DataType| self.argument_type(ty).map(|to| (to.ty, to.declared));
        types.iter().map(one).collect::<Result<_>>().map(Some)
    }

    /// A function by its name: where one is found, else where it would be made.
    pub(super) fn function_name_of(&self, name: &ast::ObjectName) -> Result<QualifiedName> {
        let (schema, base) = self.qualified(name)?;
        let own = engine::catalog::path::temporary(self.env.context);
        let schema = match schema {
            Some(schema) if schema == "pg_temp" => own,
            Some(schema) => schema,
            None => {
                let all = &self.env.catalog.functions;
                let has = |schema: &&String| {
                    let mut all = all.values();
                    all.any(|f| f.schema == **schema && f.name == base)
                };
                let found = self.path.iter().filter(|s| **s != own).find(has).cloned();
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

/// What the function is written in, and the text of what it does.
fn body_text(def: &FunctionDef) -> Result<(Language, String)> {
    if returns_trigger(def) && def.language.as_deref() == Some("sql") {
        return Err(definition("SQL functions cannot return type trigger"));
    }
    let language = match (def.language.as_deref(), &def.body) {
        (None, Some(FunctionBody::Text(_)) | None) => {
            return Err(definition("no language specified"));
        }
        (Some("sql") | None, _) => Language::Sql,
        (Some("plpgsql"), _) => Language::PlPgSql,
        (Some(other), _) if LANGUAGES.contains(&other) => {
            return Err(Error::unsupported(format!(
                "functions in language \"{other}\" are not supported"
            ))
            .with_hint("LANGUAGE sql and LANGUAGE plpgsql are."));
        }
        (Some(other), _) => {
            return Err(Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("language \"{other}\" does not exist"),
            ));
        }
    };
    let program = language == Language::PlPgSql;
    let language = match (def.procedure, program) {
        (false, _) => language,
        (true, false) => Language::SqlProcedure,
        (true, true) => Language::PlPgSqlProcedure,
    };
    match &def.body {
        Some(FunctionBody::Text(text)) => Ok((language, text.clone())),
        Some(FunctionBody::Return(_)) if program || def.procedure => Err(definition(
            "inline SQL function body only valid for language SQL",
        )),
        Some(FunctionBody::Return(text)) => Ok((language, format!("SELECT {text}"))),
        None => Err(definition("no function body specified")),
    }
}

fn returns_unnamed(what: &str) -> Error {
    Error::unsupported(format!("functions returning {what} are not supported"))
        .with_hint("RETURNS TABLE (…) gives rows; triggers are of tables.")
}

fn used_twice(name: &str) -> Error {
    definition(format!("parameter name \"{name}\" used more than once"))
}

pub(super) fn definition(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_FUNCTION_DEFINITION, message)
}
