//! CALL.
//!
//! Owns: which procedure is meant, and the places of what goes out. Arguments that only go out are written too, and not computed. Never:
//! puts a body in the place of a call. Source: PostgreSQL 15, `functioncmds.c` (`ExecuteCallStmt`), `parse_func.c`.

use super::super::{Binder, Clause, Cx, names, syntax};
use super::choose::{Candidate, choose, places, written};
use super::opaque::of;
use crate::statement::Statement;
use engine::catalog::{Function, FunctionArg};
use engine::plan::{Expr, Plan, Query};
use sqlparser::ast::{self, FunctionArguments};
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState};

impl<'a> Binder<'a> {
    pub(in crate::bind) fn call_procedure(&mut self, f: &'a ast::Function) -> Result<Statement> {
        let list: &[ast::FunctionArg] = match &f.args {
            FunctionArguments::List(list) if list.clauses.is_empty() => &list.args,
            FunctionArguments::None => &[],
            _ => return Err(syntax("syntax error in CALL")),
        };
        let (schema, base) = self.qualified(&f.name)?;
        let (given, named) = written(list, &base)?;
        let mut cx = Cx::new(Rc::default(), Clause::Call);
        let mut args = Vec::with_capacity(given.len());
        for e in given {
            args.push(self.expr(e, &mut cx)?);
        }
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        let catalog = self.env.catalog;
        let all = catalog.functions_named(&self.path, schema.as_deref(), &base);
        let (mut candidates, mut function_of_name) = (Vec::new(), None);
        for function in all {
            if !function.is_procedure() {
                function_of_name = Some(function);
                continue;
            }
            let function = Arc::new(with_all(&function));
            let placed = places(&function, args.len() - named.len(), &named);
            candidates.extend(placed.map(|places| Candidate { function, places }));
        }
        let chosen = choose(candidates, &types);
        let chosen = chosen.map_err(|()| super::ambiguous(&base, &types));
        let Some(Candidate { function, places }) = chosen? else {
            return Err(match function_of_name {
                Some(f) => {
                    let hint = "To call a function, use SELECT.";
                    other(&f, &types, "is not a procedure", hint)
                }
                None => undefined(&f.name, &types),
            });
        };
        let procedure = catalog.function(function.oid);
        let procedure = procedure.ok_or_else(|| Error::internal("a procedure is gone"))?;
        self.call_of_procedure(&procedure, &function, &places, args)
    }

    /// `all`: the procedure with all that a call writes as arguments.
    fn call_of_procedure(
        &mut self,
        procedure: &Function,
        all: &Function,
        places: &[Option<usize>],
        args: Vec<Expr>,
    ) -> Result<Statement> {
        let modes = procedure.parameters();
        let mut slots: Vec<Option<Expr>> = args.into_iter().map(Some).collect();
        let (mut going_in, mut out) = (Vec::new(), Vec::new());
        for ((at, arg), mode) in places
            .iter()
            .zip(&all.args)
            .zip(modes.iter().map(|p| p.mode))
        {
            let e = match (at, &arg.default) {
                (Some(at), _) => slots.get_mut(*at).and_then(Option::take),
                (None, Some(default)) => Some(default.expr.clone()),
                (None, None) => None,
            };
            let e = e.ok_or_else(|| Error::internal("an argument without a place"))?;
            if mode != 'i' {
                out.push(match &e {
                    Expr::Param(slot, _) => Some(*slot),
                    _ => None,
                });
            }
            if mode != 'o' {
                let e = self.coerce_arg(e, arg.ty)?;
                going_in.push(self.held(e, arg.declared)?);
            }
        }
        let input = Plan::Project {
            input: Box::new(Plan::OneRow),
            exprs: going_in,
        };
        let call = of(procedure, input);
        let columns = match out.is_empty() {
            true => Vec::new(),
            false => {
                let columns = call.types.iter().enumerate();
                let named =
                    |(at, ty): (usize, &DataType)| Column::new(procedure.result_name(at), *ty);
                columns.map(named).collect()
            }
        };
        Ok(Statement::Call {
            query: Query {
                plan: Plan::Call(Box::new(call)),
                columns: Arc::new(columns),
            },
            out,
        })
    }
}

/// With what goes out among its arguments.
fn with_all(f: &Function) -> Function {
    let mut own = f.clone();
    let mut going_in = f.args.iter();
    let arg = |p: engine::catalog::WrittenArg| FunctionArg {
        default: match p.mode {
            'o' => None,
            _ => going_in.next().and_then(|a| a.default.clone()),
        },
        name: p.name,
        ty: p.ty,
        declared: p.declared,
    };
    own.args = f.parameters().into_iter().map(arg).collect();
    own
}

/// 42809 where SELECT calls a procedure.
pub(super) fn no_function(f: &Function, types: &[DataType]) -> Error {
    other(f, types, "is a procedure", "To call a procedure, use CALL.")
}

fn other(f: &Function, types: &[DataType], what: &str, hint: &str) -> Error {
    let types: Vec<String> = types.iter().map(DataType::to_string).collect();
    let message = format!("{}({}) {what}", f.name, types.join(", "));
    Error::new(SqlState::WRONG_OBJECT_TYPE, message).with_hint(hint)
}

fn undefined(name: &ast::ObjectName, types: &[DataType]) -> Error {
    let types: Vec<String> = types.iter().map(DataType::to_string).collect();
    let parts = names::parts(name).unwrap_or_default();
    Error::new(
        SqlState::UNDEFINED_FUNCTION,
        format!("procedure {}({}) does not exist", parts.join("."), types.join(", ")),
    )
    .with_hint(
        "No procedure matches the given name and argument types. You might need to add explicit type casts.",
    )
}
