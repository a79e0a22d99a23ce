//! ALTER COLUMN … TYPE: the column's new type, and who holds it to the old one.
//!
//! Owns: which dependents a change of type leaves alone. Asked by: `alter`. Never: converts a row.

use super::Change;
use super::alter::{Draft, ordinal, over};
use super::graph::{Node, describe};
use crate::catalog::statistics::ColumnStatistics;
use crate::catalog::{ColumnDef, Index, Table};
use crate::plan::Expr;
use crate::plan::ddl::TableAction;
use std::sync::Arc;
use types::{Error, Result};

/// What a change of a type leaves as it was.
struct Kept {
    /// The bytes of the values.
    stored: bool,
    /// The type, but for its length.
    ty: bool,
    /// What foreign keys compare.
    value: bool,
}

/// One whole number is made another of the same value, or the change fails.
fn keeps_value(using: &Expr, at: usize) -> bool {
    match using {
        Expr::Cast { expr, to, .. } => {
            to.is_integer()
                && matches!(**expr, Expr::Column(of, from) if of == at && from.is_integer())
        }
        _ => false,
    }
}

impl Change {
    pub(super) fn set_type(&mut self, d: &mut Draft, action: &TableAction) -> Result<()> {
        let TableAction::SetType {
            number,
            ty,
            typmod,
            declared,
            using,
            default,
            checks,
        } = action
        else {
            return Err(Error::internal("not a change of a type"));
        };
        let at = ordinal(d, *number)?;
        let kept = Kept {
            stored: using.is_none(),
            ty: d.table.columns[at].ty == *ty,
            value: using.as_ref().is_none_or(|e| keeps_value(e, at)),
        };
        self.refuse_type_change(d, at, kept)?;
        if let Some(using) = using {
            d.row[at] = over(using, &d.row);
            d.rewrite = true;
        }
        let column = &mut d.table.columns[at];
        column.ty = *ty;
        column.typmod = *typmod;
        column.declared = *declared;
        column.default.clone_from(default);
        if using.is_none()
            && let Expr::Column(_, stored) = &mut d.row[at]
        {
            *stored = *ty;
        }
        d.table.checks.clone_from(checks);
        if let Some(statistics) = self.catalog.statistics.get(&d.table.id) {
            let mut next = statistics.as_ref().clone();
            if let Some(column) = next.columns.get_mut(at) {
                *column = ColumnStatistics::default();
            }
            self.catalog.statistics.insert(d.table.id, Arc::new(next));
        }
        Ok(())
    }

    fn fired_by(&self, trigger: &Node, column: &ColumnDef) -> Error {
        let trigger = describe(&self.catalog, trigger);
        Error::unsupported("cannot alter type of a column used in a trigger definition")
            .with_detail(format!("{trigger} depends on column \"{}\"", column.name))
    }

    /// 0A000 where something else holds the column to its type.
    fn refuse_type_change(&self, d: &Draft, at: usize, kept: Kept) -> Result<()> {
        let (id, column) = (d.table.id, &d.table.columns[at]);
        let node = Node::Column(id, column.number);
        for (dependent, _) in super::graph::dependents(&self.catalog, &node) {
            match &dependent {
                Node::View(_) | Node::Table(_) => {
                    return Err(Error::unsupported(
                        "cannot alter type of a column used by a view or rule",
                    )
                    .with_detail(format!(
                        "rule _RETURN on {} depends on column \"{}\"",
                        describe(&self.catalog, &dependent),
                        column.name
                    )));
                }
                Node::Column(_, other) => {
                    let other = d.table.ordinal(*other).and_then(|i| d.table.columns.get(i));
                    return Err(Error::unsupported(
                        "cannot alter type of a column used by a generated column",
                    )
                    .with_detail(format!(
                        "Column \"{}\" is used by generated column \"{}\".",
                        column.name,
                        other.map_or("?", |c| c.name.as_str())
                    )));
                }
                Node::Constraint(table, name) => {
                    let table = self.catalog.tables.get(table);
                    let is_foreign =
                        |t: &Arc<Table>| t.foreign_keys.iter().any(|f| f.name == *name);
                    if !kept.value && table.is_some_and(is_foreign) {
                        return Err(Error::unsupported(
                            "changing the type of a column of a foreign key is not supported",
                        )
                        .with_hint("Drop the foreign key first, and add it again."));
                    }
                }
                Node::Trigger(..) => return Err(self.fired_by(&dependent, column)),
                Node::Function(_) => {
                    let user = describe(&self.catalog, &dependent);
                    return Err(Error::unsupported(
                        "cannot alter type of a column used by a function or procedure",
                    )
                    .with_detail(format!("{user} depends on column \"{}\"", column.name)));
                }
                Node::Schema(_)
                | Node::Extension(_)
                | Node::Sequence(_)
                | Node::Type(_)
                | Node::Default(..)
                | Node::Index(..) => {}
            }
        }
        let reads = |i: &&Arc<Index>| super::graph::index_expr_columns(i).contains(&at);
        if let Some(index) = d.table.indexes.iter().find(reads)
            && !(kept.stored && kept.ty)
        {
            return Err(Error::unsupported(format!(
                "changing the type of a column that the expressions of index \"{}\" use is not supported",
                index.name
            ))
            .with_hint("Drop the index first, and create it again."));
        }
        Ok(())
    }
}
