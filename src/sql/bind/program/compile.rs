//! A body's text to a program: what its variables are, and whether anything in it cannot be run at all.
//!
//! Owns: the types of variables, `%TYPE` and `%ROWTYPE` among them. Texts are bound once to see whether they can be (`supported`); what is
//! wrong with one but for 0A000 is left for the moment it is come to. Source: PostgreSQL 15, `pl_comp.c` (`do_compile`).

use super::names::attributes;
use super::{Gives, Kind, Moment, Program, Settings, Use, Variable};
use crate::bind::{Binder, names, too_many_parameters, unplaced};
use crate::parse::Lines;
use crate::parse::plpgsql::{self, Act, Body, GIVEN, Rows, Step, VariableType};
use crate::statement::BindEnv;
use engine::catalog::{ColumnDef, Function, Relation, Table, Trigger};
use sqlparser::ast::{self, Ident, ObjectName};
use std::cell::RefCell;
use std::rc::Rc;
use types::{DataType, Error, Result, SqlState};

/// What a function does for the rows of a table.
pub fn compile_trigger(function: &Function, table: &Table, env: &BindEnv) -> Result<Program> {
    let body = plpgsql::read(&function.body.sql, plpgsql::Of::Trigger).map_err(unplaced)?;
    let sides = table.columns.iter().chain(&table.columns);
    let gives = Gives {
        trigger: true,
        ..Gives::default()
    };
    let mut program = Program::of(format!("{}()", function.name), body, env);
    program.columns = table.columns.len();
    program.sides = sides.cloned().collect();
    program.row_type = DataType::Composite(table.id.0);
    program.gives = gives;
    let given = GIVEN.iter().zip(given_types());
    let given = given.map(|(name, ty)| ColumnDef::new(*name, ty, 1));
    program.declare(given.collect(), env)?;
    program.look(env);
    Ok(program)
}

/// What a call of a function does.
pub fn compile(f: &Function, env: &BindEnv) -> Result<Program> {
    let args = f.parameters();
    let named: Vec<Option<String>> = args.iter().map(|a| a.name.clone()).collect();
    let of = plpgsql::Of::Function {
        name: &f.name,
        args: &named,
        set: f.returns.set,
        value: !f.returns.set
            && f.returns.ty != DataType::Void
            && args.iter().all(|a| matches!(a.mode, 'i' | 'v')),
    };
    let body = plpgsql::read(&f.body.sql, of).map_err(unplaced)?;
    let signature = env.catalog.function_signature(f);
    let shown = env.catalog.named(&signature).into_owned();
    let mut program = Program::of(shown, body, env);
    let column = |(name, ty, declared): (&str, DataType, u32)| {
        let mut column = ColumnDef::new(name, ty, 1);
        column.declared = declared;
        column
    };
    let mut given = vec![ColumnDef::new("found", DataType::Bool, 1)];
    let all = args.iter();
    given.extend(all.map(|a| column((a.name.as_deref().unwrap_or(""), a.ty, a.declared))));
    let out = args.iter().enumerate();
    let out = out.filter(|(_, a)| matches!(a.mode, 'o' | 'b' | 't'));
    program.arguments = 1..1 + args.len();
    program.gives = Gives {
        out: out.map(|(n, _)| n + 1).collect(),
        columns: match (f.row_type(), f.returns.columns.as_slice()) {
            (Some(DataType::Composite(oid)), _) => attributes(env.catalog, oid),
            (_, []) if f.returns.ty == DataType::Void => Vec::new(),
            (_, []) => vec![column(("value", f.returns.ty, f.returns.declared))],
            (_, all) => all.iter().map(|c| column((&c.name, c.ty, 0))).collect(),
        },
        row: f.row_type(),
        set: f.returns.set,
        trigger: false,
    };
    program.declare(given, env)?;
    returns(&program, f.is_procedure())?;
    program.look(env);
    Ok(program)
}

/// What DO does.
pub fn compile_block(text: &str, env: &BindEnv) -> Result<Program> {
    let body = plpgsql::read(text, plpgsql::Of::Block).map_err(unplaced)?;
    let mut program = Program::of("inline_code_block".into(), body, env);
    program.declare(vec![ColumnDef::new("found", DataType::Bool, 1)], env)?;
    returns(&program, false)?;
    Ok(program)
}

impl Program {
    fn of(shown: String, body: Body, env: &BindEnv) -> Program {
        let texts = body.texts;
        Program {
            shown: shown.into(),
            body,
            columns: 0,
            variables: Vec::new(),
            gives: Gives::default(),
            settings: Rc::new(Settings::of(env.context)),
            reads: true,
            sides: Vec::new(),
            row_type: DataType::Record,
            arguments: 0..0,
            kept: (0..texts).map(|_| RefCell::default()).collect(),
        }
    }

    /// Says what the variables are. `given`: the first of them.
    fn declare(&mut self, given: Vec<ColumnDef>, env: &BindEnv) -> Result<()> {
        let slots = 2 * self.columns + self.body.variables.len();
        if slots > types::limits::PARAMETERS_MAX {
            return Err(too_many_parameters());
        }
        let lines = Lines::of("");
        let binder = Binder::new(env, &lines);
        let mut given = given.into_iter();
        let mut all: Vec<Variable> = Vec::with_capacity(self.body.variables.len());
        for v in &self.body.variables {
            let (column, kind) = match (&v.ty, given.next()) {
                (VariableType::Given, Some(column)) => {
                    let kind = kind_of(&column);
                    (column, kind)
                }
                (ty, _) => self.declared(&binder, &all, &v.name, ty).map_err(|e| {
                    let place = format!(
                        "compilation of PL/pgSQL function \"{}\" near line {}",
                        short(&self.shown),
                        v.line
                    );
                    unplaced(e).with_context(place)
                })?,
            };
            all.push(Variable {
                column,
                kind,
                not_null: v.not_null,
            });
        }
        self.variables = all;
        Ok(())
    }

    fn declared(
        &self,
        b: &Binder,
        known: &[Variable],
        name: &str,
        ty: &VariableType,
    ) -> Result<(ColumnDef, Kind)> {
        let plain = |ty: DataType| ColumnDef::new(name, ty, 1);
        Ok(match ty {
            VariableType::Given | VariableType::Found => (plain(DataType::Unknown), Kind::Found),
            VariableType::Record => (plain(DataType::Record), Kind::Record),
            VariableType::Text => (plain(DataType::Text), Kind::Scalar),
            VariableType::Int4 => (plain(DataType::Int4), Kind::Scalar),
            VariableType::Written(ty) => {
                let to = b.declared_type(ty)?;
                if let DataType::Void | DataType::Unknown = to.ty {
                    return Err(Error::unsupported(format!(
                        "variable \"{name}\" has pseudo-type {}",
                        to.ty
                    )));
                }
                let mut column = plain(to.ty);
                column.typmod = to.typmod;
                column.declared = to.declared;
                let kind = match to.ty {
                    DataType::Record => Kind::Record,
                    _ => kind_of(&column),
                };
                (column, kind)
            }
            VariableType::RowOf(of) => {
                let ty = b.user_type(of)?.filter(|t| t.is_record());
                let ty = ty.ok_or_else(|| {
                    let (_, name) = b.qualified(of).unwrap_or_default();
                    Error::new(
                        SqlState::UNDEFINED_TABLE,
                        format!("relation \"{name}\" does not exist"),
                    )
                })?;
                let column = plain(ty);
                let kind = kind_of(&column);
                (column, kind)
            }
            VariableType::Like(of) => self.like(b, known, name, of)?,
        })
    }

    /// `variable%TYPE` or `table.column%TYPE`
    fn like(
        &self,
        b: &Binder,
        known: &[Variable],
        name: &str,
        of: &ObjectName,
    ) -> Result<(ColumnDef, Kind)> {
        let mut parts = names::parts(of)?;
        let last = parts.pop().unwrap_or_default();
        if parts.is_empty() {
            // The nearest one is not looked for: of a name there is seldom more than one.
            let found = known.iter().rev().find(|v| v.column.name == last);
            let v = found.ok_or_else(|| {
                Error::new(
                    SqlState::SYNTAX_ERROR,
                    format!("type reference \"{last}%TYPE\" is of no variable"),
                )
            })?;
            let column = ColumnDef {
                name: name.to_owned(),
                ..v.column.clone()
            };
            return Ok((column, v.kind));
        }
        let relation = ObjectName::from(parts.iter().map(Ident::new).collect::<Vec<_>>());
        let (schema, base) = b.qualified(&quoted(&relation))?;
        let columns: Vec<ColumnDef> = match b.find(schema.as_deref(), &base) {
            Some(Relation::Table(t)) => t.columns.clone(),
            Some(Relation::View(v)) => attributes(b.env.catalog, v.id.0),
            _ => Vec::new(),
        };
        let found = columns.into_iter().find(|c| c.name == last);
        // As PostgreSQL's reader says it, which knows no such word then.
        let found = found.ok_or_else(|| {
            Error::new(SqlState::SYNTAX_ERROR, "syntax error at or near \"%\"")
                .with_detail(format!("There is no column {}.{last}.", parts.join(".")))
        })?;
        let mut column = ColumnDef::new(name, found.ty, 1);
        column.typmod = found.typmod;
        column.declared = found.declared;
        let kind = kind_of(&column);
        Ok((column, kind))
    }

    /// Binds what can be, and finds out whether it runs statements.
    fn look(&mut self, env: &BindEnv) {
        let mut reads = runs(&self.body.block.steps) || !self.body.block.handlers.is_empty();
        let shapes: Vec<Option<Rc<super::Shape>>> = vec![None; self.variables.len()];
        let settings = self.settings.clone();
        let at = Moment {
            env: *env,
            settings: &settings,
            shapes: &shapes,
        };
        self.body.each(&mut |text, used| {
            let bound = match used {
                Use::Perform | Use::Statement(_) | Use::Rows(_) | Use::ReturnedRows => None,
                Use::Call => None,
                used => Some(self.value(text, used, &at)),
            };
            match bound {
                Some(Ok(computed)) => {
                    reads |= matches!(*computed, super::Computed::Query { .. });
                }
                Some(Err(_)) | None => reads = true,
            }
        });
        self.reads = reads;
    }

    /// 0A000 where the program has something that cannot be run at all.
    pub fn supported(&self, env: &BindEnv) -> Result<()> {
        let shapes: Vec<Option<Rc<super::Shape>>> = vec![None; self.variables.len()];
        let at = Moment {
            env: *env,
            settings: &self.settings,
            shapes: &shapes,
        };
        let mut found = None;
        self.body.each(&mut |text, used| {
            let bound = match used {
                Use::Perform | Use::Statement(_) | Use::Rows(_) | Use::ReturnedRows => {
                    self.run(text, used, &at).map(drop)
                }
                Use::Call => Ok(()),
                used => self.value(text, used, &at).map(drop),
            };
            if let Err(e) = bound
                && e.code() == SqlState::FEATURE_NOT_SUPPORTED
            {
                found.get_or_insert(e);
            }
        });
        found.map_or(Ok(()), Err)
    }
}

/// 42804 for a RETURN that gives what the function does not take.
fn returns(program: &Program, procedure: bool) -> Result<()> {
    let gives = &program.gives;
    let word = if gives.set { "RETURN NEXT" } else { "RETURN" };
    let (state, what) = match () {
        () if procedure => (SqlState::SYNTAX_ERROR, "a procedure"),
        () if !gives.out.is_empty() => {
            (SqlState::DATATYPE_MISMATCH, "function with OUT parameters")
        }
        () if gives.columns.is_empty() => (SqlState::DATATYPE_MISMATCH, "function returning void"),
        () => return Ok(()),
    };
    let mut wrong = false;
    program
        .body
        .each(&mut |_, used| wrong |= matches!(used, Use::Returned));
    match wrong {
        true => Err(Error::new(
            state,
            format!("{word} cannot have a parameter in {what}"),
        )),
        false => Ok(()),
    }
}

fn kind_of(column: &ColumnDef) -> Kind {
    match column.ty {
        DataType::Composite(oid) => Kind::Row(oid),
        DataType::Record => Kind::Record,
        _ => Kind::Scalar,
    }
}

fn quoted(name: &ObjectName) -> ObjectName {
    let part = |p: &ast::ObjectNamePart| match p {
        ast::ObjectNamePart::Identifier(i) => Ident::with_quote('"', i.value.clone()),
        other => Ident::new(other.to_string()),
    };
    ObjectName::from(name.0.iter().map(part).collect::<Vec<_>>())
}

fn short(shown: &str) -> &str {
    shown.split('(').next().unwrap_or(shown)
}

/// Statements that run others.
fn runs(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.act {
        Act::If {
            branches,
            otherwise,
        } => branches.iter().any(|(_, s)| runs(s)) || runs(otherwise),
        Act::Case {
            branches,
            otherwise,
            ..
        } => {
            branches.iter().any(|(_, s)| runs(s)) || runs(otherwise.as_deref().unwrap_or_default())
        }
        Act::Block(b) => !b.handlers.is_empty() || runs(&b.steps),
        Act::Loop(l) => matches!(l.how, plpgsql::How::Rows { .. }) || runs(&l.steps),
        Act::ReturnQuery(Rows::Query(_) | Rows::Execute { .. })
        | Act::Perform(_)
        | Act::Run { .. }
        | Act::Execute { .. }
        | Act::Call(_) => true,
        _ => false,
    })
}

fn given_types() -> [DataType; 11] {
    use DataType::{Bool, Int4, Name, Oid, Text, TextArray};
    [
        Bool, Name, Text, Text, Text, Oid, Name, Name, Name, Int4, TextArray,
    ]
}

/// The values of what the language gives a trigger, but for FOUND.
pub fn given(trigger: &Trigger, table: &Table, op: &str) -> Vec<types::Value> {
    use types::Value;
    let text = |s: &str| Value::from(s);
    let args = trigger.args.iter().map(|a| text(a)).collect();
    vec![
        text(&trigger.name),
        text(if trigger.before { "BEFORE" } else { "AFTER" }),
        text(if trigger.statement {
            "STATEMENT"
        } else {
            "ROW"
        }),
        text(op),
        Value::Oid(table.id.0),
        text(&table.name),
        text(&table.name),
        text(&table.schema),
        Value::Int4(trigger.args.len() as i32),
        Value::Array(std::sync::Arc::new(types::Array {
            element: DataType::Text,
            items: args,
        })),
    ]
}
