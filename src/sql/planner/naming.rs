//! What the columns of a plan are called in the conditions above it.
//!
//! Owns: names for EXPLAIN's conditions. Asked by: `explain`. Never: looks at data.

use engine::catalog::{Table, system};
use engine::plan::print::Printer;
use engine::plan::{AggregateMode, Expr, JoinKind, Plan, Scan, Window, WindowCall, WindowFunc};

pub(super) fn table_names(table: &Table) -> Vec<String> {
    let qualified = |c: &engine::catalog::ColumnDef| format!("{}.{}", table.name, c.name);
    table.columns.iter().map(qualified).collect()
}

fn named_columns(name: &str, columns: &[types::Column]) -> Vec<String> {
    columns
        .iter()
        .map(|c| format!("{name}.{}", c.name))
        .collect()
}

/// What the columns of a plan's output are called in conditions above it.
pub(super) fn names(plan: &Plan) -> Vec<String> {
    match plan {
        Plan::Scan(scan) => scan_names(scan),
        Plan::System(table) => {
            let columns = system::columns(&table.schema, &table.name);
            let name = |c: &system::SystemColumn| format!("{}.{}", table.name, c.name);
            columns.into_iter().flatten().map(name).collect()
        }
        Plan::Values { rows } => {
            let width = rows.first().map_or(0, Vec::len);
            (1..=width).map(|i| format!("column{i}")).collect()
        }
        Plan::OneRow => Vec::new(),
        Plan::Function(function) => {
            let name = |c: &types::Column| format!("{}.{}", function.name, c.name);
            function.all_columns().map(name).collect()
        }
        Plan::Project { input, exprs } => {
            let below = names(input);
            let printer = Printer::new(&below);
            exprs.iter().map(|e| printer.print(e)).collect()
        }
        Plan::Join(join) => {
            let mut all = names(&join.left);
            if !matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
                all.extend(names(&join.right));
            }
            all
        }
        Plan::Aggregate(aggregate) => {
            let below = names(&aggregate.input);
            if aggregate.mode == AggregateMode::Final {
                return below;
            }
            let printer = Printer::new(&below);
            let groups = aggregate.groups.iter().map(|e| printer.print(e));
            let calls = aggregate.aggregates.iter().map(|c| printer.aggregate(c));
            groups.chain(calls).collect()
        }
        Plan::Filter { input, .. }
        | Plan::Sort { input, .. }
        | Plan::Limit { input, .. }
        | Plan::Gather { input }
        | Plan::Distinct { input }
        | Plan::DistinctOn { input, .. } => names(input),
        Plan::SetOp { left, .. } => names(left),
        Plan::FirstRows { whole, .. } => names(whole),
        Plan::With(with) => names(&with.input),
        Plan::WithScan(scan) | Plan::WorkTable(scan) => {
            let column = |i| format!("{}.column{i}", scan.name);
            (1..=scan.types.len()).map(column).collect()
        }
        Plan::Recursive(recursive) => names(&recursive.base),
        Plan::Expand { input, groups, .. } => expanded_names(input, groups),
        Plan::Configure { .. } => vec!["set_config".to_owned()],
        Plan::Advise(_) => vec!["pg_advisory_lock".to_owned()],
        Plan::Window(window) => window_names(window),
        Plan::Notify { .. } => vec!["pg_notify".to_owned()],
        Plan::Sleep { .. } => vec!["pg_sleep".to_owned()],
        Plan::Observe { .. } => vec!["pg_table_size".to_owned()],
        Plan::Given(given) => named_columns(&given.name, &given.columns),
        Plan::Sequence(call) => vec!["nextval".to_owned(); call.function.returns().len()],
        Plan::Call(call) => vec![call.name.clone(); call.types.len()],
        Plan::LockRows(lock) => match lock.within {
            Some(_) => names(&lock.input),
            None => lock.table.columns.iter().map(|c| c.name.clone()).collect(),
        },
    }
}

fn scan_names(scan: &Scan) -> Vec<String> {
    let mut own = table_names(&scan.table);
    if scan.addressed {
        // As PostgreSQL names it, though no query can.
        own.push(format!("{}.ctid", scan.table.name));
    }
    let printer = Printer::new(&own);
    if let Some(partial) = &scan.partial {
        let groups = partial.groups.iter().map(|e| printer.print(e));
        let calls = partial.aggregates.iter().map(|c| printer.aggregate(c));
        return groups.chain(calls).collect();
    }
    match &scan.project {
        Some(exprs) => exprs.iter().map(|e| printer.print(e)).collect(),
        None => own,
    }
}

fn window_names(window: &Window) -> Vec<String> {
    let mut all = names(&window.input);
    let calls = window.calls.iter();
    let printed: Vec<String> = {
        let printer = Printer::new(&all);
        let call = |c: &WindowCall| {
            let star = matches!(&c.func, WindowFunc::Aggregate(f) if f == "count");
            let args = match c.args.as_slice() {
                [] if star => "*".to_owned(),
                args => printer.list(args),
            };
            format!("{}({args}) OVER (?)", c.func.name())
        };
        calls.map(call).collect()
    };
    all.extend(printed);
    all
}

fn expanded_names(input: &Plan, groups: &[Expr]) -> Vec<String> {
    let below = names(input);
    let printer = Printer::new(&below);
    let groups: Vec<String> = groups.iter().map(|e| printer.print(e)).collect();
    let set = std::iter::once("set".to_owned());
    below.iter().cloned().chain(groups).chain(set).collect()
}
