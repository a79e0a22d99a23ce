//! What a statement changes: a table, or one that is seen through a view.
//!
//! Owns: which views can be changed through, and what their columns are of their table's. Asked by: INSERT, UPDATE and DELETE.
//! Never: holds a row to the view's condition when it is written (there is no WITH CHECK OPTION). A view over such a view is one as
//! well: the plan that its text is bound to has both already. Source: PostgreSQL 15, `rewriteHandler.c`, `view_query_is_auto_updatable`.

use super::from::of_table;
use super::places::Place;
use super::scope::{Entry, Relation, Scope};
use super::{Binder, names};
use crate::planner::substitute;
use engine::catalog::{Relation as Found, Table, View};
use engine::plan::{Access, Expr, Plan};
use sqlparser::ast;
use std::sync::Arc;
use types::{Error, Result, SqlState};

pub(super) struct Target {
    pub table: Arc<Table>,
    /// The table as its columns are named here; the table itself, unless a view is between.
    pub named: Arc<Table>,
    view: Option<Seen>,
}

/// A view's columns, over the row of its table, and which rows it has.
struct Seen {
    relation: Relation,
    filter: Option<Expr>,
}

/// What a statement would do with a view.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Insert,
    Update,
    Delete,
}

/// No column has this name.
const HIDDEN: &str = "\u{e006}";

impl<'a> Binder<'a> {
    /// The table that a statement changes, or the view.
    pub(super) fn changed(&mut self, name: &ast::ObjectName, change: Change) -> Result<Target> {
        let (schema, base) = self.qualified(name)?;
        match self.find(schema.as_deref(), &base) {
            Some(Found::View(view)) => self.seen_through(&view, change),
            _ => {
                let table = self.base_table(name)?;
                Ok(Target {
                    named: table.clone(),
                    table,
                    view: None,
                })
            }
        }
    }

    fn seen_through(&mut self, view: &View, change: Change) -> Result<Target> {
        let (plan, relation) = self.view_source(None, &view.name, view)?;
        let refused = |why: &str| not_updatable(view, change, why);
        let found = underneath(&plan).map_err(refused)?;
        let table = super::from::changeable(found.table)?;
        self.own_or_lasting(&table)?;
        let mut relation = relation;
        for e in &mut relation.columns {
            if let Expr::Column(at, _) = &e.expr
                && let Some(expr) = found.exprs.get(*at)
            {
                e.expr = expr.clone();
            }
        }
        let mut named = Table::clone(&table);
        named.name.clone_from(&view.name);
        for (at, column) in named.columns.iter_mut().enumerate() {
            let is_it = |e: &&Entry| matches!(e.expr, Expr::Column(i, _) if i == at);
            let shown = relation.columns.iter().find(is_it);
            column.name = shown.map_or_else(|| HIDDEN.into(), |e| e.name.clone());
        }
        Ok(Target {
            named: Arc::new(named),
            table,
            view: Some(Seen {
                relation,
                filter: found.filter,
            }),
        })
    }
}

impl Target {
    /// Its columns alone, under the alias that they may have.
    pub fn scope(&self, alias: Option<&ast::Ident>) -> Scope {
        let mut relation = match &self.view {
            None => of_table(&self.table),
            Some(seen) => seen.relation.clone(),
        };
        if let Some(alias) = alias {
            relation.alias = names::ident(alias);
            relation.schema = None;
        }
        Scope {
            width: self.table.columns.len(),
            visible: relation.columns.clone(),
            relations: vec![relation],
        }
    }

    /// The places of all columns, in their order, up to one that is none of the table's.
    pub fn places(&self) -> Vec<Place<'static>> {
        match &self.view {
            None => (0..self.table.columns.len()).map(Place::whole).collect(),
            Some(seen) => {
                let columns = seen.relation.columns.iter();
                let plain = columns.map_while(|e| match e.expr {
                    Expr::Column(at, _) => Some(Place::whole(at)),
                    _ => None,
                });
                plain.collect()
            }
        }
    }

    /// The condition for rows that are to be changed: the view has to have them.
    pub fn condition(&self, given: Option<Expr>) -> Option<Expr> {
        let own = self.view.as_ref().and_then(|seen| seen.filter.clone());
        match (own, given) {
            (Some(own), Some(given)) => Some(Expr::And(vec![own, given])),
            (own, given) => own.or(given),
        }
    }

    /// The error of an assignment: a column that there is, and that is none of the table's, cannot be assigned to.
    pub fn explained(&self, change: Change, e: Error) -> Error {
        let Some(seen) = &self.view else {
            return e;
        };
        let view = &self.named.name;
        let missing = |c: &&Entry| {
            e.message()
                == format!(
                    "column \"{}\" of relation \"{view}\" does not exist",
                    c.name
                )
        };
        let columns = &mut seen.relation.columns.iter();
        let (SqlState::UNDEFINED_COLUMN, Some(column)) = (e.code(), columns.find(missing)) else {
            return e;
        };
        let verb = match change {
            Change::Insert => "insert into",
            Change::Update | Change::Delete => "update",
        };
        let message = format!(
            "cannot {verb} column \"{}\" of view \"{view}\"",
            column.name
        );
        Error::unsupported(message).with_detail(
            "View columns that are not columns of their base relation are not updatable.",
        )
    }
}

/// Which outputs of a view's plan are columns that can be assigned to.
pub(super) fn updatable(plan: &Plan) -> Vec<usize> {
    let Ok(found) = underneath(plan) else {
        return Vec::new();
    };
    if super::from::changeable(found.table).is_err() {
        return Vec::new();
    }
    let plain = |(_, e): &(usize, &Expr)| matches!(e, Expr::Column(..));
    let all = found.exprs.iter().enumerate().filter(plain);
    all.map(|(at, _)| at).collect()
}

/// The table under a view's plan: the outputs and the condition over its row.
struct Underneath {
    table: Arc<Table>,
    exprs: Vec<Expr>,
    filter: Option<Expr>,
}

/// Or why there is none, as PostgreSQL says it.
fn underneath(plan: &Plan) -> Result<Underneath, &'static str> {
    const OTHER: &str =
        "Views that do not select from a single table or view are not automatically updatable.";
    match plan {
        Plan::Scan(scan) if matches!(scan.access, Access::Full) && scan.filter.is_none() => {
            let columns = scan.table.columns.iter().enumerate();
            Ok(Underneath {
                exprs: columns.map(|(at, c)| Expr::Column(at, c.ty)).collect(),
                table: scan.table.clone(),
                filter: None,
            })
        }
        Plan::Project { input, exprs } => {
            let below = underneath(input)?;
            let over = |e: &Expr| substitute(e, &below.exprs).ok_or(OTHER);
            Ok(Underneath {
                exprs: exprs.iter().map(over).collect::<Result<_, _>>()?,
                ..below
            })
        }
        Plan::Filter { input, predicate } => {
            let below = underneath(input)?;
            let own = substitute(predicate, &below.exprs).ok_or(OTHER)?;
            let filter = match below.filter {
                Some(filter) => Expr::And(vec![filter, own]),
                None => own,
            };
            Ok(Underneath {
                filter: Some(filter),
                ..below
            })
        }
        Plan::Sort {
            input, top: None, ..
        } => underneath(input),
        Plan::Distinct { .. } | Plan::DistinctOn { .. } => {
            Err("Views containing DISTINCT are not automatically updatable.")
        }
        Plan::Limit { .. } => {
            Err("Views containing LIMIT or OFFSET are not automatically updatable.")
        }
        Plan::Aggregate(a) if a.groups.is_empty() => {
            Err("Views that return aggregate functions are not automatically updatable.")
        }
        Plan::Aggregate(_) => Err("Views containing GROUP BY are not automatically updatable."),
        Plan::Window(_) => {
            Err("Views that return window functions are not automatically updatable.")
        }
        Plan::With(_) => Err("Views containing WITH are not automatically updatable."),
        Plan::SetOp { .. } => {
            Err("Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.")
        }
        _ => Err(OTHER),
    }
}

fn not_updatable(view: &View, change: Change, why: &str) -> Error {
    let (message, event) = match change {
        Change::Insert => ("insert into", "INSERT"),
        Change::Update => ("update", "UPDATE"),
        Change::Delete => ("delete from", "DELETE"),
    };
    Error::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("cannot {message} view \"{}\"", view.name),
    )
    .with_detail(why)
    .with_hint(format!(
        "{event} the rows of the tables that it reads: rules and INSTEAD OF triggers are not supported."
    ))
}
