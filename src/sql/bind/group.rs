//! From rows to groups: what stands above an aggregation is rewritten to read its output.
//!
//! Owns: the check that every column is grouped, aggregated, or follows from a grouped primary key. Source: `parse_agg.c`,
//! `check_ungrouped_columns`.

use super::agg::STAND_IN;
use super::scope::Scope;
use super::walk;
use engine::plan::{Expr, SubqueryKind};
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState};

pub(super) struct Grouping<'s> {
    groups: Vec<Expr>,
    /// How many groups the statement itself names; the rest follow from primary keys among these.
    named: usize,
    scope: &'s Scope,
}

impl<'s> Grouping<'s> {
    pub fn new(groups: Vec<Expr>, scope: &'s Scope) -> Grouping<'s> {
        Grouping {
            named: groups.len(),
            groups,
            scope,
        }
    }

    pub fn into_groups(self) -> Vec<Expr> {
        self.groups
    }

    /// Columns of the input become columns of the aggregation's groups; aggregates keep their stand-ins until all
    /// groups are known.
    pub fn rewrite(&mut self, e: &mut Expr) -> Result<()> {
        if let Some(i) = self.groups.iter().position(|g| walk::same(g, e)) {
            *e = Expr::Column(i, e.ty());
            return Ok(());
        }
        match e {
            Expr::Column(i, _) if *i >= STAND_IN => Ok(()),
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
        let follows = self.scope.relations.iter().any(|r| {
            let key = r.key.iter().filter_map(|k| r.columns.get(*k));
            let mut key = key.map(|e| &e.expr).peekable();
            key.peek().is_some()
                && r.columns.iter().any(|e| is(&e.expr, column))
                && key.all(|k| named.iter().any(|g| walk::same(g, k)))
        });
        if !follows {
            return None;
        }
        self.groups.push(Expr::Column(column, ty));
        Some(self.groups.len() - 1)
    }

    /// Stand-ins become the columns after the groups. Called when every expression has been rewritten.
    pub fn number_aggregates(&self, e: &mut Expr) -> Result<()> {
        match e {
            Expr::Column(i, _) if *i >= STAND_IN => {
                *i = *i - STAND_IN + self.groups.len();
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
                            *column = *column - STAND_IN + self.groups.len();
                        }
                        Ok(())
                    })
                })
            }
            _ => walk::parts(e, &mut |x| self.number_aggregates(x)),
        }
    }
}
