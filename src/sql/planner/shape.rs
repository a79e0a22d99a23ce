//! What the rows of a plan look like.
//!
//! Owns: the types of a plan's output columns. Asked by: rules that build rows, and EXPLAIN. Never: changes a plan.

use engine::catalog::system;
use engine::plan::{Expr, JoinKind, Plan, Scan};
use types::DataType;

/// The type of each output column.
pub(crate) fn types(plan: &Plan) -> Vec<DataType> {
    match plan {
        Plan::Scan(scan) => scan_types(scan),
        Plan::System(table) => {
            let columns = system::columns(&table.schema, &table.name);
            columns.into_iter().flatten().map(|c| c.ty).collect()
        }
        Plan::Values { rows } => {
            let first = rows.first();
            first.into_iter().flatten().map(|e| e.ty()).collect()
        }
        Plan::OneRow => Vec::new(),
        Plan::Function(function) => {
            let mut types: Vec<DataType> = function.all_columns().map(|c| c.ty).collect();
            types.extend(function.ordinality.then_some(DataType::Int8));
            types
        }
        Plan::Project { exprs, .. } => exprs.iter().map(|e| e.ty()).collect(),
        Plan::Join(join) => {
            let mut types = types_of(&join.left, join.left_width);
            if !matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
                types.extend(types_of(&join.right, join.right_width));
            }
            types
        }
        Plan::Aggregate(a) => {
            let groups = a.groups.iter().map(|e| e.ty());
            groups.chain(a.aggregates.iter().map(|c| c.ty)).collect()
        }
        Plan::Filter { input, .. }
        | Plan::Sort { input, .. }
        | Plan::Limit { input, .. }
        | Plan::Gather { input }
        | Plan::Distinct { input }
        | Plan::DistinctOn { input, .. } => types(input),
        Plan::SetOp { left, .. } => types(left),
        Plan::FirstRows { whole, .. } => types(whole),
        Plan::With(with) => types(&with.input),
        Plan::WithScan(scan) | Plan::WorkTable(scan) => scan.types.clone(),
        Plan::Recursive(recursive) => types(&recursive.base),
        Plan::Expand { input, groups, .. } => {
            let mut types = types(input);
            types.extend(groups.iter().map(Expr::ty));
            types.push(DataType::Int4);
            types
        }
        Plan::LockRows(lock) => match lock.within {
            Some(_) => types(&lock.input),
            None => lock.table.types(),
        },
        Plan::Configure { .. } => vec![DataType::Text],
        Plan::Advise(advise) => vec![advise.act.returns()],
        Plan::Window(window) => {
            let mut types = types(&window.input);
            types.extend(window.calls.iter().map(|c| c.ty));
            types
        }
        Plan::Notify { .. } | Plan::Sleep { .. } => vec![DataType::Void],
        Plan::Observe { what, .. } => vec![what.returns()],
        Plan::Given(given) => given.columns.iter().map(|c| c.ty).collect(),
        Plan::Sequence(call) => call.function.returns().to_vec(),
        Plan::Call(call) => call.types.clone(),
    }
}

/// `types`, of exactly the width that a join expects.
fn types_of(plan: &Plan, width: usize) -> Vec<DataType> {
    let mut types = types(plan);
    types.resize(width, DataType::Unknown);
    types
}

pub(super) fn scan_types(scan: &Scan) -> Vec<DataType> {
    if let Some(partial) = &scan.partial {
        let groups = partial.groups.iter().map(|e| e.ty());
        return groups
            .chain(partial.aggregates.iter().map(|c| c.ty))
            .collect();
    }
    match &scan.project {
        Some(exprs) => exprs.iter().map(|e| e.ty()).collect(),
        None => {
            let columns = scan.table.columns.iter().map(|c| c.ty);
            let address = scan.addressed.then_some(DataType::Bytea);
            columns.chain(address).collect()
        }
    }
}

pub(super) fn width(plan: &Plan) -> usize {
    types(plan).len()
}
