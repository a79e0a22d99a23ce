//! The body of a trigger's function, bound for one trigger: a program that the router runs for each row.
//!
//! Owns: the program. NEW, OLD, what the language gives (TG_OP …) and the variables are slots of one list, which every expression and
//! statement of the body sees as its parameters: so each is planned once. Asked by: the router, at the first row under a catalog; CREATE
//! TRIGGER, to refuse what cannot be run. Never: runs anything.
//! What is wrong with one statement is said when it is run, as PostgreSQL does: only there is it an error.
//! Bounds: those of the body (`parse::plpgsql`), and of a statement for each of its texts.
//! Source: PostgreSQL 15, `pl_comp.c`, `pl_exec.c`.

mod steps;
mod text;

use super::Binder;
use super::scope::{Entry, Relation, Scope};
use crate::parse::Lines;
use crate::parse::plpgsql::{self, GIVEN};
use crate::statement::{BindEnv, Statement};
use engine::catalog::{ColumnDef, Function, Table, Trigger};
use engine::plan::{Expr, Query};
use std::rc::Rc;
use types::{DataType, Error, Result, SqlState};

pub use crate::parse::plpgsql::{Level, RaiseOption, Returned, Side, state};
pub use steps::when;

/// What is bound, or what is wrong with it.
pub type Checked<T> = std::result::Result<T, Error>;

/// Where the values of a run are, in the list of parameters: the columns of NEW, those of OLD, `GIVEN`, the variables.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    pub columns: usize,
}

impl Slots {
    pub fn new_row(self) -> std::ops::Range<usize> {
        0..self.columns
    }

    pub fn old_row(self) -> std::ops::Range<usize> {
        self.columns..2 * self.columns
    }

    /// The first of `GIVEN`, which is FOUND.
    pub fn found(self) -> usize {
        2 * self.columns
    }

    pub fn variables(self) -> usize {
        self.found() + GIVEN.len()
    }
}

#[derive(Debug)]
pub struct Program {
    pub slots: Slots,
    pub function: Rc<str>,
    pub variables: Vec<Variable>,
    pub steps: Vec<Step>,
    /// It runs statements, which see what has been changed until then, or queries.
    pub reads: bool,
}

#[derive(Debug)]
pub struct Variable {
    pub to: Place,
    pub default: Option<Checked<Computed>>,
    pub line: u64,
}

/// A slot that is assigned to.
#[derive(Clone, Debug)]
pub struct Place {
    pub slot: usize,
    pub name: String,
    pub not_null: bool,
}

#[derive(Debug)]
pub struct Step {
    pub line: u64,
    pub act: Act,
}

#[derive(Debug)]
pub enum Act {
    Assign {
        /// The place and its value.
        to: Checked<(Place, Computed)>,
        shown: String,
    },
    If {
        branches: Vec<Branch>,
        otherwise: Vec<Step>,
    },
    Return(Returned),
    Raise(Box<Raise>),
    Run {
        statement: Checked<Run>,
        shown: String,
        perform: bool,
    },
    Nothing,
}

#[derive(Debug)]
pub struct Branch {
    pub condition: Checked<Computed>,
    pub shown: String,
    pub steps: Vec<Step>,
}

/// A value of the type of its place.
#[derive(Debug)]
pub enum Computed {
    Expr(Expr),
    /// Of the first row: this over it.
    Query {
        query: Query,
        value: Expr,
    },
}

#[derive(Debug)]
pub struct Raise {
    pub level: Level,
    pub format: Option<String>,
    pub args: Vec<Checked<Computed>>,
    pub condition: Option<(String, SqlState)>,
    /// Each as text.
    pub options: Vec<(RaiseOption, Checked<Computed>)>,
}

#[derive(Debug)]
pub struct Run {
    pub statement: Statement,
    /// Places, and their values over the first row.
    pub into: Option<Vec<(Place, Expr)>>,
    pub strict: bool,
}

impl Computed {
    pub fn ty(&self) -> DataType {
        match self {
            Computed::Expr(e) | Computed::Query { value: e, .. } => e.ty(),
        }
    }
}

/// Binds what a function does for the rows of a table.
pub fn compile(function: &Function, table: &Table, env: &BindEnv) -> Result<Program> {
    let body = plpgsql::read(&function.body.sql).map_err(super::unplaced)?;
    let slots = Slots {
        columns: table.columns.len(),
    };
    let lines = Lines::of("");
    let binder = Binder::new(env, &lines);
    let mut columns: Vec<ColumnDef> = table
        .columns
        .iter()
        .chain(&table.columns)
        .cloned()
        .collect();
    let given = GIVEN.iter().zip(given_types());
    columns.extend(given.map(|(name, ty)| ColumnDef::new(*name, ty, 1)));
    for v in &body.variables {
        let to = binder.declared_type(&v.ty).map_err(super::unplaced)?;
        let mut column = ColumnDef::new(v.name.clone(), to.ty, 1);
        column.typmod = to.typmod;
        column.declared = to.declared;
        columns.push(column);
    }
    let types: Vec<Option<DataType>> = columns.iter().map(|c| Some(c.ty)).collect();
    if types.len() > types::limits::PARAMETERS_MAX {
        return Err(super::too_many_parameters());
    }
    let around = Rc::new(around(&columns, slots, &function.name));
    let compiler = steps::Compiler {
        env,
        slots,
        columns: &columns,
        types,
        around,
        body: &body,
        reads: std::cell::Cell::new(false),
    };
    let variables = compiler.variables();
    let steps = compiler.steps(&body.steps);
    Ok(Program {
        slots,
        function: function.name.as_str().into(),
        variables,
        steps,
        reads: compiler.reads.get(),
    })
}

/// 0A000 where the program has something that cannot be run at all.
pub fn supported(program: &Program) -> Result<()> {
    steps::first_unsupported(program).map_or(Ok(()), |e| Err(e.clone()))
}

fn given_types() -> [DataType; 11] {
    use DataType::{Bool, Int4, Name, Oid, Text, TextArray};
    [
        Bool, Name, Text, Text, Text, Oid, Name, Name, Name, Int4, TextArray,
    ]
}

/// The names that a body's texts find around them.
fn around(columns: &[ColumnDef], slots: Slots, function: &str) -> Scope {
    let entry = |at: usize| {
        let c = columns.get(at)?;
        Some(Entry {
            name: c.name.clone(),
            expr: Expr::Param(at as u16, c.ty),
            typmod: c.typmod,
            table: 0,
            attnum: 0,
            fields: None,
        })
    };
    let relation = |alias: &str, columns: Vec<Entry>| Relation {
        alias: alias.to_owned(),
        schema: None,
        table: None,
        columns,
        key: Vec::new(),
        tableoid: None,
        padded: true,
        base: false,
        row_type: DataType::Record,
    };
    let visible: Vec<Entry> = (slots.found()..columns.len()).filter_map(entry).collect();
    Scope {
        width: 0,
        relations: vec![
            relation("new", slots.new_row().filter_map(entry).collect()),
            relation("old", slots.old_row().filter_map(entry).collect()),
            relation(function, visible.clone()),
        ],
        visible,
    }
}

/// The names of a trigger's condition: of NEW and OLD alone.
pub(super) fn rows_around(table: &Table) -> Scope {
    let columns: Vec<ColumnDef> = table
        .columns
        .iter()
        .chain(&table.columns)
        .cloned()
        .collect();
    let slots = Slots {
        columns: table.columns.len(),
    };
    let mut scope = around(&columns, slots, "");
    scope.relations.pop();
    scope
}

/// What a slot of a trigger's condition is: a column of NEW or of OLD, by its ordinal.
pub(super) fn column_at(table: &Table, slot: usize) -> Option<(Side, usize)> {
    let width = table.columns.len();
    match slot {
        at if at < width => Some((Side::New, at)),
        at if at < 2 * width => Some((Side::Old, at - width)),
        _ => None,
    }
}

/// The values of what the language gives, but for FOUND.
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
