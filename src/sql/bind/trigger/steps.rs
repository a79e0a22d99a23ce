//! Statements of a body, bound one by one; and a trigger's condition.

use super::super::scope::Scope;
use super::{
    Act, Branch, Checked, Computed, Place, Program, Raise, Run, Slots, Step, Variable, text,
};
use crate::parse::plpgsql::{self as read, Body, Side, Target};
use crate::statement::BindEnv;
use engine::catalog::{ColumnDef, Table, Trigger};
use engine::plan::Expr;
use std::cell::Cell;
use std::rc::Rc;
use types::{DataType, Error, Result, SqlState};

pub(super) struct Compiler<'a> {
    pub env: &'a BindEnv<'a>,
    pub slots: Slots,
    /// What each slot is.
    pub columns: &'a [ColumnDef],
    pub types: Vec<Option<DataType>>,
    pub around: Rc<Scope>,
    pub body: &'a Body,
    pub reads: Cell<bool>,
}

impl Compiler<'_> {
    fn text(&self) -> text::Place<'_> {
        text::Place {
            env: self.env,
            types: &self.types,
            around: &self.around,
        }
    }

    pub fn variables(&self) -> Vec<Variable> {
        let first = self.slots.variables();
        let all = self.body.variables.iter().enumerate();
        let one = |(n, v): (usize, &read::Variable)| Variable {
            to: Place {
                slot: first + n,
                name: v.name.clone(),
                not_null: v.not_null,
            },
            default: v.default.as_ref().map(|e| self.value(e, first + n)),
            line: v.line,
        };
        all.map(one).collect()
    }

    /// A value for a slot.
    fn value(&self, text: &str, slot: usize) -> Checked<Computed> {
        self.noted(self.text().value(text, self.columns.get(slot)))
    }

    fn noted(&self, computed: Checked<Computed>) -> Checked<Computed> {
        if matches!(computed, Ok(Computed::Query { .. })) {
            self.reads.set(true);
        }
        computed
    }

    pub fn steps(&self, steps: &[read::Step]) -> Vec<Step> {
        let step = |s: &read::Step| Step {
            line: s.line,
            act: self.act(&s.act),
        };
        steps.iter().map(step).collect()
    }

    fn act(&self, act: &read::Act) -> Act {
        match act {
            read::Act::Assign { to, value, shown } => {
                let place = self.place(to);
                let to = place.and_then(|to| {
                    let value = self.value(value, to.slot)?;
                    Ok((to, value))
                });
                let shown = shown.clone();
                Act::Assign { to, shown }
            }
            read::Act::If {
                branches,
                otherwise,
            } => {
                let branch = |(condition, steps): &(String, Vec<read::Step>)| Branch {
                    condition: self.condition(condition),
                    shown: condition.clone(),
                    steps: self.steps(steps),
                };
                Act::If {
                    branches: branches.iter().map(branch).collect(),
                    otherwise: self.steps(otherwise),
                }
            }
            read::Act::Return(what) => Act::Return(*what),
            read::Act::Raise(raise) => Act::Raise(Box::new(self.raise(raise))),
            read::Act::Perform(query) => {
                self.reads.set(true);
                let statement = self.text().perform(query).map(|statement| Run {
                    statement,
                    into: None,
                    strict: false,
                });
                Act::Run {
                    statement,
                    shown: format!("SELECT {query}"),
                    perform: true,
                }
            }
            read::Act::Run { sql, into } => {
                self.reads.set(true);
                Act::Run {
                    statement: self.run(sql, into.as_ref()),
                    shown: sql.clone(),
                    perform: false,
                }
            }
            read::Act::Nothing => Act::Nothing,
        }
    }

    fn condition(&self, text: &str) -> Checked<Computed> {
        let to = ColumnDef::new("condition", DataType::Bool, 1);
        self.noted(self.text().value(text, Some(&to)))
    }

    fn run(&self, sql: &str, into: Option<&read::Into>) -> Checked<Run> {
        let Some(into) = into else {
            let (statement, _) = self.text().statement(sql, None)?;
            return Ok(Run {
                statement,
                into: None,
                strict: false,
            });
        };
        let mut places = Vec::with_capacity(into.targets.len());
        let mut columns = Vec::with_capacity(into.targets.len());
        for target in &into.targets {
            let place = self.place(target)?;
            let column = self.columns.get(place.slot).cloned();
            columns.push(column.ok_or_else(|| Error::internal("a place out of range"))?);
            places.push(place);
        }
        let (statement, values) = self.text().statement(sql, Some(&columns))?;
        Ok(Run {
            statement,
            into: Some(places.into_iter().zip(values).collect()),
            strict: into.strict,
        })
    }

    fn raise(&self, raise: &read::Raise) -> Raise {
        let text = ColumnDef::new("option", DataType::Text, 1);
        let arg = |e: &String| self.noted(self.text().value(e, None));
        let option = |(option, e): &(read::RaiseOption, String)| {
            (*option, self.noted(self.text().value(e, Some(&text))))
        };
        Raise {
            level: raise.level,
            format: raise.format.clone(),
            args: raise.args.iter().map(arg).collect(),
            condition: raise.condition.clone(),
            options: raise.options.iter().map(option).collect(),
        }
    }

    fn place(&self, target: &Target) -> Result<Place> {
        let plain = |slot: usize, name: &str| Place {
            slot,
            name: name.to_owned(),
            not_null: false,
        };
        Ok(match target {
            Target::Found => plain(self.slots.found(), "found"),
            Target::Variable(at) => {
                let variable = self.body.variables.get(*at);
                let variable =
                    variable.ok_or_else(|| Error::internal("a variable out of range"))?;
                Place {
                    not_null: variable.not_null,
                    ..plain(self.slots.variables() + at, &variable.name)
                }
            }
            Target::Column(side, name) => {
                let (row, slots) = match side {
                    Side::New => ("new", self.slots.new_row()),
                    Side::Old => ("old", self.slots.old_row()),
                };
                let mut own =
                    slots.filter(|s| self.columns.get(*s).is_some_and(|c| c.name == *name));
                let slot = own.next();
                plain(
                    slot.ok_or_else(|| super::super::around::no_field(row, name))?,
                    name,
                )
            }
        })
    }
}

/// The first thing in a program that there is no way to run.
pub(super) fn first_unsupported(program: &Program) -> Option<&Error> {
    let variables = program.variables.iter();
    let mut defaults = variables.filter_map(|v| unsupported(v.default.as_ref()?));
    defaults.next().or_else(|| in_steps(&program.steps))
}

fn in_steps(steps: &[Step]) -> Option<&Error> {
    steps.iter().find_map(|step| match &step.act {
        Act::Assign { to, .. } => unsupported(to),
        Act::If {
            branches,
            otherwise,
        } => {
            let mut of = branches
                .iter()
                .filter_map(|b| unsupported(&b.condition).or_else(|| in_steps(&b.steps)));
            of.next().or_else(|| in_steps(otherwise))
        }
        Act::Raise(raise) => raise
            .args
            .iter()
            .chain(raise.options.iter().map(|(_, e)| e))
            .find_map(unsupported),
        Act::Run { statement, .. } => unsupported(statement),
        Act::Return(_) | Act::Nothing => None,
    })
}

fn unsupported<T>(checked: &Checked<T>) -> Option<&Error> {
    let e = checked.as_ref().err()?;
    (e.code() == SqlState::FEATURE_NOT_SUPPORTED).then_some(e)
}

/// A trigger's WHEN, over the slots of NEW and OLD.
pub fn when(trigger: &Trigger, table: &Table, env: &BindEnv) -> Result<Option<Expr>> {
    let Some(when) = &trigger.when else {
        return Ok(None);
    };
    let around = Rc::new(super::rows_around(table));
    let types: Vec<Option<DataType>> = table
        .columns
        .iter()
        .chain(&table.columns)
        .map(|c| Some(c.ty))
        .collect();
    let place = text::Place {
        env,
        types: &types,
        around: &around,
    };
    let to = ColumnDef::new("condition", DataType::Bool, 1);
    match place.value(&when.sql, Some(&to))? {
        Computed::Expr(e) => Ok(Some(e)),
        Computed::Query { .. } => Err(Error::internal("a condition that is a query")),
    }
}
