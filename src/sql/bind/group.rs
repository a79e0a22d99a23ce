//! From rows to groups: what stands above an aggregation is rewritten to read its output.
//!
//! Owns: the check that every column is grouped, aggregated, or follows from a grouped primary key. Source: `parse_agg.c`,
//! `check_ungrouped_columns`.

use super::agg::STAND_IN;
use super::scope::Scope;
use super::window::is_stand_in;
use super::{series, walk};
use engine::exec::functions::GROUPING;
use engine::plan::{Aggregate, AggregateCall, AggregateMode, Expr, Plan, SubqueryKind};
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState, Value};

/// What GROUP BY names.
pub(super) struct Groups {
    /// Nothing twice.
    pub exprs: Vec<Expr>,
    /// Which of them each grouping set has, where there is more than one set.
    pub sets: Option<Vec<Vec<bool>>>,
}

pub(super) struct Grouping<'s> {
    groups: Vec<Expr>,
    /// How many groups the statement itself names; the rest follow from primary keys among these.
    named: usize,
    sets: Option<Vec<Vec<bool>>>,
    scope: &'s Scope,
    /// Oids of tables that a column follows from the primary key of.
    pub keys_of: Vec<u32>,
}

impl<'s> Grouping<'s> {
    pub fn new(groups: Groups, scope: &'s Scope) -> Grouping<'s> {
        let exprs = groups.exprs;
        Grouping {
            // What follows from one set's groups need not follow from another's.
            named: groups.sets.as_ref().map_or(exprs.len(), |_| 0),
            groups: exprs,
            sets: groups.sets,
            scope,
            keys_of: Vec::new(),
        }
    }

    /// How many columns the aggregation's groups have, the number of the grouping set among them.
    pub fn width(&self) -> usize {
        self.groups.len() + usize::from(self.sets.is_some())
    }

    /// The aggregation over rows of `width` columns.
    pub fn over(self, input: Plan, width: usize, aggregates: Vec<AggregateCall>) -> Plan {
        let Some(sets) = self.sets else {
            return Plan::Aggregate(Box::new(Aggregate {
                input,
                mode: AggregateMode::Complete,
                groups: self.groups,
                aggregates,
                seeds: Vec::new(),
            }));
        };
        let columns = self.groups.iter().enumerate();
        let mut groups: Vec<Expr> = columns
            .map(|(i, e)| Expr::Column(width + i, e.ty()))
            .collect();
        groups.push(Expr::Column(width + groups.len(), DataType::Int4));
        let empty = |(set, _): (i32, &Vec<bool>)| set;
        let seeds = (1..)
            .zip(&sets)
            .filter(|(_, has)| !has.contains(&true))
            .map(empty);
        Plan::Aggregate(Box::new(Aggregate {
            mode: AggregateMode::Complete,
            groups,
            aggregates,
            seeds: seeds.collect(),
            input: Plan::Expand {
                input: Box::new(input),
                groups: self.groups,
                sets,
            },
        }))
    }

    /// GROUPING(…): a bit for each argument, set where the row's set has it not.
    fn bits(&self, args: &[Expr]) -> Result<Expr> {
        let mut places = Vec::with_capacity(args.len());
        for arg in args {
            let place = self.groups.iter().position(|g| walk::same(g, arg));
            places.push(place.ok_or_else(|| {
                Error::new(
                    SqlState::GROUPING_ERROR,
                    "arguments to GROUPING must be grouping expressions of the associated query level",
                )
            })?);
        }
        let Some(sets) = &self.sets else {
            return Ok(Expr::Const(Value::Int4(0), DataType::Int4));
        };
        let bits = |has: &Vec<bool>| {
            let bit = |bits, place: &usize| bits << 1 | i32::from(has.get(*place) == Some(&false));
            Value::Int4(places.iter().fold(0, bit))
        };
        let array = types::Array {
            element: DataType::Int4,
            items: sets.iter().map(bits).collect(),
        };
        Ok(Expr::Subscript {
            array: Box::new(Expr::Const(
                Value::Array(Arc::new(array)),
                DataType::Int4Array,
            )),
            index: Box::new(Expr::Column(self.groups.len(), DataType::Int4)),
            ty: DataType::Int4,
        })
    }

    /// Columns of the input become columns of the aggregation's groups; aggregates keep their stand-ins until all
    /// groups are known.
    pub fn rewrite(&mut self, e: &mut Expr) -> Result<()> {
        if let Some(i) = self.groups.iter().position(|g| walk::same(g, e)) {
            *e = Expr::Column(i, e.ty());
            return Ok(());
        }
        match e {
            Expr::Call { func, args, .. } if func.0.name == GROUPING => {
                *e = self.bits(args)?;
                Ok(())
            }
            Expr::Column(i, _) if *i >= series::STAND_IN || is_stand_in(*i) => Ok(()),
            Expr::Column(i, ty) => {
                let (i, ty) = (*i, *ty);
                match self.dependent(i, ty) {
                    Some(group) => {
                        *e = Expr::Column(group, ty);
                        Ok(())
                    }
                    None => Err(Error::new(
                        SqlState::GROUPING_ERROR,
                        format!(
                            "column \"{}\" must appear in the GROUP BY clause or be used in an aggregate function",
                            self.scope.describe(i)
                        ),
                    )),
                }
            }
            Expr::Subquery {
                plan,
                kind,
                correlated,
                ..
            } => {
                if let SubqueryKind::Quantified { left, .. } = kind {
                    self.rewrite(left)?;
                }
                if !*correlated {
                    return Ok(());
                }
                walk::plan_exprs(Arc::make_mut(plan), 1, &mut |x, inside| {
                    walk::outers(x, inside, &mut |node, inside| {
                        self.rewrite_outer(node, inside)
                    })
                })
            }
            _ => walk::parts(e, &mut |x| self.rewrite(x)),
        }
    }

    /// A subquery's reference to this query's row.
    fn rewrite_outer(&mut self, node: &mut Expr, inside: usize) -> Result<()> {
        let Expr::Outer { depth, column, ty } = node else {
            return Ok(());
        };
        if *depth != inside || *column >= STAND_IN {
            return Ok(());
        }
        let plain = |g: &Expr| matches!(g, Expr::Column(i, _) if i == column);
        let group = self.groups.iter().position(plain);
        match group.or_else(|| self.dependent(*column, *ty)) {
            Some(i) => {
                *column = i;
                Ok(())
            }
            None => Err(Error::new(
                SqlState::GROUPING_ERROR,
                format!(
                    "subquery uses ungrouped column \"{}\" from outer query",
                    self.scope.describe(*column)
                ),
            )),
        }
    }

    /// A column of a table whose whole primary key is grouped has one value in each group: it becomes a group too.
    fn dependent(&mut self, column: usize, ty: DataType) -> Option<usize> {
        let is = |e: &Expr, i: usize| matches!(e, Expr::Column(j, _) if *j == i);
        let named = self.groups.get(..self.named)?;
        let from = self.scope.relations.iter().find(|r| {
            let key = r.key.iter().filter_map(|k| r.columns.get(*k));
            let mut key = key.map(|e| &e.expr).peekable();
            key.peek().is_some()
                && r.columns.iter().any(|e| is(&e.expr, column))
                && key.all(|k| named.iter().any(|g| walk::same(g, k)))
        });
        if let DataType::Composite(oid) = from?.row_type {
            self.keys_of.push(oid);
        }
        self.groups.push(Expr::Column(column, ty));
        Some(self.groups.len() - 1)
    }

    /// Stand-ins become the columns after the groups. Called when every expression has been rewritten.
    pub fn number_aggregates(&self, e: &mut Expr) -> Result<()> {
        match e {
            Expr::Column(i, _) if *i >= STAND_IN => {
                *i = *i - STAND_IN + self.width();
                Ok(())
            }
            Expr::Subquery {
                plan,
                kind,
                correlated,
                ..
            } => {
                if let SubqueryKind::Quantified { left, .. } = kind {
                    self.number_aggregates(left)?;
                }
                if !*correlated {
                    return Ok(());
                }
                walk::plan_exprs(Arc::make_mut(plan), 1, &mut |x, inside| {
                    walk::outers(x, inside, &mut |node, inside| {
                        if let Expr::Outer { depth, column, .. } = node
                            && *depth == inside
                            && *column >= STAND_IN
                        {
                            *column = *column - STAND_IN + self.width();
                        }
                        Ok(())
                    })
                })
            }
            _ => walk::parts(e, &mut |x| self.number_aggregates(x)),
        }
    }
}
