//! A trigger's condition.
//!
//! Owns: WHEN over the slots of NEW and OLD. Asked by: the router, when it makes a trigger ready. Never: has a subquery.
//! Source: PostgreSQL 15, `trigger.c` (`TriggerEnabled`).

use super::{Computed, text};
use crate::parse::plpgsql::Conflict;
use crate::statement::BindEnv;
use engine::catalog::{ColumnDef, Table, Trigger};
use engine::plan::Expr;
use std::rc::Rc;
use types::{DataType, Error, Result};

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
    let surroundings = text::Surroundings {
        env,
        types: &types,
        around: &around,
        arguments: &[],
        conflict: Conflict::Error,
    };
    let to = ColumnDef::new("condition", DataType::Bool, 1);
    match surroundings.value(&when.sql, Some(&to))? {
        Computed::Expr(e) => Ok(Some(e)),
        Computed::Query { .. } => Err(Error::internal("a condition that is a query")),
    }
}
