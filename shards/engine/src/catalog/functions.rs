//! Functions of users: their signatures, and how they are shown.
//!
//! Owns: names of arguments' and results' types. Asked by: calls (`sql::bind::call`), definitions, `pg_proc`.
//! Source: PostgreSQL 15, `ruleutils.c`.

use super::generic::Generic;
use super::objects::{Attribute, Function, ViewColumn, WrittenArg};
use super::{Catalog, path};
use crate::exec::functions::quote_identifier;
use crate::exec::functions::system::type_name;
use crate::plan::ddl::QualifiedName;
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState};

impl Function {
    /// Two of one name and schema cannot be told apart.
    pub fn same_arguments(&self, other: &Function) -> bool {
        let types = |f: &Function| {
            f.args
                .iter()
                .map(|a| (a.ty, a.declared))
                .collect::<Vec<_>>()
        };
        types(self) == types(other)
    }

    /// Its arguments have these types and domains.
    pub fn takes(&self, args: &[(DataType, u32)]) -> bool {
        self.args
            .iter()
            .map(|a| (a.ty, a.declared))
            .eq(args.iter().copied())
    }

    /// A call gives rows, rather than a value.
    pub fn returns_rows(&self) -> bool {
        self.returns.set || !self.returns.columns.is_empty()
    }

    /// A call may be a value.
    pub fn returns_value(&self) -> bool {
        !self.returns.set && (self.returns.row_of.is_some() || self.returns.columns.is_empty())
    }

    /// The named type whose rows it returns.
    pub fn row_type(&self) -> Option<DataType> {
        self.returns.row_of.map(|id| DataType::Composite(id.0))
    }

    /// The type of a call's value, `void` where there is none.
    pub fn value_type(&self) -> DataType {
        let row = self.row_type().filter(|_| !self.returns.set);
        row.unwrap_or(self.returns.ty)
    }

    /// The types of what a call gives in FROM; none: nothing.
    pub fn result_types(&self) -> Vec<DataType> {
        match self.returns.columns.as_slice() {
            [] if self.returns.ty == DataType::Void => Vec::new(),
            [] => vec![self.returns.ty],
            columns => columns.iter().map(|c| c.ty).collect(),
        }
    }

    /// All that a body has names for, in their order: arguments that go in, that go out, and columns of TABLE (…), whose mode is `t`.
    pub fn parameters(&self) -> Vec<WrittenArg> {
        if !self.written.is_empty() {
            return self.written.clone();
        }
        let going_in = self.args.iter().map(|a| WrittenArg {
            mode: 'i',
            name: a.name.clone(),
            ty: a.ty,
            declared: a.declared,
        });
        let columns: &[ViewColumn] = match self.returns.row_of {
            Some(_) => &[],
            None => &self.returns.columns,
        };
        let table = columns.iter().map(|c| WrittenArg {
            mode: 't',
            name: Some(c.name.clone()),
            ty: c.ty,
            declared: 0,
        });
        going_in.chain(table).collect()
    }

    /// What a column of its rows is called in FROM.
    pub fn result_name(&self, at: usize) -> &str {
        let mut out = self.written.iter().filter(|w| w.mode != 'i');
        match self.returns.columns.get(at) {
            Some(column) => &column.name,
            None => {
                let own = out.next().and_then(|w| w.name.as_deref());
                own.unwrap_or(&self.name)
            }
        }
    }

    /// Notes the users' types of its arguments and result among what it uses.
    pub fn uses_its_types(&mut self) {
        let args = self.args.iter().map(|a| (a.ty, a.declared));
        let columns = self.returns.columns.iter().map(|c| (c.ty, 0));
        let own = (self.returns.ty, self.returns.declared);
        for (ty, declared) in args.chain(columns).chain([own]) {
            let oid = match declared {
                0 => ty.user_oid(),
                declared => Some(declared).filter(|d| Generic::by_oid(*d).is_none()),
            };
            self.body
                .uses
                .extend(oid.filter(|oid| !self.body.uses.contains(oid)));
        }
        if let Some(relation) = self.returns.row_of {
            if !self.body.uses.contains(&relation.0) {
                self.body.uses.push(relation.0);
            }
            // Under a name that no query can say.
            self.body.reads.push(super::objects::Reads {
                relation,
                schema: None,
                name: String::new(),
                columns: Vec::new(),
            });
        }
    }
}

impl Catalog {
    /// Those of that name, the nearest schema's first; of one signature only the first.
    pub fn functions_named(
        &self,
        path: &[String],
        schema: Option<&str>,
        name: &str,
    ) -> Vec<Arc<Function>> {
        let mut out: Vec<Arc<Function>> = Vec::new();
        let mut within = |schema: &str| {
            let all = self.functions.values();
            for f in all.filter(|f| f.name == name && f.schema == schema) {
                if !out.iter().any(|other| other.same_arguments(f)) {
                    out.push(self.with_its_columns(f));
                }
            }
        };
        // Those of the session's temporary schema are found by its name only.
        let is_temporary = |schema: &&String| schema.starts_with("pg_temp_");
        match schema {
            _ if self.functions.is_empty() => {}
            Some("pg_temp") => path.iter().filter(is_temporary).for_each(|s| within(s)),
            Some(schema) => within(schema),
            None => path
                .iter()
                .filter(|s| !is_temporary(s))
                .for_each(|s| within(s)),
        }
        out
    }

    /// As it will be with a function that is about to be made, in the place of one with its name and arguments.
    pub fn with_function(&self, f: &Function) -> Catalog {
        let mut own = self.clone();
        let other = |o: &Function| o.schema != f.schema || o.name != f.name || !o.same_arguments(f);
        own.functions.retain(|_, o| other(o));
        own.functions.insert(f.oid, Arc::new(f.clone()));
        own
    }

    pub fn function(&self, oid: u32) -> Option<Arc<Function>> {
        self.functions.get(&oid).map(|f| self.with_its_columns(f))
    }

    /// The function, returning the columns that its relation has now.
    fn with_its_columns(&self, f: &Arc<Function>) -> Arc<Function> {
        let Some(attributes) = f.returns.row_of.and_then(|id| self.attributes(id.0)) else {
            return f.clone();
        };
        let now = attributes.into_iter().map(Attribute::into_column);
        let now: Vec<ViewColumn> = now.collect();
        if now == f.returns.columns {
            return f.clone();
        }
        let mut own = Function::clone(f);
        own.returns.columns = now;
        Arc::new(own)
    }

    /// A type as signatures name it: the domain, where it is one; a mark in the place of a user's.
    pub fn argument_name(&self, ty: DataType, declared: u32) -> String {
        if let Some(name) = Generic::name(declared) {
            return name.to_owned();
        }
        let ty = match self.is_domain(declared) {
            true => DataType::Enum(declared),
            false => ty,
        };
        type_name(ty, None)
    }

    /// `f(integer,text)`, with its schema unless that is `public`.
    pub fn function_signature(&self, f: &Function) -> String {
        let types = f.args.iter();
        let types: Vec<String> = types
            .map(|a| self.argument_name(a.ty, a.declared))
            .collect();
        let name = path::shown(&f.schema, &f.name);
        format!("{name}({})", types.join(","))
    }

    /// As `pg_get_function_arguments` prints them.
    pub fn function_arguments(&self, f: &Function, defaults: bool) -> String {
        let one = |a: &super::objects::FunctionArg| {
            let mut out = String::new();
            if let Some(name) = &a.name {
                out.push_str(&quote_identifier(name));
                out.push(' ');
            }
            out.push_str(&self.argument_name(a.ty, a.declared));
            if let Some(default) = a.default.as_ref().filter(|_| defaults) {
                out.push_str(" DEFAULT ");
                out.push_str(&default.sql);
            }
            out
        };
        let going_in = if f.is_procedure() { "IN " } else { "" };
        if f.written.is_empty() {
            let all = f.args.iter().map(|a| format!("{going_in}{}", one(a)));
            return all.collect::<Vec<_>>().join(", ");
        }
        let prefix = going_in;
        let mut going_in = f.args.iter();
        let written = |w: &super::objects::WrittenArg| {
            let mode = match w.mode {
                'o' => "OUT ",
                'b' => "INOUT ",
                'v' => "VARIADIC ",
                _ => prefix,
            };
            let default = match w.mode {
                'o' => None,
                _ => going_in.next().and_then(|a| a.default.clone()),
            };
            let arg = super::objects::FunctionArg {
                name: w.name.clone(),
                ty: w.ty,
                declared: w.declared,
                default,
            };
            format!("{mode}{}", one(&arg))
        };
        let all: Vec<String> = f.written.iter().map(written).collect();
        all.join(", ")
    }

    /// As `pg_get_function_result` prints it.
    pub fn function_result(&self, f: &Function) -> String {
        let r = &f.returns;
        if f.is_of_triggers() {
            return "trigger".into();
        }
        if let Some(id) = r.row_of {
            let name = self.argument_name(DataType::Composite(id.0), 0);
            return match r.set {
                true => format!("SETOF {name}"),
                false => name,
            };
        }
        if !r.columns.is_empty() && !f.written.is_empty() {
            return if r.set { "SETOF record" } else { "record" }.into();
        }
        if !r.columns.is_empty() {
            let column = |c: &super::objects::ViewColumn| {
                let name = quote_identifier(&c.name);
                format!("{name} {}", self.argument_name(c.ty, 0))
            };
            let columns: Vec<String> = r.columns.iter().map(column).collect();
            return format!("TABLE({})", columns.join(", "));
        }
        let name = self.argument_name(r.ty, r.declared);
        match r.set {
            true => format!("SETOF {name}"),
            false => name,
        }
    }

    /// A statement that makes it again.
    pub fn function_definition(&self, f: &Function) -> String {
        let volatility = match f.volatility {
            'i' => " IMMUTABLE",
            's' => " STABLE",
            _ => "",
        };
        let strict = if f.strict { " STRICT" } else { "" };
        let definer = match f.definer {
            true => " SECURITY DEFINER",
            false => "",
        };
        let hints = match format!("{volatility}{strict}{definer}") {
            none if none.is_empty() => none,
            some => some + "\n",
        };
        let setting = |(name, value): &(String, String)| match name.as_str() {
            // A list of names.
            "search_path" => format!(" SET search_path TO {}\n", path::quoted(value)),
            name => format!(" SET {name} TO '{}'\n", value.replace('\'', "''")),
        };
        let settings: String = f.settings.iter().map(setting).collect();
        let what = if f.is_procedure() {
            "procedure"
        } else {
            "function"
        };
        // A quote that the body does not end.
        let mut quote = format!("${what}");
        while f.body.sql.contains(&format!("{quote}$")) {
            quote.push('x');
        }
        format!(
            "CREATE OR REPLACE {} {}.{}({})\n{} LANGUAGE {}\n{hints}{settings}AS {quote}${}{quote}$\n",
            what.to_uppercase(),
            quote_identifier(&f.schema),
            quote_identifier(&f.name),
            self.function_arguments(f, true),
            match f.is_procedure() {
                true => String::new(),
                false => format!(" RETURNS {}\n", self.function_result(f)),
            },
            match f.is_program() {
                true => "plpgsql",
                false => "sql",
            },
            f.body.sql,
        )
    }

    /// The function of that name and those arguments; of that name alone, where there is one.
    pub fn function_named(
        &self,
        name: &QualifiedName,
        args: Option<&[(DataType, u32)]>,
    ) -> Result<Arc<Function>> {
        let fits = |f: &&Arc<Function>| {
            f.schema == name.schema && f.name == name.name && args.is_none_or(|a| f.takes(a))
        };
        let mut found = self.functions.values().filter(fits);
        match (found.next(), found.next(), args) {
            (Some(f), None, _) => Ok(f.clone()),
            (Some(_), Some(_), _) => Err(Error::new(
                SqlState::AMBIGUOUS_FUNCTION,
                format!("function name \"{}\" is not unique", name.name),
            )
            .with_hint("Specify the argument list to select the function unambiguously.")),
            (None, _, None) => Err(Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("could not find a function named \"{}\"", name.name),
            )),
            (None, _, Some(args)) => {
                let types: Vec<String> = args
                    .iter()
                    .map(|(ty, declared)| self.argument_name(*ty, *declared))
                    .collect();
                Err(Error::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!(
                        "function {}({}) does not exist",
                        quote_identifier(&name.name),
                        types.join(", ")
                    ),
                ))
            }
        }
    }
}
