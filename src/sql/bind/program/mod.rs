//! The body of a function in PL/pgSQL, or of DO, as a program that the router runs.
//!
//! Owns: the program: the tree of its statements, its variables, and what of its texts has been bound. NEW, OLD and the variables are slots
//! of one list, which every expression and statement of the body sees as its parameters. A text is bound when it is come to, and stays bound
//! as long as the catalog, the settings that texts are read by, and the shapes of the records it names are what they were: so a statement
//! finds the table that the one before it has made. Asked by: the router; CREATE FUNCTION and CREATE TRIGGER, to refuse what cannot be run.
//! Never: runs anything. What is wrong with one statement is said when it is run, as PostgreSQL does: only there is it an error.
//! Bounds: those of the body (`parse::plpgsql`), of a statement for each of its texts, and `PARAMETERS_MAX` slots.
//! Source: PostgreSQL 15, `pl_comp.c`, `pl_exec.c`.

mod compile;
mod into;
mod names;
mod text;
mod whens;

use crate::statement::{BindEnv, Statement};
use engine::catalog::{Catalog, ColumnDef};
use engine::plan::{Expr, Query};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use types::text::Forms;
use types::{Column, DataType, Error, RecordField};

pub use crate::parse::plpgsql::*;
pub use compile::{compile, compile_block, compile_trigger, given};
pub(super) use names::{column_at, rows_around};
pub use whens::when;

#[derive(Debug)]
pub struct Program {
    /// As CONTEXT calls it: `f(integer)`.
    pub shown: Rc<str>,
    pub body: Body,
    /// Of the table whose rows NEW and OLD are; 0 where there are none.
    pub columns: usize,
    /// By their numbers.
    pub variables: Vec<Variable>,
    pub gives: Gives,
    /// What it was compiled under.
    pub settings: Rc<Settings>,
    /// It runs statements, which see what has been changed until then, or queries.
    pub reads: bool,
    /// The columns of NEW and OLD, where they are.
    sides: Vec<ColumnDef>,
    /// Of NEW and OLD as values.
    row_type: DataType,
    /// Variables that `$1` … are.
    arguments: Range<usize>,
    /// By the numbers of texts.
    kept: Vec<RefCell<Option<Kept>>>,
}

#[derive(Debug)]
pub struct Variable {
    pub column: ColumnDef,
    pub kind: Kind,
    pub not_null: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Scalar,
    /// Of the named type of this oid.
    Row(u32),
    /// Of whatever row it is given.
    Record,
    /// Of the type of the value that it is given.
    Found,
}

/// What a call gives.
#[derive(Debug, Default)]
pub struct Gives {
    /// A value for each; none: nothing.
    pub columns: Vec<ColumnDef>,
    /// The columns are those of one value, of this type.
    pub row: Option<DataType>,
    /// The numbers of its variables for what goes out, where it has such.
    pub out: Vec<usize>,
    pub set: bool,
    /// A row of a trigger's table.
    pub trigger: bool,
}

/// What texts are read by, besides the catalog.
#[derive(Debug, PartialEq)]
pub struct Settings {
    pub path: Vec<String>,
    pub forms: Forms,
}

/// What a record has in it now, or the type that a variable has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pub ty: DataType,
    pub fields: Vec<RecordField>,
}

/// What a text is bound under.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub env: BindEnv<'a>,
    pub settings: &'a Rc<Settings>,
    /// By the numbers of variables.
    pub shapes: &'a [Option<Rc<Shape>>],
}

#[derive(Debug)]
struct Kept {
    catalog: Weak<Catalog>,
    settings: Rc<Settings>,
    /// Of the variables of these numbers.
    shapes: Vec<(usize, Option<Rc<Shape>>)>,
    bound: Bound,
}

#[derive(Clone, Debug)]
enum Bound {
    Value(Rc<Computed>),
    Run(Rc<Run>),
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

impl Computed {
    pub fn ty(&self) -> DataType {
        match self {
            Computed::Expr(e) | Computed::Query { value: e, .. } => e.ty(),
        }
    }
}

/// A statement, and where its first row goes.
#[derive(Debug)]
pub struct Run {
    pub statement: Statement,
    /// Of the rows that it gives.
    pub columns: Option<Arc<Vec<Column>>>,
    pub put: Put,
}

/// Where a row goes.
#[derive(Clone, Debug)]
pub enum Put {
    Nowhere,
    /// Places, and their values over the row.
    Places(Vec<(Place, Expr)>),
    /// All of it to the record of this number.
    Record(usize, Rc<Shape>),
}

/// Where a value goes.
#[derive(Clone, Debug)]
pub enum Place {
    Slot {
        slot: usize,
        name: String,
        not_null: bool,
        /// A record is made one of this type.
        row: Option<DataType>,
    },
    /// NEW or OLD: its columns.
    Side(Range<usize>),
    /// The variable of this number.
    Record(usize),
    /// A field of the row or record of this number.
    Field { variable: usize, at: usize },
}

impl Program {
    /// The slots of NEW or OLD.
    pub fn side(&self, side: Side) -> Range<usize> {
        match side {
            Side::New => 0..self.columns,
            Side::Old => self.columns..2 * self.columns,
        }
    }

    /// The slot of the variable of this number; FOUND is the first.
    pub fn slot(&self, variable: usize) -> usize {
        2 * self.columns + variable
    }

    pub fn slots(&self) -> usize {
        self.slot(self.variables.len())
    }

    pub fn column_of(&self, side: Side) -> &[ColumnDef] {
        self.sides.get(self.side(side)).unwrap_or_default()
    }
}

impl Settings {
    pub fn of(context: &engine::exec::Context) -> Settings {
        Settings {
            path: engine::catalog::path::searched(context),
            forms: context.session.forms.clone(),
        }
    }
}

impl Kept {
    fn is_of(&self, at: &Moment) -> bool {
        let same = |(n, shape): &(usize, Option<Rc<Shape>>)| {
            let now = at.shapes.get(*n).and_then(Option::as_ref);
            match (shape, now) {
                (None, None) => true,
                (Some(a), Some(b)) => Rc::ptr_eq(a, b) || a == b,
                _ => false,
            }
        };
        std::ptr::eq(self.catalog.as_ptr(), Arc::as_ptr(at.env.catalog))
            && (Rc::ptr_eq(&self.settings, at.settings) || self.settings == *at.settings)
            && self.shapes.iter().all(same)
    }
}

/// 55000.
pub(super) fn not_assigned(name: &str) -> Error {
    Error::new(
        types::SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("record \"{name}\" is not assigned yet"),
    )
    .with_detail("The tuple structure of a not-yet-assigned record is indeterminate.")
}
