//! What a statement changes: a table, or one that is seen through a view.
//!
//! Owns: which views can be changed through, and what their columns are of their table's. Asked by: INSERT, UPDATE and DELETE.
//! A view over such a view is one as well: the plan that its text is bound to has both already. WITH CHECK OPTION is a CHECK of the table as
//! the statement has it, which the partitions look at like any other. Never: that option for conditions with subqueries. Source: PostgreSQL 15, `rewriteHandler.c`, `view_query_is_auto_updatable`.

use super::from::of_table;
use super::places::Place;
use super::scope::{Entry, Relation, Scope};
use super::{Binder, names};
use crate::planner::{has_subquery, substitute};
use engine::catalog::model::OF_VIEW;
use engine::catalog::{Check, Relation as Found, Table, View};
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

/// What a view's WITH CHECK OPTION asks of rows: the view's name, and its condition.
type Asked = (String, Expr);

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
        let (plan, mut relation) = self.view_source(None, &view.name, view)?;
        let refused = |why: &str| not_updatable(view, change, why);
        let found = underneath(&plan).map_err(refused)?;
        let table = super::from::changeable(found.table)?;
        self.own_or_lasting(&table)?;
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
        let mut asked = Vec::new();
        self.asked(view, false, &mut asked)?;
        Ok(Target {
            named: Arc::new(named),
            table: with_checks(table, asked),
            view: Some(Seen {
                relation,
                filter: and(found.conditions),
            }),
        })
    }

    /// What the options of a view and of those under it ask. `all`: one above is CASCADED.
    fn asked(&mut self, view: &View, all: bool, out: &mut Vec<Asked>) -> Result<()> {
        let below = view.query.reads.first();
        let below = below.and_then(|r| self.env.catalog.views.get(&r.relation).cloned());
        let under = match &below {
            Some(below) => {
                self.asked(below, all || view.check == Some(true), out)?;
                self.conditions(below)?.len()
            }
            None => 0,
        };
        if all || view.check.is_some() {
            let own = self.conditions(view)?.split_off(under);
            out.extend(own.into_iter().map(|e| (view.name.clone(), e)));
        }
        Ok(())
    }

    /// A view's conditions over the row of its table, those of views under it first.
    fn conditions(&mut self, view: &View) -> Result<Vec<Expr>> {
        let (plan, _) = self.view_source(None, &view.name, view)?;
        Ok(underneath(&plan)
            .map(|found| found.conditions)
            .unwrap_or_default())
    }

    /// 0A000 for WITH CHECK OPTION where rows cannot be held to it.
    pub(super) fn can_check(&mut self, view: &View) -> Result<()> {
        if view.check.is_none() {
            return Ok(());
        }
        if !view.is_updatable() {
            return Err(Error::unsupported(
                "WITH CHECK OPTION is supported only on automatically updatable views",
            ));
        }
        let conditions = self.conditions(view)?;
        match conditions.iter().any(has_subquery) {
            true => Err(Error::unsupported(
                "WITH CHECK OPTION is not supported for conditions with subqueries",
            )),
            false => Ok(()),
        }
    }
}

/// The table with what is asked of rows that are written. What is unknown is not true.
fn with_checks(table: Arc<Table>, asked: Vec<Asked>) -> Arc<Table> {
    if asked.is_empty() {
        return table;
    }
    let mut table = Table::clone(&table);
    table
        .checks
        .extend(asked.into_iter().map(|(view, e)| Check {
            name: format!("{OF_VIEW}{view}"),
            sql: String::new(),
            expr: Expr::IsBool {
                expr: Box::new(e),
                value: Some(true),
                negated: false,
            },
        }));
    Arc::new(table)
}

fn and(mut conditions: Vec<Expr>) -> Option<Expr> {
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(Expr::And(conditions)),
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
            xmax: None,
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
    conditions: Vec<Expr>,
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
                conditions: Vec::new(),
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
            let mut below = underneath(input)?;
            let own = substitute(predicate, &below.exprs).ok_or(OTHER)?;
            below.conditions.push(own);
            Ok(below)
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
