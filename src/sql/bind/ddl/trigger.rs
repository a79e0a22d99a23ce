//! CREATE, ALTER and DROP TRIGGER, and functions that return `trigger`.
//!
//! Owns: what a trigger must satisfy: the function, the columns, the condition, and that nothing of the function's body is without a way
//! to be run for this table (0A000). Other mistakes in a body are errors of the statement that comes to them.
//! Source: PostgreSQL 15, `trigger.c` (`CreateTriggerFiringOn`), `pl_comp.c` (`do_compile`).

use super::super::program::{self, Side, column_at, rows_around};
use super::super::{Binder, Clause, Cx, names, unplaced};
use crate::parse::define::{FunctionBody, FunctionDef, TriggerDef, Which};
use crate::parse::{plpgsql, rename};
use crate::statement::{BindEnv, Statement};
use engine::catalog::{
    Firing, Function, Language, Relation as Found, Returns, Stated, Table, TableKind, Trigger,
    TriggerWhen,
};
use engine::exec::eval::has_subquery;
use engine::plan::ddl::{Ddl, TableAction};
use engine::plan::{Expr, Plan, Query};
use sqlparser::ast::{self, Ident, ObjectName};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState};

impl<'a> Binder<'a> {
    /// A function that returns `trigger`: its body is read, and kept as text.
    pub(super) fn create_trigger_function(&mut self, def: &'a FunctionDef) -> Result<Statement> {
        let name = self.creation(&def.name, false)?;
        if !def.args.is_empty() {
            return Err(super::function::definition(
                "trigger functions cannot have declared arguments",
            )
            .with_hint(
                "The arguments of the trigger can be accessed through TG_NARGS and TG_ARGV instead.",
            ));
        }
        let Some(FunctionBody::Text(text)) = &def.body else {
            return Err(super::function::definition("no function body specified"));
        };
        if self.checks_bodies() {
            let body = plpgsql::read(text, plpgsql::Of::Trigger).map_err(unplaced)?;
            for variable in &body.variables {
                if let plpgsql::VariableType::Written(ty) = &variable.ty {
                    self.declared_type(ty).map_err(unplaced)?;
                }
            }
        }
        let function = Function {
            oid: 0,
            schema: name.schema,
            name: name.name,
            args: Vec::new(),
            returns: Returns {
                ty: DataType::Void,
                declared: 0,
                set: false,
                columns: Vec::new(),
                row_of: None,
            },
            volatility: def.traits.volatility.unwrap_or('v'),
            strict: def.traits.strict.unwrap_or(false),
            definer: def.traits.definer.unwrap_or(false),
            body: Stated {
                sql: text.clone(),
                path: self.path.clone(),
                reads: Vec::new(),
                uses: Vec::new(),
            },
            language: Language::OfTriggers,
            fixed: false,
            settings: self.function_settings(def)?,
            written: Vec::new(),
        };
        Ok(Statement::Ddl(Ddl::CreateFunction {
            function: Box::new(function),
            or_replace: def.or_replace,
        }))
    }

    pub(super) fn create_trigger(&mut self, def: &'a TriggerDef) -> Result<Statement> {
        let table = self.triggered(&def.table, def.statement)?;
        let columns = self.update_of(&def.columns, &table)?;
        let function = self.called(&def.function)?;
        let mut made = Trigger {
            oid: 0,
            table: table.id,
            name: names::ident(&def.name),
            function: function.oid,
            before: def.before,
            insert: def.insert,
            update: def.update,
            delete: def.delete,
            columns,
            when: None,
            args: def.args.clone(),
            firing: Firing::Origin,
            statement: def.statement,
        };
        if let Some(condition) = &def.when {
            made.when = Some(self.trigger_when(condition, &made, &table)?);
        }
        let env = BindEnv {
            param_types: &[],
            ..*self.env
        };
        let program = program::compile_trigger(&function, &table, &env);
        match program {
            Ok(program) => program.supported(&env)?,
            Err(e) if e.code() == SqlState::FEATURE_NOT_SUPPORTED => return Err(e),
            Err(_) => {}
        }
        Ok(Statement::Ddl(Ddl::CreateTrigger {
            trigger: Box::new(made),
            since: table.since,
            or_replace: def.or_replace,
        }))
    }

    /// The table, if it can have triggers.
    fn triggered(&self, name: &ObjectName, statement: bool) -> Result<Arc<Table>> {
        let (schema, base) = self.qualified(name)?;
        let wrong = |message: String, detail: &str| {
            Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail(detail))
        };
        let cannot = |what: &str| {
            let detail = format!("This operation is not supported for {what}.");
            wrong(format!("relation \"{base}\" cannot have triggers"), &detail)
        };
        match self.find(schema.as_deref(), &base) {
            Some(Found::Table(t)) if matches!(t.kind, TableKind::Materialized { .. }) => {
                cannot("materialized views")
            }
            Some(Found::Table(t)) if t.is_temporary() => Err(Error::unsupported(
                "triggers of temporary tables are not supported",
            )),
            Some(Found::View(_)) if statement => {
                Err(Error::unsupported("triggers of views are not supported"))
            }
            Some(Found::View(_)) => wrong(
                format!("\"{base}\" is a view"),
                "Views cannot have row-level BEFORE or AFTER triggers.",
            ),
            Some(Found::Sequence(_)) => cannot("sequences"),
            Some(Found::Index(..) | Found::PrimaryKey(_)) => cannot("indexes"),
            Some(Found::Table(_)) | None => self.base_table(name),
        }
    }

    fn update_of(&self, columns: &[Ident], table: &Table) -> Result<Vec<i16>> {
        let mut out: Vec<i16> = Vec::with_capacity(columns.len());
        for column in columns {
            let name = names::ident(column);
            let found = table.column(&name).and_then(|at| table.columns.get(at));
            let Some(found) = found else {
                return Err(Error::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!(
                        "column \"{name}\" of relation \"{}\" does not exist",
                        table.name
                    ),
                ));
            };
            if out.contains(&found.number) {
                return Err(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{name}\" specified more than once"),
                ));
            }
            out.push(found.number);
        }
        Ok(out)
    }

    /// The function without arguments of that name.
    fn called(&self, name: &ObjectName) -> Result<Arc<Function>> {
        let (schema, base) = self.qualified(name)?;
        let catalog = self.env.catalog;
        let all = catalog.functions_named(&self.path, schema.as_deref(), &base);
        match all.into_iter().find(|f| f.args.is_empty()) {
            Some(f) if f.is_of_triggers() => Ok(f),
            None if engine::exec::resolve::function(&base, &[]).is_err() => Err(Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {name}() does not exist"),
            )),
            _ => Err(Error::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!("function {base} must return type trigger"),
            )),
        }
    }

    /// WHEN: over the rows of the event alone.
    fn trigger_when(
        &mut self,
        condition: &'a ast::Expr,
        made: &Trigger,
        table: &Table,
    ) -> Result<TriggerWhen> {
        let mut inner = Binder::new(self.env, self.lines);
        inner.path.clone_from(&self.path);
        inner.reading = Some(RefCell::default());
        let columns = table.columns.iter().chain(&table.columns);
        inner.params = columns.map(|c| Some(c.ty)).collect();
        inner.around = Some(Rc::new(rows_around(table)));
        let mut cx = Cx::new(Rc::default(), Clause::TriggerWhen);
        let bound = inner.expr(condition, &mut cx)?;
        let bound = inner.condition(bound, "WHEN")?;
        if has_subquery(&bound) {
            return Err(Error::unsupported(
                "cannot use subquery in trigger WHEN condition",
            ));
        }
        readable(&bound, made, table)?;
        let mut node = condition;
        while let ast::Expr::Nested(x) = node {
            node = x;
        }
        let sql = format!(
            "({})",
            rename::types_folded(&rename::rows_folded(&node.to_string()))
        );
        let number = |name: String| {
            let at = table.column(&name)?;
            table.columns.get(at).map(|c| c.number)
        };
        let mut columns: Vec<i16> = rename::row_fields(&sql)
            .into_iter()
            .filter_map(number)
            .collect();
        columns.sort_unstable();
        columns.dedup();
        let query = Query {
            plan: Plan::Project {
                input: Box::new(Plan::OneRow),
                exprs: vec![bound],
            },
            columns: Arc::default(),
        };
        let uses = inner.stated_query(&query, String::new()).uses;
        Ok(TriggerWhen { sql, columns, uses })
    }

    pub(super) fn rename_trigger(
        &self,
        name: &Ident,
        table: &ObjectName,
        to: &Ident,
    ) -> Result<Statement> {
        Ok(Statement::Ddl(Ddl::RenameTrigger {
            table: self.base_table(table)?.id,
            name: names::ident(name),
            to: names::ident(to),
        }))
    }

    pub(super) fn drop_trigger(
        &self,
        name: &Ident,
        table: &ObjectName,
        if_exists: bool,
    ) -> Result<Statement> {
        let named = self.named(table)?;
        let found = self
            .env
            .catalog
            .relation_by_name(Some(&named.schema), &named.name);
        let table = match found {
            Some(Found::Table(t)) => t,
            Some(_) | None if !if_exists => self.base_table(table)?,
            _ => {
                return Ok(Statement::Ddl(Ddl::NoTrigger {
                    notice: format!("relation \"{}\" does not exist, skipping", named.name),
                }));
            }
        };
        Ok(Statement::Ddl(Ddl::DropTrigger {
            table: table.id,
            name: names::ident(name),
            if_exists,
        }))
    }
}

/// ENABLE and DISABLE TRIGGER.
pub(super) fn firing(which: &Which, how: char) -> TableAction {
    TableAction::FireTriggers {
        name: match which {
            Which::Named(name) => Some(names::ident(name)),
            Which::Users | Which::All => None,
        },
        keys: matches!(which, Which::All),
        firing: match how {
            'A' => Firing::Always,
            'R' => Firing::Replica,
            'D' => Firing::Disabled,
            _ => Firing::Origin,
        },
    }
}

/// 42P17 for a condition that reads a row which its events do not have.
fn readable(condition: &Expr, made: &Trigger, table: &Table) -> Result<()> {
    let wrong = |message: &str| Err(Error::new(SqlState::INVALID_OBJECT_DEFINITION, message));
    let mut slots = Vec::new();
    condition.each(&mut |e| {
        if let Expr::Param(n, _) = e {
            slots.push(usize::from(*n));
        }
    });
    if made.statement && !slots.is_empty() {
        return wrong("statement trigger's WHEN condition cannot reference column values");
    }
    for slot in slots {
        match column_at(table, slot) {
            Some((Side::Old, _)) if made.insert => {
                return wrong("INSERT trigger's WHEN condition cannot reference OLD values");
            }
            Some((Side::New, _)) if made.delete => {
                return wrong("DELETE trigger's WHEN condition cannot reference NEW values");
            }
            Some((Side::New, at)) if made.before => {
                if let Some(column) = table.columns.get(at).filter(|c| c.generated.is_some()) {
                    return Err(Error::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        "BEFORE trigger's WHEN condition cannot reference NEW generated columns",
                    )
                    .with_detail(format!("Column \"{}\" is a generated column.", column.name)));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
